//! What a guest gets from outside while it runs: a pipe with bytes in it, or a client on the
//! loopback.

use std::io::{PipeReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::rows::{Given, Row};
use crate::sides::Side;
use crate::usage;

/// Bytes of a message, and how many there are between two orders, as in `guests/system.c`.
const MESSAGE: usize = 64;
const BATCH: usize = 100;
/// How long the client tries to reach the guest.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports are taken from below those that the system gives away by itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What one run of a guest is fed with.
#[derive(Debug)]
pub enum Feed {
    /// Nothing.
    Nothing,
    /// A pipe for its stdin, which has all that it will read in it.
    Pipe(Option<PipeReader>),
    /// A client, which connects to this address and does what the guest orders.
    Client(SocketAddr, Client),
}

/// The client's thread. It ends with the guest's connection, or when this is dropped.
#[derive(Debug)]
pub struct Client {
    gone: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has met the guest has met, too, and said.
            let _ = thread.join();
        }
    }
}

impl Feed {
    /// Makes what a run of `row` needs.
    ///
    /// # Errors
    ///
    /// When the system has no pipe of that size, or no free port.
    pub fn of(row: &Row) -> Result<Self, Failure> {
        match row.given {
            Given::Nothing => Ok(Self::Nothing),
            Given::Pipe => {
                let (reader, mut writer) = std::io::pipe()?;
                let bytes = usage::widen(&writer)?;
                writer.write_all(&vec![b'.'; bytes])?;
                Ok(Self::Pipe(Some(reader)))
            }
            Given::Client => {
                let address = free_address()?;
                let gone = Arc::new(AtomicBool::new(false));
                let seen = Arc::clone(&gone);
                let thread = std::thread::spawn(move || {
                    // The guest reports what goes wrong: it misses an answer then.
                    let _ = serve(address, &seen);
                });
                let thread = Some(thread);
                Ok(Self::Client(address, Client { gone, thread }))
            }
        }
    }

    /// The guest's stdin; once.
    #[must_use]
    pub fn stdin(&mut self) -> Stdio {
        match self {
            Self::Pipe(reader) => reader.take().map_or_else(Stdio::null, Stdio::from),
            _ => Stdio::null(),
        }
    }

    /// Where the guest is to listen.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Client(address, _) => Some(*address),
            _ => None,
        }
    }

    /// What it adds to the guest's arguments: natively the guest makes its socket itself.
    #[must_use]
    pub fn arguments(&self, side: Side) -> Vec<String> {
        let address = self.address().filter(|_| side == Side::Native);
        address
            .into_iter()
            .map(|address| address.port().to_string())
            .collect()
    }
}

/// An address on the loopback without a listener, another one each time.
fn free_address() -> Result<SocketAddr, Failure> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16;
    for _ in 0..PORTS.len() {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_add(turn) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free".into())
}

/// Carries out the guest's orders. `c` connects a hundred times, and `l` writes a byte on the last
/// of those connections. `w` writes a hundred messages on the connection for data, and `r` reads as
/// many there.
fn serve(address: SocketAddr, gone: &AtomicBool) -> std::io::Result<()> {
    let mut orders = connect(address, gone)?;
    let mut data = connect(address, gone)?;
    let mut connected = Vec::new();
    let mut messages = vec![b'.'; MESSAGE * BATCH];
    let mut order = [0];
    while orders.read(&mut order)? == 1 {
        match order[0] {
            b'c' => {
                connected.clear();
                for _ in 0..BATCH {
                    connected.push(TcpStream::connect(address)?);
                }
            }
            b'l' => connected
                .last_mut()
                .map_or(Ok(()), |last| last.write_all(b"."))?,
            b'w' => data.write_all(&messages)?,
            _ => data.read_exact(&mut messages)?,
        }
        orders.write_all(&order)?;
    }
    data.shutdown(Shutdown::Both)
}

/// Connects as soon as there is a listener.
fn connect(address: SocketAddr, gone: &AtomicBool) -> std::io::Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                // A message must not wait for the answer to the one before.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) if gone.load(Ordering::Relaxed) || began.elapsed() > PATIENCE => {
                return Err(error);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Feed, free_address};
    use crate::rows::{Given, calls};

    #[test]
    fn a_client_that_nobody_listens_to_ends() {
        let mut rows = calls().into_iter();
        let row = rows
            .find(|row| row.given == Given::Client)
            .expect("a row with a client");
        let feed = Feed::of(&row).expect("a client");
        assert!(feed.address().is_some());
        drop(feed);
    }

    #[test]
    fn addresses_differ() {
        let first = free_address().expect("a port");
        assert_ne!(free_address().expect("another"), first);
    }
}
