//! Whether an access of memory is the program's, or one that a library makes for itself.
//!
//! Most accesses of a Rust program are the allocator's, or belong to the start and the end of
//! threads. The program's own are its atomics, and those that a lock or a channel makes for it.
//! Between an access of its own and the program's function there are only functions of `core` and
//! `std::sync`.

use wasm_symbols::{Frame, Source};

use crate::report::own_frame::{CALLS_OWN, STARTS, begins_as_librarys, is_in_library, plain};

/// How functions and files of Rust's library begin that access memory on behalf of their caller.
const NAMES: [&str; 4] = [
    "core::",
    "std::sync::",
    "std::sys::sync::",
    "std::thread::park",
];
/// The folders of these.
const FILES: [&str; 4] = [
    "/library/core/",
    "/library/std/src/sync/",
    "/library/std/src/sys/sync/",
    "/library/std/src/sys/pal/wasip1/futex",
];
/// The C library's folder of pthreads, and how the names of its functions begin.
const PTHREADS: &str = "musl/src/thread/";
const OF_PTHREADS: [&str; 7] = [
    "pthread_mutex_",
    "pthread_cond_",
    "pthread_rwlock_",
    "pthread_barrier_",
    "pthread_spin_",
    "pthread_once",
    "sem_",
];
/// What has other names there, and serves them.
const BELOW_PTHREADS: [&str; 6] = ["__wait", "__timedwait", "a_", "atomic_", "lock", "unlock"];

/// Functions of the C library that are recognised by their names if there is no debug information.
const ALLOCATORS: [&str; 16] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "aligned_alloc",
    "posix_memalign",
    "dlmalloc",
    "dlfree",
    "dlcalloc",
    "dlrealloc",
    "dlmemalign",
    "internal_memalign",
    "dispose_chunk",
    "__libc_malloc",
    "__libc_free",
    "sbrk",
];
/// And of Rust's.
const RUST_ALLOCATES: [&str; 4] = ["__rust", "__rdl", "__rg", "std::alloc"];

/// Whose a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Program,
    /// A library's, which does what its caller wants of memory.
    Callers,
    Library,
}

/// Whether the program makes an access in this frame, and not a library for itself. `None` if that
/// depends on the function's caller.
pub(crate) fn is_own(frame: &Frame) -> Option<bool> {
    let sources = frame.sources();
    let whose = match sources {
        [] => without_sources(frame.function_name()),
        _ => {
            let mut each = sources.iter().map(|source| whose(source, frame));
            let known = each.find(|whose| *whose != Whose::Callers);
            known.unwrap_or(Whose::Callers)
        }
    };
    match whose {
        Whose::Program => Some(true),
        Whose::Library => Some(false),
        Whose::Callers => None,
    }
}

fn whose(source: &Source, frame: &Frame) -> Whose {
    let name = source.name().or(frame.function_name()).unwrap_or_default();
    let plain = plain(name);
    let Some(file) = source.file() else {
        return without_sources(Some(name));
    };
    if name.contains(CALLS_OWN) {
        return Whose::Program;
    }
    if is_in_library(file) {
        let pthreads = || {
            let begins = |names: &[&str]| {
                let plain = plain.trim_start_matches("__");
                names.iter().any(|begin| plain.starts_with(begin))
            };
            let below = BELOW_PTHREADS.iter().any(|begin| plain.starts_with(begin));
            file.contains(PTHREADS) && (begins(&OF_PTHREADS) || below)
        };
        let inlined = || file.contains("/wasi-libc/") && plain.starts_with("a_");
        let callers = FILES.iter().any(|folder| file.contains(folder))
            || NAMES.iter().any(|begin| plain.starts_with(begin));
        return match callers || pthreads() || inlined() {
            true => Whose::Callers,
            false => Whose::Library,
        };
    }
    if NAMES.iter().any(|begin| plain.starts_with(begin)) {
        Whose::Callers
    } else if begins_as_librarys(name) {
        Whose::Library
    } else {
        Whose::Program
    }
}

