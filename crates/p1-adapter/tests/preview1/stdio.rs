//! Standard streams that were not given, and ones that were.

use crate::guest::*;
use p1_adapter::P1CtxBuilder;
use wasmtime::Val;

#[test]
fn what_was_not_given_is_empty_and_swallows() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        assert_eq!(guest.get(0, 10).unwrap(), b"");
        assert_eq!(guest.put(1, b"out"), Ok(3));
        assert_eq!(guest.put(2, b"err"), Ok(3));
        assert_eq!(guest.put(0, b"x"), Err(BADF));
        assert_eq!(guest.get(1, 1), Err(BADF));
        assert_eq!(guest.get_at(0, 1, 0), Err(SPIPE));
        assert_eq!(guest.get_at(1, 1, 0), Err(BADF));
        assert_eq!(guest.put_at(1, b"x", 0), Err(SPIPE));
        assert_eq!(guest.put_at(0, b"x", 0), Err(BADF));
    }
}

#[test]
fn streams_say_what_they_are() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::new(&ctx);
    for (fd, right) in [(0, READ), (1, WRITE), (2, WRITE)] {
        assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
        assert_eq!(guest.read(OUT, 1), [0], "not a terminal");
        assert_eq!(guest.u64(OUT + 8) as i64, right);
        assert_eq!(guest.u64(OUT + 16) as i64, right);
    }
}

#[test]
fn closing_and_reusing_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&ctx_with(dir.path()));
    assert_eq!(guest.close(1), OK);
    assert_eq!(guest.put(1, b"x"), Err(BADF));
    assert_eq!(guest.create("out"), 1);
    assert_eq!(guest.put(1, b"to a file"), Ok(9));
    assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), b"to a file");
}

#[test]
fn only_sockets_answer_socket_calls() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&ctx_with(dir.path()));
    let file = guest.create("f");
    for (fd, expected) in [(0, NOTSOCK), (DIR, NOTSOCK), (file, NOTSOCK), (99, BADF)] {
        let [list, count] = guest.iovs(&[(DATA, 4)]);
        let (out, zero, fd) = (Val::I32(OUT as i32), Val::I32(0), Val::I32(fd));
        assert_eq!(guest.call("sock_accept", &[fd, zero, out]), expected);
        assert_eq!(
            guest.call(
                "sock_recv",
                &[fd, list, count, zero, out, Val::I32(OUT as i32 + 8)]
            ),
            expected
        );
        assert_eq!(
            guest.call("sock_send", &[fd, list, count, zero, out]),
            expected
        );
        assert_eq!(guest.call("sock_shutdown", &[fd, Val::I32(1)]), expected);
    }
}
