//! `compile MODULE`: to native code, for `run --allow-precompiled`.

use std::io;
use std::path::{Path, PathBuf};

use wasmtime::Engine;

use crate::args::CompileArgs;
use crate::config::{self, first_line};
use crate::exit::Exit;
use crate::load::{Loaded, Source};
use crate::message::{Message, Result};
use crate::run;

/// Compiles, and writes the file.
///
/// What is written is Wasmtime's own format with a stamp behind it, so that what
/// the preparation of the module found out is there again when it is run.
pub(crate) fn compile(mut args: CompileArgs) -> Result<Exit> {
    let source = Source::typed(&args.module);
    let name = source.display();
    let output = match (args.output, &source) {
        (Some(output), _) => output,
        // In the current folder, as `wasmtime compile` does.
        (None, Source::File(path)) => {
            PathBuf::from(path.file_name().unwrap_or(path.as_os_str())).with_extension("cwasm")
        }
        (None, Source::Stdin) => {
            return Err(Message::usage("no name for the compiled module")
                .why("the module comes from stdin")
                .help("give one with `--output FILE`"));
        }
    };
    let mut config = config::for_compile(&mut args.common)?;
    if let Some(folder) = &args.emit_clif {
        std::fs::create_dir_all(folder).map_err(|error| {
            Message::failure(format!("cannot make the folder `{}`", folder.display())).why(error)
        })?;
        config.emit_clif(folder);
    }
    let engine = Engine::new(&config)
        .map_err(|error| Message::usage("the options cannot be used").why(first_line(&error)))?;
    let Loaded::Wasm(bytes) = source.load()? else {
        return Err(Message::failure(format!("{name} is compiled already")));
    };
    let threads = args.common.wasm.threads != Some(false);
    let module = run::prepare_wasm(&engine, &bytes, &name, threads)?;
    let bytes = module.serialize().map_err(|error| {
        Message::failure(format!("{name} cannot be compiled")).why(first_line(&error))
    })?;
    write(&output, &bytes).map_err(|error| {
        Message::failure(format!("cannot write `{}`", output.display())).why(error)
    })?;
    Ok(Exit::Success)
}

/// Writes a file in one go: what has its name is the old one or all of the new one, also for a program that has the
/// old one mapped, and also if this process is ended in the middle of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // `/dev/stdout`, a pipe: nothing to take the place of.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return std::fs::write(path, bytes);
    }
    // Where a link leads to, not the link, is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut new = path.clone().into_os_string();
    new.push(format!(".{}.tmp", std::process::id()));
    let done = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path));
    if done.is_err() {
        // Of the two errors, that of the writing is the one to know.
        let _ = std::fs::remove_file(&new);
    }
    done
}
