//! The async linker: sockets that are shut while a call waits for them.

use crate::asynchronous::{Task, bare, runtime, soon};
use crate::guest::{DATA, INVAL, LIST, OK, OUT};
use p1_adapter::{P1Ctx, StreamAccess};
use rustix::fd::OwnedFd;
use rustix::net::Shutdown;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;
use wasmtime::Val::{self, I32};

/// Two sockets that are connected, of each kind that says so differently.
fn pairs() -> [(OwnedFd, OwnedFd); 3] {
    let (a, b) = UnixDatagram::pair().unwrap();
    let (c, d) = UnixStream::pair().unwrap();
    let [e, f] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    e.connect(f.local_addr().unwrap()).unwrap();
    f.connect(e.local_addr().unwrap()).unwrap();
    [
        (a.into(), b.into()),
        (c.into(), d.into()),
        (e.into(), f.into()),
    ]
}

/// Makes a call that waits, has the host do something meanwhile, and returns what the call said.
async fn meanwhile(ctx: &P1Ctx, name: &'static str, args: Vec<Val>, act: impl FnOnce()) -> i32 {
    let mut task = Task::new(ctx).await;
    task.write(LIST, &DATA.to_le_bytes());
    task.write(LIST + 4, &8u32.to_le_bytes());
    let calling = tokio::spawn(async move {
        let said = task.try_call(name, &args).await.unwrap();
        (said, task.u32(OUT))
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!calling.is_finished(), "{name} waits");
    act();
    let (said, count) = soon(calling).await.unwrap();
    assert!(said != OK || count == 0, "{name}: {count} bytes");
    said
}

#[test]
fn a_task_that_reads_finds_the_end() {
    for call in ["fd_read", "sock_recv"] {
        runtime().block_on(async {
            for (ours, _theirs) in pairs() {
                let ctx = bare();
                let host = ours.try_clone().unwrap();
                let fd = ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap() as i32;
                let mut args = vec![I32(fd), I32(LIST as i32), I32(1), I32(OUT as i32)];
                if call == "sock_recv" {
                    args.insert(3, I32(0));
                    args.push(I32(OUT as i32 + 4));
                }
                let shut = || rustix::net::shutdown(&host, Shutdown::Read).unwrap();
                assert_eq!(meanwhile(&ctx, call, args, shut).await, OK);
            }
        });
    }
}

#[test]
fn a_task_that_accepts_is_told() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let unix = UnixListener::bind(dir.path().join("socket")).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        for listener in [OwnedFd::from(unix), tcp.into()] {
            let ctx = bare();
            let host = listener.try_clone().unwrap();
            let fd = ctx.push_listener(listener).unwrap() as i32;
            let shut = || rustix::net::shutdown(&host, Shutdown::Read).unwrap();
            let args = vec![I32(fd), I32(0), I32(OUT as i32)];
            assert_eq!(meanwhile(&ctx, "sock_accept", args, shut).await, INVAL);
        }
    });
}
