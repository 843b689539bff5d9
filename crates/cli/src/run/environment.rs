//! The program's environment variables.

use std::collections::HashMap;

use wasmtime_cli_flags::CommonOptions;

use crate::message::{Message, Result};
use crate::sys::inherited::Inherited;

/// The inherited and the typed variables; a later one replaces an earlier one with its name.
pub(crate) fn environment(
    common: &CommonOptions,
    vars: &[(String, Option<String>)],
    listenfd: &Inherited,
) -> Result<Vec<(String, String)>> {
    let mut env: Vec<(String, String)> = listenfd.variables().collect();
    // There may be 100,000 of them.
    let places = env.iter().enumerate();
    let mut places: HashMap<String, usize> = places
        .map(|(place, (name, _))| (name.clone(), place))
        .collect();
    let mut set = |name: String, value: String| match places.get(&name) {
        Some(place) => env[*place].1 = value,
        None => {
            places.insert(name.clone(), env.len());
            env.push((name, value));
        }
    };
    if common.wasi.inherit_env == Some(true) {
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => set(name, value),
                (Ok(name), Err(_)) | (Err(_), Ok(name)) => return Err(not_utf8(&name)),
                (Err(name), Err(_)) => return Err(not_utf8(&name.to_string_lossy())),
            }
        }
    }
    for (name, value) in vars {
        match value {
            Some(value) => set(name.clone(), value.clone()),
            None => match std::env::var(name) {
                Ok(value) => set(name.clone(), value),
                // Not set in this process, so not set for the program.
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => return Err(not_utf8(name)),
            },
        }
    }
    Ok(env)
}

fn not_utf8(name: &str) -> Message {
    Message::usage(format!(
        "the environment variable `{name}` cannot be passed on"
    ))
    .why("its name or value is not UTF-8, and WASI's strings are")
    .help("set it with --env NAME=VALUE, or pass variables one by one")
}
