//! What is not compared.

/// What is not compared in a call that answers alike, or not generated, and why.
pub const NOT_COMPARED: [(&str, &str); 15] = [
    (
        "path_open with TRUNC and APPEND",
        "cap-std refuses the two together (inval)",
    ),
    (
        "descriptor numbers",
        "here it must be the lowest, there it is one never used before; the test maps them",
    ),
    (
        "rights other than FD_READ and FD_WRITE, and of a directory or a listener any, in fd_fdstat_get",
        "wasi-common reports these two and nothing else, for a listener as well",
    ),
    (
        "flags of standard streams",
        "wasi-common says APPEND for its virtual pipes",
    ),
    (
        "dev, ino and times of a file",
        "real device and inode there, wasmtime-wasi's hash here; the twins are two files",
    ),
    ("links of a socket", "what the system says here, none there"),
    (
        "the peer's events for what is not ready in a poll where something is",
        "wasi-common reports all descriptors once one is ready",
    ),
    (
        "polls of a standard stream or a directory among others",
        "one that cannot be polled fails the whole call there; here its own event",
    ),
    (
        "the order of events, nbytes of writes and where there are none to read, flags at the end of a stream",
        "reads first there; wasi-common says at least 1, and 0 for writes",
    ),
    (
        "nbytes of a file whose cursor is beyond its end in a poll",
        "wasi-common subtracts the one from the other, which wraps around",
    ),
    (
        "absolute deadlines on the real-time clock, CPU-time clocks in a poll",
        "notsup there; CPU-time clocks sleep for real time there if they are alone, inval here",
    ),
    (
        "sock_accept with flags other than NONBLOCK",
        "wasi-common accepts first and then drops the connection",
    ),
    (
        "RECV_WAITALL with fewer bytes than asked for",
        "wasi-common fails and loses what it has read",
    ),
    (
        "RECV_PEEK of no bytes at a socket that has none",
        "a Unix socket there waits for some, or is again; nothing is to be done here",
    ),
    (
        "sock_shutdown of the receiving side before the other end has finished",
        "what comes afterwards is refused or taken, as the timing of the two connections goes",
    ),
];
