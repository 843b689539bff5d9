//! Vector clocks, and the epochs that stand for one component of them.

/// A moment of one thread: its slot, and how often it had released something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) slot: u16,
    pub(crate) time: u64,
}

/// What is known of each thread: up to which time its past comes before. A thread beyond the end is
/// at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorClock {
    times: Vec<u64>,
}

impl VectorClock {
    pub(crate) fn get(&self, slot: u16) -> u64 {
        self.times.get(usize::from(slot)).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, slot: u16, time: u64) {
        let slot = usize::from(slot);
        if self.times.len() <= slot {
            self.times.resize(slot + 1, 0);
        }
        self.times[slot] = time;
    }

    /// Whether what happened in that epoch comes before.
    pub(crate) fn covers(&self, epoch: Epoch) -> bool {
        self.get(epoch.slot) >= epoch.time
    }

    /// Whether all that the other knows is known here.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let mut theirs = other.times.iter().enumerate();
        theirs.all(|(slot, time)| self.times.get(slot).copied().unwrap_or(0) >= *time)
    }

    /// What the other knows is known here, too.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.times.len() < other.times.len() {
            self.times.resize(other.times.len(), 0);
        }
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// The bytes it takes, without itself.
    pub(crate) fn bytes(&self) -> usize {
        self.times.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, VectorClock};

    #[test]
    fn joins_take_the_later_of_each() {
        let (mut one, mut other) = (VectorClock::default(), VectorClock::default());
        one.set(0, 3);
        one.set(1, 1);
        other.set(1, 2);
        other.set(4, 7);
        assert!(!one.includes(&other) && !other.includes(&one));
        one.join(&other);
        assert!(one.includes(&other) && !other.includes(&one));
        let times: Vec<u64> = (0..6).map(|slot| one.get(slot)).collect();
        assert_eq!(times, [3, 2, 0, 0, 7, 0]);
        assert!(one.covers(Epoch { slot: 4, time: 7 }));
        assert!(!one.covers(Epoch { slot: 4, time: 8 }));
    }
}
