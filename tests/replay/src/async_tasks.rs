//! tokio's runtime of one thread, with threads beside it.

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
