//! `compile MODULE`: to native code, for `run --allow-precompiled`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::Engine;

use crate::args::CompileArgs;
use crate::message::error_text::{first_line, unusable_options};
use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::module::source::{Loaded, ModuleSource};
use crate::module::{engine, prepare};

/// Compiles, and writes the file.
///
/// What is written is Wasmtime's own format with a stamp behind it, so that what
/// the preparation of the module found out is there again when it is run.
pub(crate) fn compile(mut args: CompileArgs) -> Result<Exit> {
    let source = ModuleSource::typed(&args.module);
    let name = source.display();
    let output = match (args.output, &source) {
        (Some(output), _) => output,
        // Where the command is given, as with `wasmtime compile`.
        (None, ModuleSource::File(path)) => {
            let file = path.file_name().unwrap_or(path.as_os_str());
            PathBuf::from(file).with_extension("cwasm")
        }
        (None, ModuleSource::Stdin) => {
            return Err(Message::usage("no name for the compiled module")
                .why("the module comes from stdin")
                .help("give one with `--output FILE`"));
        }
    };
    let (mut config, mut cache) = engine::for_compile(&mut args.common, &args.legacy)?;
    if let Some(folder) = &args.emit_clif {
        std::fs::create_dir_all(folder).map_err(|error| {
            Message::failure(format!("cannot make the folder `{}`", folder.display())).why(error)
        })?;
        config.emit_clif(folder);
        // Only what is compiled has it.
        cache = None;
    }
    let engine = Engine::new(&config).map_err(|error| unusable_options(&error))?;
    let Loaded::Wasm(bytes) = source.load()? else {
        return Err(Message::failure(format!("{name} is compiled already")));
    };
    let threads = args.common.wasm.threads != Some(false);
    let module = prepare::prepare_wasm(&engine, cache.as_ref(), &bytes, &name, threads)?;
    let bytes = module.serialize().map_err(|error| {
        Message::failure(format!("{name} cannot be compiled")).why(first_line(&error))
    })?;
    replace(&output, &bytes).map_err(|error| {
        Message::failure(format!("cannot write `{}`", output.display())).why(error)
    })?;
    Ok(Exit::Success)
}

/// Makes a file that is there whole, or not at all: whoever runs the one that was there before goes on doing so, as it
/// is mapped and not read.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = match std::fs::canonicalize(path) {
        // A device or a pipe is written to.
        Ok(place) if !place.is_file() => return std::fs::write(place, bytes),
        // Where a link leads, or where there is nothing yet.
        Ok(place) => place,
        Err(_) => path.to_owned(),
    };
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    let unfinished = place.with_file_name(name);
    let made =
        std::fs::write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, &place));
    if made.is_err() {
        // Of the two errors, the one that is told is why it could not be made.
        let _ = std::fs::remove_file(&unfinished);
    }
    made
}
