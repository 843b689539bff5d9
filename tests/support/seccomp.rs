//! Makes the kernel refuse a system call from now on, as filters of containers do.
#![allow(
    unsafe_code,
    dead_code,
    unreachable_pub,
    reason = "a filter is given to the kernel as a pointer; each test binary uses its part"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// A system call, and what its third argument must be for it to be refused.
pub type Refused = (libc::c_long, Option<libc::c_int>);

/// `mprotect` to `PROT_READ` alone. Code is loaded before: that takes such a call as well.
pub const READ_ONLY: Refused = (libc::SYS_mprotect, Some(libc::PROT_READ));
/// `membarrier`.
pub const MEMBARRIER: Refused = (libc::SYS_membarrier, None);
/// `mremap`.
pub const MREMAP: Refused = (libc::SYS_mremap, None);
/// `eventfd2`.
pub const EVENTFD: Refused = (libc::SYS_eventfd2, None);
/// `pipe2`.
pub const PIPE: Refused = (libc::SYS_pipe2, None);
/// `clone3`, without which glibc starts no threads, unless the kernel says that it has no such
/// call; and `clone`, without which musl starts none.
pub const CLONE: [Refused; 2] = [(libc::SYS_clone3, None), (libc::SYS_clone, None)];
/// `sigaltstack`.
pub const SIGALTSTACK: Refused = (libc::SYS_sigaltstack, None);
/// `openat2`, which kernels before 5.6 do not have.
pub const OPENAT2: Refused = (libc::SYS_openat2, None);
/// `statx`.
pub const STATX: Refused = (libc::SYS_statx, None);
/// `preadv2`.
pub const PREADV2: Refused = (libc::SYS_preadv2, None);
/// `pwritev2`.
pub const PWRITEV2: Refused = (libc::SYS_pwritev2, None);

/// Which calls are refused, and how.
#[derive(Clone, Debug)]
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// Refuses `calls` with `errno`.
    pub fn new(calls: &[Refused], errno: libc::c_int) -> Self {
        const ALLOW: u32 = 0x7fff_0000;
        const ERRNO: u32 = 0x0005_0000;
        let errno = ERRNO | errno as u32;
        let step = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
        // Loads of 32 bits of `seccomp_data`: the number of the call at 0, its third argument, of
        // 64 bits, at 32.
        const LOW_HALF: u32 = if cfg!(target_endian = "big") { 36 } else { 32 };
        let load = |at: u32| step(0x20, 0, 0, at);
        let unless_equal = |skip: u8, to: u32| step(0x15, 0, skip, to);
        let answer = |with: u32| step(0x06, 0, 0, with);
        let mut filter = Vec::new();
        for (number, third) in calls {
            filter.push(load(0));
            match third {
                None => filter.extend([unless_equal(1, *number as u32), answer(errno)]),
                Some(third) => filter.extend([
                    unless_equal(3, *number as u32),
                    load(LOW_HALF),
                    unless_equal(1, *third as u32),
                    answer(errno),
                ]),
            }
        }
        filter.push(answer(ALLOW));
        Self(filter)
    }

    /// For every thread of this process and for ever.
    ///
    /// # Errors
    ///
    /// The kernel's, which may refuse filters.
    pub fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: self.0.len() as u16,
            // The kernel only reads it.
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: the program and its steps outlive the calls, which copy them.
        let result = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_TSYNC,
                &raw const program,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// For the process that `command` starts.
    pub fn before(self, command: &mut Command) {
        // SAFETY: makes two system calls and allocates nothing.
        unsafe { command.pre_exec(move || self.install()) };
    }
}

/// Refuses calls with `EPERM`, for every thread of this process and for ever.
pub fn refuse(calls: &[Refused]) {
    Filter::new(calls, libc::EPERM).install().unwrap();
}
