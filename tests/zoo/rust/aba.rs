//! ABA: a stack whose head is the same again, while what is below it has changed. IBM System/370
//! Principles of Operation, appendix A; Michael and Scott, PODC 1996. Mended by a tag.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

const fn words(of: [u32; 4]) -> [AtomicU32; 4] {
    let [a, b, c, d] = of;
    [
        AtomicU32::new(a),
        AtomicU32::new(b),
        AtomicU32::new(c),
        AtomicU32::new(d),
    ]
}

/// The node on top in the lower half, 0 for none; a tag in the upper one.
static HEAD: AtomicU64 = AtomicU64::new(1);
static NEXT: [AtomicU32; 4] = words([0, 2, 3, 0]);
static OWNED: [AtomicU32; 4] = words([0; 4]);

fn set_head(mended: bool, head: u64, top: u32) -> bool {
    let tag = if mended { (head >> 32) + 1 } else { 0 };
    HEAD.compare_exchange(head, tag << 32 | u64::from(top), SeqCst, SeqCst)
        .is_ok()
}

fn pop(mended: bool) -> usize {
    loop {
        let head = HEAD.load(SeqCst);
        let top = head as u32 as usize;
        if top == 0 || set_head(mended, head, NEXT[top].load(SeqCst)) {
            return top;
        }
    }
}

fn push(mended: bool, node: usize) {
    loop {
        let head = HEAD.load(SeqCst);
        NEXT[node].store(head as u32, SeqCst);
        if set_head(mended, head, node as u32) {
            return;
        }
    }
}

fn own(node: usize) {
    let owned = node != 0 && OWNED[node].swap(1, SeqCst) != 0;
    assert!(!owned, "node {node} was popped twice");
}

fn take_one(mended: bool) {
    own(pop(mended));
}

fn take_two_give_one(mended: bool) {
    let first = pop(mended);
    own(pop(mended));
    if first != 0 {
        push(mended, first);
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [take_one, take_two_give_one]);
    take_one(mended);
}
