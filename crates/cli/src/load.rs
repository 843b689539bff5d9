//! From what was typed as the module to its bytes.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use wasmtime::{Engine, Precompiled};

use crate::message::{Message, Result};
use crate::precompiled::Code;

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `-`: all of stdin, before the program starts.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// What a source holds.
pub(crate) enum Loaded {
    /// A WebAssembly binary, not yet looked into.
    Wasm(Vec<u8>),
    /// Code compiled by Wasmtime before.
    Precompiled(Code),
}

impl Source {
    /// What was typed as a module.
    pub(crate) fn typed(module: &OsStr) -> Self {
        match module.to_str() {
            Some("-") => Source::Stdin,
            _ => Source::File(PathBuf::from(module)),
        }
    }

    /// How messages name it.
    pub(crate) fn display(&self) -> String {
        match self {
            Source::Stdin => "the module on stdin".into(),
            Source::File(path) => format!("`{}`", path.display()),
        }
    }

    /// What it is called where a program reads it: the path as typed.
    pub(crate) fn path(&self) -> String {
        match self {
            Source::Stdin => "-".into(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Reads it whole, and turns the text format into the binary one.
    pub(crate) fn load(&self) -> Result<Loaded> {
        // Code is mapped from its file, not read.
        if let Source::File(path) = self
            && let Ok(Some(Precompiled::Module)) = Engine::detect_precompiled_file(path)
        {
            let code = Code::of_file(path).map_err(|error| self.cannot_read(&error))?;
            return Ok(Loaded::Precompiled(code));
        }
        let bytes = self.read()?;
        match Engine::detect_precompiled(&bytes) {
            Some(Precompiled::Module) => return Ok(Loaded::Precompiled(Code::Bytes(bytes))),
            Some(Precompiled::Component) => return Err(self.is_component()),
            None => {}
        }
        let wasm = match wat::parse_bytes(&bytes) {
            Ok(wasm) => wasm.into_owned(),
            Err(mut error) => {
                if let Source::File(path) = self {
                    error.set_path(path);
                }
                return Err(self.not_wasm(&bytes, &error));
            }
        };
        // The binary format's preamble: magic, then version and layer, which is
        // 1 for components (component-model, "Binary format").
        if wasm.get(6..8) == Some(&[1, 0]) {
            return Err(self.is_component());
        }
        Ok(Loaded::Wasm(wasm))
    }

    fn read(&self) -> Result<Vec<u8>> {
        match self {
            Source::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().lock().read_to_end(&mut bytes);
                read.map(|_| bytes)
            }
            Source::File(path) => std::fs::read(path),
        }
        .map_err(|error| self.cannot_read(&error))
    }

    fn cannot_read(&self, error: &std::io::Error) -> Message {
        let named = match self {
            Source::Stdin => "stdin".to_owned(),
            Source::File(_) => self.display(),
        };
        let message = Message::failure(format!("cannot read {named}")).why(error);
        match (error.kind(), self) {
            (std::io::ErrorKind::NotFound, Source::File(path)) => message.help(missing(path)),
            (std::io::ErrorKind::IsADirectory, _) => {
                message.help("name a .wasm or .wat file; folders are given with --dir")
            }
            _ => message,
        }
    }

    fn not_wasm(&self, bytes: &[u8], error: &wat::Error) -> Message {
        let what = format!("{} is not a WebAssembly module", self.display());
        if bytes.is_empty() {
            return Message::failure(what).why("it is empty");
        }
        // A parse error of something that was never meant as text says nothing.
        if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
            return Message::failure(what)
                .why("it starts neither as the binary format nor is it text")
                .help("name the .wasm file that the compiler or linker wrote");
        }
        let text = error.to_string();
        Message::failure(what)
            .why(text.trim_end())
            .help("if this is not meant as the text format, name the .wasm file")
    }

    fn is_component(&self) -> Message {
        Message::failure(format!("{} is a component", self.display()))
            .why("wasi-threads exists for core modules only")
            .help("run it with `wasmtime run`, or build for the target wasm32-wasip1-threads")
    }
}

/// What else `wasmtime` can do.
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
        None if path
            .to_str()
            .is_some_and(|name| OTHER_SUBCOMMANDS.contains(&name)) =>
        {
            format!(
                "`{}` is a subcommand of `wasmtime` only; here there are run, compile, inspect, completion and man",
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
