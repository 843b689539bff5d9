//! Listening sockets: `-S tcplisten` and `-S listenfd`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::program;
use integration_tests::emulated::slower;
use integration_tests::{Guest, Input};

/// The longest time from SIGTERM to a program's end while all its threads are in `sock_accept`. It
/// is half of the grace for calls that nothing ends. A load of other processes takes tenths of a
/// second at times.
const PROMPT: Duration = Duration::from_millis(500);

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// One connection: a line there, and the same line back.
fn ask(address: SocketAddr, number: u32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let line = format!("connection {number}\n");
    stream.write_all(line.as_bytes())?;
    let mut back = String::new();
    stream.read_to_string(&mut back)?;
    match back == line {
        true => Ok(()),
        false => Err(std::io::Error::other(format!(
            "{line:?} came back as {back:?}"
        ))),
    }
}

/// Makes `connections` connections from 8 threads; how many were answered, and the first error.
fn load(address: SocketAddr, connections: u32) -> (u32, Option<String>) {
    let (next, answered) = (AtomicU32::new(0), AtomicU32::new(0));
    let (failed, failure) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= connections {
                        break;
                    }
                    match ask(address, number) {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        // No listener is left after the scope.
                        Err(error) => drop(failed.send(format!("{number}: {error}"))),
                    }
                }
            });
        }
    });
    (answered.into_inner(), failure.try_recv().ok())
}

/// Four threads accept on one socket: no connection is lost, and SIGTERM ends them at once.
/// `CONNECTIONS` says how many instead of 10,000.
#[test]
#[cfg(unix)]
fn four_threads_accept() {
    let connections = std::env::var("CONNECTIONS").map_or(10_000, |count| count.parse().unwrap());
    let address = free_address();
    let (done, result) = mpsc::channel();
    let run = program()
        .args(&format!("-S tcplisten={address}"))
        .guest(&Guest::c("accept"))
        .args("3 4")
        .timeout(Duration::from_secs(120))
        .alone()
        .meanwhile(move || {
            let began = Instant::now();
            // The test reads it, if it still runs.
            let _ = done.send((load(address, connections), began.elapsed()));
        })
        .signal("TERM")
        .run()
        .expect_code(143);
    let ((answered, failure), took) = result.try_recv().unwrap();
    assert_eq!(answered, connections, "{failure:?}: {run}");
    let end = run.after_signal.unwrap();
    println!("{answered} connections in {took:?}, ended in {end:?}");
    assert!(end < slower(PROMPT), "took {end:?}: {run}");
    assert_eq!(run.stderr, "");
}

/// Folders come before sockets: a C library stops to look for folders at the first descriptor that
/// is none.
#[test]
#[cfg(unix)]
fn sockets_come_after_folders() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let (done, result) = mpsc::channel();
    program()
        .args(&format!("-S tcplisten={address} --dir"))
        .arg(folder.path())
        .guest(&Guest::c("accept"))
        .args("4 2")
        .meanwhile(move || drop(done.send(ask(address, 1).map_err(|error| error.to_string()))))
        .signal("TERM")
        .run()
        .expect_code(143);
    assert_eq!(result.try_recv(), Ok(Ok(())));
}

#[test]
fn addresses() {
    let run = |address: &str| {
        program()
            .args(&format!("-S tcplisten={address}"))
            .guest(&Guest::wat("hello"))
            .run()
    };
    run("127.0.0.1:0")
        .expect_code(0)
        .expect_stderr(&["note: `127.0.0.1:0` is 127.0.0.1:"]);
    run("nonsense")
        .expect_code(1)
        .expect_stderr(&["cannot listen on `nonsense`", "127.0.0.1:8080"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // In the words of the system.
    let in_use = TcpListener::bind(address).unwrap_err().to_string();
    run(&address.to_string())
        .expect_code(1)
        .expect_stderr(&[&in_use, "help: give another port"]);
}

/// Sockets from a service manager, as systemd hands them over: descriptors from 3 on, and two
/// variables.
#[test]
#[cfg(target_os = "linux")]
fn listenfd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It waits in the socket's queue until the program accepts it.
    let connection = std::thread::spawn(move || ask(address, 7).map_err(|error| error.to_string()));
    // The shell gets the socket as its stdin, and hands it on as 3.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .args(["-C", "cache=n", "-S", "listenfd", "-S", "inherit-env"])
        .arg(Guest::c("accept").path())
        .args(["3", "2"])
        .env("LISTEN_FDS", "1")
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let answered = connection.join().unwrap();
    // By its own process id.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answered, Ok(()));

    // Without sockets the program is told of none: it once was, and took the first folder for one.
    let given = |variables: &[(&str, &str)]| {
        let mut run = program().args("-S listenfd").env("LISTEN_FDNAMES", "web");
        for (name, value) in variables {
            run = run.env(name, value);
        }
        let run = run
            .guest(&Guest::wat("args_env"))
            .input(Input::Null)
            .run()
            .expect_code(0);
        assert_eq!(run.stdout, "args_env.wat\n", "{variables:?}");
    };
    given(&[("LISTEN_FDS", "0")]);
    given(&[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]);
    given(&[("LISTEN_FDS", "x")]);
    given(&[("LISTEN_FDS", "-1")]);
    given(&[]);
}

/// The program is told how many sockets it has, whatever else there was in the environment.
#[test]
#[cfg(target_os = "linux")]
fn listenfd_variables() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .args(["-C", "cache=n", "-S", "listenfd"])
        .arg(Guest::wat("args_env").path())
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "web")
        .stdin(std::os::fd::OwnedFd::from(listener))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "args_env.wat\nLISTEN_FDS=1\nLISTEN_FDNAMES=web\n",
        "{output:?}"
    );
}
