//! Progress on the terminal while a large module is compiled.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shorter compilations need no note.
const SILENT: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(200);

/// A line on the terminal that shows a compilation, until this is dropped.
///
/// Wasmtime does not tell how far a compilation is, so the line shows the size of the module and
/// the time so far.
pub(crate) struct Progress {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts it if stderr is a terminal; otherwise nothing is printed.
    pub(crate) fn compiling(name: &str, bytes: usize) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let line = format!(
            "compiling {} ({:.1} MiB)",
            shortened(name),
            bytes as f64 / f64::from(1 << 20)
        );
        let thread = std::io::stderr().is_terminal().then(|| {
            std::thread::Builder::new()
                .name("progress".into())
                .spawn(move || show(&line, &ended))
                // Without a thread there is no line.
                .ok()
        });
        Progress {
            end: Some(end),
            thread: thread.flatten(),
        }
    }
}

/// The end of a long name, because a line that the terminal breaks could not be erased.
fn shortened(name: &str) -> String {
    /// With the rest of the line, less than the 80 columns of the narrowest terminals.
    const MOST: usize = 40;
    match name.chars().count().checked_sub(MOST) {
        None | Some(0) => name.to_owned(),
        Some(more) => std::iter::once('…')
            .chain(name.chars().skip(more + 1))
            .collect(),
    }
}

fn show(line: &str, ended: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let mut shown = false;
    let mut pause = SILENT;
    // Nothing is ever sent: the drop of the sender ends the loop.
    while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        let seconds = began.elapsed().as_secs_f32();
        draw(&format!("\r{line}: {seconds:.1} s"));
        shown = true;
        pause = EVERY;
    }
    if shown {
        // Back to the start of the line, and erase it (ECMA-48 CR, EL).
        draw("\r\x1b[K");
    }
}

fn draw(text: &str) {
    // A terminal that has gone away needs no progress.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Joined before anything else is printed. If it panicked, only the line would be lost.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_long_name_does_not_break_the_line() {
        assert_eq!(shortened("`a.wasm`"), "`a.wasm`");
        let long = format!("`/{}/a.wasm`", "ä".repeat(100));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), 40);
        assert!(
            short.starts_with('…') && short.ends_with("ä/a.wasm`"),
            "{short}"
        );
    }
}
