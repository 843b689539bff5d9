//! Listening sockets for the program: `-S tcplisten` and `-S listenfd`.
//!
//! Preview1 has no call that makes a socket, so the sockets on which a program accepts are made
//! here.

use std::net::TcpListener;

use p1_adapter::P1Ctx;

use crate::message::{Message, Result, say};
use crate::sys::inherited::Inherited;

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
pub(crate) fn give_inherited(ctx: &P1Ctx, inherited: &mut Inherited) -> Result<()> {
    inherited
        .give(ctx)
        .map_err(|error| Message::failure("the sockets of `-S listenfd` cannot be used").why(error))
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
