//! What the threads of these tests do, and common ways to get it wrong.

use crate::guest::*;
use std::sync::{Barrier, Mutex, OnceLock};
use wasmtime::Val;

/// Each thread has its own corner of the memory: the helpers' fixed places would collide.
#[derive(Clone, Copy)]
pub(super) struct Corner(u32);

impl Corner {
    const SIZE: u32 = 0x1800;

    pub(super) fn of(thread: u32) -> Self {
        Self(DATA + thread * Self::SIZE)
    }

    /// Where results go.
    pub(super) fn out(self) -> Val {
        Val::I32(self.0 as i32 + 16)
    }

    pub(super) fn result(self, guest: &Guest) -> u32 {
        guest.u32(self.0 + 16)
    }

    /// Where a buffer of up to 4 KiB lies.
    pub(super) fn data(self) -> u32 {
        self.0 + 0x400
    }

    /// A list of one buffer, and what a transfer is passed.
    pub(super) fn args(self, guest: &mut Guest, fd: i32, len: u32) -> [Val; 4] {
        guest.write(self.0, &self.data().to_le_bytes());
        guest.write(self.0 + 4, &len.to_le_bytes());
        [
            Val::I32(fd),
            Val::I32(self.0 as i32),
            Val::I32(1),
            self.out(),
        ]
    }

    pub(super) fn write(self, guest: &mut Guest, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        guest.write(self.data(), bytes);
        let args = self.args(guest, fd, bytes.len() as u32);
        self.counted(guest, "fd_write", &args)
    }

    pub(super) fn read(self, guest: &mut Guest, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let args = self.args(guest, fd, len);
        let count = self.counted(guest, "fd_read", &args)?;
        Ok(guest.read(self.data(), count))
    }

    fn pwrite(self, guest: &mut Guest, fd: i32, bytes: &[u8], at: u64) -> Result<u32, i32> {
        guest.write(self.data(), bytes);
        let [a, b, c, d] = self.args(guest, fd, bytes.len() as u32);
        self.counted(guest, "fd_pwrite", &[a, b, c, Val::I64(at as i64), d])
    }

    pub(super) fn pread(
        self,
        guest: &mut Guest,
        fd: i32,
        len: u32,
        at: u64,
    ) -> Result<Vec<u8>, i32> {
        let [a, b, c, d] = self.args(guest, fd, len);
        let count = self.counted(guest, "fd_pread", &[a, b, c, Val::I64(at as i64), d])?;
        Ok(guest.read(self.data(), count))
    }

    fn counted(self, guest: &mut Guest, name: &str, args: &[Val]) -> Result<u32, i32> {
        match guest.call(name, args) {
            OK => Ok(self.result(guest)),
            errno => Err(errno),
        }
    }

    fn tell(self, guest: &mut Guest, fd: i32) -> u64 {
        let args = [Val::I32(fd), self.out()];
        assert_eq!(guest.call("fd_tell", &args), OK);
        guest.u64(self.0 + 16)
    }

    fn seek(self, guest: &mut Guest, fd: i32, offset: i64, whence: i32) -> u64 {
        let args = [Val::I32(fd), Val::I64(offset), Val::I32(whence), self.out()];
        assert_eq!(guest.call("fd_seek", &args), OK);
        guest.u64(self.0 + 16)
    }

    pub(super) fn open(
        self,
        guest: &mut Guest,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> Result<i32, i32> {
        guest.write(self.data(), path.as_bytes());
        let args = [
            Val::I32(DIR),
            Val::I32(0),
            Val::I32(self.data() as i32),
            Val::I32(path.len() as i32),
            Val::I32(how),
            Val::I64(rights),
            Val::I64(0),
            Val::I32(flags),
            self.out(),
        ];
        self.counted(guest, "path_open", &args).map(|fd| fd as i32)
    }

    /// Waits until `fd` can be read, or only looks.
    pub(super) fn poll(self, guest: &mut Guest, fd: i32, wait: bool) -> i32 {
        let mut subscriptions = [0u8; 96];
        subscriptions[8] = 1;
        subscriptions[16..20].copy_from_slice(&fd.to_le_bytes());
        // A relative clock of no time at all.
        subscriptions[48 + 16] = 1;
        guest.write(self.data(), &subscriptions);
        let args = [
            Val::I32(self.data() as i32),
            Val::I32(self.data() as i32 + 256),
            Val::I32(if wait { 1 } else { 2 }),
            self.out(),
        ];
        guest.call("poll_oneoff", &args)
    }
}

/// Calls as a thread makes them: this crate's functions, one each. Each broken one below replaces
/// what it gets wrong, and meets the other threads at the moment where that shows. So it certainly
/// fails.
pub(super) trait Calls: Sync {
    fn write(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        at.write(guest, fd, bytes)
    }

    /// To a file opened with `append_flag`.
    fn append(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        at.write(guest, fd, bytes)
    }

    fn append_flag(&self) -> i32 {
        APPEND
    }

