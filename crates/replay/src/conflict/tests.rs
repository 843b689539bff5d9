use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn access(thread: u32, address: u64, length: u64, writes: bool) -> Access {
    Access {
        thread: ThreadId::new(thread),
        point: 0,
        memory: 0,
        address,
        length,
        writes,
    }
}

#[test]
fn words_have_the_bytes_that_are_meant() {
    let words = |address, length| {
        let words = access(0, address, length, false).words();
        words
            .map(|((_, word), mask)| (word, mask))
            .collect::<Vec<_>>()
    };
    assert_eq!(words(0, 8), [(0, 0xff)]);
    assert_eq!(words(4, 4), [(0, 0xf0)]);
    assert_eq!(words(9, 1), [(1, 2)]);
    assert_eq!(words(6, 12), [(0, 0xc0), (1, 0xff), (2, 0x03)]);
    assert_eq!(words(5, 0), []);
    assert_eq!(words(0, u64::MAX).len() as u64, MOST_OF_ONE);
    assert_eq!(words(u64::MAX, 4).len(), 1);
}

fn sum(accesses: &[Access]) -> u64 {
    let mut orders = Orders::default();
    accesses.iter().for_each(|one| orders.add(one));
    orders.sum()
}

#[test]
fn only_the_order_of_conflicting_accesses_counts() {
    let (read, write) = (access(1, 0, 4, false), access(2, 0, 4, true));
    let other = access(1, 64, 4, true);
    let third = access(3, 0, 4, false);
    assert_ne!(sum(&[read, write]), sum(&[write, read]));
    assert_eq!(sum(&[read, third, write]), sum(&[third, read, write]));
    assert_ne!(sum(&[read, third, write]), sum(&[third, write, read]));
    assert_eq!(sum(&[read, other, write]), sum(&[read, write, other]));
    // No other thread sees a thread's own memory.
    assert_eq!(sum(&[read, other, other, write]), sum(&[read, write]));
    assert_eq!(sum(&[other]), sum(&[]));
    let lost = [1, 2, 1, 2].map(|thread| access(thread, 0, 4, thread == 2));
    assert_ne!(sum(&lost), sum(&[lost[0], lost[2], lost[1], lost[3]]));
}

/// All orders of two threads' accesses, each keeping its own.
fn merges(one: &[Access], two: &[Access]) -> Vec<Vec<Access>> {
    let (Some((first, one_rest)), Some((second, two_rest))) =
        (one.split_first(), two.split_first())
    else {
        return vec![[one, two].concat()];
    };
    let with = |first: &Access, rest: Vec<Vec<Access>>| {
        let put = move |rest: Vec<Access>| [vec![*first], rest].concat();
        rest.into_iter().map(put).collect::<Vec<_>>()
    };
    let mut all = with(first, merges(one_rest, two));
    all.extend(with(second, merges(one, two_rest)));
    all
}

/// What the sum is of, computed by hand: for each word, the writes in order and the sets of reads
/// between them.
fn by_hand(accesses: &[Access]) -> Vec<Vec<(u32, bool)>> {
    let mut words = vec![Vec::new(); 3];
    for one in accesses {
        words[one.address as usize / 8].push((one.thread.get(), one.writes));
    }
    for word in &mut words {
        for reads in word.split_mut(|(_, writes)| *writes) {
            reads.sort_unstable();
        }
        if word.iter().all(|(thread, _)| *thread == word[0].0) {
            word.clear();
        }
    }
    words
}

proptest! {
    #[test]
    fn sums_are_equal_where_orders_are(
        one in prop::collection::vec((0_u64..3, any::<bool>()), 0..5),
        two in prop::collection::vec((0_u64..3, any::<bool>()), 0..5),
    ) {
        let of = |thread, list: &[(u64, bool)]| {
            let access = |(word, writes): &(u64, bool)| access(thread, word * 8, 8, *writes);
            list.iter().map(access).collect::<Vec<_>>()
        };
        let merges = merges(&of(1, &one), &of(2, &two));
        let sums: HashSet<_> = merges.iter().map(|merge| sum(merge)).collect();
        let orders: HashSet<_> = merges.iter().map(|merge| by_hand(merge)).collect();
        prop_assert_eq!(sums.len(), orders.len());
    }
}

/// The lines of an interleaving: thread, what the caller knows, how often; nothing where some are
/// left out.
fn shown(lines: &[Line<u32>]) -> Vec<Option<(u32, u32, u64)>> {
    let line = |line: &Line<u32>| match line {
        Line::Access { access, of, times } => Some((access.thread.get(), *of, *times)),
        Line::LeftOut(count) => {
            assert!(*count > 0);
            None
        }
    };
    lines.iter().map(line).collect()
}

#[test]
fn what_conflicts_is_shown_and_what_repeats_is_counted() {
    let mut history = History::new(100);
    history.add(access(1, 0, 4, false), 10);
    history.add(access(1, 100, 4, true), 11);
    history.add(access(2, 4, 4, true), 20);
    for _ in 0..3 {
        history.add(access(2, 0, 4, true), 21);
    }
    history.add(access(1, 0, 4, true), 12);
    // Reads of what is never written.
    history.add(access(1, 48, 4, false), 13);
    history.add(access(2, 48, 4, false), 22);
    let expected = [Some((1, 10, 1)), Some((2, 21, 3)), Some((1, 12, 1))];
    assert_eq!(shown(&history.around(None, 20)), expected);
    // Two lines at most: around the beginning, and at the end.
    let expected = [Some((1, 10, 1)), None, Some((1, 12, 1))];
    assert_eq!(shown(&history.around(None, 2)), expected);
}

#[test]
fn what_is_not_picked_takes_no_lines() {
    let mut history = History::new(1000);
    for number in 0..40_u32 {
        // Two words, one of them a library's.
        history.add(access(1 + number % 2, 0, 4, true), 1);
        history.add(access(1 + number % 2, 8, 4, true), 2);
    }
    assert_eq!(history.conflicting().count(), 80);
    let picked = shown(&history.around_those(None, 50, |of| *of == 2));
    assert_eq!(picked.len(), 40);
    assert!(picked.iter().flatten().all(|(_, of, _)| *of == 2));
}

#[test]
fn many_are_cut_down_to_those_around_a_decision_and_the_last() {
    let mut history = History::new(1000);
    for number in 0..60_u32 {
        let mut one = access(1 + number % 2, 0, 4, true);
        one.point = u64::from(number);
        history.add(one, number);
        // What is next to its own thread's only is left out then.
        history.add(access(3, 8, 4, number == 0), 1000 + number);
    }
    let mut last = access(1, 8, 4, false);
    last.point = 60;
    history.add(last, 2000);
    let around = history.around(Some((ThreadId::new(1), 20)), 8);
    let found: Vec<_> = shown(&around)
        .into_iter()
        .map(|line| line.map(|(_, of, _)| of))
        .collect();
    // The turn was taken from thread 1 behind its access 18.
    let expected = [
        None,
        Some(17),
        Some(18),
        Some(19),
        Some(20),
        None,
        Some(57),
        Some(58),
        Some(59),
        Some(2000),
    ];
    assert_eq!(found, expected);
    // No more than it keeps.
    let mut short = History::new(2);
    for number in 0..9 {
        short.add(access(number % 2, 0, 4, true), number);
    }
    assert_eq!(shown(&short.around(None, 9)).len(), 2);
}
