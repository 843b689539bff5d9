//! Listening sockets that this process was started with: `-S listenfd`.

use std::error::Error;
#[cfg(unix)]
use std::os::fd::OwnedFd;

use p1_adapter::P1Ctx;

/// The sockets that a service manager handed to this process (`-S listenfd`; systemd,
/// sd_listen_fds(3)).
#[derive(Default)]
pub(crate) struct Inherited {
    #[cfg(unix)]
    sockets: Option<listenfd::ListenFd>,
    names: Option<String>,
}

impl Inherited {
    /// Takes the sockets that are meant for this process. `LISTEN_PID`, if it is set, says which
    /// process that is.
    ///
    /// Removes the variables that describe the sockets: a program without process ids could not
    /// tell whether they are meant for it. Must be called before there are other threads.
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

    /// Gives them to the program, in their order.
    #[cfg(unix)]
    pub(crate) fn give(&mut self, ctx: &P1Ctx) -> Result<(), Box<dyn Error>> {
        let Some(sockets) = &mut self.sockets else {
            return Ok(());
        };
        for index in 0..sockets.len() {
            // One that is neither is an error of the second call.
            let taken = match sockets.take_tcp_listener(index) {
                Ok(tcp) => tcp.map(OwnedFd::from),
                Err(_) => sockets.take_unix_listener(index)?.map(OwnedFd::from),
            };
            if let Some(listener) = taken {
                ctx.push_inherited_listener(listener)?;
            }
        }
        Ok(())
    }

    /// There are none.
    #[cfg(not(unix))]
    pub(crate) fn give(&mut self, _: &P1Ctx) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}
