//! Groups of threads.

use std::ffi::c_char;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{ptr, slice};

use p1_adapter::P1State;
use wasi_threads::{HostMemory, ThreadGroup};

use super::config::WtConfig;
use super::module::WtModule;
use super::outcome::WtOutcome;
use super::{delete, given, guard, owned, text};
use crate::ended::Ended;
use crate::words::words;

/// The threads of a program, which share one memory and end together. A group runs once. Its memory
/// can be read before the run, meanwhile and afterwards.
#[derive(Debug)]
pub struct WtGroup {
    group: ThreadGroup<P1State>,
}

/// Makes a group for a program with the settings of `config`; NULL means a new configuration. Opens
/// its folders, makes its memory, and runs nothing.
///
/// Fails if a folder cannot be opened, if nothing provides an import of the program, or if the
/// program needs more memory than it may have.
///
/// # Safety
///
/// `module` and `config` came out of this library. `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_new(
    module: *const WtModule,
    config: *const WtConfig,
    error: *mut *mut c_char,
) -> *mut WtGroup {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (module, config) = unsafe { (given(module, "module")?, config.as_ref()) };
        let new = WtConfig::default();
        let settings = &config.unwrap_or(&new).settings;
        let group = settings.group(&module.module, module.termination)?;
        Ok(owned(WtGroup { group }))
    })
}

/// Runs the program: calls `function`, an export without parameters and results, in its main
/// thread; NULL is `_start`. Blocks until the program has ended. Then all its threads have ended,
/// except those left behind.
///
/// Fails if nothing was run: there is no such export, the group has run before, or the host cannot
/// start a thread. What the program does is an outcome, and not an error.
///
/// # Safety
///
/// `group` came out of `wt_group_new`. `function` is NULL or ends with a NUL byte. `error` is NULL
/// or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_run(
    group: *const WtGroup,
    function: *const c_char,
    error: *mut *mut c_char,
) -> *mut WtOutcome {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let group = unsafe { &given(group, "group")?.group };
        let function = match function.is_null() {
            true => "_start",
            // SAFETY: the caller's promise.
            false => unsafe { text(function, "function")? },
        };
        let outcome = group.run(function).map_err(|error| words(&error))?;
        let ended = Ended::of(group, outcome);
        Ok(owned(WtOutcome { ended }))
    })
}

/// Ends the program as `WT_CANCELLED`, unless it has ended. May be called from any thread, and does
/// not wait: `wt_group_run` returns soon. A program that has not run yet ends as soon as it runs.
///
/// # Safety
///
/// `group` is NULL, for which nothing is done, or came out of `wt_group_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_cancel(group: *const WtGroup) {
    guard(ptr::null_mut(), (), || {
        // SAFETY: the caller's promise.
        let group = unsafe { given(group, "group")? };
        group.group.handle().cancel();
        Ok(())
    });
}

/// The present size in bytes of the memory that the program's threads share; 0 if there is none.
///
/// # Safety
///
/// `group` is NULL, for which it is 0, or came out of `wt_group_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_memory_size(group: *const WtGroup) -> u64 {
    guard(ptr::null_mut(), 0, || {
        // SAFETY: the caller's promise.
        let group = unsafe { given(group, "group")? };
        let memory = group.group.memory();
        Ok(memory.map_or(0, |memory| memory.data().len() as u64))
    })
}

/// Copies `length` bytes of the shared memory, from `address` on, to `to`. Each byte that the
/// program writes meanwhile is either old or new.
///
/// Fails when not all of them are inside the memory, or there is no shared one; then nothing is
/// copied.
///
/// # Safety
///
/// `to` has space for `length` bytes. `group` came out of `wt_group_new`. `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_memory_read(
    group: *const WtGroup,
    address: u64,
    to: *mut u8,
    length: usize,
    error: *mut *mut c_char,
) -> bool {
    guard(error, false, || {
        // SAFETY: the caller's promise.
        let memory = unsafe { memory(group)? };
        let bytes = inside(&memory, address, length)?;
        if to.is_null() && length > 0 {
            return Err("`to` is NULL".to_owned());
        }
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: not NULL, and the caller says that there is space for `length` bytes.
            unsafe { to.add(at).write(byte.load(Ordering::Relaxed)) };
        }
        Ok(true)
    })
}

/// Copies `length` bytes of `from` into the shared memory, from `address` on. The reverse of
/// `wt_group_memory_read`.
///
/// Fails when not all of them are inside the memory, or there is no shared one; then nothing is
/// copied.
///
/// # Safety
///
/// `from` has `length` bytes. `group` came out of `wt_group_new`. `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_memory_write(
    group: *const WtGroup,
    address: u64,
    from: *const u8,
    length: usize,
    error: *mut *mut c_char,
) -> bool {
    guard(error, false, || {
        // SAFETY: the caller's promise.
        let memory = unsafe { memory(group)? };
        // Checks that the range is inside, which also bounds the length.
        inside(&memory, address, length)?;
        if length == 0 {
            return Ok(true);
        }
        if from.is_null() {
            return Err("`from` is NULL".to_owned());
        }
        // SAFETY: not NULL, no longer than a memory; the caller says that they are there.
        let from = unsafe { slice::from_raw_parts(from, length) };
        memory.write(address, from).map_err(|error| words(&error))?;
        Ok(true)
    })
}

/// # Safety
///
/// `group` is NULL or came out of `wt_group_new`, and lives.
unsafe fn memory(group: *const WtGroup) -> Result<HostMemory, String> {
    // SAFETY: the caller's promise.
    let group = unsafe { given(group, "group")? };
    let memory = group.group.host_memory();
    memory.ok_or_else(|| "the program has no shared memory".to_owned())
}

/// The bytes from `address` on, if they are inside.
fn inside(memory: &HostMemory, address: u64, length: usize) -> Result<&[AtomicU8], String> {
    memory.bytes(address, length).map_err(|_| {
        let size = memory.memory().data().len();
        format!("{length} bytes at {address} are not inside of a memory of {size}")
    })
}

/// Deletes a group. If its program has not ended, ends it, and blocks until that is done.
///
/// # Safety
///
/// `group` is NULL or came out of `wt_group_new`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_delete(group: *mut WtGroup) {
    // SAFETY: the caller's promise.
    unsafe { delete(group) }
}
