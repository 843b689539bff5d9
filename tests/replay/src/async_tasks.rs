//! tokio's runtimes: of one thread, with threads beside it, and of several.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

pub fn tokio_current_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let (send, mut receive) = mpsc::channel(2);
        for number in 0..3 {
            let send = send.clone();
            std::thread::spawn(move || {
                for round in 0..5 {
                    send.blocking_send((number, round)).unwrap();
                }
            });
        }
        for number in 3..6u64 {
            let send = send.clone();
            tokio::spawn(async move {
                for round in 0..5 {
                    sleep(Duration::from_millis(number)).await;
                    send.send((number, round)).await.unwrap();
                }
            });
        }
        drop(send);
        loop {
            match timeout(Duration::from_millis(2), receive.recv()).await {
                Ok(Some(message)) => println!("{message:?} {:?}", began.elapsed()),
                Ok(None) => return,
                Err(_) => println!("late {:?}", began.elapsed()),
            }
        }
    });
}

/// Tasks that three workers steal from one another, and one that blocks.
pub fn tokio_multi_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(3).enable_time().build();
    let sum = runtime.unwrap().block_on(async {
        let (send, mut receive) = mpsc::channel(2);
        for number in 0..6u64 {
            let send = send.clone();
            tokio::spawn(async move {
                for round in 0..5u64 {
                    match number % 2 {
                        0 => sleep(Duration::from_millis(number)).await,
                        _ => tokio::task::yield_now().await,
                    }
                    send.send((number, round)).await.unwrap();
                }
            });
        }
        drop(send);
        let blocks = tokio::task::spawn_blocking(|| {
            std::thread::sleep(Duration::from_millis(3));
            5
        });
        let mut sum = 0;
        while let Some((number, round)) = receive.recv().await {
            println!("{number} {round}");
            sum += number * 10 + round;
        }
        sum + blocks.await.unwrap()
    });
    println!("sum {sum}");
}
