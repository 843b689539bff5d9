use proptest::prelude::*;

use super::*;

fn needs(needed: &[u32]) -> impl FnMut(&[u32]) -> Verdict<u32> + '_ {
    |part| match needed.iter().all(|item| part.contains(item)) {
        true => Verdict::Same(part.to_vec()),
        false => Verdict::Other,
    }
}

proptest! {
    /// Whatever is needed is what is left, and in its order.
    #[test]
    fn finds_what_is_needed(len in 0_u32..200, needed in prop::collection::btree_set(0_u32..200, 0..6)) {
        let needed: Vec<_> = needed.into_iter().filter(|item| *item < len).collect();
        let found = minimise((0..len).collect(), u64::MAX, needs(&needed));
        prop_assert!(found.is_minimal);
        prop_assert_eq!(found.list, needed);
    }

    /// However odd the test is, what is left fails, is 1-minimal, and the tries are bounded.
    #[test]
    fn any_test(len in 1_u32..40, salt in any::<u64>(), tries in 0_u64..400) {
        let all: Vec<_> = (0..len).collect();
        let fails = |part: &[u32]| {
            let sum = part.iter().fold(salt, |sum, item| sum.rotate_left(7) ^ u64::from(*item).wrapping_mul(salt | 1));
            part.len() == len as usize || sum % 3 == 0
        };
        let mut count = 0;
        let found = minimise(all, tries, |part| {
            count += 1;
            if fails(part) { Verdict::Same(part.to_vec()) } else { Verdict::Other }
        });
        prop_assert!(count <= tries && count == found.tries);
        prop_assert!(fails(&found.list));
        if found.is_minimal {
            for out in 0..found.list.len() {
                let mut rest = found.list.clone();
                rest.remove(out);
                prop_assert!(!fails(&rest));
            }
        }
    }
}

#[test]
fn what_had_no_effect_is_dropped_at_once() {
    let mut tries = 0;
    let found = minimise((0..1_000).collect(), 100, |part: &[u32]| {
        tries += 1;
        let used = part
            .iter()
            .copied()
            .filter(|item| item % 500 == 499)
            .collect();
        match part.contains(&499) && part.contains(&999) {
            true => Verdict::Same(used),
            false => Verdict::Other,
        }
    });
    assert_eq!(found.list, [499, 999]);
    assert!(tries < 20, "{tries}");
}

/// What a test says it used is believed only if it is a part of what it got.
#[test]
fn what_was_not_given_is_not_used() {
    let found = minimise(vec![1, 2, 3], 100, |part: &[u32]| match part.contains(&2) {
        true => Verdict::Same(vec![9]),
        false => Verdict::Other,
    });
    assert_eq!(found.list, [2]);
}
