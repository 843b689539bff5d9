/*
 * Programs with threads and WASI preview1 on Wasmtime, from C.
 *
 *   wt_engine *engine = wt_engine_new(0, &error);
 *   wt_module *module = wt_module_open(engine, "program.wasm", &error);
 *   wt_config *config = wt_config_new();
 *   wt_config_inherit_stdio(config);
 *   wt_group *group = wt_group_new(module, config, &error);
 *   wt_outcome *outcome = wt_group_run(group, NULL, &error);
 *   printf("%s\n", wt_outcome_message(outcome));
 *
 * Errors. A function that can fail takes `char **error` last and returns NULL, or
 * false, when it has failed. It then stores a text for people there, which the
 * caller frees with `wt_string_delete`; when it has not failed it stores NULL.
 * `error` itself may be NULL. A pointer argument that must not be NULL and is,
 * and a text that is not UTF-8, are errors like others.
 *
 * Ownership. Whoever calls a function whose name ends in `_new`, `_open`,
 * `_load`, `_load_file` or `_run` owns what it returns, and gives it back with the
 * `_delete` of its type, which takes NULL, too. The functions copy what they are
 * given: nothing of the caller's is kept, and objects may be deleted in any order. What a
 * function returns as `const char *` lives as long as the object it is asked of.
 *
 * Threads. Engines, modules, groups and outcomes may be used by any number of
 * threads at once; a configuration by one at a time. An object is deleted when no
 * other thread uses it any more, which for a group includes `wt_group_run`.
 *
 * Panics do not cross: a fault of this library is an error, too.
 *
 * The process. The first engine installs Wasmtime's handlers of SIGSEGV, SIGBUS,
 * SIGILL and SIGFPE, which pass on what does not concern them. Groups start host
 * threads, so a child made by fork() may only call exec(). A write to a pipe that
 * nobody reads raises SIGPIPE in a process that does not ignore it; one that does
 * has the program told. The library never ends the process.
 */
#ifndef WASI_THREADS_H
#define WASI_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What compiles modules and runs them. One is enough for a process; a group
 * whose end interrupts threads interrupts those of other groups of its engine,
 * too, for a moment.
 */
typedef struct wt_engine wt_engine;

/**
 * Compiles code that cannot be interrupted: it computes faster, by a few to
 * nearly 200 percent, and a thread that computes for ever is never ended, but
 * left behind by `wt_group_run` once the grace is over. For `wt_engine_new`.
 */
#define WT_ENGINE_UNINTERRUPTED 1u

/**
 * A compiled program. It can be run any number of times, in any number of
 * groups at once.
 */
typedef struct wt_module wt_module;

/**
 * What programs get of their host and may use: nothing, until it is said. One
 * configuration serves any number of groups, and changes of it are for groups
 * that are made afterwards. To be used by one thread at a time.
 */
typedef struct wt_config wt_config;

/**
 * The threads of a program, which share one memory and end together. It runs
 * once; its memory can be read before, meanwhile and afterwards.
 */
typedef struct wt_group wt_group;

/**
 * How a program ended.
 */
typedef struct wt_outcome wt_outcome;

/**
 * The first cause of the end.
 */
typedef enum wt_kind {
  /**
   * The function that was run has returned.
   */
  WT_RETURNED = 0,
  /**
   * A thread called `proc_exit`: `wt_outcome_status` has its code.
   */
  WT_EXITED = 1,
  /**
   * A thread trapped: `wt_outcome_thread`, `wt_outcome_backtrace`.
   */
  WT_TRAPPED = 2,
  /**
   * The time was over: `wt_config_timeout`.
   */
  WT_TIMED_OUT = 3,
  /**
   * `wt_group_cancel` was called.
   */
  WT_CANCELLED = 4,
  /**
   * All threads waited for one another: `wt_config_detect_deadlock`.
   */
  WT_DEADLOCKED = 5,
  /**
   * Another, which `wt_outcome_message` names: a fault of this library.
   */
  WT_OTHER = 6,
} wt_kind;

/**
 * Makes an engine. `flags` is 0 or `WT_ENGINE_UNINTERRUPTED`. Needs no file
 * and no network; starts no thread.
 *
 * Fails when the machine's processor is not supported, or a flag is unknown.
 *
 * The caller sees to it: `error` is NULL or may be written.
 */
