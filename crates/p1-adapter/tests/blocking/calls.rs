//! What the guests of these tests call, and common ways to get it wrong.

use crate::guest::{DATA, Guest, OK};
use crate::support::{IMPATIENCE, PATIENCE};
use std::sync::Mutex;
use std::time::Duration;
use wasmtime::Val::{self, I32};

/// Each thread has its own corner of the memory.
#[derive(Clone, Copy)]
pub(crate) struct Corner(u32);

impl Corner {
    pub(crate) fn of(thread: usize) -> Self {
        const SIZE: u32 = 0x2000;
        Corner(DATA + thread as u32 * SIZE)
    }

    /// Where results go, up to two.
    pub(crate) fn out(self) -> u32 {
        self.0 + 16
    }

    /// Where a buffer of up to 4 KiB lies.
    pub(crate) fn data(self) -> u32 {
        self.0 + 0x400
    }

    /// A list of one buffer, and `more` behind it.
    pub(crate) fn args(self, guest: &mut Guest, fd: i32, len: u32, more: &[u32]) -> Vec<Val> {
        guest.write(self.0, &self.data().to_le_bytes());
        guest.write(self.0 + 4, &len.to_le_bytes());
        let mut args = vec![I32(fd), I32(self.0 as i32), I32(1)];
        args.extend(more.iter().map(|n| I32(*n as i32)));
        args
    }

    /// A poll of `fd`, which waits, or only looks.
    pub(crate) fn poll(self, guest: &mut Guest, fd: i32, write: bool, wait: bool) -> Vec<Val> {
        let at = self.0 + 0x40;
        let mut subscriptions = [0; 96];
        subscriptions[8] = 1 + u8::from(write);
        subscriptions[16..20].copy_from_slice(&fd.to_le_bytes());
        // A relative clock of no time at all.
        subscriptions[48 + 16] = 1;
        guest.write(at, &subscriptions);
        let count = if wait { 1 } else { 2 };
        [at, at + 0x100, count, self.out()]
            .map(|n| I32(n as i32))
            .to_vec()
    }
}

/// Calls as a thread makes them. Each broken one below gets one thing wrong, at the moment where
/// that shows, so that it certainly fails.
pub(crate) trait Calls: Sync {
    fn call(&self, guest: &mut Guest, at: Corner, name: &str, args: &[Val]) -> i32;

    /// How long to wait before a call counts as held up. If it is known to be, no longer than it
    /// takes to see that.
    fn patience(&self) -> Duration {
        IMPATIENCE
    }
}

/// This crate.
pub(crate) struct Ours;

impl Calls for Ours {
    fn call(&self, guest: &mut Guest, _: Corner, name: &str, args: &[Val]) -> i32 {
        guest.call(name, args)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// Waits until the call would not, then looks its number up again.
pub(crate) struct LooksTwice;

impl Calls for LooksTwice {
    fn call(&self, guest: &mut Guest, at: Corner, name: &str, args: &[Val]) -> i32 {
        let wait = if name == "poll_oneoff" {
            args.to_vec()
        } else {
            let write = matches!(name, "fd_write" | "sock_send");
            at.poll(guest, args[0].unwrap_i32(), write, true)
        };
        match guest.call("poll_oneoff", &wait) {
            OK => guest.call(name, args),
            errno => errno,
        }
    }
}

/// One lock for all calls, held while waiting.
#[derive(Default)]
pub(crate) struct OneLock(Mutex<()>);

impl Calls for OneLock {
    fn call(&self, guest: &mut Guest, _: Corner, name: &str, args: &[Val]) -> i32 {
        let _held = self.0.lock().unwrap();
        guest.call(name, args)
    }
}
