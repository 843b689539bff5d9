//! The module's imports, apart from those that the group of threads provides.

use std::fmt::Write as _;

use p1_adapter::{P1Ctx, P1State, add_to_linker_sync, add_unstable_to_linker_sync};
use wasi_threads::{ThreadModule, abi};
use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::{ExternType, ImportType, Linker, Module, Store, Val};

use crate::message::error_text::first_line;
use crate::message::{Message, Result};
use crate::module::near_names::near;
use crate::run::modules::PreparedModules;
use crate::run::plan::{Plan, UnknownImports};

/// Makes the linker, and refuses a module with an import that nothing provides.
///
/// A library may import from the libraries before it.
pub(crate) fn linker(
    modules: &PreparedModules<'_>,
    ctx: &P1Ctx,
    plan: &Plan,
) -> Result<Linker<P1State>> {
    let PreparedModules {
        engine,
        main,
        preloads,
        ..
    } = modules;
    let mut linker = Linker::new(engine);
    let module = main.module();
    let linked = add_to_linker_sync(&mut linker, |state| state)
        .and_then(|()| {
            if plan.preview0 {
                add_unstable_to_linker_sync(&mut linker, |state| state)?;
            }
            Ok(())
        })
        .and_then(|()| match plan.unknown_imports {
            UnknownImports::Refuse => Ok(()),
            UnknownImports::Trap => linker.define_unknown_imports_as_traps(module),
            UnknownImports::Default => define_unknown_as_defaults(&mut linker, module, ctx),
        });
    linked.map_err(|error| {
        Message::failure("the imports cannot be defined").why(first_line(&error))
    })?;
    let mut scratch = Store::new(engine, P1State::new(ctx.clone()));
    let sources = plan.preloads.iter().map(|(_, source)| source);
    let modules = preloads.iter().map(|(_, library)| library.module());
    for (index, (module, source)) in modules
        .chain([module])
        .zip(sources.chain([&plan.module]))
        .enumerate()
    {
        let missing: Vec<ImportType<'_>> = module
            .imports()
            .filter(|import| !of_the_group(import))
            .filter(|import| !of_a_library(import, &preloads[..index]))
            .filter(|import| linker.get_by_import(&mut scratch, import).is_none())
            .collect();
        if !missing.is_empty() {
            let known: Vec<_> = linker
                .iter(&mut scratch)
                .map(|(module, name, _)| (module, name))
                .chain([(abi::SPAWN_MODULE, abi::SPAWN_NAME)])
                .collect();
            return Err(nothing_provides(&missing, &known, &source.display()));
        }
    }
    Ok(linker)
}

/// Whether one of `libraries` exports this import.
fn of_a_library(import: &ImportType<'_>, libraries: &[(&str, ThreadModule)]) -> bool {
    libraries.iter().any(|(name, library)| {
        *name == import.module()
            && library.module().get_export(import.name()).is_some()
            && library.is_guest_export(import.name())
    })
}

/// Whether the group of threads defines this import.
fn of_the_group(import: &ImportType<'_>) -> bool {
    match import.ty() {
        ExternType::Memory(_) => true,
        ExternType::Func(_) => abi::is_spawn(import.module(), import.name()),
        _ => false,
    }
}

/// The functions that calls of `setjmp` and `longjmp` become. They stay undefined if the C library
/// has none, or is not linked.
const JUMPS: [&str; 9] = [
    "setjmp",
    "longjmp",
    "_setjmp",
    "_longjmp",
    "__wasm_setjmp",
    "__wasm_setjmp_test",
    "__wasm_longjmp",
    "saveSetjmp",
    "emscripten_longjmp",
];

/// `known`: the functions that exist, as module and name.
fn nothing_provides(missing: &[ImportType<'_>], known: &[(&str, &str)], name: &str) -> Message {
    /// More than is ever read.
    const MOST: usize = 8;
    let mut list = String::new();
    for import in &missing[..missing.len().min(MOST)] {
        let separator = if list.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(list, "{separator}{} {}", kind(&import.ty()), named(import));
    }
    if missing.len() > MOST {
        let _ = write!(list, " and {} more", missing.len() - MOST);
    }
    let functions_only = missing
        .iter()
        .all(|import| matches!(import.ty(), ExternType::Func(_)));
    let message = Message::failure(format!("{name} cannot be run"))
        .why(format!("nothing provides what it imports: {list}"));
    let meant = missing.iter().find_map(|import| {
        let (module, name) = near(import.module(), import.name(), known.iter().copied())?;
        Some(format!("`{module}.{name}`, and not {}", named(import)))
    });
    match meant {
        Some(meant) => message.help(format!("here it is {meant}: import it under that name")),
        None if missing.iter().any(|import| JUMPS.contains(&import.name())) => message.help(
            "`setjmp` needs exceptions: compile with `-mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false` and link \
             with `-lsetjmp`",
        ),
        None => message.help(if functions_only {
            "`-W unknown-imports-trap` runs it as long as it does not call what is missing"
        } else {
            "only another module can provide what is not a function: link it in, or `--preload` it"
        }),
    }
}

/// The escaped name of an import.
fn named(import: &ImportType<'_>) -> String {
    format!(
        "`{}.{}`",
        escape(import.module(), NAME_CHARS),
        escape(import.name(), NAME_CHARS)
    )
}

fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "the function",
        ExternType::Global(_) => "the global",
        ExternType::Table(_) => "the table",
        ExternType::Memory(_) => "the memory",
        ExternType::Tag(_) => "the tag",
    }
}

/// Functions that return zeros (or null), for every function import that the
/// linker lacks. Wasmtime's own helper would make memories and tables that belong
/// to one store, and there is one store per thread.
fn define_unknown_as_defaults(
    linker: &mut Linker<P1State>,
    module: &Module,
    ctx: &P1Ctx,
) -> wasmtime::Result<()> {
    let mut scratch = Store::new(linker.engine(), P1State::new(ctx.clone()));
    for import in module.imports() {
        let Some(ty) = import.ty().func().cloned() else {
            continue;
        };
        if linker.get_by_import(&mut scratch, &import).is_some() {
            continue;
        }
        let defaults: Option<Vec<Val>> = ty.results().map(|ty| Val::default_for_ty(&ty)).collect();
        let defaults = defaults.ok_or_else(|| {
            wasmtime::format_err!("{} returns a reference that has no default", named(&import))
        })?;
        linker.func_new(import.module(), import.name(), ty, move |_, _, results| {
            results.clone_from_slice(&defaults);
            Ok(())
        })?;
    }
    Ok(())
}
