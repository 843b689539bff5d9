//! Calls of a table by one thread that holds guards, beside a model.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use table_sync::{AnyHandle, Error, ExclusiveGuard, Handle, SharedGuard, Table};

use crate::input::Input;
use crate::plant::planted;
use crate::table_model::{Known, Model, Value};

/// Calls in a sequence.
const MOST: usize = 400;

type A = Value<0>;
type B = Value<1>;

/// A guard that is held, of which entry.
enum Guard<'t> {
    SharedA(SharedGuard<'t, A>),
    SharedB(SharedGuard<'t, B>),
    ExclusiveA(ExclusiveGuard<'t, A>),
    ExclusiveB(ExclusiveGuard<'t, B>),
}

struct Sequence<'t, 'a> {
    input: Input<'a>,
    table: &'t Table,
    model: Model,
    held: Vec<(usize, Guard<'t>)>,
    alive: Arc<()>,
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // Slots that wear out would have the model count them, so there are none.
    let table = Table::with_capacity(input.below(9));
    let max = table.max_capacity();
    let alive = Arc::new(());
    let mut sequence = Sequence {
        input,
        table: &table,
        model: Model {
            known: Vec::new(),
            slots: 0,
            max,
        },
        held: Vec::new(),
        alive: Arc::clone(&alive),
    };
    for _ in 0..MOST {
        if sequence.input.is_empty() {
            break;
        }
        sequence.call();
    }
    sequence.check();
    drop(sequence);
    drop(table);
    assert_eq!(Arc::strong_count(&alive), 1, "a value is left");
}

/// The result of a future's first poll. No other thread can be in its way.
fn at_once<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::InUse),
    }
}

fn same<T>(ours: Result<T, Error>, model: Result<(), Error>, what: &str) -> Option<T> {
    assert_eq!(
        ours.as_ref().map(|_| ()).map_err(|error| *error),
        model,
        "{what}"
    );
    ours.ok()
}

impl<'t> Sequence<'t, '_> {
    /// An entry, perhaps one that has gone.
    fn at(&mut self) -> Option<usize> {
        let number = usize::from(self.input.u8());
        (!self.model.known.is_empty()).then(|| number % self.model.known.len())
    }

    /// Mostly its own type.
    fn kind(&mut self, at: usize) -> usize {
        let own = self.model.known[at].kind;
        if self.input.u8() == 7 { 1 - own } else { own }
    }

    fn handle<T>(&self, at: usize) -> Handle<T> {
        self.model.known[at].handle.typed()
    }

    fn call(&mut self) {
        let choice = self.input.below(16);
        match choice {
            0..=2 => return self.push(),
            3 => return self.release(),
            4 => return self.set_max(),
            5 => return self.any_number(),
            _ => {}
        }
        let Some(at) = self.at() else { return };
        match choice {
            6 => self.push_child(at),
            7 => self.add_child(at),
            8 => self.remove_child(at),
            9 => self.children(at),
            10 | 11 => self.share(at),
            12 | 13 => self.lock(at),
            14 => self.delete(at),
            _ => self.detach(at),
        }
    }

    fn push(&mut self) {
        let number = self.input.u32();
        let kind = number as usize & 1;
        let pushed = match kind {
            0 => self
                .table
                .push(A::new(number, &self.alive))
                .map(|it| it.any()),
            _ => self
                .table
                .push(B::new(number, &self.alive))
                .map(|it| it.any()),
        };
        let mut expected = self.model.push();
        let detached = |known: &Known| !known.present && known.shared > 0;
        if planted("slot-lost") && self.model.known.iter().any(detached) {
            expected = Err(Error::Full);
        }
        if let Some(handle) = same(pushed, expected, "push") {
            self.model.pushed(handle, kind, number);
        }
    }

    fn push_child(&mut self, parent: usize) {
        let number = self.input.u32();
        let value = A::new(number, &self.alive);
        let pushed = self.table.push_child(value, &self.handle::<B>(parent));
        let expected = match self.model.known[parent].present {
            true => self.model.push(),
            false => Err(Error::NotPresent),
        };
        if let Some(handle) = same(pushed, expected, "push_child") {
            self.model.pushed(handle.any(), 0, number);
            self.model.known.last_mut().expect("it was pushed").parent = Some(parent);
        }
    }

    fn add_child(&mut self, child: usize) {
        let Some(parent) = self.at() else { return };
        let (a, b) = (self.handle::<A>(child), self.handle::<B>(parent));
        let expected = self.model.add_child(child, parent);
        if same(self.table.add_child(a, b), expected, "add_child").is_some() {
            self.model.known[child].parent = Some(parent);
        }
    }

    fn remove_child(&mut self, child: usize) {
        let parent = match self.input.u8() & 1 {
            0 => self.model.known[child].parent,
            _ => self.at(),
        };
        let Some(parent) = parent else { return };
        let (a, b) = (self.handle::<A>(child), self.handle::<B>(parent));
        let expected = self.model.remove_child(child, parent);
        if same(self.table.remove_child(a, b), expected, "remove_child").is_some() {
            self.model.known[child].parent = None;
        }
    }

    fn children(&mut self, at: usize) {
        let ours = self.table.children(&self.handle::<A>(at));
        let ours = ours.map(|mut children| {
            children.sort_unstable();
            children
        });
        assert_eq!(ours, self.model.children_of(at), "children");
    }

    fn share(&mut self, at: usize) {
        let (kind, way) = (self.kind(at), self.input.below(3));
        let expected = self.model.share(at, kind);
        // A form that waits would wait for this thread.
        let way = if expected == Err(Error::InUse) {
            way % 2
        } else {
            way
        };
        let (a, b) = (self.handle::<A>(at), self.handle::<B>(at));
        let guard = match (kind, way) {
            (0, 0) => self.table.try_get(&a).map(Guard::SharedA),
            (0, 1) => at_once(self.table.get_async(&a)).map(Guard::SharedA),
            (0, _) => self.table.get(&a).map(Guard::SharedA),
            (_, 0) => self.table.try_get(&b).map(Guard::SharedB),
            (_, 1) => at_once(self.table.get_async(&b)).map(Guard::SharedB),
            (_, _) => self.table.get(&b).map(Guard::SharedB),
        };
        let mut told = guard.as_ref().map(|_| ()).map_err(|error| *error);
        let slot = self.model.known[at].handle.index();
        let reused = |known: &Known| known.present && known.handle.index() == slot;
        if planted("stale-handle") && self.model.known.iter().any(reused) {
            told = Ok(());
        }
        assert_eq!(told, expected, "share");
        let Ok(guard) = guard else { return };
        let number = match &guard {
            Guard::SharedA(value) => value.number,
            Guard::SharedB(value) => value.number,
            Guard::ExclusiveA(_) | Guard::ExclusiveB(_) => unreachable!("it is shared"),
        };
        assert_eq!(number, self.model.known[at].number, "the value");
        self.keep(at, guard);
    }

    fn lock(&mut self, at: usize) {
        let (kind, way, number) = (self.kind(at), self.input.below(3), self.input.u32());
        let expected = self.model.lock(at, kind);
        let way = if expected == Err(Error::InUse) {
            way % 2
        } else {
            way
        };
        let (a, b) = (self.handle::<A>(at), self.handle::<B>(at));
        let guard = match (kind, way) {
            (0, 0) => self.table.try_get_mut(&a).map(Guard::ExclusiveA),
            (0, 1) => at_once(self.table.get_mut_async(&a)).map(Guard::ExclusiveA),
            (0, _) => self.table.get_mut(&a).map(Guard::ExclusiveA),
            (_, 0) => self.table.try_get_mut(&b).map(Guard::ExclusiveB),
            (_, 1) => at_once(self.table.get_mut_async(&b)).map(Guard::ExclusiveB),
            (_, _) => self.table.get_mut(&b).map(Guard::ExclusiveB),
        };
        let Some(mut guard) = same(guard, expected, "lock") else {
            return;
        };
        let place = match &mut guard {
            Guard::ExclusiveA(value) => &mut value.number,
            Guard::ExclusiveB(value) => &mut value.number,
            Guard::SharedA(_) | Guard::SharedB(_) => unreachable!("it is exclusive"),
        };
        let was = std::mem::replace(place, number);
        let known = &mut self.model.known[at];
        assert_eq!(
            was,
            std::mem::replace(&mut known.number, number),
            "the value"
        );
        self.keep(at, guard);
    }

    /// Holds a guard, or lets it go at once.
    fn keep(&mut self, at: usize, guard: Guard<'t>) {
        if self.held.len() == 5 || self.input.u8() & 1 == 0 {
            return;
        }
        let known = &mut self.model.known[at];
        match guard {
            Guard::SharedA(_) | Guard::SharedB(_) => known.shared += 1,
            Guard::ExclusiveA(_) | Guard::ExclusiveB(_) => known.exclusive = true,
        }
        self.held.push((at, guard));
    }

    /// Lets a guard go. Its value is as it was left, though its entry may have gone.
    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let which = self.input.below(self.held.len());
        let (at, guard) = self.held.swap_remove(which);
        let known = &mut self.model.known[at];
        let number = match &guard {
            Guard::SharedA(value) => value.number,
            Guard::SharedB(value) => value.number,
            Guard::ExclusiveA(value) => value.number,
            Guard::ExclusiveB(value) => value.number,
        };
        assert_eq!(number, known.number, "the value of a guard");
        match guard {
            Guard::SharedA(_) | Guard::SharedB(_) => known.shared -= 1,
            Guard::ExclusiveA(_) | Guard::ExclusiveB(_) => known.exclusive = false,
        }
        drop(guard);
        if !known.present && known.shared == 0 && !known.exclusive {
            self.check();
        }
    }

    fn delete(&mut self, at: usize) {
        let (kind, way) = (self.kind(at), self.input.below(3));
        let expected = self.model.delete(at, kind);
        let way = if expected == Err(Error::InUse) {
            way % 2
        } else {
            way
        };
        let (a, b) = (self.handle::<A>(at), self.handle::<B>(at));
        let number = match (kind, way) {
            (0, 0) => self.table.try_delete(a).map(|value| value.number),
            (0, 1) => at_once(self.table.delete_async(a)).map(|value| value.number),
            (0, _) => self.table.delete(a).map(|value| value.number),
            (_, 0) => self.table.try_delete(b).map(|value| value.number),
            (_, 1) => at_once(self.table.delete_async(b)).map(|value| value.number),
            (_, _) => self.table.delete(b).map(|value| value.number),
        };
        if let Some(number) = same(number, expected, "delete") {
            assert_eq!(number, self.model.known[at].number, "the value");
            self.model.gone(at);
        }
    }

    fn detach(&mut self, at: usize) {
        let kind = self.kind(at);
        let expected = self.model.detach(at, kind);
        let detached = match kind {
            0 => self.table.detach(self.handle::<A>(at)),
            _ => self.table.detach(self.handle::<B>(at)),
        };
        if same(detached, expected, "detach").is_some() {
            self.model.gone(at);
        }
    }

    fn set_max(&mut self) {
        self.model.max = self.input.below(24);
        self.table.set_max_capacity(self.model.max);
        assert_eq!(self.table.max_capacity(), self.model.max);
        self.check();
    }

    /// A number that may name something, as a handle and as a `rep`.
    fn any_number(&mut self) {
        let number = match self.input.u8() & 1 {
            0 => self.input.u64(),
            _ => u64::from(self.input.u8()) << 32 | u64::from(self.input.u8() % 32),
        };
        let Some(handle) = AnyHandle::from_raw(number) else {
            assert_eq!(number >> 32, 0);
            return;
        };
        let named = |known: &&Known| known.handle == handle && known.present;
        let expected = match self.model.known.iter().find(named) {
            Some(known) if known.kind != 0 => Err(Error::WrongType),
            Some(known) if known.exclusive => Err(Error::InUse),
            Some(_) => Ok(()),
            None => Err(Error::NotPresent),
        };
        same(
            self.table.try_get(&handle.typed::<A>()),
            expected,
            "any number",
        );
        let found = self.table.handle_of_rep(number as u32);
        if let Some(found) = found {
            assert_eq!(found.to_rep(), Some(number as u32), "a rep of another");
        }
    }

    fn check(&self) {
        let present = self.model.present();
        assert_eq!(self.table.len(), present, "len");
        assert_eq!(self.table.is_empty(), present == 0);
        let mut ours: Vec<_> = self.table.handles().collect();
        ours.sort_unstable();
        let mut handles: Vec<_> = self
            .model
            .known
            .iter()
            .filter(|known| known.present)
            .map(|known| known.handle)
            .collect();
        handles.sort_unstable();
        assert_eq!(ours, handles, "handles");
        for handle in handles {
            let back = handle
                .to_rep()
                .and_then(|rep| self.table.handle_of_rep(rep));
            assert_eq!(back, Some(handle), "the handle of a rep");
        }
        // The model's, each entry's own value, and the one of this.
        let values = self
            .model
            .known
            .iter()
            .filter(|known| known.present || known.shared > 0 || known.exclusive);
        assert_eq!(Arc::strong_count(&self.alive), values.count() + 2, "values");
    }
}
