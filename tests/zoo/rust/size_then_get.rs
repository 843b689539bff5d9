//! A length that was asked for under a lock, and used under the next one. Flanagan and Freund,
//! "Atomizer", POPL 2004 (`StringBuffer.append`); Goetz et al., "Java concurrency in practice",
//! 5.1.1.

use std::sync::Mutex;

static LIST: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn last(mended: bool) {
    if mended {
        std::hint::black_box(crate::lock(&LIST).last());
    } else {
        let length = crate::lock(&LIST).len();
        if length > 0 {
            std::hint::black_box(crate::lock(&LIST)[length - 1]);
        }
    }
}

fn pop(_: bool) {
    crate::lock(&LIST).pop();
}

pub fn run(mended: bool) {
    crate::lock(&LIST).push(1);
    crate::together(mended, [last, pop]);
}
