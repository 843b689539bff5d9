//! A process that runs seeds for another one.
#![allow(unsafe_code)]

use std::io;
use std::process::Stdio;

/// What the two talk over.
#[cfg(unix)]
pub(crate) type Socket = std::os::unix::net::UnixStream;
/// A connection of this machine's.
#[cfg(not(unix))]
pub(crate) type Socket = std::net::TcpStream;

/// A socket, and the other end as a process's standard input.
///
/// # Errors
///
/// The system's.
#[cfg(unix)]
pub(crate) fn pair() -> io::Result<(Socket, Stdio)> {
    let (ours, theirs) = Socket::pair()?;
    Ok((ours, Stdio::from(std::os::fd::OwnedFd::from(theirs))))
}

/// The socket that this process has as standard input.
///
/// # Errors
///
/// As of [`pair`].
#[cfg(unix)]
pub(crate) fn own() -> io::Result<Socket> {
    use std::os::fd::AsFd as _;
    Ok(Socket::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// A socket, and the other end as a process's standard input.
///
/// # Errors
///
/// The system's; `ConnectionRefused` if another process was faster to connect.
#[cfg(windows)]
pub(crate) fn pair() -> io::Result<(Socket, Stdio)> {
    use std::os::windows::io::{FromRawHandle as _, IntoRawSocket as _, OwnedHandle};
    use std::ptr::with_exposed_provenance_mut;

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let theirs = Socket::connect(listener.local_addr()?)?;
    let (ours, from) = listener.accept()?;
    if from != theirs.local_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    for end in [&ours, &theirs] {
        end.set_nodelay(true)?;
    }
    let theirs = with_exposed_provenance_mut(theirs.into_raw_socket() as usize);
    // SAFETY: a socket is a handle, and nothing else closes this one.
    let theirs = unsafe { OwnedHandle::from_raw_handle(theirs) };
    Ok((ours, Stdio::from(theirs)))
}

/// The socket that this process has as standard input.
///
/// # Errors
///
/// The system's, which has no handle left.
#[cfg(windows)]
pub(crate) fn own() -> io::Result<Socket> {
    use std::mem::ManuallyDrop;
    use std::os::windows::io::{AsRawHandle as _, FromRawSocket as _};

    // The first socket that the standard library makes readies the system for sockets.
    drop(std::net::UdpSocket::bind("127.0.0.1:0")?);
    let own = io::stdin().as_raw_handle().expose_provenance() as u64;
    // What the system says if there is none; no socket has that number.
    if own == u64::MAX {
        return Err(io::ErrorKind::NotConnected.into());
    }
    // SAFETY: it stays open, as it is standard input, and is not closed here. What is no socket
    // fails in every call.
    let inherited = ManuallyDrop::new(unsafe { Socket::from_raw_socket(own) });
    // A socket of this process: wine sends nothing on one that was inherited.
    inherited.try_clone()
}

/// Standard input is no socket here.
#[cfg(not(any(unix, windows)))]
pub(crate) fn pair() -> io::Result<(Socket, Stdio)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Standard input is no socket here.
#[cfg(not(any(unix, windows)))]
pub(crate) fn own() -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Keeps this process on one processor, and ends it with the process that started it. On one
/// processor the turn goes from thread to thread without waking another processor. If the system
/// refuses the first, the process is slower. If it refuses the second, the process may outlive the
/// other.
#[cfg(target_os = "linux")]
pub(crate) fn settle(job: usize) {
    // SAFETY: the set is a value of this function's; the calls read it and the number, and write no
    // memory but the set.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size, &raw mut allowed) != 0 {
            return;
        }
        let most = 8 * size;
        let there: Vec<_> = (0..most)
            .filter(|cpu| libc::CPU_ISSET(*cpu, &allowed))
            .collect();
        if let Some(cpu) = there.get(job % there.len().max(1)) {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(*cpu, &mut one);
            libc::sched_setaffinity(0, size, &raw const one);
        }
    }
}

/// Elsewhere the system decides.
#[cfg(not(target_os = "linux"))]
pub(crate) fn settle(_: usize) {}
