//! The names of a profile's frames.

use wasi_threads::{Activity, Profile};
use wasm_symbols::Bound;

use crate::report::backtraces::Backtraces;

/// The names of a profile's frames: each frame is a function, and those that were inlined into it.
#[derive(Debug)]
pub(crate) struct Named {
    /// The functions of each frame, the outermost first.
    frames: Vec<Vec<Function>>,
    /// The bound that was exceeded, if something is missing.
    pub(crate) exceeded: Option<Bound>,
}

/// A function with its file and line, and its escaped name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

impl Named {
    pub(crate) fn of(profile: &Profile, backtraces: &Backtraces) -> Self {
        let trace = backtraces.look_up(&profile.frames);
        let functions = |frame: &wasm_symbols::Frame| {
            let own = || match frame.function_name() {
                Some(name) if !name.is_empty() => name.to_owned(),
                _ => format!("<wasm function {}>", frame.function()),
            };
            let sources = frame.sources();
            let mut functions: Vec<_> = (sources.iter().enumerate().rev())
                .map(|(index, source)| Function {
                    name: match source.name() {
                        Some(name) => name.to_owned(),
                        None if index + 1 == sources.len() => own(),
                        None => "<inlined function>".to_owned(),
                    },
                    file: source.file().map(str::to_owned),
                    line: source.line(),
                })
                .collect();
            if functions.is_empty() {
                functions.push(Function {
                    name: own(),
                    file: None,
                    line: None,
                });
            }
            functions
        };
        Named {
            frames: trace.frames().iter().map(functions).collect(),
            exceeded: trace.exceeded(),
        }
    }

    /// All functions, with each place in them. Some are there several times.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.frames.iter().flatten()
    }

    /// The functions of a stack, the outermost first, and whether outer ones are missing.
    pub(crate) fn stack(
        &self,
        profile: &Profile,
        stack: usize,
    ) -> (bool, impl Iterator<Item = &Function>) {
        let stack = profile.stacks.get(stack);
        let frames = stack.map_or(&[][..], |stack| &stack.frames);
        let functions = frames
            .iter()
            .rev()
            .filter_map(|at| self.frames.get(*at as usize));
        (stack.is_some_and(|stack| stack.cut), functions.flatten())
    }
}

/// The root of a stack that was cut, in place of the missing frames.
pub(crate) const DEEPER: &str = "(deeper than is shown)";

/// What the innermost frame called, if that is not wasm.
pub(crate) fn called(activity: Activity) -> Option<&'static str> {
    match activity {
        Activity::Wasm => None,
        Activity::Runtime => Some("(runtime: memory.copy, memory.fill, memory.grow, ...)"),
        Activity::HostCall(name) => Some(name.unwrap_or("(host call)")),
        Activity::Wait => Some("memory.atomic.wait"),
        _ => Some("(unknown)"),
    }
}
