//! Where the compiled code of a group lies.

use std::ops::Range;
use std::sync::OnceLock;

use wasmtime::Module;

/// The text of a group's modules: ranges of addresses.
///
/// Signal handlers read it. What they look at is made before they can run, and does not change.
#[derive(Debug)]
pub(crate) struct Code {
    modules: Vec<Module>,
    texts: Vec<Range<usize>>,
    /// Bodies of functions, sorted; made at the first walk. Code in a text and in no body is a
    /// trampoline.
    bodies: OnceLock<Vec<Range<usize>>>,
}

impl Code {
    /// That of `modules`.
    pub(crate) fn new(modules: impl Iterator<Item = Module>) -> Self {
        let modules: Vec<_> = modules.collect();
        let text = |module: &Module| {
            let range = module.text().as_ptr_range();
            range.start.addr()..range.end.addr()
        };
        Self {
            texts: modules.iter().map(text).collect(),
            modules,
            bodies: OnceLock::new(),
        }
    }

    /// The modules.
    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The texts, one for each module.
    pub(crate) fn texts(&self) -> &[Range<usize>] {
        &self.texts
    }

    /// Whether `address` is in one of the texts. For handlers, too.
    pub(crate) fn has(&self, address: usize) -> bool {
        self.texts.iter().any(|text| text.contains(&address))
    }

    /// The position of `address` in all texts, taken one behind the other. It has half the size of
    /// an address. Handlers may call it, too.
    pub(crate) fn position(&self, address: usize) -> Option<u32> {
        let mut before = 0;
        for text in &self.texts {
            if text.contains(&address) {
                return u32::try_from(before + (address - text.start)).ok();
            }
            before += text.len();
        }
        None
    }

    /// The address of a [`position`](Self::position).
    pub(crate) fn address(&self, position: u32) -> Option<usize> {
        let mut left = position as usize;
        for text in &self.texts {
            if left < text.len() {
                return Some(text.start + left);
            }
            left -= text.len();
        }
        None
    }

    /// Makes the list of bodies. Before [`is_body`](Self::is_body) is asked by a handler.
    pub(crate) fn list_bodies(&self) {
        self.bodies.get_or_init(|| {
            let mut bodies = Vec::new();
            for (module, text) in self.modules.iter().zip(&self.texts) {
                bodies.extend(module.functions().map(|function| {
                    let start = text.start + function.offset;
                    start..start + function.len
                }));
            }
            bodies.sort_unstable_by_key(|body| body.start);
            bodies
        });
    }

    /// Whether `address` is in the body of a function; `None` before the list is made. For
    /// handlers, too.
    pub(crate) fn is_body(&self, address: usize) -> Option<bool> {
        let bodies = self.bodies.get()?;
        let next = bodies.partition_point(|body| body.start <= address);
        let last = next.checked_sub(1).map(|index| &bodies[index]);
        Some(last.is_some_and(|body| body.contains(&address)))
    }
}
