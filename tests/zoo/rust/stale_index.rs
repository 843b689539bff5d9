//! Use after free through an index: what is in the slot now is another's.
//! West, "Using Rust for game development", RustConf 2018 (generational indices).

use std::sync::Mutex;

#[derive(Clone, Copy)]
struct Slot {
    generation: u32,
    owner: u32,
}

static SLOT: Mutex<Slot> = Mutex::new(Slot {
    generation: 0,
    owner: 1,
});

/// Has the slot's index and generation from before.
fn look(mended: bool) {
    let slot = *crate::lock(&SLOT);
    if mended && slot.generation != 0 {
        return;
    }
    assert_eq!(slot.owner, 1, "another's");
}

fn give_to_another(_: bool) {
    let mut slot = crate::lock(&SLOT);
    slot.generation += 1;
    slot.owner = 2;
}

pub fn run(mended: bool) {
    crate::together(mended, [look, give_to_another]);
}
