//! What a table used by one thread must answer.

use std::sync::Arc;

use table_sync::{AnyHandle, Error};

/// A value, of one of two types, that says when it is gone.
#[derive(Debug)]
pub(crate) struct Value<const KIND: usize> {
    pub(crate) number: u32,
    /// One for each value that lives.
    _alive: Arc<()>,
}

impl<const KIND: usize> Value<KIND> {
    pub(crate) fn new(number: u32, alive: &Arc<()>) -> Self {
        Value {
            number,
            _alive: Arc::clone(alive),
        }
    }
}

/// An entry, kept when it has gone.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) handle: AnyHandle,
    pub(crate) kind: usize,
    pub(crate) number: u32,
    pub(crate) parent: Option<usize>,
    pub(crate) present: bool,
    /// Guards that share it, and whether one has it alone.
    pub(crate) shared: usize,
    pub(crate) exclusive: bool,
}

impl Known {
    fn held(&self) -> bool {
        self.shared > 0 || self.exclusive
    }

    /// It has a slot.
    fn takes_a_slot(&self) -> bool {
        self.present || self.held()
    }
}

/// All entries there ever were.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) known: Vec<Known>,
    /// Slots there are, and most there may be.
    pub(crate) slots: usize,
    pub(crate) max: usize,
}

impl Model {
    pub(crate) fn present(&self) -> usize {
        self.known.iter().filter(|known| known.present).count()
    }

    fn taken(&self) -> usize {
        self.known
            .iter()
            .filter(|known| known.takes_a_slot())
            .count()
    }

    /// Whether one more can be pushed.
    pub(crate) fn push(&self) -> Result<(), Error> {
        match self.taken() < self.slots || self.slots < self.max {
            true => Ok(()),
            false => Err(Error::Full),
        }
    }

    pub(crate) fn pushed(&mut self, handle: AnyHandle, kind: usize, number: u32) {
        if self.taken() == self.slots {
            self.slots += 1;
        }
        assert!(
            !self.known.iter().any(|known| known.handle == handle),
            "{handle:?} was issued twice"
        );
        let same_slot = |known: &&Known| known.handle.index() == handle.index();
        if let Some(other) = self
            .known
            .iter()
            .filter(same_slot)
            .find(|it| it.takes_a_slot())
        {
            panic!("{handle:?} has the slot of {other:?}");
        }
        self.known.push(Known {
            handle,
            kind,
            number,
            parent: None,
            present: true,
            shared: 0,
            exclusive: false,
        });
    }

    fn children(&self, at: usize) -> impl Iterator<Item = &Known> {
        let of = move |known: &&Known| known.present && known.parent == Some(at);
        self.known.iter().filter(of)
    }

    pub(crate) fn children_of(&self, at: usize) -> Result<Vec<AnyHandle>, Error> {
        if !self.known[at].present {
            return Err(Error::NotPresent);
        }
        let mut handles: Vec<_> = self.children(at).map(|child| child.handle).collect();
        handles.sort_unstable();
        Ok(handles)
    }

    pub(crate) fn look(&self, at: usize, kind: usize) -> Result<(), Error> {
        let known = &self.known[at];
        match (known.present, known.kind == kind) {
            (false, _) => Err(Error::NotPresent),
            (true, false) => Err(Error::WrongType),
            (true, true) => Ok(()),
        }
    }

    pub(crate) fn share(&self, at: usize, kind: usize) -> Result<(), Error> {
        self.look(at, kind)?;
        match self.known[at].exclusive {
            true => Err(Error::InUse),
            false => Ok(()),
        }
    }

    pub(crate) fn lock(&self, at: usize, kind: usize) -> Result<(), Error> {
        self.look(at, kind)?;
        match self.known[at].held() {
            true => Err(Error::InUse),
            false => Ok(()),
        }
    }

    pub(crate) fn detach(&self, at: usize, kind: usize) -> Result<(), Error> {
        if self.known[at].present && self.children(at).next().is_some() {
            return Err(Error::HasChildren);
        }
        self.look(at, kind)
    }

    pub(crate) fn delete(&self, at: usize, kind: usize) -> Result<(), Error> {
        self.detach(at, kind)?;
        self.lock(at, kind)
    }

    pub(crate) fn add_child(&self, child: usize, parent: usize) -> Result<(), Error> {
        let (child, parent) = (&self.known[child], &self.known[parent]);
        if !child.present || !parent.present {
            return Err(Error::NotPresent);
        }
        match child.parent {
            Some(_) => Err(Error::HasParent),
            None => Ok(()),
        }
    }

    pub(crate) fn remove_child(&self, child: usize, parent: usize) -> Result<(), Error> {
        if !self.known[child].present || !self.known[parent].present {
            return Err(Error::NotPresent);
        }
        match self.known[child].parent == Some(parent) {
            true => Ok(()),
            false => Err(Error::NotChild),
        }
    }

    pub(crate) fn gone(&mut self, at: usize) {
        let known = &mut self.known[at];
        known.present = false;
        known.parent = None;
    }
}
