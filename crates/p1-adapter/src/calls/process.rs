//! `proc_exit`, `proc_raise`, `sched_yield`.

use crate::abi::error::{Error, Raised, Result};
use crate::abi::types::{Errno, Exitcode, Fd, Rights, Signal, Size};
use crate::call::Call;
use crate::ctx::unrepeatable::Unrepeatable;
use crate::descriptor::Kind;
use wasmtime_wasi::I32Exit;

/// All 32 bits of the status are passed on; what they mean to an operating system is the embedder's
/// matter.
pub(crate) fn exit(code: Exitcode) -> wasmtime::Error {
    I32Exit(code as i32).into()
}

/// POSIX's default action: a terminating signal is a trap that names it, an ignored one does
/// nothing. Stopping is not supported (`notsup`): the embedder's process is not the guest's.
pub(crate) fn raise(signal: Signal) -> Result<()> {
    let name = match signal {
        Signal::None | Signal::Chld | Signal::Cont | Signal::Urg | Signal::Winch => return Ok(()),
        Signal::Stop | Signal::Tstp | Signal::Ttin | Signal::Ttou => {
            return Err(Errno::Notsup.into());
        }
        Signal::Hup => "SIGHUP",
        Signal::Int => "SIGINT",
        Signal::Quit => "SIGQUIT",
        Signal::Ill => "SIGILL",
        Signal::Trap => "SIGTRAP",
        Signal::Abrt => "SIGABRT",
        Signal::Bus => "SIGBUS",
        Signal::Fpe => "SIGFPE",
        Signal::Kill => "SIGKILL",
        Signal::Usr1 => "SIGUSR1",
        Signal::Segv => "SIGSEGV",
        Signal::Usr2 => "SIGUSR2",
        Signal::Pipe => "SIGPIPE",
        Signal::Alrm => "SIGALRM",
        Signal::Term => "SIGTERM",
        Signal::Xcpu => "SIGXCPU",
        Signal::Xfsz => "SIGXFSZ",
        Signal::Vtalrm => "SIGVTALRM",
        Signal::Prof => "SIGPROF",
        Signal::Poll => "SIGPOLL",
        Signal::Pwr => "SIGPWR",
        Signal::Sys => "SIGSYS",
    };
    Err(Error::trap(wasmtime::Error::new(Raised {
        number: signal as u8,
        name,
    })))
}

/// What happens to a write to `fd` without a reader, if that is set to end the guest. For a socket
/// that goes both ways the guest goes on: it may handle the end of a conversation.
#[cold]
pub(crate) fn broken_pipe(call: &Call<'_>, fd: Fd) -> Result<Size> {
    call.meet(Unrepeatable::of_errno(Errno::Pipe))?;
    let descriptor = call.fd(fd)?;
    match descriptor.kind()? {
        Kind::Stream(stream) if stream.rights().contains(Rights::FD_READ) => {}
        _ => raise(Signal::Pipe)?,
    }
    Err(Errno::Pipe.into())
}

/// Lets other threads of the host run, or those that the embedder's hook lets run.
pub(crate) fn sched_yield(call: &Call<'_>) -> Result<()> {
    match &call.shared.hooks.on_yield {
        None => std::thread::yield_now(),
        Some(hook) => hook().map_err(Error::trap)?,
    }
    Ok(())
}
