//! Listening sockets for the program: `-S tcplisten` and `-S listenfd`.
//!
//! Preview1 has no call that makes a socket, so the ones a program accepts from are made here.

use std::net::TcpListener;
#[cfg(unix)]
use std::os::fd::OwnedFd;

use p1_adapter::P1Ctx;

use crate::message::{Message, Result, say};

/// What a service manager says of the sockets it hands over (systemd, sd_listen_fds(3)), as far as it means
/// something to a program without process ids.
const LISTEN_VARIABLES: [&str; 2] = ["LISTEN_FDS", "LISTEN_FDNAMES"];

/// The variables that `-S listenfd` passes on.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    LISTEN_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// Opens a listening socket on each of `addresses`, as `wasmtime run -S tcplisten` does.
pub(crate) fn bind(addresses: &[String]) -> Result<Vec<TcpListener>> {
    let bind = |address: &String| {
        let bound = TcpListener::bind(address).inspect(|listener| {
            if let (true, Ok(found)) = (address.ends_with(":0"), listener.local_addr()) {
                say(format_args!("note: `{address}` is {found}"));
            }
        });
        bound.map_err(|error| {
            let message = Message::failure(format!("cannot listen on `{address}`")).why(&error);
            match error.kind() {
                std::io::ErrorKind::InvalidInput => {
                    message.help("an address has a host and a port: 127.0.0.1:8080, [::1]:8080")
                }
                std::io::ErrorKind::AddrInUse => {
                    message.help("give another port, or 0 for a free one")
                }
                _ => message,
            }
        })
    };
    addresses.iter().map(bind).collect()
}

/// Gives the program the sockets that a service manager handed to this process (`-S listenfd`).
#[cfg(unix)]
pub(crate) fn give_inherited(ctx: &P1Ctx) -> Result<()> {
    let cannot = |error: &dyn std::fmt::Display| {
        Message::failure("the sockets of `-S listenfd` cannot be used").why(error)
    };
    let mut inherited = listenfd::ListenFd::from_env();
    for index in 0..inherited.len() {
        // One that is neither is an error of the second call.
        let taken = match inherited.take_tcp_listener(index) {
            Ok(tcp) => Ok(tcp.map(OwnedFd::from)),
            Err(_) => inherited
                .take_unix_listener(index)
                .map(|unix| unix.map(OwnedFd::from)),
        };
        if let Some(listener) = taken.map_err(|error| cannot(&error))? {
            ctx.push_inherited_listener(listener)
                .map_err(|error| cannot(&error))?;
        }
    }
    Ok(())
}

/// Gives the program these sockets.
pub(crate) fn give(ctx: &P1Ctx, listeners: Vec<TcpListener>) -> Result<()> {
    for listener in listeners {
        ctx.push_listener(listener).map_err(|error| {
            Message::failure("a listening socket cannot be given to the program").why(error)
        })?;
    }
    Ok(())
}
