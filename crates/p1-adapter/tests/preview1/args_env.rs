//! Arguments and environment.

use crate::guest::{DATA, Guest, OK, OUT};
use p1_adapter::{BuildError, P1CtxBuilder};
use wasmtime::Val;

fn strings(guest: &mut Guest, get: &str, sizes: &str) -> Vec<String> {
    assert_eq!(
        guest.call(sizes, &[Val::I32(OUT as i32), Val::I32(OUT as i32 + 4)]),
        OK
    );
    let (count, size) = (guest.u32(OUT), guest.u32(OUT + 4));
    let buf = DATA + 0x1000;
    guest.write(buf, &[0; 256]);
    assert_eq!(
        guest.call(get, &[Val::I32(DATA as i32), Val::I32(buf as i32)]),
        OK
    );
    assert_eq!(
        guest.read(buf + size, 4),
        [0; 4],
        "nothing is written behind the strings"
    );
    (0..count)
        .map(|i| {
            let at = guest.u32(DATA + 4 * i);
            let bytes = guest.read(at, buf + size - at);
            let end = bytes.iter().position(|b| *b == 0).unwrap();
            String::from_utf8(bytes[..end].to_vec()).unwrap()
        })
        .collect()
}

#[test]
fn the_guest_gets_what_the_builder_was_given() {
    let ctx = P1CtxBuilder::new()
        .arg("prog")
        .args(&["", "ünïcode", "last"])
        .env("A", "1")
        .envs(&[("EMPTY", ""), ("B", "x=y")])
        .build()
        .unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        assert_eq!(
            strings(&mut guest, "args_get", "args_sizes_get"),
            ["prog", "", "ünïcode", "last"]
        );
        assert_eq!(
            strings(&mut guest, "environ_get", "environ_sizes_get"),
            ["A=1", "EMPTY=", "B=x=y"]
        );
    }
}

#[test]
fn a_fresh_context_has_none() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::new(&ctx);
    assert!(strings(&mut guest, "args_get", "args_sizes_get").is_empty());
    assert!(strings(&mut guest, "environ_get", "environ_sizes_get").is_empty());
}

#[test]
fn a_nul_byte_is_refused_when_building() {
    let error = P1CtxBuilder::new().arg("a\0b").build().unwrap_err();
    assert!(
        matches!(
            error,
            BuildError::Nul {
                what: "argument",
                ..
            }
        ),
        "{error}"
    );
    let error = P1CtxBuilder::new().env("A", "\0").build().unwrap_err();
    assert!(
        matches!(
            error,
            BuildError::Nul {
                what: "environment variable",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_buffer_out_of_bounds_traps() {
    let ctx = P1CtxBuilder::new().arg("prog").build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        assert!(
            guest
                .try_call("args_get", &[Val::I32(0), Val::I32(-2)])
                .is_err()
        );
        assert!(
            guest
                .try_call("args_get", &[Val::I32(-4), Val::I32(0)])
                .is_err()
        );
    }
}

#[test]
fn variables_may_come_later() {
    let ctx = P1CtxBuilder::new()
        .env("A", "1")
        .env("AB", "2")
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    let mut variables = || strings(&mut guest, "environ_get", "environ_sizes_get");
    ctx.push_env("LATER", "x=y").unwrap();
    assert_eq!(variables(), ["A=1", "AB=2", "LATER=x=y"]);
    // In place of one of that name.
    ctx.push_env("A", "").unwrap();
    assert_eq!(variables(), ["AB=2", "LATER=x=y", "A="]);
    let refused = ctx.push_env("A", "\0");
    assert!(matches!(refused, Err(BuildError::Nul { .. })));
    assert_eq!(variables(), ["AB=2", "LATER=x=y", "A="]);
}
