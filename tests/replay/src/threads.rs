//! Threads of the standard library, of crossbeam and of rayon.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::on_threads;

/// In which order four threads come to a lock.
pub fn mutexes() {
    let order = Mutex::new(Vec::new());
    on_threads(|number| {
        for round in 0..20 {
            order.lock().unwrap().push((number, round));
        }
    });
    println!("{:?}", order.into_inner().unwrap());
}

/// Which thread a notification lets go on.
pub fn condvars() {
    let (state, changed) = (Mutex::new((0usize, Vec::new())), Condvar::new());
    on_threads(|number| {
        for _ in 0..10 {
            let mut held = state.lock().unwrap();
            held.0 += 1;
            let seen = held.0;
            changed.notify_one();
            let limit = Duration::from_millis(1);
            held = changed
                .wait_timeout_while(held, limit, |held| held.0 == seen)
                .unwrap()
                .0;
            held.1.push(number);
        }
    });
    println!("{:?}", state.into_inner().unwrap());
}

/// Which consumer gets which message of which producer.
pub fn channels() {
    let (send, receive) = crossbeam_channel::bounded(3);
    let got = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for producer in 0..3 {
            let send = send.clone();
            scope.spawn(move || (0..20).for_each(|item| send.send((producer, item)).unwrap()));
        }
        drop(send);
        for consumer in 0..2 {
            let (receive, got) = (receive.clone(), &got);
            scope.spawn(move || {
                for item in receive {
                    got.lock().unwrap().push((consumer, item));
                }
            });
        }
    });
    println!("{:?}", got.into_inner().unwrap());
}

/// Which worker of a pool does which job.
pub fn pool() {
    let (jobs, changed) = (Mutex::new(VecDeque::new()), Condvar::new());
    let did = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (jobs, changed, did) = (&jobs, &changed, &did);
            scope.spawn(move || {
                loop {
                    let mut held = jobs.lock().unwrap();
                    let job: Option<u32> = loop {
                        match held.pop_front() {
                            Some(job) => break job,
                            None => held = changed.wait(held).unwrap(),
                        }
                    };
                    drop(held);
                    match job {
                        Some(job) => did.lock().unwrap().push((worker, job)),
                        None => return,
                    }
                }
            });
        }
        for job in (0..40).map(Some).chain([None; 3]) {
            jobs.lock().unwrap().push_back(job);
            changed.notify_one();
        }
    });
    println!("{:?}", did.into_inner().unwrap());
}

/// Which thread of rayon's does what, and sums that are right whatever the answer.
pub fn rayon_pool() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let pool = pool.unwrap();
    let by: Vec<_> = pool.install(|| {
        let part = |number: u64| (number, rayon::current_thread_index());
        (0..200u64).into_par_iter().map(part).collect()
    });
    println!("{by:?}");
    let sum: u64 = pool.install(|| (0..1000u64).into_par_iter().sum());
    println!("{sum}");
}

/// When timers fire, and in which order.
pub fn timers() {
    let began = Instant::now();
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..4u64 {
            let send = send.clone();
            scope.spawn(move || {
                for round in 0..5 {
                    std::thread::sleep(Duration::from_micros(200 * (1 + number % 2)));
                    send.send((number, round, began.elapsed())).unwrap();
                }
            });
        }
        drop(send);
        loop {
            match receive.recv_timeout(Duration::from_micros(300)) {
                Ok(message) => println!("{message:?}"),
                Err(mpsc::RecvTimeoutError::Timeout) => println!("late, {:?}", began.elapsed()),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    });
}

/// Random numbers, as hash maps have them, and which thread draws first.
pub fn random() {
    use std::hash::BuildHasher;
    let drawn = Mutex::new(Vec::new());
    let turn = AtomicUsize::new(0);
    on_threads(|number| {
        let map: HashMap<usize, usize> = (0..8).map(|key| (key, key)).collect();
        let order: Vec<_> = map.keys().copied().collect();
        let hash = map.hasher().hash_one(7);
        let turn = turn.fetch_add(1, SeqCst);
        drawn.lock().unwrap().push((turn, number, hash, order));
    });
    for one in drawn.into_inner().unwrap() {
        println!("{one:?}");
    }
}
