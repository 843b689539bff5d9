//! Sequences of calls, given to a table and to `wasmtime::component::ResourceTable`, which must
//! answer the same.
//!
//! If the two differ on purpose, the reference is not asked, and the answer is stated here. A stale
//! handle is `NotPresent` even if its slot is in use again. A call that fails changes nothing; the
//! reference destroys an entry deleted as the wrong type, and remembers a parent that does not
//! exist. Where the reference panics, the table returns an error.

#![cfg(not(loom))]
#![allow(missing_docs)]

use proptest::prelude::*;
use std::any::Any;
use std::collections::BTreeMap;
use table_sync::{AnyHandle, Error, Table};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// Three types of entry, alike but for the type.
trait Kind: From<u32> + Into<u32> + Copy + Send + Sync + 'static {}
macro_rules! kinds {
    ($($name:ident)*) => {$(
        #[derive(Clone, Copy)]
        struct $name(u32);
        impl From<u32> for $name {
            fn from(value: u32) -> Self {
                Self(value)
            }
        }
        impl From<$name> for u32 {
            fn from(value: $name) -> u32 {
                value.0
            }
        }
        impl Kind for $name {}
    )*};
}
kinds!(A B C);

fn any_value(any: &dyn Any) -> u32 {
    None.or(any.downcast_ref::<A>().map(|it| it.0))
        .or(any.downcast_ref::<B>().map(|it| it.0))
        .or(any.downcast_ref::<C>().map(|it| it.0))
        .expect("one of three types")
}

#[derive(Clone, Debug)]
enum Call {
    Push(u8, u32),
    PushChild(u8, u32, usize),
    AddChild(usize, usize),
    RemoveChild(usize, usize),
    Get(u8, usize),
    Set(u8, usize, u32),
    Delete(u8, usize),
    Detach(u8, usize),
    Children(usize),
    Entries(Vec<usize>),
    IsEmpty,
    SetMax(usize),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let at = || 0..12usize;
    let kind = || 0..3u8;
    let call = prop_oneof![
        6 => (kind(), any::<u32>()).prop_map(|(k, v)| Call::Push(k, v)),
        4 => (kind(), any::<u32>(), at()).prop_map(|(k, v, p)| Call::PushChild(k, v, p)),
        2 => (at(), at()).prop_map(|(c, p)| Call::AddChild(c, p)),
        2 => (at(), at()).prop_map(|(c, p)| Call::RemoveChild(c, p)),
        3 => (kind(), at()).prop_map(|(k, at)| Call::Get(k, at)),
        3 => (kind(), at(), any::<u32>()).prop_map(|(k, at, v)| Call::Set(k, at, v)),
        6 => (kind(), at()).prop_map(|(k, at)| Call::Delete(k, at)),
        2 => (kind(), at()).prop_map(|(k, at)| Call::Detach(k, at)),
        2 => at().prop_map(Call::Children),
        1 => prop::collection::vec(at(), 0..4).prop_map(Call::Entries),
        1 => Just(Call::IsEmpty),
        1 => (0..14usize).prop_map(Call::SetMax),
    ];
    prop::collection::vec(call, 1..40)
}

/// An error in the reference's words.
fn translate(error: ResourceTableError) -> Error {
    match error {
        ResourceTableError::Full => Error::Full,
        ResourceTableError::NotPresent => Error::NotPresent,
        ResourceTableError::WrongType => Error::WrongType,
        ResourceTableError::HasChildren => Error::HasChildren,
    }
}

/// One entry as both sides know it; kept after it has gone.
struct Known {
    ours: AnyHandle,
    theirs: u32,
    kind: u8,
    parent: Option<usize>,
    alive: bool,
}

impl Known {
    /// The reference's key, if it still has the entry.
    fn key<T: 'static>(&self) -> Result<Resource<T>, Error> {
        let key = self.alive.then(|| Resource::new_borrow(self.theirs));
        key.ok_or(Error::NotPresent)
    }
}

#[derive(Default)]
struct Both {
    ours: Table,
    theirs: ResourceTable,
    known: Vec<Known>,
}

/// Runs a generic method for the kind a number stands for.
macro_rules! for_kind {
    ($kind:expr, $self:ident.$method:ident($($arg:expr),*)) => {
        match $kind {
            0 => $self.$method::<A>($($arg),*),
            1 => $self.$method::<B>($($arg),*),
            _ => $self.$method::<C>($($arg),*),
        }
    };
}