    fn read(&self, guest: &mut Guest, at: Corner, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        at.read(guest, fd, len)
    }

    fn open(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        at.open(guest, path, 0, READ, 0)
    }

    /// A new file.
    fn create(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        at.open(guest, path, CREAT | EXCL, READ | WRITE, 0)
    }

    /// Where the cursor is.
    fn tell(&self, guest: &mut Guest, at: Corner, fd: i32) -> u64 {
        at.tell(guest, fd)
    }

    /// Any other call.
    fn other(&self, guest: &mut Guest, name: &str, args: &[Val]) -> i32 {
        guest.call(name, args)
    }

    fn poll(&self, guest: &mut Guest, at: Corner, fd: i32) -> i32 {
        at.poll(guest, fd, false)
    }
}

/// This crate.
pub(super) struct Ours;

impl Calls for Ours {}

/// Writes each record in two pieces.
pub(super) struct InPieces(pub(super) Barrier);

impl Calls for InPieces {
    fn write(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let count = at.write(guest, fd, first)?;
        self.0.wait();
        Ok(count + at.write(guest, fd, second)?)
    }
}

/// Loads the position, transfers there, stores the position behind it.
pub(super) struct LoadsAndStores(pub(super) Barrier);

impl Calls for LoadsAndStores {
    fn write(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        let position = at.seek(guest, fd, 0, 1);
        self.0.wait();
        let count = at.pwrite(guest, fd, bytes, position)?;
        at.seek(guest, fd, (position + u64::from(count)) as i64, 0);
        Ok(count)
    }

    fn read(&self, guest: &mut Guest, at: Corner, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let position = at.seek(guest, fd, 0, 1);
        self.0.wait();
        let bytes = at.pread(guest, fd, len, position)?;
        at.seek(guest, fd, (position + bytes.len() as u64) as i64, 0);
        Ok(bytes)
    }
}

/// Remembers the position it was told first.
#[derive(Default)]
pub(super) struct Remembers(OnceLock<u64>);

impl Calls for Remembers {
    fn tell(&self, guest: &mut Guest, at: Corner, fd: i32) -> u64 {
        *self.0.get_or_init(|| at.tell(guest, fd))
    }
}

/// Appends by looking where the end is and writing there.
pub(super) struct SeeksTheEnd(pub(super) Barrier);

impl Calls for SeeksTheEnd {
    fn append(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        let end = at.seek(guest, fd, 0, 2);
        self.0.wait();
        at.pwrite(guest, fd, bytes, end)
    }

    fn append_flag(&self) -> i32 {
        0
    }
}

/// Waits until there is something to read, then looks the number up again.
pub(super) struct LooksTwice;

impl Calls for LooksTwice {
    fn read(&self, guest: &mut Guest, at: Corner, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        match at.poll(guest, fd, true) {
            OK => at.read(guest, fd, len),
            errno => Err(errno),
        }
    }
}

/// Does not give out the lowest number.
pub(super) struct SecondLowest(pub(super) Barrier);

impl Calls for SecondLowest {
    fn open(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        let lowest = at.open(guest, path, 0, READ, 0);
        self.0.wait();
        let second = at.open(guest, path, 0, READ, 0);
        self.0.wait();
        assert_eq!(guest.close(lowest?), OK);
        second
    }
}

/// Gives out one number to all.
pub(super) struct GivesOutTwice(pub(super) Mutex<Option<i32>>);

impl GivesOutTwice {
    fn number(&self, open: impl FnOnce() -> Result<i32, i32>) -> Result<i32, i32> {
        let mut given = self.0.lock().unwrap();
        let number = given.map_or_else(open, Ok)?;
        *given = Some(number);
        Ok(number)
    }
}

impl Calls for GivesOutTwice {
    fn open(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        self.number(|| at.open(guest, path, 0, READ, 0))
    }

    fn create(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        self.number(|| at.open(guest, path, CREAT | EXCL, READ | WRITE, 0))
    }
}

/// One lock for all calls, held while waiting.
pub(super) struct OneLock(pub(super) Mutex<()>);

impl Calls for OneLock {
    fn write(&self, guest: &mut Guest, at: Corner, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        let _held = self.0.lock().unwrap();
        at.write(guest, fd, bytes)
    }

    fn read(&self, guest: &mut Guest, at: Corner, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let _held = self.0.lock().unwrap();
        at.read(guest, fd, len)
    }

    fn open(&self, guest: &mut Guest, at: Corner, path: &str) -> Result<i32, i32> {
        let _held = self.0.lock().unwrap();
        at.open(guest, path, 0, READ, 0)
    }

    fn other(&self, guest: &mut Guest, name: &str, args: &[Val]) -> i32 {
        let _held = self.0.lock().unwrap();
        guest.call(name, args)
    }

    fn poll(&self, guest: &mut Guest, at: Corner, fd: i32) -> i32 {
        let _held = self.0.lock().unwrap();
        at.poll(guest, fd, false)
    }
}
