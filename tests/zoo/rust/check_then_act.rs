//! Check, then act: the lock is given back between the check and what depends on it.
//! Lu et al., "Learning from mistakes", ASPLOS 2008 (atomicity violations).

use std::sync::Mutex;

static BALANCE: Mutex<i32> = Mutex::new(100);

fn withdraw(mended: bool) {
    if mended {
        let mut balance = crate::lock(&BALANCE);
        if *balance >= 100 {
            *balance -= 100;
        }
    } else {
        let enough = *crate::lock(&BALANCE) >= 100;
        if enough {
            *crate::lock(&BALANCE) -= 100;
        }
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [withdraw, withdraw]);
    assert!(*crate::lock(&BALANCE) >= 0, "more was taken than was there");
}
