//! Where the guest's memory is, and what lies outside it.

use crate::guest::*;
use p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync};
use wasmtime::{Linker, Module, Store, Val};

const IMPORT: &str =
    r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;

fn linker() -> Linker<P1State> {
    let mut linker = Linker::new(&WORLD.engine);
    add_to_linker_sync(&mut linker, |state| state).unwrap();
    linker
}

#[test]
fn a_start_function_may_call() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let text = format!(
        r#"(module {IMPORT} (memory (export "memory") 1)
            (func $start (if (call $random (i32.const 0) (i32.const 16)) (then unreachable)))
            (start $start))"#
    );
    let module = Module::new(&WORLD.engine, text).unwrap();
    let mut store = Store::new(&WORLD.engine, P1State::new(ctx));
    let instance = linker().instantiate(&mut store, &module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert_ne!(memory.data(&store)[..16], [0; 16]);
}

#[test]
fn two_instances_in_one_store_have_a_memory_each() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let text = format!(
        r#"(module {IMPORT} (memory (export "memory") 1)
            (func (export "go") (if (call $random (i32.const 0) (i32.const 16)) (then unreachable))))"#
    );
    let module = Module::new(&WORLD.engine, text).unwrap();
    let mut store = Store::new(&WORLD.engine, P1State::with_lookup(ctx));
    let first = linker().instantiate(&mut store, &module).unwrap();
    let second = linker().instantiate(&mut store, &module).unwrap();
    second
        .get_typed_func::<(), ()>(&mut store, "go")
        .unwrap()
        .call(&mut store, ())
        .unwrap();
    let bytes = |store: &mut Store<P1State>, instance: &wasmtime::Instance| {
        instance
            .get_memory(&mut *store, "memory")
            .unwrap()
            .data(&*store)[..16]
            .to_vec()
    };
    assert_eq!(bytes(&mut store, &first), [0; 16]);
    assert_ne!(bytes(&mut store, &second), [0; 16]);
    first
        .get_typed_func::<(), ()>(&mut store, "go")
        .unwrap()
        .call(&mut store, ())
        .unwrap();
    assert_ne!(bytes(&mut store, &first), bytes(&mut store, &second));
}

#[test]
fn a_memory_that_grows_is_followed() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let text = format!(
        r#"(module {IMPORT} (memory (export "memory") 1)
            (func (export "go") (result i32)
                (if (call $random (i32.const 0) (i32.const 16)) (then unreachable))
                (drop (memory.grow (i32.const 100)))
                (if (call $random (i32.const 6000000) (i32.const 16)) (then unreachable))
                (i32.load (i32.const 6000000))))"#
    );
    let module = Module::new(&WORLD.engine, text).unwrap();
    let mut store = Store::new(&WORLD.engine, P1State::new(ctx));
    let instance = linker().instantiate(&mut store, &module).unwrap();
    let go = instance
        .get_typed_func::<(), i32>(&mut store, "go")
        .unwrap();
    assert_ne!(go.call(&mut store, ()).unwrap(), 0);
}

#[test]
fn no_memory_is_an_error_and_not_a_panic() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let text = format!(
        r#"(module {IMPORT} (func (export "go") (drop (call $random (i32.const 0) (i32.const 1)))))"#
    );
    let module = Module::new(&WORLD.engine, text).unwrap();
    let mut store = Store::new(&WORLD.engine, P1State::new(ctx));
    let instance = linker().instantiate(&mut store, &module).unwrap();
    let error = instance
        .get_typed_func::<(), ()>(&mut store, "go")
        .unwrap()
        .call(&mut store, ())
        .unwrap_err();
    assert!(format!("{error:?}").contains("memory"), "{error:?}");
}

#[test]
fn what_lies_outside_the_memory_traps_and_nothing_is_done() {
    both(|guest, dir| {
        let fd = guest.create("f");
        let end = 4 * 65536;
        for (buf, len) in [
            (end - 3, 4),
            (end, 1),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
            (0, u32::MAX),
        ] {
            let [list, count] = guest.iovs(&[(DATA, 8), (buf, len)]);
            let args = [Val::I32(fd), list, count, Val::I32(OUT as i32)];
            assert!(guest.try_call("fd_write", &args).is_err());
            assert!(guest.try_call("fd_read", &args).is_err());
        }
        // A list that is out of bounds or misaligned traps; one that is too long is not paid for,
        // and not looked at.
        for (list, count, answer) in [
            (end as i32 - 4, 1, None),
            (-8, 1, None),
            (1, 1, None),
            (1024, i32::MAX, Some(NOMEM)),
            (1024, -1, Some(NOMEM)),
        ] {
            let args = [
                Val::I32(fd),
                Val::I32(list),
                Val::I32(count),
                Val::I32(OUT as i32),
            ];
            let answered = guest.try_call("fd_write", &args).ok();
            assert_eq!(answered, answer, "{list} {count}");
        }
        assert_eq!(std::fs::metadata(dir.join("f")).unwrap().len(), 0);
        assert!(
            guest
                .try_call("fd_tell", &[Val::I32(fd), Val::I32(end as i32)])
                .is_err()
        );
        assert!(
            guest
                .try_call("fd_tell", &[Val::I32(fd), Val::I32(OUT as i32 + 1)])
                .is_err()
        );
        let p = Val::I32(end as i32 - 2);
        assert!(
            guest
                .try_call("path_unlink_file", &[Val::I32(DIR), p, Val::I32(3)])
                .is_err()
        );
    });
}

#[test]
fn bad_strings_are_errnos() {
    both(|guest, _| {
        guest.write(DATA, &[0xFF, 0xFE]);
        let path = |len| [Val::I32(DIR), Val::I32(DATA as i32), Val::I32(len)];
        assert_eq!(guest.call("path_unlink_file", &path(2)), ILSEQ);
        guest.write(DATA, &vec![b'a'; 70_000]);
        // Windows may say that there is nothing of that name.
        let said = guest.call("path_unlink_file", &path(65_536));
        assert!(
            said == NAMETOOLONG || cfg!(windows) && said == NOENT,
            "the system's limit: {said}"
        );
        assert_eq!(
            guest.call("path_unlink_file", &path(65_537)),
            NAMETOOLONG,
            "the context's"
        );
        assert_eq!(guest.call("path_unlink_file", &path(0)), NOENT);
        guest.write(DATA, b"a\0b");
        let said = guest.call("path_unlink_file", &path(3));
        assert!(said == INVAL || cfg!(windows) && said == NOENT, "{said}");
        guest.store.set_hostcall_fuel(5);
        guest.write(DATA, b"abcdef");
        assert_eq!(guest.call("path_unlink_file", &path(5)), NOENT);
        assert_eq!(guest.call("path_unlink_file", &path(6)), NOMEM);
    });
}