impl Both {
    /// The entry a number in a call stands for.
    fn at(&self, at: usize) -> Option<usize> {
        (!self.known.is_empty()).then(|| at % self.known.len())
    }

    fn push<T: Kind>(&mut self, kind: u8, value: u32, parent: Option<usize>) -> TestResult {
        let (ours, theirs) = match parent {
            None => (
                self.ours.push(T::from(value)),
                self.theirs.push(T::from(value)).map_err(translate),
            ),
            Some(parent) => {
                let known = &self.known[parent];
                let ours = self
                    .ours
                    .push_child(T::from(value), &known.ours.typed::<A>());
                let theirs = known.key::<A>().and_then(|parent| {
                    let theirs = self.theirs.push_child(T::from(value), &parent);
                    theirs.map_err(translate)
                });
                (ours, theirs)
            }
        };
        prop_assert_eq!(
            ours.as_ref().map(|_| ()).map_err(|e| *e),
            theirs.as_ref().map(|_| ()).map_err(|e| *e)
        );
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            self.known.push(Known {
                ours: ours.any(),
                theirs: theirs.rep(),
                kind,
                parent,
                alive: true,
            });
        }
        Ok(())
    }

    fn get<T: Kind>(&mut self, at: usize) -> TestResult {
        let known = &self.known[at];
        let ours = self
            .ours
            .get(&known.ours.typed::<T>())
            .map(|it| (*it).into());
        let theirs: Result<u32, Error> = known.key::<T>().and_then(|key| {
            let theirs = self.theirs.get(&key).map_err(translate);
            theirs.map(|it| (*it).into())
        });
        prop_assert_eq!(ours, theirs);
        Ok(())
    }

    fn set<T: Kind>(&mut self, at: usize, value: u32) -> TestResult {
        let known = &self.known[at];
        let ours = self
            .ours
            .get_mut(&known.ours.typed::<T>())
            .map(|mut it| std::mem::replace(&mut *it, T::from(value)).into());
        let theirs: Result<u32, Error> = known.key::<T>().and_then(|key| {
            let theirs = self.theirs.get_mut(&key).map_err(translate);
            theirs.map(|it| std::mem::replace(it, T::from(value)).into())
        });
        prop_assert_eq!(ours, theirs);
        Ok(())
    }

    fn delete<T: Kind>(&mut self, at: usize, detach: bool) -> TestResult {
        let known = &self.known[at];
        let key = || Resource::<T>::new_own(known.theirs);
        let theirs: Result<u32, Error> = if !known.alive {
            Err(Error::NotPresent)
        } else {
            let has_children = self
                .theirs
                .iter_children(&key())
                .map_err(translate)
                .map(|children| children.count() > 0);
            match (has_children, self.theirs.get(&key())) {
                (Ok(false), Err(error)) => Err(translate(error)),
                _ => self.theirs.delete(key()).map(T::into).map_err(translate),
            }
        };
        let handle = known.ours.typed::<T>();
        if detach {
            let ours = self.ours.detach(handle);
            prop_assert_eq!(ours, theirs.map(|_| ()));
        } else {
            let ours = self.ours.delete(handle).map(T::into);
            prop_assert_eq!(ours, theirs);
        }
        if theirs.is_ok() {
            self.known[at].alive = false;
        }
        Ok(())
    }

    fn add_child(&mut self, child: usize, parent: usize) -> TestResult {
        let (c, p) = (&self.known[child], &self.known[parent]);
        let ours = self
            .ours
            .add_child(c.ours.typed::<A>(), p.ours.typed::<B>());
        let theirs = if !c.alive || !p.alive {
            Err(Error::NotPresent)
        } else if c.parent.is_some() {
            Err(Error::HasParent)
        } else {
            let key = Resource::<A>::new_borrow(c.theirs);
            self.theirs
                .add_child(key, Resource::<B>::new_borrow(p.theirs))
                .map_err(translate)
        };
        prop_assert_eq!(ours, theirs);
        if ours.is_ok() {
            self.known[child].parent = Some(parent);
        }
        Ok(())
    }

    fn remove_child(&mut self, child: usize, parent: usize) -> TestResult {
        let (c, p) = (&self.known[child], &self.known[parent]);
        let ours = self
            .ours
            .remove_child(c.ours.typed::<A>(), p.ours.typed::<B>());
        let theirs = if !c.alive || !p.alive {
            Err(Error::NotPresent)
        } else if c.parent != Some(parent) {
            Err(Error::NotChild)
        } else {
            let key = Resource::<A>::new_borrow(c.theirs);
            self.theirs
                .remove_child(key, Resource::<B>::new_borrow(p.theirs))
                .map_err(translate)
        };
        prop_assert_eq!(ours, theirs);
        if ours.is_ok() {
            self.known[child].parent = None;
        }
        Ok(())
    }

    fn children(&mut self, at: usize) -> TestResult {
        let known = &self.known[at];
        let sorted = |mut values: Vec<u32>| {
            values.sort_unstable();
            values
        };
        let ours = self.ours.iter_children(&known.ours.typed::<A>());
        let ours = ours.map(|it| sorted(it.map(|child| any_value(&*child)).collect()));
        let theirs = known.key::<A>().and_then(|key| {
            let theirs = self.theirs.iter_children(&key).map_err(translate);
            theirs.map(|it| sorted(it.map(|child| any_value(child)).collect()))
        });
        prop_assert_eq!(ours, theirs);
        Ok(())
    }

    fn entries(&mut self, ats: &[usize]) -> TestResult {
        let ats: Vec<usize> = ats
            .iter()
            .filter_map(|at| self.at(*at))
            .filter(|at| self.known[*at].alive)
            .collect();
        let ours = ats.iter().map(|at| (self.known[*at].ours, *at)).collect();
        let mut ours: Vec<_> = self
            .ours
            .iter_entries(ours)
            .map(|(entry, at)| (at, entry.map(|entry| any_value(&*entry))))
            .collect();
        let theirs: BTreeMap<u32, usize> =
            ats.iter().map(|at| (self.known[*at].theirs, *at)).collect();
        let mut theirs: Vec<_> = self
            .theirs
            .iter_entries(theirs)
            .map(|(entry, at)| (at, entry.map(|it| any_value(it)).map_err(translate)))
            .collect();
        ours.sort_by_key(|it| it.0);
        theirs.sort_by_key(|it| it.0);
        prop_assert_eq!(ours, theirs);
        Ok(())
    }

    fn run(&mut self, call: &Call) -> TestResult {
        match call {
            Call::Push(kind, value) => for_kind!(kind, self.push(*kind, *value, None)),
            Call::SetMax(max) => {
                self.ours.set_max_capacity(*max);
                self.theirs.set_max_capacity(*max);
                prop_assert_eq!(self.ours.max_capacity(), self.theirs.max_capacity());
                Ok(())
            }
            Call::IsEmpty => {
                prop_assert_eq!(self.ours.is_empty(), self.theirs.is_empty());
                let alive = self.known.iter().filter(|known| known.alive).count();
                prop_assert_eq!(self.ours.len(), alive);
                prop_assert_eq!(self.ours.handles().count(), alive);
                Ok(())
            }
            Call::Entries(ats) => self.entries(ats),
            Call::PushChild(kind, value, at) => match self.at(*at) {
                Some(at) => for_kind!(kind, self.push(*kind, *value, Some(at))),
                None => Ok(()),
            },
            Call::AddChild(a, b) | Call::RemoveChild(a, b) => match (self.at(*a), self.at(*b)) {
                (Some(a), Some(b)) if matches!(call, Call::AddChild(..)) => self.add_child(a, b),
                (Some(a), Some(b)) => self.remove_child(a, b),
                _ => Ok(()),
            },
            Call::Get(_, at)
            | Call::Set(_, at, _)
            | Call::Delete(_, at)
            | Call::Detach(_, at)
            | Call::Children(at) => {
                let Some(at) = self.at(*at) else {
                    return Ok(());
                };
                // Mostly the right type.
                let own = self.known[at].kind;
                let kind = |kind: u8| if kind == 0 { (own + 1) % 3 } else { own };
                match call {
                    Call::Get(k, _) => for_kind!(kind(*k), self.get(at)),
                    Call::Set(k, _, value) => for_kind!(kind(*k), self.set(at, *value)),
                    Call::Delete(k, _) => for_kind!(kind(*k), self.delete(at, false)),
                    Call::Detach(k, _) => for_kind!(kind(*k), self.delete(at, true)),
                    _ => self.children(at),
                }
            }
        }
    }
}

type TestResult = Result<(), TestCaseError>;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_those_of_resource_table(calls in calls()) {
        let mut both = Both::default();
        for call in &calls {
            both.run(call)?;
        }
    }
}
