//! Has the kernel refuse a system call from now on, as filters of containers do.
#![allow(
    unsafe_code,
    dead_code,
    unreachable_pub,
    reason = "a filter is given to the kernel as a pointer; each test binary uses its part"
)]

/// A system call, and what its third argument must be for it to be refused.
pub type Refused = (libc::c_long, Option<libc::c_int>);

/// `mprotect` to `PROT_READ` alone. Code is loaded before: that takes such a call as well.
pub const READ_ONLY: Refused = (libc::SYS_mprotect, Some(libc::PROT_READ));
/// `membarrier`.
pub const MEMBARRIER: Refused = (libc::SYS_membarrier, None);
/// `mremap`.
pub const MREMAP: Refused = (libc::SYS_mremap, None);

/// Refuses calls with `EPERM`, for every thread of this process and for ever.
pub fn refuse(calls: &[Refused]) {
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0000 | libc::EPERM as u32;
    let step = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    // Loads of 32 bits of `seccomp_data`: the number of the call at 0, the low half of its third argument at 32.
    let load = |at: u32| step(0x20, 0, 0, at);
    let unless_equal = |skip: u8, to: u32| step(0x15, 0, skip, to);
    let answer = |with: u32| step(0x06, 0, 0, with);
    let mut filter = Vec::new();
    for (number, third) in calls {
        filter.push(load(0));
        match third {
            None => filter.extend([unless_equal(1, *number as u32), answer(EPERM)]),
            Some(third) => filter.extend([
                unless_equal(3, *number as u32),
                load(32),
                unless_equal(1, *third as u32),
                answer(EPERM),
            ]),
        }
    }
    filter.push(answer(ALLOW));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its steps outlive the calls, which copy them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let result = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        );
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}
