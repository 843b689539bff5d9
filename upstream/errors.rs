//! What wiggle makes of `mutable: false` and an error type of the embedder's: it compiles with
//! `errors-with-shared-receivers.patch`, and not without. `scripts/upstream.sh` does both.

use std::sync::atomic::{AtomicU32, Ordering};

wiggle::from_witx!({
    witx_literal: "
        (typename $errno (enum (@witx tag u32) $ok $refused))
        (module $counter
          (@interface func (export \"count\") (param $by u32)
            (result $error (expected (error $errno)))))
    ",
    errors: { errno => Refused },
    mutable: false,
    wasmtime: false,
});

/// Why nothing was counted.
#[derive(Debug)]
pub struct Refused;

/// A receiver that any number of threads share.
#[derive(Default)]
pub struct Counter(AtomicU32);

impl wiggle::GuestErrorType for types::Errno {
    fn success() -> Self {
        Self::Ok
    }
}

impl types::UserErrorConversion for Counter {
    fn errno_from_refused(&self, _: Refused) -> wiggle::error::Result<types::Errno> {
        Ok(types::Errno::Refused)
    }
}

impl counter::Counter for Counter {
    fn count(&self, _: &mut wiggle::GuestMemory<'_>, by: u32) -> Result<(), Refused> {
        match by {
            0 => Err(Refused),
            by => {
                self.0.fetch_add(by, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

fn main() {
    let counter = Counter::default();
    let mut memory = wiggle::GuestMemory::Unshared(&mut []);
    let count = |memory: &mut _, by| counter::count(&counter, memory, by).expect("no trap");
    let said = [2, 0, 3].map(|by| count(&mut memory, by));
    println!("errnos {said:?}, counted {}", counter.0.load(Ordering::Relaxed));
}
