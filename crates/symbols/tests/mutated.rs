//! Bytes of any kind: nothing panics, overflows its stack or takes long.

#![cfg(feature = "lookup")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::Guest;
use integration_tests::debug_info::{line_table, nested, trapping};
use proptest::prelude::*;
use wasm_symbols::{Limits, Place, Printer, Symbols, escape};

/// What a fuzzer calls. It looks some places up in the module, as it is and as [`Symbols::keep`]
/// keeps it.
fn fuzz(data: &[u8]) {
    let mut limits = Limits::default();
    limits.steps = 200_000;
    limits.time = Duration::from_secs(10);
    let printer = Printer::new(limits);
    let began = Instant::now();
    for module in [data.to_vec(), Symbols::keep(data)] {
        let symbols = Arc::new(Symbols::new(module));
        let place = |at: u32| Place::new(at % 9).offset(at as usize * 3).symbols(&symbols);
        let trace = printer.look_up((0..60).map(place).collect());
        assert_eq!(trace.frames().len(), 60);
        let shown = trace.to_string();
        assert!(shown.chars().all(|char| char == '\n' || !char.is_control()));
        assert!(shown.len() < 2 << 20);
    }
    // A name, too.
    let text = String::from_utf8_lossy(data);
    let name = &text[..text.floor_char_boundary(300)];
    printer.look_up(vec![Place::new(0).function_name(name)]);
    assert!(escape(&text, 50).to_string().chars().count() <= 53);
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}

fn seeds() -> Vec<Vec<u8>> {
    let guest = |name| std::fs::read(Guest::c(name).path()).unwrap();
    vec![
        trapping("f", &nested(9, true)),
        trapping("_ZN3foo17h05af221e174051e9E", &line_table(20, 30)),
        guest("mutex_condvar"),
        guest("ending"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn modules_with_wrong_bytes(
        seed in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut module = seeds().swap_remove(seed);
        for (at, byte) in changes {
            let at = at.index(module.len());
            module[at] = byte;
        }
        if let Some(cut) = cut {
            module.truncate(cut.index(module.len()));
        }
        fuzz(&module);
    }

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz(&data);
    }

    #[test]
    fn any_names(name in "(_Z|_R|_ZN|)[A-Za-z0-9_$.]{0,200}") {
        fuzz(name.as_bytes());
    }
}
