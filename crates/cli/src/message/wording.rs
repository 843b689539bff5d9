//! Errors of libraries that have no types, and are told apart by their words.
//!
//! There is one function for each library. The tests make the library itself produce every error,
//! so that changed words are noticed. Errors that need a process of their own are in
//! `tests/cli/closed_pipes.rs` (a stdout that cannot be written) and `tests/cli/cache.rs` (a user
//! without a home).

use std::any::Any;
use std::io;

use wasmtime::WasmBacktrace;

use crate::message::known_panics::words;
use crate::sys::limits::LimitReached;

/// A Wasmtime error for which there is a help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WasmtimeError {
    /// There is no folder for the cache.
    NoCacheFolder,
    /// The folder of the cache is named by a relative path.
    RelativeCacheFolder,
    /// The file that configures the cache cannot be read.
    UnreadableCacheConfig,
    /// Compiled code has files and lines and the engine wants none, or the other way round.
    BacktraceDetails,
    /// Compiled code has checks for epochs and the engine wants none, or the other way round.
    Epochs,
    /// The initial size of a memory exceeds the limit.
    MemoryLimit,
    /// The initial size of a table exceeds the limit.
    TableLimit,
    /// More tables than the limit.
    TableCount,
    /// More instances than the limit.
    InstanceCount,
    /// More memories than the limit.
    MemoryCount,
    /// The pooling allocator has too few slots.
    PoolIsFull,
    /// The system refuses this process so much address space.
    AddressSpace,
    /// The system does not let this process make code executable.
    NotExecutable,
}

/// Which of Wasmtime's errors `error` is.
pub(crate) fn wasmtime_error(error: &wasmtime::Error) -> Option<WasmtimeError> {
    // The text of a backtrace has no bounds, because its names are demangled.
    let said = match error.is::<WasmBacktrace>() {
        true => error.root_cause().to_string(),
        false => format!("{error:#}"),
    };
    wasmtime_words(&said)
}

/// Which of Wasmtime's errors has these words.
pub(crate) fn wasmtime_words(said: &str) -> Option<WasmtimeError> {
    [
        // It cannot be created, or cannot be canonicalized.
        ("cache directory: ", WasmtimeError::NoCacheFolder),
        ("failed to get the default", WasmtimeError::NoCacheFolder),
        (
            "directory path has to be absolute",
            WasmtimeError::RelativeCacheFolder,
        ),
        (
            "failed to read config file",
            WasmtimeError::UnreadableCacheConfig,
        ),
        (
            "WebAssembly backtrace support",
            WasmtimeError::BacktraceDetails,
        ),
        ("epoch interruption", WasmtimeError::Epochs),
        ("exceeds memory limits", WasmtimeError::MemoryLimit),
        ("exceeds table limits", WasmtimeError::TableLimit),
        ("table count too high", WasmtimeError::TableCount),
        ("instance count too high", WasmtimeError::InstanceCount),
        ("memory count too high", WasmtimeError::MemoryCount),
        ("maximum concurrent limit of", WasmtimeError::PoolIsFull),
        ("mmap failed to reserve", WasmtimeError::AddressSpace),
        // Of the pooling allocator's memories, tables or stacks.
        (" pool mapping", WasmtimeError::AddressSpace),
        (
            "failed to make memory executable",
            WasmtimeError::NotExecutable,
        ),
    ]
    .into_iter()
    .find_map(|(words, error)| said.contains(words).then_some(error))
}

/// The help for a limit of the system, if an error names its number.
pub(crate) fn limit_of_the_system(said: &str) -> Option<&'static str> {
    Some(match LimitReached::said(said)? {
        LimitReached::OpenFiles => {
            "this process may not open more files: raise the limit (`ulimit -n`; systemd: `LimitNOFILE=`)"
        }
        LimitReached::FilesOfAll => {
            "the system cannot open more files: raise the limit (`sysctl fs.file-max`)"
        }
        LimitReached::FileSize => {
            "this process may not make so large a file, which holds the initial contents of a memory: raise the limit \
             (`ulimit -f`; systemd: `LimitFSIZE=`), or use no such file (`-O memory-init-cow=n`)"
        }
    })
}

