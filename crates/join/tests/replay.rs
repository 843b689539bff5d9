//! A search in this process.
#![cfg(feature = "replay")]

use std::time::Duration;

use wasi_threads_p1::p1_adapter::P1CtxBuilder;
use wasi_threads_p1::replay::Exploration;
use wasi_threads_p1::wasi_threads::rewrite::{Points, RewriteOptions};
use wasi_threads_p1::wasi_threads::{Outcome, prepare_with};
use wasmtime::{Config, Engine};

/// Main gives another thread an hour.
const PATIENT: &str = include_str!("../../../tests/guests/patient.wat");

#[test]
fn timeouts_come_no_earlier_than_they_may() {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true)).unwrap();
    let mut options = RewriteOptions::default();
    options.points = Some(Points::Atomics);
    let bytes = wat::parse_str(PATIENT).unwrap();
    let module = prepare_with(&engine, &bytes, &options).unwrap();
    let failed = |exploration: Exploration| {
        let explored = exploration.run(&module, |run| {
            let mut ctx = P1CtxBuilder::new();
            run.give_world(&mut ctx);
            wasi_threads_p1::program(&engine, &module, &ctx.build().unwrap())
        });
        explored.unwrap().failed
    };
    let any = failed(Exploration::new(200)).expect("a timeout comes early");
    assert!(matches!(any.outcome, Outcome::Exited(9)), "{any}");
    assert!(any.decisions.iter().any(|decision| decision.early), "{any}");
    let minute = Exploration::new(200).early(Duration::from_secs(60));
    assert!(failed(minute).is_none());
    let hour = Exploration::new(200).early(Duration::from_secs(3600));
    assert!(failed(hour).is_some());
}
