//! The wait of a poll.

use crate::abi::error::{Error, Result};
use crate::blocking::{
    BlockingError, Deadline, EndSignal, Interest, ROUND, Readiness, Ready, any_ready, first_of,
    wait_with,
};
use crate::call::retry::Woken;
use crate::call::subscriptions::{Subscribed, Subscriptions, Trigger};
use crate::ctx::clock_source::{ClockSource, GuestClock};
use crate::ctx::clocks::Due;
use crate::descriptor::stream::ReadyBy;
use smallvec::SmallVec;
use std::pin::Pin;
use std::sync::Arc;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// What a list of subscriptions waits for, sorted by how one waits for it.
pub(super) struct Waiting<'a> {
    deadline: Deadline,
    /// Moments on the embedder's clocks, if guests sleep by them.
    due: SmallVec<[(GuestClock, u64); 2]>,
    /// Whether it has been looked at before.
    looked: bool,
    interests: SmallVec<[Interest<'a>; 4]>,
    /// `None` once ready.
    futures: Vec<Option<Ready<'a>>>,
    /// One for each subscription.
    places: SmallVec<[AnswerAt; 4]>,
}

/// Where a subscription's answer is found.
#[derive(Clone, Copy)]
enum AnswerAt {
    /// Nothing to ask: it is ready, or it is a clock.
    Nowhere,
    Interest(usize),
    Future(usize),
}

impl<'a> Waiting<'a> {
    pub(super) fn on(subscribed: &'a [Subscribed]) -> Self {
        let mut this = Waiting {
            deadline: Deadline::NEVER,
            due: SmallVec::new(),
            looked: false,
            interests: SmallVec::with_capacity(subscribed.len()),
            futures: Vec::new(),
            places: SmallVec::with_capacity(subscribed.len()),
        };
        for subscription in subscribed {
            let place = match &subscription.trigger {
                Trigger::Clock(Due::Host(due)) => {
                    this.deadline = this.deadline.or(*due);
                    AnswerAt::Nowhere
                }
                Trigger::Clock(Due::Source(clock, at)) => {
                    this.due.push((*clock, *at));
                    AnswerAt::Nowhere
                }
                Trigger::Known(_) => this.at_once(),
                Trigger::Stream(stream, direction) => match stream.get().readiness(*direction) {
                    ReadyBy::Always => this.at_once(),
                    ReadyBy::Poll(interest) => {
                        this.interests.push(interest);
                        AnswerAt::Interest(this.interests.len() - 1)
                    }
                    ReadyBy::Future(ready) => {
                        this.futures.push(Some(ready));
                        AnswerAt::Future(this.futures.len() - 1)
                    }
                },
            };
            this.places.push(place);
        }
        this
    }

    /// Something is ready already. The others are looked at, without waiting.
    fn at_once(&mut self) -> AnswerAt {
        self.deadline = Deadline::NOW;
        AnswerAt::Nowhere
    }

    /// Waits until one of them is ready or due.
    pub(super) fn wait(&mut self, end: &EndSignal) -> Result<(), BlockingError> {
        wait_with(&mut self.interests, &mut self.futures, &self.deadline, end).map(drop)
    }

    /// Looks at all of them, and does not wait.
    pub(super) fn look(&mut self, end: &EndSignal) -> Result<(), BlockingError> {
        wait_with(&mut self.interests, &mut self.futures, &Deadline::NOW, end).map(drop)
    }

    /// One round of a wait whose time is the embedder's. Looks at the descriptors, and sleeps by
    /// `source` if none is ready, for as long as a look may take. Only the host learns that a
    /// descriptor is ready; the embedder does not.
    pub(super) fn sleep_by(&mut self, source: &dyn ClockSource, end: &EndSignal) -> Result<()> {
        end.check()?;
        let left = |(clock, at): &(GuestClock, u64)| at.saturating_sub(source.now(*clock));
        let first = self.due.iter().min_by_key(|due| left(due)).copied();
        if self.interests.is_empty() && self.futures.is_empty() {
            return match first {
                // Something is ready already.
                _ if self.deadline == Deadline::NOW => Ok(()),
                Some(first) if left(&first) == 0 => Ok(()),
                Some((clock, at)) => source.sleep_until(clock, at).map_err(Error::trap),
                None => Ok(()),
            };
        }
        if self.looked {
            let now = source.now(GuestClock::Monotonic);
            let round = first
                .map_or(u64::MAX, |first| left(&first))
                .min(ROUND.as_nanos() as u64);
            if round > 0 {
                let until = now.saturating_add(round);
                source
                    .sleep_until(GuestClock::Monotonic, until)
                    .map_err(Error::trap)?;
            }
        }
        let over = first.is_some_and(|first| left(&first) == 0);
        let most = match self.looked && !over && self.deadline != Deadline::NOW {
            true => Deadline::after(ROUND),
            false => Deadline::NOW,
        };
        self.looked = true;
        wait_with(&mut self.interests, &mut self.futures, &most, end)?;
        Ok(())
    }

    /// What the wait found for the subscription at `index`, which is not a clock.
    pub(super) fn found(&self, index: usize) -> Readiness {
        match self.places[index] {
            AnswerAt::Nowhere => Readiness {
                ready: true,
                ..Readiness::default()
            },
            AnswerAt::Interest(i) => self.interests[i].found(),
            AnswerAt::Future(i) => Readiness {
                ready: self.futures[i].is_none(),
                ..Readiness::default()
            },
        }
    }
}

/// Completes when one of the subscriptions is ready or due; for a task, which must not hold its
/// thread.
///
/// A clock that is set meanwhile is noticed when the time that was left at the start has passed.
pub(super) async fn one_of(subscribed: Arc<Subscriptions>) -> Result<Woken> {
    let mut interests = Vec::new();
    let mut all: Vec<Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>> = Vec::new();
    let mut deadline = Deadline::NEVER;
    for subscription in subscribed.iter() {
        match &subscription.trigger {
            Trigger::Clock(Due::Host(due)) => deadline = deadline.or(*due),
            // Waited for on the thread: `Waiting::sleep_by`.
            Trigger::Clock(Due::Source(..)) => deadline = Deadline::NOW,
            Trigger::Known(_) => deadline = Deadline::NOW,
            Trigger::Stream(stream, direction) => match stream.get().readiness(*direction) {
                ReadyBy::Always => deadline = Deadline::NOW,
                ReadyBy::Poll(interest) => interests.push(interest),
                ReadyBy::Future(future) => all.push(Box::pin(async {
                    future.await;
                    Ok(())
                })),
            },
        }
    }
    if !interests.is_empty() {
        all.push(Box::pin(async { Ok(any_ready(&interests).await?) }));
    }
    if let Some(left) = deadline.left() {
        let sleep = with_ambient_tokio_runtime(|| tokio::time::sleep(left));
        all.push(Box::pin(async {
            sleep.await;
            Ok(())
        }));
    }
    first_of(&mut all).await?;
    Ok(Woken::Ready)
}
