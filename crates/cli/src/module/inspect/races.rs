//! Whether data races of a module can be looked for.

use wasi_threads::rewrite::{AccessOp, Recorded, RewriteOptions, rewrite_with};
use wasm_races::Place;
use wasm_symbols::escape;

use crate::message::error_text::one_line;

use super::facts::Facts;

/// Places that are functions of WASI, at most.
const FUNCTIONS: u32 = 256;

impl Facts {
    /// Whether `--races` can look at the module, and what would be missing in its reports.
    pub(super) fn races(&self, wasm: &[u8]) -> String {
        let mut options = RewriteOptions::default();
        options.recorded = Some(Recorded::Races);
        let rewritten = match rewrite_with(wasm, &options) {
            Ok(rewritten) => rewritten,
            Err(error) => {
                let why = format!("cannot be looked for: {}", one_line(&error));
                return escape(&why, usize::MAX).to_string();
            }
        };
        let accesses = rewritten.access_sites.iter().filter(|site| {
            let calls = [AccessOp::HostCall, AccessOp::Allocate, AccessOp::Free];
            !calls.contains(&site.op)
        });
        let (places, sites) = (rewritten.access_sites.len(), accesses.count());
        let allocator = match &rewritten.allocator[..] {
            [] => "; no allocator is known, so reports do not name blocks of memory".to_owned(),
            names => format!(
                "; blocks of memory are known by calls of {}",
                names.join(", ")
            ),
        };
        let place = u32::try_from(places + FUNCTIONS as usize)
            .ok()
            .and_then(Place::new);
        let unknown = match (self.names, self.dwarf) {
            (true, true) => "",
            (true, false) => ", by function: there is no debug information with lines",
            (false, true) => ", by line: there are no names",
            (false, false) => ", by offset: there are neither names nor debug information",
        };
        match (place, sites) {
            (_, 0) => "there are none: no instruction accesses a shared memory".to_owned(),
            (None, _) => format!(
                "cannot be looked for: {places} instructions access shared memory, and {} are told apart",
                Place::MAX - FUNCTIONS
            ),
            _ if self.spawn.is_none() => {
                "there are none: it does not import wasi.thread-spawn".to_owned()
            }
            (Some(_), sites) => {
                format!("--races looks at {sites} accesses of shared memory{unknown}{allocator}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    fn races(text: &str) -> String {
        let wasm = wat::parse_str(text).unwrap();
        Facts::of(&wasm).unwrap().races(&wasm)
    }

    #[test]
    fn what_can_be_looked_at_is_told() {
        let spawn = r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#;
        let memory = r#"(import "env" "memory" (memory 1 1 shared))"#;
        let store = "(func $f (i32.store (i32.const 0) (i32.const 1)))";
        let looked_at = races(&format!("(module {spawn} {memory} {store})"));
        assert_eq!(
            looked_at,
            "--races looks at 1 accesses of shared memory, by function: there is no debug information with lines; \
             no allocator is known, so reports do not name blocks of memory"
        );
        let nameless = store.replace("$f ", "");
        let looked_at = races(&format!("(module {spawn} {memory} {nameless})"));
        assert!(
            looked_at.contains("neither names nor debug information;"),
            "{looked_at}"
        );
        let allocator = r#"(func $free (param i32)) (func $malloc (param i32) (result i32) unreachable)
            (func (export "calloc") (param i64))"#;
        let looked_at = races(&format!("(module {spawn} {memory} {store} {allocator})"));
        assert!(
            looked_at.ends_with("by calls of free, malloc"),
            "{looked_at}"
        );
        for (module, why) in [
            (
                format!("(module {memory} {store})"),
                "does not import wasi.thread-spawn",
            ),
            (
                format!("(module {spawn} (memory 1) {store})"),
                "no instruction accesses a shared memory",
            ),
            (
                format!("(module {spawn} {memory})"),
                "no instruction accesses a shared memory",
            ),
        ] {
            let said = races(&module);
            assert!(
                said.starts_with("there are none: ") && said.contains(why),
                "{said}"
            );
        }
        let invalid = "(module (func (drop (i32.add (i64.const 1) (i32.const 2)))))";
        assert!(races(invalid).starts_with("cannot be looked for: "));
    }
}
