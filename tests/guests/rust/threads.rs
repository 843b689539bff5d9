//! What Rust's standard library does with threads: mutexes, channels, scopes,
//! thread-locals, parking, and a panic, which aborts on this target.
//!
//! usage: threads [panic] [ARGS...]

use std::cell::Cell;
use std::io::Read;
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};

thread_local!(static LOCAL: Cell<u32> = const { Cell::new(0) });

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("args {args:?}");
    if args.first().is_some_and(|arg| arg == "panic") {
        let _ = std::thread::spawn(|| panic!("the child is unwell")).join();
        unreachable!("a panic aborts");
    }

    let sum = Arc::new(Mutex::new(0u64));
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let sum = Arc::clone(&sum);
            std::thread::spawn(move || {
                for k in 0..1000 {
                    *sum.lock().unwrap() += i * k;
                    LOCAL.with(|local| local.set(local.get() + 1));
                }
                LOCAL.with(Cell::get)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 1000);
    }
    println!("sum {}", sum.lock().unwrap());

    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let send = send.clone();
            scope.spawn(move || send.send(i).unwrap());
        }
    });
    drop(send);
    let mut received: Vec<i32> = receive.iter().collect();
    received.sort_unstable();
    println!("received {received:?}");

    let barrier = Arc::new(Barrier::new(4));
    let leaders: usize = (0..4)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || usize::from(barrier.wait().is_leader()))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    println!("leaders {leaders}");

    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let waiter = {
        let pair = Arc::clone(&pair);
        std::thread::spawn(move || {
            let guard = pair.0.lock().unwrap();
            drop(pair.1.wait_while(guard, |ready| !*ready).unwrap());
            std::thread::park();
        })
    };
    *pair.0.lock().unwrap() = true;
    pair.1.notify_one();
    waiter.thread().unpark();
    waiter.join().unwrap();

    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    println!("stdin {input:?}");
    std::process::exit(9);
}
