//! What the system calls the calling thread: debuggers, `top -H`, `/proc`.

/// Names the calling host thread after the guest thread that it runs from now on: `wasi-main` or
/// `wasi-7`. Where the system has no names for threads that run, or refuses, the thread keeps the
/// one that it was started with.
pub(crate) fn of_guest_thread(id: u32) {
    match id {
        0 => set("wasi-main"),
        id => set(&format!("wasi-{id}")),
    }
}

/// Names the calling host thread as one that runs no guest thread.
pub(crate) fn of_host_thread() {
    set("wasi-thread");
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(name: &str) {
    // 15 bytes at most: the largest id has 9 digits.
    if let Ok(name) = std::ffi::CString::new(name) {
        // A name is a help, and nothing depends on it.
        let _ = rustix::thread::set_name(&name);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(_name: &str) {}