/// Whether wasmparser met an unexpected end, of the file or of a part of it.
pub(crate) fn wasmparser_ended_early(error: &wasmparser::BinaryReaderError) -> bool {
    error.message().contains("unexpected end")
}

/// Whether a library panicked because it could not start a thread: the standard library's `spawn`
/// (the cache's worker), or rayon at the first use of its pool (a compilation).
pub(crate) fn no_thread(panic: &(dyn Any + Send)) -> bool {
    says_no_thread(words(panic))
}

/// Whether these are the words of such a panic.
pub(crate) fn says_no_thread(said: &str) -> bool {
    let begins = [
        "failed to spawn thread",
        "The global thread pool has not been initialized",
    ];
    begins.iter().any(|begin| said.starts_with(begin))
}

/// Why the standard library could not print on stdout, if it panicked because of that.
pub(crate) fn std_cannot_print(panic: &(dyn Any + Send)) -> Option<io::Error> {
    let said = panic.downcast_ref::<String>()?;
    let why = said.strip_prefix("failed printing to stdout: ")?;
    let number = why
        .rsplit_once("(os error ")
        .and_then(|(_, number)| number.strip_suffix(')')?.parse().ok());
    Some(match number {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(why),
    })
}

#[cfg(test)]
mod tests {
    use super::WasmtimeError::{
        AddressSpace, BacktraceDetails, Epochs, InstanceCount, MemoryCount, MemoryLimit,
        NoCacheFolder, PoolIsFull, RelativeCacheFolder, TableCount, TableLimit,
        UnreadableCacheConfig,
    };
    use super::*;
    use crate::sys::native_code::NativeCode;
    use wasmparser::Validator;
    use wasmtime::{
        Cache, CacheConfig, Config, Engine, Instance, Module, PoolingAllocationConfig, Store,
        StoreLimits, StoreLimitsBuilder, WasmBacktraceDetails,
    };

    fn engine(set: impl FnOnce(&mut Config)) -> Engine {
        let mut config = Config::new();
        // Independent of the environment.
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        set(&mut config);
        Engine::new(&config).unwrap()
    }

    #[test]
    fn wasmtime_on_the_cache() {
        let mut config = CacheConfig::new();
        config.with_directory(std::env::current_exe().unwrap().join("cache"));
        let error = Cache::new(config).unwrap_err();
        assert_eq!(wasmtime_error(&error), Some(NoCacheFolder), "{error:?}");
        let mut config = CacheConfig::new();
        config.with_directory("cache");
        let error = Cache::new(config).unwrap_err();
        assert_eq!(
            wasmtime_error(&error),
            Some(RelativeCacheFolder),
            "{error:?}"
        );
        let error = Cache::from_file(Some(&std::env::temp_dir())).unwrap_err();
        let unreadable = Some(UnreadableCacheConfig);
        assert_eq!(wasmtime_error(&error), unreadable, "{error:?}");
        // A setting that is wrong.
        let mut config = CacheConfig::new();
        config
            .with_directory(std::env::temp_dir())
            .with_file_count_limit_percent_if_deleting(101);
        let error = Cache::new(config).unwrap_err();
        assert_eq!(wasmtime_error(&error), None, "{error:?}");
    }

    #[test]
    fn wasmtime_on_compiled_code() {
        let module = Module::new(&engine(|_| {}), "(module)").unwrap();
        let code = NativeCode::Bytes(module.serialize().unwrap());
        let loaded = |set: fn(&mut Config)| {
            let error = code.deserialize(&engine(set)).unwrap_err();
            wasmtime_error(&error)
        };
        assert_eq!(
            loaded(|config| {
                config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
            }),
            Some(BacktraceDetails)
        );
        assert_eq!(
            loaded(|config| {
                config.epoch_interruption(true);
            }),
            Some(Epochs)
        );
        assert_eq!(
            loaded(|config| {
                config.consume_fuel(true);
            }),
            None
        );
    }

