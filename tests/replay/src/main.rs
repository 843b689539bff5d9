//! Eleven programs that print things which differ from run to run natively.
//! `scripts/replay-same.py` checks that they do not differ under a schedule.
//!
//! usage: same NAME [FOLDER]

mod async_tasks;
mod storage;
mod threads;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = std::path::PathBuf::from(args.get(1).map_or(".", String::as_str));
    match args.first().map_or("", String::as_str) {
        "mutexes" => threads::mutexes(),
        "condvars" => threads::condvars(),
        "channels" => threads::channels(),
        "pool" => threads::pool(),
        "rayon" => threads::rayon_pool(),
        "timers" => threads::timers(),
        "random" => threads::random(),
        "tokio" => async_tasks::tokio_current_thread(),
        "tokio_threads" => async_tasks::tokio_multi_thread(),
        "database" => storage::database(&folder),
        "files" => storage::files(&folder),
        other => {
            eprintln!("same: no program {other:?}");
            std::process::exit(2);
        }
    }
}

const THREADS: usize = 4;

/// Runs it on so many threads, each with its number.
fn on_threads(work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}
