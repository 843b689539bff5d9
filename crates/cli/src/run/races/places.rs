//! Places of a program: instructions, and functions of WASI.

use wasi_threads::rewrite::AccessSite;
use wasm_races::Place;

use crate::report::calls::NAMES;

/// The numbers of places: an instruction's is its index, and those of WASI's functions follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct RacePlaces {
    sites: u32,
}

/// What a place is.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// The instruction with this index.
    Instruction(u32),
    /// This function of WASI, which the host runs.
    Function(&'static str),
    /// A thread that had done nothing yet.
    Nowhere,
}

impl RacePlaces {
    /// Of a module with these instructions; `None` if they are too many.
    pub(super) fn of(sites: &[AccessSite]) -> Option<Self> {
        let sites = u32::try_from(sites.len()).ok()?;
        let last = sites.checked_add(NAMES.len() as u32 + 1)?;
        Place::new(last).map(|_| Self { sites })
    }

    pub(super) fn instruction(self, site: u32) -> Place {
        self.number(site.min(self.sites))
    }

    pub(super) fn function(self, name: &str) -> Place {
        // Paths are told of whichever call.
        let at = NAMES.iter().position(|known| *known == name);
        self.number(self.sites + at.unwrap_or(NAMES.len()) as u32)
    }

    pub(super) fn nowhere(self) -> Place {
        self.number(self.sites + NAMES.len() as u32 + 1)
    }

    pub(super) fn what(self, place: Place) -> What {
        match place.get().checked_sub(self.sites) {
            None => What::Instruction(place.get()),
            Some(at) => match NAMES.get(at as usize) {
                Some(name) => What::Function(name),
                None if at as usize == NAMES.len() => What::Function("path"),
                None => What::Nowhere,
            },
        }
    }

    fn number(self, number: u32) -> Place {
        // Below the last one, which was looked at.
        Place::new(number).unwrap_or_default()
    }
}
