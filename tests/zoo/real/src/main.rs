//! Bugs that releases of well-known crates had. `faulty/` has the last release with each, `mended/`
//! the first without.
//!
//! usage: real NAME
//!
//! Memory that is given back twice, and such that is used afterwards, is told by an allocator that
//! never gives memory out again.

mod checked;

/// What each of these has is `run()`.
macro_rules! bugs {
    ($($name:ident)*) => {
        $(mod $name;)*

        fn run(name: &str) -> bool {
            match name {
                $(stringify!($name) => $name::run(),)*
                _ => return false,
            }
            true
        }
    };
}

bugs! {
    crossbeam_channel_drop crossbeam_deque_steal flume_recv_async futures_oneshot_close
    oneshot_drop spin_try_call_once tokio_broadcast tokio_oneshot_close
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    if !run(&name) {
        eprintln!("real: no bug {name:?}");
        std::process::exit(2);
    }
}

/// Polls a future on this thread until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Wake, Waker};

    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
