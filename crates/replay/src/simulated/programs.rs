//! Programs with a fault each.

use crate::simulated::{Op, Program};
use Op::{
    Check, Load, Lock, Notify, Set, Sleep, Spawn, Spin, SpinYield, Store, Unlock, Until, Wait,
};

/// Word 7 counts the threads that have ended; main waits for all.
const DONE: usize = 7;

fn with_main(threads: Vec<Vec<Op>>, check: &[Op]) -> Program {
    let count = threads.len();
    let mut main: Vec<_> = (1..=count).map(Spawn).collect();
    main.push(Until(DONE, i64::try_from(count).unwrap()));
    main.extend_from_slice(check);
    let mut program = vec![main];
    for mut ops in threads {
        ops.extend([Lock(6), Load(DONE), Store(DONE, 1), Notify(DONE), Unlock(6)]);
        program.push(ops);
    }
    program
}

/// Two threads add to a word without a lock.
pub(crate) fn lost_update(times: usize) -> Program {
    let one = [Load(0), Store(0, 1)].repeat(times);
    let all = i64::try_from(2 * times).unwrap();
    with_main(vec![one.clone(), one], &[Check(0, all)])
}

/// The same with a lock.
pub(crate) fn locked_update(times: usize) -> Program {
    let one = [Lock(1), Load(0), Store(0, 1), Unlock(1)].repeat(times);
    let all = i64::try_from(2 * times).unwrap();
    with_main(vec![one.clone(), one], &[Check(0, all)])
}

/// Two locks in two orders.
pub(crate) fn lock_order() -> Program {
    let one = vec![Lock(0), Lock(1), Unlock(1), Unlock(0)];
    let two = vec![Lock(1), Lock(0), Unlock(0), Unlock(1)];
    with_main(vec![one, two], &[])
}

/// A timeout of a second, for what another thread does at once.
pub(crate) fn timeout_race() -> Program {
    vec![
        vec![Spawn(1), Wait(0, 0, Some(1_000_000_000)), Check(0, 1)],
        vec![Set(0, 1), Notify(0)],
    ]
}

/// A loop that waits for another thread, without yielding.
pub(crate) fn spin() -> Program {
    vec![
        vec![Spawn(1), Spin(0, 1), Check(0, 1)],
        vec![Sleep(1_000), Set(0, 1)],
    ]
}

/// The same, and it yields.
pub(crate) fn spin_yield() -> Program {
    vec![
        vec![Spawn(1), SpinYield(0, 1), Check(0, 1)],
        vec![Sleep(1_000), Set(0, 1)],
    ]
}

/// A fault that needs a thread to be late by many points.
pub(crate) fn late() -> Program {
    let slow = [Load(1), Load(1), Store(2, 0)].repeat(40);
    let mut one = slow.clone();
    one.push(Set(0, 1));
    let mut two = slow;
    two.push(Check(0, 1));
    with_main(vec![one, two], &[])
}
