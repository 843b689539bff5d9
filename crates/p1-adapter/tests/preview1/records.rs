//! The async linker: records that a task writes to a pipe, which fills in the middle.

use crate::asynchronous::{LARGE, Task, bare, from_guest, runtime, soon};
use crate::guest::{DATA, Guest, LIST, NONBLOCK};
use crate::resumed::{call, settle};
use p1_adapter::P1State;
use std::io::{PipeReader, Read as _};
use tokio::task::JoinHandle;
use wasmtime::Val;

/// More than any pipe or socket of this suite holds.
const LEN: usize = 700_000;

/// A record in which no part is like another.
fn record() -> Vec<u8> {
    (0..LEN as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

/// All there is until the last writer has gone.
async fn drain(mut reader: PipeReader) -> Vec<u8> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    soon(reading).await.unwrap()
}

/// A task that waits in the middle of the write of a [`record`], and another on the same
/// descriptor.
struct Waiting {
    fd: u32,
    other: Task,
    writing: JoinHandle<u32>,
    reader: PipeReader,
}

impl Waiting {
    async fn new() -> Self {
        let ctx = bare();
        let (fd, reader) = from_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let other = Task::new(&ctx).await;
        let writing = tokio::spawn(async move { task.put(fd, &record()).await });
        settle().await;
        Waiting {
            fd,
            other,
            writing,
            reader,
        }
    }

    /// What the write says and what comes, when it is read on.
    async fn read_on(self) -> (usize, Vec<u8>) {
        // The other task keeps the context, and the writing end with it, until the record has been
        // read.
        let draining = tokio::spawn(drain(self.reader));
        let count = soon(self.writing).await.unwrap() as usize;
        drop(self.other);
        (count, soon(draining).await.unwrap())
    }
}

#[test]
fn no_byte_is_sent_twice_when_nonblock_is_set_while_a_write_waits() {
    runtime().block_on(async {
        let mut waiting = Waiting::new().await;
        let args = [waiting.fd as i32, NONBLOCK].map(Val::I32);
        call(&mut waiting.other, "fd_fdstat_set_flags", &args).await;
        let (count, all) = waiting.read_on().await;
        assert_eq!(count, LEN, "it had begun before the flag was set");
        assert!(all == record(), "{} bytes came", all.len());
    });
}

#[test]
fn rights_given_up_while_a_write_waits_do_not_fail_it() {
    runtime().block_on(async {
        let mut waiting = Waiting::new().await;
        let args = [Val::I32(waiting.fd as i32), Val::I64(0), Val::I64(0)];
        call(&mut waiting.other, "fd_fdstat_set_rights", &args).await;
        assert!(waiting.read_on().await == (LEN, record()));
    });
}

#[test]
fn a_list_of_buffers_is_read_once() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, reader) = from_guest(&ctx);
        let memory = LARGE.memory();
        let mut task = Task::sharing(&ctx, &memory).await;
        let state = P1State::with_memory(ctx.clone(), memory.clone());
        let mut other = LARGE.guest(&LARGE.linker, state, Some(&memory));
        let writing = tokio::spawn(async move { task.put(fd, &record()).await });
        settle().await;
        // Another thread of the program makes it a list that is out of bounds.
        other.write(LIST, &u32::MAX.to_le_bytes());
        let draining = tokio::spawn(drain(reader));
        assert_eq!(soon(writing).await.unwrap(), LEN as u32);
        drop((other, ctx));
        assert!(soon(draining).await.unwrap() == record());
    });
}

#[test]
fn a_write_that_does_not_wait_stays_out_of_a_record_that_does() {
    runtime().block_on(async {
        let mut waiting = Waiting::new().await;
        let args = [waiting.fd as i32, NONBLOCK].map(Val::I32);
        call(&mut waiting.other, "fd_fdstat_set_flags", &args).await;
        // Room for a byte, in the middle of the record.
        let mut all = vec![0; 8192];
        waiting.reader.read_exact(&mut all).unwrap();
        waiting.other.write(DATA, b"!");
        let args = waiting.other.args(waiting.fd, 1);
        let errno = waiting.other.try_call("fd_write", &args).await.unwrap();
        assert_eq!(errno, 6, "again");
        let (count, rest) = waiting.read_on().await;
        all.extend(rest);
        assert!((count, all) == (LEN, record()));
    });
}

#[test]
fn a_task_and_a_thread_do_not_write_into_each_others_records() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, reader) = from_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let threads = ctx.clone();
        let writing = tokio::spawn(async move { task.put(fd, &[b'a'; LEN]).await });
        settle().await;
        let thread = std::thread::spawn(move || {
            let mut guest = Guest::sized(&threads, 16);
            guest.put(fd as i32, &[b'b'; LEN])
        });
        settle().await;
        drop(ctx);
        let all = drain(reader).await;
        assert_eq!(soon(writing).await.unwrap() as usize, LEN);
        assert_eq!(thread.join().unwrap(), Ok(LEN as u32));
        assert!(all[..LEN].iter().all(|byte| *byte == b'a'));
        assert!(all[LEN..].iter().all(|byte| *byte == b'b'));
    });
}