    #[test]
    fn wasmtime_on_limits() {
        let engine = engine(|_| {});
        let instantiate = |module: &str, limits: StoreLimitsBuilder| {
            let module = Module::new(&engine, module).unwrap();
            let mut store = Store::new(&engine, limits.build());
            store.limiter(|limits: &mut StoreLimits| limits);
            wasmtime_error(&Instance::new(&mut store, &module, &[]).unwrap_err())
        };
        let limits = StoreLimitsBuilder::new();
        assert_eq!(
            instantiate("(module (memory 2))", limits.memory_size(1 << 16)),
            Some(MemoryLimit)
        );
        let limits = StoreLimitsBuilder::new();
        assert_eq!(
            instantiate("(module (table 2 funcref))", limits.table_elements(1)),
            Some(TableLimit)
        );
        let limits = StoreLimitsBuilder::new;
        let table = "(module (table 2 funcref))";
        assert_eq!(instantiate(table, limits().tables(0)), Some(TableCount));
        let memory = "(module (memory 1))";
        assert_eq!(instantiate(memory, limits().memories(0)), Some(MemoryCount));
        let nothing = "(module)";
        let no_instance = instantiate(nothing, limits().instances(0));
        assert_eq!(no_instance, Some(InstanceCount));
    }

    #[test]
    fn wasmtime_on_its_pool() {
        let engine = engine(|config| {
            let mut pool = PoolingAllocationConfig::default();
            // Memories reserve address space, which some systems have little of.
            pool.total_core_instances(1).total_memories(1);
            config.allocation_strategy(pool);
        });
        let module = Module::new(&engine, "(module)").unwrap();
        let mut store = Store::new(&engine, ());
        Instance::new(&mut store, &module, &[]).unwrap();
        let error = Instance::new(&mut store, &module, &[]).unwrap_err();
        assert_eq!(wasmtime_error(&error), Some(PoolIsFull), "{error:?}");
    }

    #[test]
    fn wasmtime_on_addresses() {
        let engine = engine(|config| {
            // More than there are.
            config.memory_reservation(1 << 60);
        });
        let module = Module::new(&engine, "(module (memory 1))").unwrap();
        let error = Instance::new(&mut Store::new(&engine, ()), &module, &[]).unwrap_err();
        assert_eq!(wasmtime_error(&error), Some(AddressSpace), "{error:?}");
    }

    #[test]
    fn wasmtime_on_addresses_of_its_pool() {
        // More than there are, of each sort.
        for which in 0..3 {
            let mut pool = PoolingAllocationConfig::default();
            pool.total_core_instances(1).total_memories(1);
            pool.total_tables(1).total_stacks(1);
            match which {
                0 => pool.total_memories(1 << 20),
                1 => pool.total_stacks(u32::MAX),
                _ => pool.total_tables(u32::MAX).table_elements(1 << 20),
            };
            let mut config = Config::new();
            config.allocation_strategy(pool);
            let Some(error) = Engine::new(&config).err() else {
                // A system that has no pool of stacks.
                assert_eq!(which, 1);
                continue;
            };
            assert_eq!(wasmtime_error(&error), Some(AddressSpace), "{error:?}");
        }
    }

    #[test]
    fn limits_of_the_system() {
        // `sys/limits.rs` knows which numbers are limits.
        assert_eq!(limit_of_the_system("no such file (os error 2)"), None);
    }

    #[test]
    fn wasmparser_on_the_end() {
        let whole = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
        let ended_early = |bytes: &[u8]| {
            let error = Validator::new().validate_all(bytes).err().unwrap();
            wasmparser_ended_early(&error)
        };
        // The end of the file, within a section's head and within its content.
        for length in [9, whole.len() - 1] {
            assert!(ended_early(&whole[..length]), "{length}");
        }
        // The end of the section of types: it should have one, and has none.
        assert!(ended_early(b"\0asm\x01\0\0\0\x01\x01\x01"));
        let mut other = whole.clone();
        // No section has this number.
        other[8] = 99;
        assert!(!ended_early(&other));
    }
}
