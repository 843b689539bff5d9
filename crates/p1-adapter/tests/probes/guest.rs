//! The guest's host: this program again, in a process of its own, with the working folder, the user
//! and the standard streams that its native twin gets.

use p1_adapter::{P1Ctx, P1CtxBuilder, P1State, StreamAccess, add_to_linker_sync};
use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;
use wasmtime::{Engine, Linker, Module, Result, Store};
use wasmtime_wasi::{FsPerms, I32Exit};

/// What the guest is handed over, in this order, under the numbers from 7 on.
const HANDED_OVER: [&str; 9] = [
    "PIPE_TO_READ",
    "PIPE_AT_ITS_END",
    "PIPE_TO_WRITE",
    "BROKEN_PIPE",
    "SOCKET",
    "DATAGRAM",
    "LISTENER",
    "TERMINAL",
    "CALLED",
];

const BYTES: [u8; 64] = [b'b'; 64];

/// Runs `module` with `words` as its arguments, in the working folder; `other` is a folder of
/// another file system.
///
/// # Errors
///
/// If the guest fails.
pub(crate) fn run(module: &str, other: &str, words: &[String]) -> Result<()> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, module)?;
    let mut builder = P1CtxBuilder::new();
    builder.inherit_stdio().arg("probes").args(words);
    builder
        .env("OTHER", other)
        .env("SET", "to this")
        .env("EMPTY", "");
    let mut folders = vec![".", "/dev", "/proc", other];
    let links = std::env::var("MANY_LINKS").ok();
    folders.extend(links.as_deref());
    for folder in &folders {
        builder.preopened_dir(folder, folder, FsPerms::ReadWrite)?;
    }
    for place in ["LIMIT", "READ_ONLY", "SMALL", "MANY_LINKS"] {
        if let Ok(value) = std::env::var(place) {
            builder.env(place, value);
        }
    }
    let own = std::env::var("WHOSE").is_ok_and(|whose| whose == "own limit");
    let limit = std::env::var("LIMIT").ok().map(|limit| limit.parse());
    if let Some(limit) = limit.clone().filter(|_| own) {
        builder.max_descriptors(limit?);
    }
    for (kind, number) in HANDED_OVER.iter().zip(3 + folders.len()..) {
        builder.env(kind, format!("{number}"));
    }
    let ctx = builder.build()?;
    // Held until the guest has ended: the other sides.
    let _others = hand_over(&ctx)?;
    let mut linker: Linker<P1State> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;
    let mut store = Store::new(&engine, P1State::new(ctx));
    let start = linker
        .instantiate(&mut store, &module)?
        .get_typed_func::<(), ()>(&mut store, "_start")?;
    if let Some(limit) = limit.filter(|_| !own) {
        allow_descriptors(limit?.into())?;
    }
    match start.call(&mut store, ()) {
        Err(error)
            if error
                .downcast_ref::<I32Exit>()
                .is_some_and(|exit| exit.0 == 0) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Lets this process have descriptors of numbers below `limit`, and no others.
fn allow_descriptors(limit: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Some(limit);
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn hand_over(ctx: &P1Ctx) -> Result<Vec<OwnedFd>> {
    use StreamAccess::{Read, ReadWrite, Write};
    let mut others: Vec<OwnedFd> = Vec::new();
    for at_its_end in [false, true] {
        let (read, mut write) = std::io::pipe()?;
        write.write_all(&BYTES)?;
        ctx.push_stream(read, Read)?;
        if !at_its_end {
            others.push(write.into());
        }
    }
    for broken in [false, true] {
        let (read, write) = std::io::pipe()?;
        ctx.push_stream(write, Write)?;
        if !broken {
            others.push(read.into());
        }
    }
    let (mut ours, theirs) = UnixStream::pair()?;
    ours.write_all(&BYTES)?;
    ctx.push_stream(theirs, ReadWrite)?;
    others.push(ours.into());
    let (ours, theirs) = UnixDatagram::pair()?;
    for _ in 0..2 {
        ours.send(&BYTES[..8])?;
    }
    ctx.push_stream(theirs, ReadWrite)?;
    others.push(ours.into());
    ctx.push_listener(UnixListener::bind("listener")?)?;
    let (ours, theirs) = terminal()?;
    rustix::io::write(&ours, &BYTES)?;
    ctx.push_stream(theirs, ReadWrite)?;
    others.push(ours);
    ctx.push_listener(called_listener(&mut others)?)?;
    Ok(others)
}

/// A listener with three callers: the first stays, the second says what it has to say and goes, the
/// third breaks off.
fn called_listener(others: &mut Vec<OwnedFd>) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let call = |bytes: &[u8]| -> Result<TcpStream> {
        let mut caller = TcpStream::connect(listener.local_addr()?)?;
        caller.write_all(bytes)?;
        Ok(caller)
    };
    others.push(call(b"stays")?.into());
    drop(call(b"goes")?);
    let gone = call(b"")?;
    rustix::net::sockopt::set_socket_linger(&gone, Some(Duration::ZERO))?;
    drop(gone);
    Ok(listener)
}

/// Both sides of a raw terminal: the outer one, the one of programs.
pub(crate) fn terminal() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&outer)?;
    unlockpt(&outer)?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let inner = rustix::fs::open(ptsname(&outer, [])?, flags, rustix::fs::Mode::empty())?;
    // As a process of its own: what it takes of the system is not among the features asked of
    // `rustix`.
    let raw = Command::new("stty")
        .arg("raw")
        .arg("-echo")
        .stdin(inner.try_clone()?)
        .status()?;
    assert!(raw.success(), "stty: {raw}");
    Ok((outer, inner))
}
