//! `compile MODULE`: to native code, for `run --allow-precompiled`.

use std::path::PathBuf;

use wasi_threads::rewrite::{ModuleLimits, RewriteOptions};
use wasm_symbols::Symbols;
use wasmtime::Engine;

use crate::args::CompileArgs;
use crate::message::error_text::{first_line, unusable_options};
use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::module::source::{Loaded, ModuleSource};
use crate::module::{engine, prepare};
use crate::output::{self, Output};

/// Compiles, and writes the file.
///
/// The file has Wasmtime's own format with a stamp behind it, so that a run has the results of the
/// preparation.
pub(crate) fn compile(mut args: CompileArgs) -> Result<Exit> {
    let source = ModuleSource::typed(&args.module);
    let name = source.display();
    let output = match (args.output, &source) {
        (Some(output), _) => output,
        // In the current folder, as with `wasmtime compile`.
        (None, ModuleSource::File(path)) => {
            let file = path.file_name().unwrap_or(path.as_os_str());
            PathBuf::from(file).with_extension("cwasm")
        }
        (None, ModuleSource::Stdin) => {
            return Err(Message::usage("the compiled module has no name")
                .why("the module comes from stdin")
                .help("name it with `--output FILE`"));
        }
    };
    let output = Output::typed(&output).map_err(|error| {
        Message::failure(format!("cannot write {}", Output::name_of(&output))).why(error)
    })?;
    let (mut config, mut cache) = engine::for_compile(&mut args.common, &args.legacy)?;
    if let Some(folder) = &args.emit_clif {
        std::fs::create_dir_all(folder).map_err(|error| {
            Message::failure(format!("cannot make the folder `{}`", folder.display())).why(error)
        })?;
        // Wasmtime panics if it cannot write there.
        output::can_make_files_in(folder).map_err(|error| {
            Message::failure(format!(
                "cannot write into the folder `{}`",
                folder.display()
            ))
            .why(error)
        })?;
        config.emit_clif(folder);
        // Cranelift writes it only when it compiles, so a cache must not be used.
        cache = None;
    }
    let limits = ModuleLimits::from(args.module_limits);
    let engine = Engine::new(&config).map_err(|error| unusable_options(&error))?;
    let Loaded::Wasm(bytes) = source.load(&limits)? else {
        return Err(Message::failure(format!("{name} is compiled already")));
    };
    let options = RewriteOptions::default();
    let module = prepare::prepare_wasm(&engine, cache.as_ref(), &bytes, &options, &name)?;
    let symbols = match Symbols::has_debug_info(&bytes) {
        true => Symbols::keep(&bytes),
        false => Vec::new(),
    };
    let bytes = module.serialize_with(&symbols).map_err(|error| {
        Message::failure(format!("{name} cannot be compiled")).why(first_line(&error))
    })?;
    output
        .write(|out| out.write_all(&bytes))
        .map_err(|error| Message::failure(format!("cannot write {}", output.name())).why(error))?;
    Ok(Exit::Success)
}