wt_engine *wt_engine_new(uint32_t flags, char **error);

/**
 * Deletes an engine. Modules and groups of it go on.
 *
 * The caller sees to it: `engine` is NULL or came out of `wt_engine_new`, and
 * nobody uses it any more.
 */
void wt_engine_delete(wt_engine *engine);

/**
 * Compiles a program of `length` bytes: a WebAssembly binary, or its text
 * format. Blocks for as long as that takes: seconds for a large program, on
 * all processors.
 *
 * Fails when the bytes are no valid module.
 *
 * The caller sees to it: `engine` came out of `wt_engine_new`. `bytes` are
 * `length` bytes, or `length` is 0. `error` is NULL or may be written.
 */
wt_module *wt_module_new(
    const wt_engine *engine,
    const uint8_t *bytes,
    size_t length,
    char **error);

/**
 * `wt_module_new` of a file.
 *
 * Fails when the file cannot be read, or is no valid module.
 *
 * The caller sees to it: `engine` came out of `wt_engine_new`. `path` ends
 * with a NUL byte. `error` is NULL or may be written.
 */
wt_module *wt_module_open(const wt_engine *engine, const char *path, char **error);

/**
 * Gives the compiled program as bytes, for `wt_module_load` or a file for
 * `wt_module_load_file`, in an engine of the same flags, version of this
 * library and kind of processor. Stores how many at `length`;
 * `wt_bytes_delete` deletes them.
 *
 * Fails when there is not enough memory for them.
 *
 * The caller sees to it: `module` came out of this library. `length` may be
 * written. `error` is NULL or may be written.
 */
uint8_t *wt_module_serialize(const wt_module *module, size_t *length, char **error);

/**
 * Makes a module of what `wt_module_serialize` gave, without compiling.
 *
 * The bytes are native code: whoever can change them can do in this process
 * whatever the process may. A checksum finds accidents, and no malice. Keep
 * them where nobody else writes.
 *
 * Fails when they are damaged, of another version, or of an engine with other
 * flags.
 *
 * The caller sees to it: `bytes` are `length` bytes that `wt_module_serialize`
 * gave, unchanged. `engine` came out of `wt_engine_new`. `error` is NULL or
 * may be written.
 */
wt_module *wt_module_load(
    const wt_engine *engine,
    const uint8_t *bytes,
    size_t length,
    char **error);

/**
 * `wt_module_load` of a file, which is mapped and not copied: it must be
 * replaced, and not written into, for as long as the module or a group of it
 * is there. A `.cwasm` of `wasi-threads-run compile` is such a file only if it
 * was compiled with the options that the engine has: `-W
 * epoch-interruption=y`, or `n` for an engine with `WT_ENGINE_UNINTERRUPTED`.
 *
 * Fails as `wt_module_load` does, and when the file cannot be read.
 *
 * The caller sees to it: The file has what `wt_module_serialize` gave, and
 * nobody changes it. `path` ends with a NUL byte. `engine` came out of
 * `wt_engine_new`. `error` is NULL or may be written.
 */
wt_module *wt_module_load_file(const wt_engine *engine, const char *path, char **error);

/**
 * Deletes a module. Groups of it go on.
 *
 * The caller sees to it: `module` is NULL or came out of this library, and
 * nobody uses it any more.
 */
void wt_module_delete(wt_module *module);

/**
 * Makes a configuration: no arguments, no environment, no folders, an empty
 * standard input, outputs that swallow what is written, 1,000 threads, no
 * other limit.
 */
wt_config *wt_config_new(void);

/**
 * Deletes a configuration. Groups that were made with it go on.
 *
 * The caller sees to it: `config` is NULL or came out of `wt_config_new`, and
 * nobody uses it any more.
 */
void wt_config_delete(wt_config *config);

