//! Ctrl-C on a console of Windows. The system reports it on a thread that it starts for that.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use windows_sys::Win32::System::Console::{CTRL_C_EVENT, SetConsoleCtrlHandler};

/// What the handler tells.
static TOLD: OnceLock<Told> = OnceLock::new();

#[derive(Debug)]
struct Told {
    wake: SyncSender<()>,
    /// Whether the next one ends the process.
    at_once: Arc<AtomicBool>,
}

/// Runs `asked` on a thread of its own at the first Ctrl-C from now on, which also sets the
/// returned flag. Once the flag is set, another Ctrl-C does what it does to every process.
///
/// # Errors
///
/// That of a system which refuses a thread or the handler; `AlreadyExists` the second time.
pub(super) fn receive(asked: impl Fn() + Send + 'static) -> io::Result<Arc<AtomicBool>> {
    let (wake, woken) = sync_channel(1);
    let at_once = Arc::new(AtomicBool::new(false));
    let told = Told {
        wake,
        at_once: Arc::clone(&at_once),
    };
    let known = TOLD.set(told);
    known.map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || woken.into_iter().for_each(|()| asked()))?;
    // SAFETY: the handler is a function of this process, and stays.
    match unsafe { SetConsoleCtrlHandler(Some(handler), 1) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(at_once),
    }
}

/// Whether the event has been taken care of.
unsafe extern "system" fn handler(event: u32) -> i32 {
    let Some(told) = TOLD.get().filter(|_| event == CTRL_C_EVENT) else {
        return 0;
    };
    if told.at_once.swap(true, Ordering::SeqCst) {
        return 0;
    }
    let _ = told.wake.try_send(());
    1
}
