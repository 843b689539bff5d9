//! From the module's typed name to its bytes.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasi_threads::StampError;
use wasi_threads::rewrite::ModuleLimits;
use wasm_symbols::{NAME_CHARS, Symbols, escape};
use wasmtime::Engine;

use crate::message::{Message, Result};
use crate::module::precompiled::Precompiled;
use crate::sys::{at_start, descriptors};

/// The first bytes of precompiled code, which is an ELF file.
const ELF: &[u8] = b"\x7fELF";

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModuleSource {
    /// `-`: all of stdin, before the program starts.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// What was read from a source.
pub(crate) enum Loaded {
    /// A WebAssembly binary, not validated yet.
    Wasm(Vec<u8>),
    /// Code compiled by Wasmtime before.
    Precompiled(Precompiled),
}

impl Loaded {
    /// Its debug information, for backtraces; `None` if it has none.
    pub(crate) fn symbols(self) -> Option<Arc<Symbols>> {
        match self {
            Loaded::Wasm(bytes) => {
                Symbols::has_debug_info(&bytes).then(|| Arc::new(Symbols::new(bytes)))
            }
            Loaded::Precompiled(code) => code.symbols().map(Arc::new),
        }
    }
}

impl ModuleSource {
    /// The source for a typed name.
    pub(crate) fn typed(module: &OsStr) -> Self {
        match module.to_str() {
            Some("-") => ModuleSource::Stdin,
            _ => ModuleSource::File(PathBuf::from(module)),
        }
    }

    /// Its name in messages.
    pub(crate) fn display(&self) -> String {
        match self {
            ModuleSource::Stdin => "the module on stdin".into(),
            ModuleSource::File(path) => format!("`{}`", path.display()),
        }
    }

    /// The name as it was typed.
    pub(crate) fn typed_as(&self) -> String {
        match self {
            ModuleSource::Stdin => "-".into(),
            ModuleSource::File(path) => path.display().to_string(),
        }
    }

    /// Reads it, and turns the text format into the binary one, which must be within `limits`.
    /// Precompiled code in a file is not read.
    pub(crate) fn load(&self, limits: &ModuleLimits) -> Result<Loaded> {
        let bytes = match self {
            // A closed stdin was replaced by an empty one.
            ModuleSource::Stdin if at_start::was_closed(0) => {
                return Err(Message::failure("cannot read stdin").why("it is closed"));
            }
            ModuleSource::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|error| self.unreadable(&error))?;
                bytes
            }
            ModuleSource::File(path) => {
                let mut file = File::open(path).map_err(|error| self.unreadable(&error))?;
                if let Some(precompiled) = self.precompiled_file(path, &mut file)? {
                    return Ok(Loaded::Precompiled(precompiled));
                }
                let mut bytes = Vec::new();
                let read = file.read_to_end(&mut bytes);
                read.map_err(|error| self.unreadable(&error))?;
                bytes
            }
        };
        if bytes.starts_with(ELF) {
            let detected = Engine::detect_precompiled(&bytes);
            let precompiled = Precompiled::bytes(bytes.clone());
            let precompiled = precompiled.map_err(|error| self.unloadable(&error))?;
            if !precompiled.is_foreign() || self.is_module(detected)? {
                return Ok(Loaded::Precompiled(precompiled));
            }
        }
        let parsed = match wat::parse_bytes(&bytes) {
            // It is in the binary format already: no copy, since it may be large.
            Ok(Cow::Borrowed(_)) => None,
            Ok(Cow::Owned(wasm)) => Some(wasm),
            Err(mut error) => {
                if let ModuleSource::File(path) = self {
                    error.set_path(path);
                }
                return Err(self.not_wasm(&bytes, &error));
            }
        };
        let wasm = parsed.unwrap_or(bytes);
        // The binary format's preamble: magic, then version and layer, which is
        // 1 for components (component-model, "Binary format").
        if wasm.get(6..8) == Some(&[1, 0]) {
            return Err(self.is_component());
        }
        limits.check(&wasm).map_err(|error| {
            Message::failure(format!("{} is too large", self.display()))
                .why(error)
                .help(
                    "the limits are `--max-module-size`, `--max-functions` and `--max-function-size`",
                )
        })?;
        Ok(Loaded::Wasm(wasm))
    }

    /// The precompiled code in `file`, if there is any and the file can be mapped. Otherwise `file`
    /// is at its beginning again.
    fn precompiled_file(&self, path: &Path, file: &mut File) -> Result<Option<Precompiled>> {
        let unreadable = |error| self.unreadable(&error);
        // If another user cut a mapped file short, this process would end. So a file that others
        // may write is read instead.
        if !descriptors::only_ours_to_write(file).map_err(unreadable)? {
            return Ok(None);
        }
        let mut front = Vec::new();
        let most = ELF.len() as u64;
        file.take(most)
            .read_to_end(&mut front)
            .map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        if front != ELF {
            return Ok(None);
        }
        let ours = Precompiled::of_ours(file).map_err(|error| self.unloadable(&error))?;
        if ours.is_some() {
            return Ok(ours);
        }
        // If that is not known, `wat` gives the error.
        let detected = Engine::detect_precompiled_file(path).unwrap_or_default();
        if self.is_module(detected)? {
            let file = file.try_clone().map_err(unreadable)?;
            return Ok(Some(Precompiled::foreign(file)));
        }
        file.rewind().map_err(unreadable)?;
        Ok(None)
    }

    fn is_module(&self, detected: Option<wasmtime::Precompiled>) -> Result<bool> {
        match detected {
            Some(wasmtime::Precompiled::Module) => Ok(true),
            Some(wasmtime::Precompiled::Component) => Err(self.is_component()),
            None => Ok(false),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Message {
        let named = match self {
            ModuleSource::Stdin => "stdin".to_owned(),
            ModuleSource::File(_) => self.display(),
        };
        let message = Message::failure(format!("cannot read {named}")).why(error);
        match (error.kind(), self) {
            (std::io::ErrorKind::NotFound, ModuleSource::File(path)) => message.help(missing(path)),
            // Windows opens no folder as a file.
            (_, ModuleSource::File(path)) if path.is_dir() => {
                message.help("name a .wasm or .wat file; folders are given with --dir")
            }
            _ => message,
        }
    }

    /// The message about code of `compile` that was changed or cut.
    fn unloadable(&self, error: &StampError) -> Message {
        Message::failure(format!("{} cannot be loaded", self.display()))
            .why(error)
            .help("compile it again")
    }

    fn not_wasm(&self, bytes: &[u8], error: &wat::Error) -> Message {
        let what = format!("{} is not a WebAssembly module", self.display());
        if bytes.is_empty() {
            return Message::failure(what).why("it is empty");
        }
        // A parse error is useless for a file that is not text.
        if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
            return Message::failure(what)
                .why("it is neither in the binary format nor text")
                .help("name the .wasm file that the compiler or linker wrote");
        }
        // The error quotes the wrong line as it is, unless the error is beyond column 500.
        let text = error.to_string();
        let lines = text.trim_end().split('\n');
        let lines: Vec<_> = lines
            .map(|line| escape(line, NAME_CHARS).to_string())
            .collect();
        Message::failure(what)
            .why(lines.join("\n"))
            .help("if this is not meant as the text format, name the .wasm file")
    }

    fn is_component(&self) -> Message {
        Message::failure(format!("{} is a component", self.display()))
            .why("wasi-threads exists for core modules only")
            .help("run it with `wasmtime run`, or build for the target wasm32-wasip1-threads")
    }
}

/// The other subcommands of `wasmtime`.
const OTHER_SUBCOMMANDS: [&str; 9] = [
    "config",
    "explore",
    "hot-blocks",
    "objdump",
    "replay",
    "serve",
    "settings",
    "wast",
    "wizer",
];

fn missing(path: &Path) -> String {
    match path.extension() {
        None if path.as_os_str().is_empty() => "the module's name is empty".into(),
        None if path
            .to_str()
            .is_some_and(|name| OTHER_SUBCOMMANDS.contains(&name)) =>
        {
            format!(
                "`{}` is a subcommand of `wasmtime` only; the subcommands here are run, compile, inspect, completion and man",
                path.display()
            )
        }
        Some(_) => "check the path; options of the program itself go after the module".into(),
        None => format!(
            "check the path (is it `{}.wasm`?)",
            path.file_name().unwrap_or_default().to_string_lossy()
        ),
    }
}
