//! Three philosophers: no two of them have taken the same two locks in opposite orders.
//! Dijkstra, "Hierarchical ordering of sequential processes", Acta Informatica 1971.

use std::sync::Mutex;

static FORKS: [Mutex<u32>; 3] = [const { Mutex::new(0) }; 3];

fn dine(mended: bool, seat: usize) {
    let (left, right) = (seat, (seat + 1) % 3);
    let (first, second) = match mended {
        true => (left.min(right), left.max(right)),
        false => (left, right),
    };
    let first = crate::lock(&FORKS[first]);
    *crate::lock(&FORKS[second]) += *first;
}

pub fn run(mended: bool) {
    crate::together(mended, [|m| dine(m, 0), |m| dine(m, 1), |m| dine(m, 2)]);
}
