//! Single names are asked of the system itself: another thread swaps them for links that lead out,
//! and nothing outside is ever seen, made, changed or removed.

use crate::guest::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime::Val;

const ROUNDS: usize = 2_000;

/// Swaps `name` between a file, a folder and links that lead out, until told to stop.
fn swap(inside: &Path, stop: &AtomicBool) {
    let (name, next) = (inside.join("name"), inside.join("next"));
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match round % 4 {
            0 => symlink("../out/secret", &next).unwrap(),
            1 => fs::write(&next, b"in").unwrap(),
            2 => symlink("../out/folder", &next).unwrap(),
            _ => symlink("../out/none", &next).unwrap(),
        }
        if fs::rename(&next, &name).is_err() {
            // A folder that the guest has made.
            let _ = fs::remove_dir(&name);
            let _ = fs::remove_file(&next);
        }
    }
}

#[test]
fn a_link_that_is_swapped_in_leads_nowhere() {
    let world = tempfile::tempdir().unwrap();
    let (inside, out) = (world.path().join("in"), world.path().join("out"));
    for folder in [&inside, &out, &out.join("folder")] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(out.join("secret"), b"outside").unwrap();
    let before = fs::metadata(out.join("secret"))
        .unwrap()
        .modified()
        .unwrap();
    let stop = AtomicBool::new(false);
    let mut opened = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&inside, &stop));
        let mut guest = Guest::new(&ctx_with(&inside));
        for round in 0..ROUNDS {
            let how = [0, CREAT, TRUNC, DIRECTORY][round % 4];
            let rights = if how == TRUNC { WRITE } else { READ };
            if let Ok(fd) = guest.open("name", how, rights, 0) {
                opened += 1;
                let read = guest.get(fd, 10);
                assert_ne!(read.as_deref(), Ok(&b"outside"[..]));
                guest.close(fd);
            }
            let [p, n] = guest.path("name");
            let args = [Val::I32(DIR), Val::I32(1), p, n, Val::I32(OUT as i32)];
            if guest.call("path_filestat_get", &args) == OK {
                assert_ne!(guest.u64(OUT + 32), 7, "the size of what is outside");
            }
            let time = Val::I64(1_000_000_000);
            let times = [
                Val::I32(DIR),
                Val::I32(1),
                p,
                n,
                time,
                time,
                Val::I32(1 | 4),
            ];
            guest.call("path_filestat_set_times", &times);
            match round % 3 {
                0 => drop(guest.at("path_unlink_file", DIR, "name")),
                1 => drop(guest.at("path_create_directory", DIR, "name")),
                _ => drop(guest.rename("name", "elsewhere")),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened > 0, "something was there at times");
    assert_eq!(fs::read(out.join("secret")).unwrap(), b"outside");
    let after = fs::metadata(out.join("secret"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(after, before);
    assert_eq!(fs::read_dir(out.join("folder")).unwrap().count(), 0);
    assert!(!out.join("none").exists());
}