/**
 * Adds an argument. The first is the program's name, by convention.
 *
 * The caller sees to it: `config` came out of `wt_config_new`. `argument` ends
 * with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_arg(wt_config *config, const char *argument, char **error);

/**
 * Adds a variable of the environment.
 *
 * Fails when the name is empty or has a `=` in it.
 *
 * The caller sees to it: `config` came out of `wt_config_new`. `name` and
 * `value` end with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_env(wt_config *config, const char *name, const char *value, char **error);

/**
 * Gives programs the folder `host` under the name `guest`, with all that is in
 * it; for reading only, if `read_only` is not 0. It is opened when a group is
 * made.
 *
 * The caller sees to it: `config` came out of `wt_config_new`. `host` and
 * `guest` end with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_preopen(
    wt_config *config,
    const char *host,
    const char *guest,
    int read_only,
    char **error);

/**
 * Gives programs the standard streams of this process. What they write is
 * written at once.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_inherit_stdio(wt_config *config);

/**
 * Gives programs `descriptor` (a file, a pipe, a socket, a terminal) as their
 * standard stream `number`: 0 input, 1 output, 2 errors. It is duplicated: the
 * caller's own stays the caller's to close, and the duplicate is closed with
 * the configuration and with the groups that were made with it.
 *
 * Fails when it is not open, and for another number.
 *
 * The caller sees to it: `config` came out of `wt_config_new`. `error` is NULL
 * or may be written.
 */
bool wt_config_stdio(wt_config *config, int number, int descriptor, char **error);

/**
 * How many threads a program may have at once beside its main one; more are
 * refused, which the program is told. 1,000 unless said.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_max_threads(wt_config *config, uint32_t threads);

/**
 * To how many bytes a memory of a program may grow: its shared one, and each
 * that is not shared. A program that begins with more is refused. No limit but
 * the program's own unless said.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_max_memory(wt_config *config, uint64_t bytes);

/**
 * After how many milliseconds a run ends as `WT_TIMED_OUT`, wherever its
 * threads are. 0 is never, as it is unless said.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_timeout(wt_config *config, uint64_t milliseconds);

/**
 * How many milliseconds the end of a run waits for threads that nothing ends:
 * in a system call that nothing interrupts (a dead network disk), or computing
 * in an engine with `WT_ENGINE_UNINTERRUPTED`. `wt_outcome_left_behind` counts
 * those that have not ended by then. 10,000 unless said.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_grace(wt_config *config, uint64_t milliseconds);

/**
 * Ends a run as `WT_DEADLOCKED` when all its threads wait for one another, if
 * `detect` is not 0. By that the caller says that it writes nothing into the
 * memory while the program runs.
 *
 * The caller sees to it: `config` is NULL, which is nothing, or came out of
 * `wt_config_new`.
 */
void wt_config_detect_deadlock(wt_config *config, int detect);

/**
 * Makes a group of a program with what `config` says; NULL is a new
 * configuration. Opens its folders, makes its memory, and runs nothing.
 *
 * Fails when a folder cannot be opened, when the program needs what nothing
 * provides, or more memory than it may have.
 *
 * The caller sees to it: `module` and `config` came out of this library.
 * `error` is NULL or may be written.
 */
wt_group *wt_group_new(const wt_module *module, const wt_config *config, char **error);

/**
 * Runs the program: calls `function`, an export without parameters and
 * results, in its main thread; NULL is `_start`. Blocks until the program has
 * ended, in which all its threads have, but for those that are left behind.
 *
 * Fails when nothing was run: there is no such export, the group has run, the
 * host can start no thread. What the program does is an outcome, and no error.
 *
 * The caller sees to it: `group` came out of `wt_group_new`. `function` is
 * NULL or ends with a NUL byte. `error` is NULL or may be written.
 */
wt_outcome *wt_group_run(const wt_group *group, const char *function, char **error);

/**
 * Ends the program as `WT_CANCELLED`, if it has not ended, from any thread,
 * and does not wait for it: `wt_group_run` returns soon. One that has not run
 * yet ends as soon as it does.
 *
 * The caller sees to it: `group` is NULL, which is nothing, or came out of
 * `wt_group_new`.
 */
void wt_group_cancel(const wt_group *group);

/**
 * How many bytes the memory has now that the program's threads share; 0 if
 * there is none.
 *
 * The caller sees to it: `group` is NULL, which has none, or came out of
 * `wt_group_new`.
 */