/// A function's code may be the program's, inlined into it. Only these names are certain.
fn without_sources(name: Option<&str>) -> Whose {
    let name = name.unwrap_or_default();
    let allocates = ALLOCATORS.contains(&name)
        || RUST_ALLOCATES.iter().any(|begin| plain(name).starts_with(begin))
        // The linker's.
        || name.starts_with("__wasm_")
        || (STARTS.contains(&name) && name.contains("wasi_thread_start"));
    match allocates {
        true => Whose::Library,
        false => Whose::Program,
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;
    use wasm_symbols::{Limits, Place, Printer};

    const ATOMIC: (&str, &str) = (
        "core::sync::atomic::atomic_load",
        "/rustc/59807616/library/core/src/sync/atomic.rs",
    );

    fn of(sources: &[(&str, &str)]) -> Option<bool> {
        let mut place = Place::new(0);
        for (name, file) in sources {
            place = place.source(Some(name), Some(file), Some(1), None);
        }
        whose(place)
    }

    fn whose(place: Place) -> Option<bool> {
        let looked_up = Printer::new(Limits::default()).look_up(vec![place]);
        is_own(&looked_up.frames()[0])
    }

    #[test]
    fn what_a_program_asks_of_a_library_is_its_own() {
        let own = ("app::work", "src/main.rs");
        let lock = (
            "std::sys::sync::mutex::futex::Mutex::lock",
            "/rustc/59807616/library/std/src/sys/sync/mutex/futex.rs",
        );
        assert_eq!(of(&[own]), Some(true));
        assert_eq!(of(&[ATOMIC, own]), Some(true));
        // A program may be built with its own copy of the library, elsewhere.
        let hashed = (
            "core[939e6ee5b07a9689]::sync::atomic::atomic_load::<usize>",
            "/home/me/rust/atomic.rs",
        );
        assert_eq!(of(&[hashed]), None);
        assert_eq!(of(&[ATOMIC, lock, own]), Some(true));
        // It depends on its caller.
        assert_eq!(of(&[ATOMIC, lock]), None);
        let musl = "wasisdk://v30.0/src/wasi-libc/libc-top-half/musl";
        let path = format!("{musl}/src/thread/pthread_mutex_lock.c");
        let swap = format!("{musl}/arch/wasm32/atomic_arch.h");
        assert_eq!(
            of(&[("a_cas", &swap), ("__pthread_mutex_lock", &path)]),
            None
        );
        assert_eq!(of(&[("pthread_mutex_lock", &path), own]), Some(true));
    }

    #[test]
    fn what_a_library_does_for_itself_is_not() {
        let own = ("app::work", "src/main.rs");
        let arc = (
            "<alloc::sync::Arc<T,A> as core::ops::drop::Drop>::drop",
            "/rustc/59807616/library/alloc/src/sync.rs",
        );
        let malloc = "wasisdk://v30.0/src/wasi-libc/dlmalloc/src/malloc.c";
        let create = "wasisdk://v30.0/src/wasi-libc/libc-top-half/musl/src/thread/pthread_create.c";
        let spawn = "/rustc/59807616/library/std/src/thread/lifecycle.rs";
        for library in [
            arc,
            ("dlmalloc", malloc),
            ("__pthread_create", create),
            ("std::thread::lifecycle::spawn_unchecked", spawn),
        ] {
            assert_eq!(of(&[ATOMIC, library, own]), Some(false), "{library:?}");
        }
        // A program's function of such a name.
        assert_eq!(of(&[("malloc", "src/heap.c")]), Some(true));
    }

    #[test]
    fn without_debug_information_only_allocators_are_known() {
        let named = |name: &str| whose(Place::new(0).function_name(name));
        for name in [
            "dlmalloc",
            "__rust_alloc",
            "std[defc4455e4b6512]::alloc::default_alloc_error_hook",
            "wasi_thread_start",
            "__wasm_init_memory",
        ] {
            assert_eq!(named(name), Some(false), "{name}");
        }
        for name in ["main", "free_all", "std::thread::spawn", "app::work"] {
            assert_eq!(named(name), Some(true), "{name}");
        }
        assert_eq!(whose(Place::new(7)), Some(true));
    }
}
