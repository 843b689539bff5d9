//! Waiting until one of several descriptors is ready.
//!
//! Events and consoles are waited for in the system. Pipes and sockets have nothing that any number
//! of threads could wait for: they are looked at again and again, at first after a millisecond,
//! later every few.
#![allow(unsafe_code)]

use super::errno::Errno;
use super::fd::BorrowedFd;
use super::object::Sort;
use super::time::Timespec;
use super::{pipe, socket};
use smallvec::SmallVec;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{INPUT_RECORD, KEY_EVENT, PeekConsoleInputW};
use windows_sys::Win32::System::Threading::{
    INFINITE, WaitForMultipleObjects, WaitForSingleObject,
};

bitflags::bitflags! {
    /// What is waited for, and what was found.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct PollFlags: u8 {
        const IN = 1;
        const OUT = 2;
        const HUP = 4;
        const ERR = 8;
        const NVAL = 16;
    }
}

/// A descriptor in a wait, and afterwards what was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollFd<'fd> {
    fd: BorrowedFd<'fd>,
    asked: PollFlags,
    found: PollFlags,
}

impl<'fd> PollFd<'fd> {
    pub(crate) fn from_borrowed_fd(fd: BorrowedFd<'fd>, asked: PollFlags) -> Self {
        Self {
            fd,
            asked,
            found: PollFlags::empty(),
        }
    }

    pub(crate) fn revents(&self) -> PollFlags {
        self.found
    }
}

/// How much a pipe takes at a time. The system does not say how much it takes without waiting; a
/// write that waits ends with the signal.
pub(crate) const PIPE_HAS_ROOM: usize = 4096;

/// The first and the longest time between two looks.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(8);

/// The most that the system waits for in one call.
const MOST_OBJECTS: usize = 64;

/// Records of a console that are looked through for a key.
const RECORDS: usize = 64;

/// How many of `fds` are ready, each with what was found in it: waits for the first, for `limit` at
/// most, or for ever. 0 when the time has passed.
pub(crate) fn poll(fds: &mut [PollFd<'_>], limit: Option<&Timespec>) -> Result<usize, Errno> {
    let until = limit.and_then(|limit| {
        let nanoseconds = limit.tv_nsec.clamp(0, 999_999_999) as u32;
        let limit = Duration::new(limit.tv_sec.max(0).cast_unsigned(), nanoseconds);
        // A moment that the clock does not reach is none.
        Instant::now().checked_add(limit)
    });
    let mut pause = SOON;
    loop {
        let mut objects = SmallVec::<[HANDLE; 4]>::new();
        let (mut ready, mut all_are_objects) = (0, true);
        for one in fds.iter_mut() {
            let sort = Sort::of(one.fd);
            one.found = look(one, sort);
            ready += usize::from(!one.found.is_empty());
            match sort {
                Ok(Sort::Event | Sort::Console) if objects.len() < MOST_OBJECTS => {
                    objects.push(one.fd.handle());
                }
                _ => all_are_objects = false,
            }
            // What a console has may be no key.
            all_are_objects &= sort != Ok(Sort::Console);
        }
        if ready > 0 {
            return Ok(ready);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(0);
        }
        let sleep = match (left, all_are_objects) {
            (left, true) => left,
            (Some(left), false) => Some(left.min(pause)),
            (None, false) => Some(pause),
        };
        wait(&objects, sleep)?;
        pause = LATER.min(pause * 2);
    }
}

/// Waits until one of `objects` is signalled, or the time has passed.
fn wait(objects: &[HANDLE], time: Option<Duration>) -> Result<(), Errno> {
    // Rounded up: a wait that ends too early is made again.
    let millis = time.map_or(INFINITE, |time| {
        let millis = time.as_nanos().div_ceil(1_000_000);
        u32::try_from(millis)
            .unwrap_or(INFINITE - 1)
            .min(INFINITE - 1)
    });
    if objects.is_empty() {
        std::thread::sleep(Duration::from_millis(millis.into()));
        return Ok(());
    }
    let count = objects.len() as u32;
    // SAFETY: the handles are open for as long as this call.
    match unsafe { WaitForMultipleObjects(count, objects.as_ptr(), 0, millis) } {
        WAIT_FAILED => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// What there is to say of one now.
fn look(one: &PollFd<'_>, sort: Result<Sort, Errno>) -> PollFlags {
    let asked = one.asked;
    match sort {
        Err(_) => PollFlags::NVAL,
        Ok(Sort::Disk | Sort::Device) => asked & (PollFlags::IN | PollFlags::OUT),
        // SAFETY: the handle is open for as long as this call.
        Ok(Sort::Event) => match unsafe { WaitForSingleObject(one.fd.handle(), 0) } {
            WAIT_OBJECT_0 => asked & PollFlags::IN,
            _ => PollFlags::empty(),
        },
        Ok(Sort::Socket) => socket::look(one.fd, asked).unwrap_or(PollFlags::NVAL),
        Ok(Sort::Pipe) => {
            let mut found = asked & PollFlags::OUT;
            if asked.contains(PollFlags::IN) {
                found |= match pipe::readable_bytes(one.fd) {
                    Ok(0) => PollFlags::empty(),
                    Ok(_) => PollFlags::IN,
                    Err(Errno::PIPE) => PollFlags::HUP,
                    // A read says why.
                    Err(_) => PollFlags::IN,
                };
            }
            found
        }
        Ok(Sort::Console) => {
            let mut found = asked & PollFlags::OUT;
            found.set(
                PollFlags::IN,
                asked.contains(PollFlags::IN) && has_key(one.fd.handle()),
            );
            found
        }
    }
}

/// Whether a key was pressed. (In a line that is still written a read waits for its end: the signal
/// reaches it there.)
fn has_key(console: HANDLE) -> bool {
    let mut records = [INPUT_RECORD::default(); RECORDS];
    let mut count = 0;
    // SAFETY: the handle is open; there is room for as many records as are asked for, and their
    // number is written.
    let looked = unsafe {
        PeekConsoleInputW(
            console,
            records.as_mut_ptr(),
            RECORDS as u32,
            &raw mut count,
        )
    };
    // What is no input, or cannot be looked at: a read says why.
    looked == 0
        || records[..count as usize].iter().any(|record| {
            // SAFETY: the number says which of them it is.
            u32::from(record.EventType) == KEY_EVENT
                && unsafe { record.Event.KeyEvent.bKeyDown } != 0
        })
}
