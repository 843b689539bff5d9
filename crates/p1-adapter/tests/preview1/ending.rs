//! How a program ends: by itself, by a signal of its own, by the end signal.

use crate::guest::*;
use p1_adapter::{EndSignal, Interrupted, P1CtxBuilder, Raised, StreamAccess};
use wasmtime::Val;
use wasmtime_wasi::I32Exit;

#[test]
fn proc_exit_passes_its_status_on() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        for code in [0, 7, 126, 134, 255, 256, -1] {
            let error = guest.try_call("proc_exit", &[Val::I32(code)]).unwrap_err();
            assert_eq!(
                error.downcast_ref::<I32Exit>().map(|exit| exit.0),
                Some(code),
                "{error:?}"
            );
        }
    }
}

#[test]
fn proc_raise_does_what_posix_says_by_default() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::new(&ctx);
    // none, SIGCHLD, SIGCONT, SIGURG, SIGWINCH
    for ignored in [0, 16, 17, 22, 27] {
        assert_eq!(
            guest.call("proc_raise", &[Val::I32(ignored)]),
            OK,
            "{ignored}"
        );
    }
    // SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU
    for stopping in [18, 19, 20, 21] {
        assert_eq!(
            guest.call("proc_raise", &[Val::I32(stopping)]),
            NOTSUP,
            "{stopping}"
        );
    }
    let error = guest.try_call("proc_raise", &[Val::I32(6)]).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Raised>(),
        Some(&Raised {
            number: 6,
            name: "SIGABRT"
        })
    );
    assert_eq!(guest.call("proc_raise", &[Val::I32(200)]), INVAL);
}

/// `fd_write` without a reader: an errno, or the end, as the embedder wants it; for a connection
/// always an errno.
#[test]
fn a_broken_pipe_raises_sigpipe_if_it_is_to() {
    const PIPE: i32 = 64;
    for raise in [false, true] {
        let ctx = P1CtxBuilder::new().raise_sigpipe(raise).build().unwrap();
        let (_, writer) = std::io::pipe().unwrap();
        let pipe = ctx.push_stream(writer, StreamAccess::Write).unwrap() as i32;
        let (ours, theirs) = crate::sys::connected();
        drop(theirs);
        let socket = ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        // On Windows it is TCP's: the other side's answer takes a moment, and is another errno.
        let said = (0..500)
            .map(|_| guest.put(socket, b"x"))
            .inspect(|_| std::thread::sleep(std::time::Duration::from_millis(2)))
            .take(if cfg!(unix) { 1 } else { 500 })
            .find(Result::is_err);
        match cfg!(unix) {
            true => assert_eq!(said, Some(Err(PIPE))),
            false => assert!(said.is_some()),
        }
        guest.write(DATA, b"x");
        let [list, count] = guest.iovs(&[(DATA, 1)]);
        let args = [Val::I32(pipe), list, count, Val::I32(OUT as i32)];
        let written = guest.try_call("fd_write", &args);
        let raised = written
            .as_ref()
            .err()
            .and_then(|error| error.downcast_ref::<Raised>());
        match raise {
            true => assert_eq!(
                raised.map(|raised| (raised.number, raised.name)),
                Some((13, "SIGPIPE"))
            ),
            false => assert!(matches!(written, Ok(PIPE)), "{written:?}"),
        }
    }
}

#[test]
fn yielding_works() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    assert_eq!(Guest::new(&ctx).call("sched_yield", &[]), OK);
}

#[test]
fn after_the_end_every_function_traps() {
    let end = EndSignal::new();
    let ctx = P1CtxBuilder::new().end_signal(end.clone()).build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        if !end.is_raised() {
            assert_eq!(guest.call("sched_yield", &[]), OK);
            end.raise();
        }
        for (name, params) in FUNCTIONS {
            let args: Vec<_> = params
                .chars()
                .map(|c| if c == 'I' { Val::I64(0) } else { Val::I32(0) })
                .collect();
            let error = guest.try_call(name, &args).unwrap_err();
            assert!(
                error.downcast_ref::<Interrupted>().is_some(),
                "{name}: {error:?}"
            );
        }
    }
}
