//! What a module lacks to run here.

use std::collections::HashMap;

use p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync, add_unstable_to_linker_sync};
use wasi_threads::abi::{
    INITIALIZE, SPAWN_MODULE, SPAWN_NAME, START, START_TYPE, THREAD_START, THREAD_START_TYPE,
};
use wasmtime::{Engine, ExternType, Linker, Store};

use super::facts::{Facts, function_type};
use crate::message::link_flags;
use crate::module::near_names::near;

const REBUILD: &str = "as it was built for: build it with a current toolchain";

/// The types of WASI's functions, as text, by module and name.
pub(super) type Known = HashMap<(String, String), String>;

/// The functions that `run` links.
pub(super) fn known() -> wasmtime::Result<Known> {
    let engine = Engine::default();
    let mut linker: Linker<P1State> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;
    add_unstable_to_linker_sync(&mut linker, |state| state)?;
    let mut store = Store::new(&engine, P1State::new(P1CtxBuilder::new().build()?));
    let functions: Vec<_> = linker
        .iter(&mut store)
        .map(|(module, name, item)| (module.to_owned(), name.to_owned(), item))
        .collect();
    let mut known = Known::new();
    for (module, name, item) in functions {
        if let ExternType::Func(ty) = item.ty(&store) {
            let params = ty.params().map(|ty| ty.to_string());
            let results = ty.results().map(|ty| ty.to_string());
            known.insert((module, name), function_type(params, results));
        }
    }
    Ok(known)
}

/// A suggestion for an import whose name is nearly right.
fn meant(module: &str, name: &str, known: &Known) -> Option<String> {
    let known = known.keys().map(|(module, name)| (&**module, &**name));
    let (module, name) = near(module, name, known.chain([(SPAWN_MODULE, SPAWN_NAME)]))?;
    Some(format!(
        "here it is `{module}.{name}`, import it under that name"
    ))
}

impl Facts {
    /// What it lacks to run here, each with the remedy.
    ///
    /// `known`: the functions of WASI that `run` links.
    pub(super) fn missing(&self, known: &Known) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        let mut miss = |what: &str| missing.push(what.to_owned());
        let runs = [START, INITIALIZE, ""]
            .iter()
            .any(|name| self.exported(name).is_some());
        let only_starts =
            self.has_start_section && self.spawn.is_none() && self.preview1.is_empty();
        if !runs && !only_starts {
            miss("no `_start`: link it as a command");
        }
        let shape = self.shape();
        for refusal in shape.refusals() {
            miss(&match link_flags::of_shape(&refusal) {
                Some((why, help)) => format!("{why}: {help}"),
                None => refusal.to_string(),
            });
        }
        if self.spawn.is_some() && self.exported(THREAD_START).is_none() {
            miss(
                "no `wasi_thread_start`, so every spawn fails: link with --export=wasi_thread_start \
                 (wasi-libc for threads has it)",
            );
        }
        let called = self.preview1.first().map(|(_, name, _)| name.as_str());
        if let Some((why, help)) = link_flags::of_wasi(&shape, called) {
            miss(&format!("{why}: {help}"));
        }
        for (name, wanted) in [
            (START, START_TYPE),
            (INITIALIZE, START_TYPE),
            (THREAD_START, THREAD_START_TYPE),
        ] {
            let wanted = wanted.to_string();
            match (self.exported(name), self.exports.get(name)) {
                (Some(ty), _) if ty != wanted => {
                    miss(&format!(
                        "`{name}` is {ty}, and not {wanted}: build it with a current toolchain"
                    ));
                }
                (None, Some(_)) => miss(&format!(
                    "`{name}` is not a function: export the function under that name"
                )),
                _ => {}
            }
        }
        for (module, name, ty) in &self.preview1 {
            let ty = self.type_of(*ty);
            match known.get(&(module.clone(), name.clone())) {
                None => match meant(module, name, known) {
                    Some(meant) => miss(&format!("`{module}` has no function `{name}`: {meant}")),
                    None => miss(&format!("`{module}` has no function `{name}`, {REBUILD}")),
                },
                Some(there) if there != ty => miss(&format!(
                    "`{module}.{name}` is {there}, and not {ty}, {REBUILD}"
                )),
                Some(_) => {}
            }
        }
        for (module, others) in &self.other {
            for (kind, name) in others {
                match meant(module, name, known) {
                    Some(meant) => miss(&format!(
                        "nothing provides the {kind} `{module}.{name}`: {meant}"
                    )),
                    None => miss(&format!(
                        "nothing provides the {kind} `{module}.{name}`: link it in, or run with `--preload {module}=MODULE`"
                    )),
                }
            }
        }
        missing
    }
}
