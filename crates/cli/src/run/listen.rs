//! Listening sockets for the program: `-S tcplisten` and `-S listenfd`.
//!
//! Preview1 has no call that makes a socket, so the ones a program accepts from are made here.

use std::net::TcpListener;
#[cfg(unix)]
use std::os::fd::OwnedFd;

use p1_adapter::P1Ctx;

use crate::message::{Message, Result, say};

/// The sockets that a service manager handed to this process (`-S listenfd`; systemd, sd_listen_fds(3)).
#[derive(Default)]
pub(crate) struct Inherited {
    #[cfg(unix)]
    sockets: Option<listenfd::ListenFd>,
    names: Option<String>,
}

impl Inherited {
    /// Takes those that are meant for this process: `LISTEN_PID`, where it is set, says for which they are.
    ///
    /// The variables that say so are this process's no more; a program without process ids could not tell whether they
    /// are meant for it. To be called before there are other threads.
    pub(crate) fn take() -> Self {
        Inherited {
            names: std::env::var("LISTEN_FDNAMES").ok(),
            #[cfg(unix)]
            sockets: Some(listenfd::ListenFd::from_env()),
        }
    }

    fn count(&self) -> usize {
        #[cfg(unix)]
        return self.sockets.as_ref().map_or(0, listenfd::ListenFd::len);
        #[cfg(not(unix))]
        0
    }

    /// What the program is told of them: nothing, if there are none.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let count = Some(self.count()).filter(|count| *count > 0);
        let names = self.names.clone().filter(|_| count.is_some());
        let of = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
        [
            of("LISTEN_FDS", count.map(|count| count.to_string())),
            of("LISTEN_FDNAMES", names),
        ]
        .into_iter()
        .flatten()
    }
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

/// Gives the program the sockets that a service manager handed to this process.
#[cfg(unix)]
pub(crate) fn give_inherited(ctx: &P1Ctx, inherited: &mut Inherited) -> Result<()> {
    let cannot = |error: &dyn std::fmt::Display| {
        Message::failure("the sockets of `-S listenfd` cannot be used").why(error)
    };
    let Some(sockets) = &mut inherited.sockets else {
        return Ok(());
    };
    for index in 0..sockets.len() {
        // One that is neither is an error of the second call.
        let taken = match sockets.take_tcp_listener(index) {
            Ok(tcp) => Ok(tcp.map(OwnedFd::from)),
            Err(_) => sockets
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

/// There are none.
#[cfg(not(unix))]
pub(crate) fn give_inherited(_: &P1Ctx, _: &mut Inherited) -> Result<()> {
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