uint64_t wt_group_memory_size(const wt_group *group);

/**
 * Copies `length` bytes of the shared memory, from `address` on, to `to`.
 * Bytes that the program writes meanwhile are each as before or as after.
 *
 * Fails when not all of them are inside the memory, or there is no shared one;
 * then nothing is copied.
 *
 * The caller sees to it: `to` has room for `length` bytes. `group` came out of
 * `wt_group_new`. `error` is NULL or may be written.
 */
bool wt_group_memory_read(
    const wt_group *group,
    uint64_t address,
    uint8_t *to,
    size_t length,
    char **error);

/**
 * Copies `length` bytes of `from` into the shared memory, to `address` and
 * behind it, as `wt_group_memory_read` copies them out.
 *
 * Fails when not all of them are inside the memory, or there is no shared one;
 * then nothing is copied.
 *
 * The caller sees to it: `from` has `length` bytes. `group` came out of
 * `wt_group_new`. `error` is NULL or may be written.
 */
bool wt_group_memory_write(
    const wt_group *group,
    uint64_t address,
    const uint8_t *from,
    size_t length,
    char **error);

/**
 * Deletes a group. Ends its program, should it not have ended, and blocks
 * until it has.
 *
 * The caller sees to it: `group` is NULL or came out of `wt_group_new`, and
 * nobody uses it any more.
 */
void wt_group_delete(wt_group *group);

/**
 * What kind of end it was; `WT_OTHER` of NULL.
 *
 * The caller sees to it: `outcome` is NULL or came out of `wt_group_run`.
 */
wt_kind wt_outcome_kind(const wt_outcome *outcome);

/**
 * The status of a program that ended by itself: what it gave to `proc_exit`,
 * all 32 bits, or 0 when it returned. 134 of every other end.
 *
 * The caller sees to it: `outcome` is NULL or came out of `wt_group_run`.
 */
int32_t wt_outcome_status(const wt_outcome *outcome);

/**
 * The end in a sentence, such as `the program exited with status 3`. Lives as
 * long as the outcome.
 *
 * The caller sees to it: `outcome` is NULL, of which it is NULL, or came out
 * of `wt_group_run`.
 */
const char *wt_outcome_message(const wt_outcome *outcome);

/**
 * Where a trap was, a line for each function; NULL if there was none. Names
 * that the program has are escaped. Lives as long as the outcome.
 *
 * The caller sees to it: `outcome` is NULL, of which it is NULL, or came out
 * of `wt_group_run`.
 */
const char *wt_outcome_backtrace(const wt_outcome *outcome);

/**
 * The id of the thread that trapped, 0 for the main thread; -1 of every other
 * end.
 *
 * The caller sees to it: `outcome` is NULL or came out of `wt_group_run`.
 */
int wt_outcome_thread(const wt_outcome *outcome);

/**
 * How many threads had not ended when the grace was over (`wt_config_grace`):
 * each keeps a host thread and the memory for as long as its system call
 * takes, or, in an engine with `WT_ENGINE_UNINTERRUPTED`, as it computes.
 *
 * The caller sees to it: `outcome` is NULL or came out of `wt_group_run`.
 */
size_t wt_outcome_left_behind(const wt_outcome *outcome);

/**
 * Deletes an outcome.
 *
 * The caller sees to it: `outcome` is NULL or came out of `wt_group_run`, and
 * nobody uses it any more.
 */
void wt_outcome_delete(wt_outcome *outcome);

/**
 * Deletes a text that a function of this library has stored in `error`. NULL
 * is nothing.
 *
 * The caller sees to it: The text came out of this library, was not changed,
 * and is not deleted twice.
 */
void wt_string_delete(char *text);

/**
 * Deletes bytes that `wt_module_serialize` gave. NULL is nothing.
 *
 * The caller sees to it: Both came out of one call of `wt_module_serialize`,
 * and are not deleted twice.
 */
void wt_bytes_delete(uint8_t *bytes, size_t length);

/**
 * The version of this library, such as `48.0.0`, whose first number is
 * Wasmtime's. It is never deleted.
 */
const char *wt_version(void);

#ifdef __cplusplus
}
#endif

#endif
