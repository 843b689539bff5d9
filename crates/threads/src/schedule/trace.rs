//! What a scheduled run did, in numbers.

/// What a run did under its schedule:
/// [`ThreadGroup::schedule_trace`](crate::ThreadGroup::schedule_trace).
///
/// Two runs with the same `hash` made the same decisions at the same points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScheduleTrace {
    /// A hash of each decision in order: the thread that stopped, its point, why it stopped, the
    /// next thread, its budget. The same on every host.
    pub hash: u64,
    /// Points of all threads.
    pub points: u64,
    /// How often the policy was asked.
    pub decisions: u64,
    /// How often the next thread was another than the one that stopped.
    pub switches: u64,
    /// Threads that were started, the main one included.
    pub threads: u64,
    /// The virtual time, in nanoseconds.
    pub now: u64,
}

/// Mixes numbers into one. Their order matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix(u64);

impl Default for Mix {
    fn default() -> Self {
        // The offset of FNV-1a; any number would do.
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Mix {
    pub(crate) fn add(&mut self, number: u64) {
        // The finisher of Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
        // as SplitMix64 has it.
        let mut mixed = (self.0 ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    pub(crate) fn sum(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Mix;

    fn of(numbers: &[u64]) -> u64 {
        let mut mix = Mix::default();
        numbers.iter().for_each(|number| mix.add(*number));
        mix.sum()
    }

    #[test]
    fn order_and_count_matter_and_the_sum_is_the_same_everywhere() {
        let sums = [
            of(&[]),
            of(&[0]),
            of(&[0, 0]),
            of(&[1, 2]),
            of(&[2, 1]),
            of(&[3]),
        ];
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[..at].contains(sum), "{at}");
        }
    }
}
