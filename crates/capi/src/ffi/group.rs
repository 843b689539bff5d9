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

/// The threads of a program, which share one memory and end together. It runs once; its memory can be read before, meanwhile and
/// afterwards.
#[derive(Debug)]
pub struct WtGroup {
    group: ThreadGroup<P1State>,
}

/// Makes a group of a program with what `config` says; NULL is a new configuration. Opens its folders, makes its memory, and
/// runs nothing.
///
/// Fails when a folder cannot be opened, when the program needs what nothing provides, or more memory than it may have.
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

/// Runs the program: calls `function`, an export without parameters and results, in its main thread; NULL is `_start`. Blocks
/// until the program has ended, in which all its threads have, but for those that are left behind.
///
/// Fails when nothing was run: there is no such export, the group has run, the host can start no thread. What the program does is
/// an outcome, and no error.
///
/// # Safety
///
/// `group` came out of `wt_group_new`. `function` is NULL or ends with a NUL byte. `error` is NULL or may be written.
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

/// Ends the program as `WT_CANCELLED`, if it has not ended, from any thread, and does not wait for it: `wt_group_run` returns soon. One that has not run
/// yet ends as soon as it does.
///
/// # Safety
///
/// `group` is NULL, which is nothing, or came out of `wt_group_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_cancel(group: *const WtGroup) {
    guard(ptr::null_mut(), (), || {
        // SAFETY: the caller's promise.
        let group = unsafe { given(group, "group")? };
        group.group.handle().cancel();
        Ok(())
    });
}

/// How many bytes the memory has now that the program's threads share; 0 if there is none.
///
/// # Safety
///
/// `group` is NULL, which has none, or came out of `wt_group_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_memory_size(group: *const WtGroup) -> u64 {
    guard(ptr::null_mut(), 0, || {
        // SAFETY: the caller's promise.
        let group = unsafe { given(group, "group")? };
        let memory = group.group.memory();
        Ok(memory.map_or(0, |memory| memory.data().len() as u64))
    })
}

/// Copies `length` bytes of the shared memory, from `address` on, to `to`. Bytes that the program writes meanwhile are each as before or as
/// after.
///
/// Fails when not all of them are inside the memory, or there is no shared one; then nothing is copied.
///
/// # Safety
///
/// `to` has room for `length` bytes. `group` came out of `wt_group_new`. `error` is NULL or may be written.
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
            // SAFETY: not NULL, and the caller says that there is room for `length` bytes.
            unsafe { to.add(at).write(byte.load(Ordering::Relaxed)) };
        }
        Ok(true)
    })
}

/// Copies `length` bytes of `from` into the shared memory, to `address` and behind it, as `wt_group_memory_read` copies them out.
///
/// Fails when not all of them are inside the memory, or there is no shared one; then nothing is copied.
///
/// # Safety
///
/// `from` has `length` bytes. `group` came out of `wt_group_new`. `error` is NULL or may be written.
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
        // Looks whether it is inside, which bounds the length.
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

/// The bytes from `address` on, if they are there.
fn inside(memory: &HostMemory, address: u64, length: usize) -> Result<&[AtomicU8], String> {
    memory.bytes(address, length).map_err(|_| {
        let size = memory.memory().data().len();
        format!("{length} bytes at {address} are not inside of a memory of {size}")
    })
}

/// Deletes a group. Ends its program, should it not have ended, and blocks until it has.
///
/// # Safety
///
/// `group` is NULL or came out of `wt_group_new`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_group_delete(group: *mut WtGroup) {
    // SAFETY: the caller's promise.
    unsafe { delete(group) }
}
