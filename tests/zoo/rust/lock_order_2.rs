//! Two locks, taken in both orders.
//! Coffman, Elphick and Shoshani, "System deadlocks", Computing Surveys 1971.

use std::sync::Mutex;

static ONE: Mutex<u32> = Mutex::new(0);
static TWO: Mutex<u32> = Mutex::new(0);

fn forth(_: bool) {
    let one = crate::lock(&ONE);
    *crate::lock(&TWO) += *one;
}

fn back(mended: bool) {
    if mended {
        let mut one = crate::lock(&ONE);
        *one += *crate::lock(&TWO);
    } else {
        let two = crate::lock(&TWO);
        *crate::lock(&ONE) += *two;
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [forth, back]);
}
