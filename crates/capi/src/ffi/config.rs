//! Configurations.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::time::Duration;

use p1_adapter::FsPerms;

use super::{delete, guard, owned, text};
use crate::settings::{Preopen, Settings, Stdio};

/// What programs get from their host and may use. A new one gives nothing. One configuration serves
/// any number of groups; changes apply to groups that are made afterwards. Only one thread may use
/// it at a time.
#[derive(Debug, Default)]
pub struct WtConfig {
    pub(super) settings: Settings,
}

/// Makes a configuration: no arguments, no environment, no folders, an empty standard input,
/// outputs that drop what is written, at most 1,000 threads, no other limit.
#[unsafe(no_mangle)]
pub extern "C" fn wt_config_new() -> *mut WtConfig {
    guard(ptr::null_mut(), ptr::null_mut(), || {
        Ok(owned(WtConfig::default()))
    })
}

/// Deletes a configuration. Groups that were made with it go on.
///
/// # Safety
///
/// `config` is NULL or came out of `wt_config_new`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_delete(config: *mut WtConfig) {
    // SAFETY: the caller's promise.
    unsafe { delete(config) }
}

/// Changes the settings behind `config`.
///
/// # Safety
///
/// `config` is NULL, or came out of `wt_config_new` and is used by this thread only; `error` is
/// NULL or may be written.
unsafe fn change(
    config: *mut WtConfig,
    error: *mut *mut c_char,
    change: impl FnOnce(&mut Settings) -> Result<(), String>,
) -> bool {
    guard(error, false, || {
        // SAFETY: the caller's promise.
        let config = unsafe { config.as_mut() }.ok_or("`config` is NULL")?;
        change(&mut config.settings)?;
        Ok(true)
    })
}

/// Adds an argument. The first is the program's name, by convention.
///
/// # Safety
///
/// `config` came out of `wt_config_new`. `argument` ends with a NUL byte. `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_arg(
    config: *mut WtConfig,
    argument: *const c_char,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        change(config, error, |settings| {
            let argument = text(argument, "argument")?.to_owned();
            settings.args.push(argument);
            Ok(())
        })
    }
}

/// Adds a variable of the environment.
///
/// Fails if the name is empty or contains `=`.
///
/// # Safety
///
/// `config` came out of `wt_config_new`. `name` and `value` end with a NUL byte. `error` is NULL or
/// may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_env(
    config: *mut WtConfig,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        change(config, error, |settings| {
            let (name, value) = (text(name, "name")?, text(value, "value")?);
            if name.is_empty() || name.contains('=') {
                return Err(format!("no variable can have the name `{name}`"));
            }
            settings.env.push((name.to_owned(), value.to_owned()));
            Ok(())
        })
    }
}

/// Gives programs the folder `host` and all that is in it, under the name `guest`. If `read_only`
/// is not 0, it is for reading only. It is opened when a group is made.
///
/// # Safety
///
/// `config` came out of `wt_config_new`. `host` and `guest` end with a NUL byte. `error` is NULL or
/// may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_preopen(
    config: *mut WtConfig,
    host: *const c_char,
    guest: *const c_char,
    read_only: c_int,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        change(config, error, |settings| {
            settings.preopens.push(Preopen {
                host: text(host, "host")?.to_owned(),
                guest: text(guest, "guest")?.to_owned(),
                perms: match read_only {
                    0 => FsPerms::ReadWrite,
                    _ => FsPerms::ReadOnly,
                },
            });
            Ok(())
        })
    }
}

/// Gives programs the standard streams of this process. Their output is not buffered.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_inherit_stdio(config: *mut WtConfig) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.stdio = [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit];
            Ok(())
        })
    };
}

/// Gives programs `descriptor` (a file, a pipe, a socket, a terminal) as their standard stream
/// `number`: 0 input, 1 output, 2 errors. The descriptor is duplicated. The caller still has to
/// close its own; the duplicate is closed when the configuration and all groups made with it are
/// deleted.
///
/// Fails if `descriptor` is not open, or `number` is another one.
///
/// # Safety
///
/// `config` came out of `wt_config_new`. `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_stdio(
    config: *mut WtConfig,
    number: c_int,
    descriptor: c_int,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promises.
    unsafe {
        change(config, error, |settings| {
            let stream = usize::try_from(number)
                .ok()
                .and_then(|number| settings.stdio.get_mut(number))
                .ok_or_else(|| format!("there is no standard stream {number}"))?;
            if descriptor < 0 {
                return Err(format!("{descriptor} is no descriptor"));
            }
            // Fails if it is not open.
            let given = crate::sys::duplicate(descriptor)
                .map_err(|error| format!("cannot duplicate descriptor {descriptor}: {error}"))?;
            *stream = Stdio::Given(given);
            Ok(())
        })
    }
}

/// Sets how many threads a program may have at once beside its main one: 1,000 by default.
/// `thread-spawn` fails for more.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_max_threads(config: *mut WtConfig, threads: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.max_threads = threads;
            Ok(())
        })
    };
}

/// Sets to how many bytes each memory of a program may grow, shared or not. A program that begins
/// with more is refused. By default only the program's own limit holds.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_max_memory(config: *mut WtConfig, bytes: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.max_memory = Some(bytes);
            Ok(())
        })
    };
}

/// Sets after how many milliseconds a run ends as `WT_TIMED_OUT`, whatever its threads do. 0, the
/// default, means never.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_timeout(config: *mut WtConfig, milliseconds: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.timeout = (milliseconds != 0).then(|| Duration::from_millis(milliseconds));
            Ok(())
        })
    };
}

/// Sets how many milliseconds the end of a run waits for threads that cannot be interrupted: 10,000
/// by default. Such a thread is in a system call that nothing interrupts (a dead network disk), or
/// computes in an engine with `WT_ENGINE_UNINTERRUPTED`. `wt_outcome_left_behind` counts those that
/// have not ended by then.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_grace(config: *mut WtConfig, milliseconds: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.grace = Duration::from_millis(milliseconds);
            Ok(())
        })
    };
}

/// If `detect` is not 0, a run ends as `WT_DEADLOCKED` when all its threads wait for one another.
/// The caller thereby promises to write nothing into the memory while the program runs.
///
/// # Safety
///
/// `config` is NULL, for which nothing is done, or came out of `wt_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_config_detect_deadlock(config: *mut WtConfig, detect: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        change(config, ptr::null_mut(), |settings| {
            settings.detect_deadlock = detect != 0;
            Ok(())
        })
    };
}
