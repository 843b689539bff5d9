//! Precompiled modules. The only unsafe code of this package.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use wasi_threads::{StampError, Stamped, ThreadModule};
use wasmtime::{Engine, Module};

/// Precompiled code: a file, of which Wasmtime maps what it needs, or bytes.
pub(crate) enum Code {
    /// The whole of it.
    Bytes(Vec<u8>),
    /// Where it is, and the end of it, where a stamp would be.
    File { path: PathBuf, end: Vec<u8> },
}

/// What a file of `compile` has last: the length of the stamp, and 16 bytes that begin with [`MARK`].
const LAST: u64 = 20;
/// Every format of the stamp has it, and so have the names that the rewrite gives to its exports.
const MARK: &str = "wasi-threads:";

impl Code {
    /// That of a file.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut read_end = |bytes: u64| {
            let mut end = Vec::new();
            file.seek(SeekFrom::Start(size.saturating_sub(bytes)))?;
            file.read_to_end(&mut end).map(|_| end)
        };
        let mut end = read_end(LAST)?;
        if is_marked(&end)
            && let Some(length) = end.first_chunk::<4>()
        {
            end = read_end(u64::from(u32::from_le_bytes(*length)).saturating_add(LAST))?;
        }
        Ok(Code::File {
            path: path.to_owned(),
            end,
        })
    }

    /// Whether it was compiled by `wasmtime compile`, as far as its end tells.
    pub(crate) fn is_foreign(&self) -> bool {
        !is_marked(self.end())
    }

    fn end(&self) -> &[u8] {
        match self {
            Code::Bytes(bytes) => bytes,
            Code::File { end, .. } => end,
        }
    }
}

fn is_marked(end: &[u8]) -> bool {
    end.last_chunk::<16>()
        .is_some_and(|last| last.starts_with(MARK.as_bytes()))
}

/// Loads code that was compiled before, for `--allow-precompiled`.
///
/// A file of `compile` has a stamp and comes back as it was prepared; one of
/// `wasmtime compile` has none, and its threads end by slower means.
///
/// Wasmtime checks that its own version and the engine's settings are those the
/// code was compiled with; it cannot check the code.
pub(crate) fn load(engine: &Engine, code: &Code) -> wasmtime::Result<ThreadModule> {
    match Stamped::parse(code.end()) {
        Ok(stamped) => {
            let module = match code {
                Code::Bytes(_) => deserialize(engine, stamped.compiled())?,
                Code::File { path, .. } => deserialize_file(engine, path)?,
            };
            Ok(stamped.into_module(module)?)
        }
        Err(StampError::Missing) if !code.is_foreign() => Err(wasmtime::format_err!(
            "it was compiled by another version of this program"
        )),
        Err(StampError::Missing) => {
            let module = match code {
                Code::Bytes(bytes) => deserialize(engine, bytes)?,
                Code::File { path, .. } => deserialize_file(engine, path)?,
            };
            // Without what the stamp says, its start function would not be called, nor its waits be bound.
            if module
                .exports()
                .any(|export| export.name().starts_with(MARK))
            {
                return Err(wasmtime::format_err!(
                    "its end is missing, or something was added to it"
                ));
            }
            Ok(ThreadModule::from_unprepared(module))
        }
        Err(damaged) => Err(damaged.into()),
    }
}

fn deserialize(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: `Module::deserialize` asks that the bytes come from
    // `Module::serialize` or `Engine::precompile_module`, unmodified, because they
    // are run as native code. That cannot be checked here; the user, who could run
    // any native code as well, has vouched for it with `--allow-precompiled`, the
    // only way to this function. Nothing else is asked for.
    unsafe { Module::deserialize(engine, bytes) }
}

fn deserialize_file(engine: &Engine, path: &Path) -> wasmtime::Result<Module> {
    // SAFETY: as above; and that nobody writes to the file while it is mapped, which
    // `wasmtime run --allow-precompiled` asks of its users as well. `compile` puts a
    // new file in the place of an old one. What is behind the code, the stamp, is not
    // looked at: the code says how long it is.
    unsafe { Module::deserialize_file(engine, path) }
}
