//! Which calls an observer is told of, and what.

use crate::guest::*;
use p1_adapter::{CallObserver, CallOutcome, Interrupted, P1CtxBuilder};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use wasmtime::Val;
use wasmtime_wasi::{FsPerms, I32Exit};

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Notes {
    next: AtomicU64,
    notes: Mutex<Vec<(u64, &'static str, String)>>,
}

impl Notes {
    fn add(&self, token: u64, function: &'static str, what: String) {
        self.notes.lock().unwrap().push((token, function, what));
    }

    /// What has been written down since the last time, without the tokens: each end must have its
    /// start's.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut open = Vec::new();
        let notes = std::mem::take(&mut *self.notes.lock().unwrap());
        let lines = notes.into_iter().map(|(token, function, what)| {
            if what == "starts" {
                open.push((token, function));
            } else {
                let at = open
                    .iter()
                    .position(|started| *started == (token, function));
                open.remove(at.expect("what ends has started"));
            }
            format!("{function} {what}")
        });
        let lines = lines.collect();
        assert_eq!(open, [], "what starts ends");
        lines
    }
}

impl CallObserver for Notes {
    fn started(&self, function: &'static str) -> u64 {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        self.add(token, function, "starts".to_owned());
        token
    }

    fn ended(&self, function: &'static str, token: u64, outcome: CallOutcome<'_>) {
        let what = match outcome {
            CallOutcome::Returned(errno) => format!("returns {errno}"),
            CallOutcome::Trapped(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => format!("exits with {}", exit.0),
                None if error.is::<Interrupted>() => "is interrupted".to_owned(),
                None => "traps".to_owned(),
            },
            CallOutcome::Abandoned => "is given up".to_owned(),
            other => panic!("{other:?}"),
        };
        self.add(token, function, what);
    }
}

#[test]
fn an_observer_is_told_of_every_call() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(Notes::default());
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .call_observer(notes.clone())
        .build()
        .unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        let fd = guest.create("f");
        guest.put(fd, b"abc").unwrap();
        assert_eq!(guest.close(fd), OK);
        assert_eq!(guest.close(fd), BADF);
        assert_eq!(
            notes.take(),
            [
                "path_open starts",
                "path_open returns 0",
                "fd_write starts",
                "fd_write returns 0",
                "fd_close starts",
                "fd_close returns 0",
                "fd_close starts",
                "fd_close returns 8",
            ]
        );
        let out_of_bounds = [Val::I32(0), Val::I64(0), Val::I32(-8)];
        assert!(guest.try_call("clock_time_get", &out_of_bounds).is_err());
        assert!(guest.try_call("proc_exit", &[Val::I32(7)]).is_err());
        assert_eq!(
            notes.take(),
            [
                "clock_time_get starts",
                "clock_time_get traps",
                "proc_exit starts",
                "proc_exit exits with 7",
            ]
        );
    }
    ctx.end_signal().raise();
    assert!(Guest::new(&ctx).try_call("sched_yield", &[]).is_err());
    assert_eq!(
        notes.take(),
        ["sched_yield starts", "sched_yield is interrupted"]
    );
}

#[test]
fn every_function_is_told_by_its_name() {
    let notes = Arc::new(Notes::default());
    let ctx = P1CtxBuilder::new()
        .call_observer(notes.clone())
        .build()
        .unwrap();
    for (name, params) in FUNCTIONS {
        let mut guest = Guest::new(&ctx);
        let args: Vec<Val> = params
            .chars()
            .map(|kind| match kind {
                'i' => Val::I32(0),
                _ => Val::I64(0),
            })
            .collect();
        let _ = guest.try_call(name, &args);
        let told = notes.take();
        assert_eq!(told.len(), 2, "{told:?}");
        for line in told {
            assert_eq!(line.split(' ').next(), Some(name));
        }
    }
}

#[test]
fn an_observer_of_waiting_calls_is_told_of_no_others() {
    let notes = Arc::new(Notes::default());
    let ctx = P1CtxBuilder::new()
        .call_observer(notes.clone())
        .observe_waiting_calls_only(true)
        .build()
        .unwrap();
    let mut told = Vec::new();
    for (name, params) in FUNCTIONS {
        let mut guest = Guest::new(&ctx);
        let args: Vec<Val> = params
            .chars()
            .map(|kind| match kind {
                'i' => Val::I32(0),
                _ => Val::I64(0),
            })
            .collect();
        let _ = guest.try_call(name, &args);
        if !notes.take().is_empty() {
            told.push(name);
        }
    }
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "fd_read",
            "fd_write",
            "poll_oneoff",
            "sock_accept",
            "sock_recv",
            "sock_send"
        ]
    );
}

#[test]
fn fuel_set_on_the_builder_holds_for_every_store() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .hostcall_fuel(8)
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    guest.store.set_hostcall_fuel(1 << 20);
    assert_eq!(guest.open("12345678", CREAT, WRITE, 0), Ok(4));
    assert_eq!(guest.open("123456789", CREAT, WRITE, 0), Err(NOMEM));
    assert!(!dir.path().join("123456789").exists());
}
