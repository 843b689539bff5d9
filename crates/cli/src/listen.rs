//! Listening sockets for the program: `-S tcplisten` and `-S listenfd`.
//!
//! Preview1 has no call that makes a socket, so the ones a program accepts from are made here.

use std::net::TcpListener;
#[cfg(unix)]
use std::os::fd::OwnedFd;

use p1_adapter::P1Ctx;

use crate::message::{Message, Result, say};

/// Sockets for the program, in the order it gets them.
#[derive(Default)]
pub(crate) struct Sockets {
    /// What a service manager handed to this process (`-S listenfd`).
    #[cfg(unix)]
    inherited: Option<listenfd::ListenFd>,
    /// Opened here (`-S tcplisten`).
    listeners: Vec<TcpListener>,
}

/// What a service manager says of the sockets it hands over (systemd, sd_listen_fds(3)), as far as it means
/// something to a program without process ids: their number and their names.
const NUMBER: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";

impl Sockets {
    /// Takes what a service manager handed to this process, if it did.
    #[cfg(unix)]
    pub(crate) fn inherit(&mut self) {
        self.inherited = Some(listenfd::ListenFd::from_env());
    }

    /// No service manager hands over sockets in this way here.
    #[cfg(not(unix))]
    pub(crate) fn inherit(&mut self) {}

    /// The variables that go with what was inherited: none, if nothing was.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        #[cfg(unix)]
        let number = self.inherited.as_ref().map_or(0, listenfd::ListenFd::len);
        #[cfg(not(unix))]
        let number = 0;
        let mut variables = Vec::new();
        if number > 0 {
            variables.push((NUMBER.to_owned(), number.to_string()));
            variables.extend(
                std::env::var(NAMES)
                    .ok()
                    .map(|names| (NAMES.to_owned(), names)),
            );
        }
        variables
    }

    /// Opens a listening socket on each of `addresses` as well.
    pub(crate) fn bind(&mut self, addresses: &[String]) -> Result<()> {
        self.listeners = bind(addresses)?;
        Ok(())
    }

    /// Gives all of them to the program.
    pub(crate) fn give(self, ctx: &P1Ctx) -> Result<()> {
        #[cfg(unix)]
        if let Some(inherited) = self.inherited {
            give_inherited(ctx, inherited)?;
        }
        give(ctx, self.listeners)
    }
}

/// Opens a listening socket on each of `addresses`, as `wasmtime run -S tcplisten` does.
fn bind(addresses: &[String]) -> Result<Vec<TcpListener>> {
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
fn give_inherited(ctx: &P1Ctx, mut inherited: listenfd::ListenFd) -> Result<()> {
    let cannot = |error: &dyn std::fmt::Display| {
        Message::failure("the sockets of `-S listenfd` cannot be used").why(error)
    };
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
fn give(ctx: &P1Ctx, listeners: Vec<TcpListener>) -> Result<()> {
    for listener in listeners {
        ctx.push_listener(listener).map_err(|error| {
            Message::failure("a listening socket cannot be given to the program").why(error)
        })?;
    }
    Ok(())
}
