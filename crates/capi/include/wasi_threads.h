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
 * Errors. A function that can fail takes `char **error` last. If it fails it
 * returns NULL or false, and stores a text for people at `error`, which the caller
 * deletes with `wt_string_delete`. Otherwise it stores NULL there. `error` itself
 * may be NULL. It is an error if a pointer argument that must not be NULL is NULL,
 * and if a text is not UTF-8.
 *
 * Ownership. The caller of a function whose name ends in `_new`, `_open`, `_load`,
 * `_load_file` or `_run` owns the result, and deletes it with the `_delete` of its
 * type, which also takes NULL. The functions copy their arguments: they keep
 * nothing of the caller, and objects may be deleted in any order. A result of type
 * `const char *` lives as long as the object that the function was called with.
 *
 * Threads. Any number of threads may use an engine, a module, a group or an
 * outcome at once; only one at a time may use a configuration. Delete an object
 * only when no other thread uses it; a group is used until `wt_group_run` returns.
 *
 * Panics do not reach the caller: a bug of this library is an error too.
 *
 * The process. The first engine installs Wasmtime's handlers of SIGSEGV, SIGBUS,
 * SIGILL and SIGFPE, which pass on signals that are not Wasmtime's. Groups start
 * host threads, so a child made by fork() may only call exec(). If a program
 * writes to a pipe without a reader, the process gets SIGPIPE; if the process
 * ignores that signal, the program gets an error. The library never ends the
 * process.
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
 * Compiles modules and runs them. One engine is enough for a process. When a
 * group ends, threads of other groups of the engine are interrupted too, for a
 * moment.
 */
typedef struct wt_engine wt_engine;

/**
 * A flag of `wt_engine_new`: compiles code that cannot be interrupted. It
 * computes faster, by a few to nearly 200 percent. A thread that computes for
 * ever is never ended: `wt_group_run` leaves it behind once the grace period
 * is over.
 */
#define WT_ENGINE_UNINTERRUPTED 1u

/**
 * A compiled program. It can run any number of times, in any number of groups
 * at once.
 */
typedef struct wt_module wt_module;

/**
 * What programs get from their host and may use. A new one gives nothing. One
 * configuration serves any number of groups; changes apply to groups that are
 * made afterwards. Only one thread may use it at a time.
 */
typedef struct wt_config wt_config;

/**
 * The threads of a program, which share one memory and end together. A group
 * runs once. Its memory can be read before the run, meanwhile and afterwards.
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
   * The function that was run returned.
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
   * The time limit passed: `wt_config_timeout`.
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
   * Any other cause, which `wt_outcome_message` names: a bug of this library.
   */
  WT_OTHER = 6,
} wt_kind;

/**
 * Makes an engine. `flags` is 0 or `WT_ENGINE_UNINTERRUPTED`. Uses no file and
 * no network, and starts no thread.
 *
 * Fails if the machine's processor is not supported, or a flag is unknown.
 *
 * The caller ensures: `error` is NULL or may be written.
 */
wt_engine *wt_engine_new(uint32_t flags, char **error);

/**
 * Deletes an engine. Its modules and groups go on.
 *
 * The caller ensures: `engine` is NULL or came out of `wt_engine_new`, and is
 * used no more.
 */
void wt_engine_delete(wt_engine *engine);

/**
 * Compiles a program of `length` bytes: a WebAssembly binary, or its text
 * format. Blocks while it compiles: for a large program that takes seconds, on
 * all processors.
 *
 * Fails if the bytes are not a valid module.
 *
 * The caller ensures: `engine` came out of `wt_engine_new`. `bytes` are
 * `length` bytes, or `length` is 0. `error` is NULL or may be written.
 */
wt_module *wt_module_new(
    const wt_engine *engine,
    const uint8_t *bytes,
    size_t length,
    char **error);

/**
 * `wt_module_new` from a file.
 *
 * Fails if the file cannot be read, or is not a valid module.
 *
 * The caller ensures: `engine` came out of `wt_engine_new`. `path` ends with a
 * NUL byte. `error` is NULL or may be written.
 */
wt_module *wt_module_open(const wt_engine *engine, const char *path, char **error);

/**
 * Returns the compiled program as bytes, for `wt_module_load`, or for a file
 * for `wt_module_load_file`. They load in an engine with the same flags, with
 * the same version of this library and the same kind of processor. Stores
 * their number at `length`. Delete them with `wt_bytes_delete`.
 *
 * Fails if there is not enough memory for them.
 *
 * The caller ensures: `module` came out of this library. `length` may be
 * written. `error` is NULL or may be written.
 */
uint8_t *wt_module_serialize(const wt_module *module, size_t *length, char **error);

/**
 * Makes a module from bytes of `wt_module_serialize`, without compiling.
 *
 * The bytes are native code: a user that can change them can do everything
 * that this process may do. A checksum finds accidental changes, and no
 * attacks. Keep the bytes where no other user can write.
 *
 * Fails if they are damaged, or from another version, or from an engine with
 * other flags.
 *
 * The caller ensures: `bytes` are `length` unchanged bytes of
 * `wt_module_serialize`. `engine` came out of `wt_engine_new`. `error` is NULL
 * or may be written.
 */
wt_module *wt_module_load(
    const wt_engine *engine,
    const uint8_t *bytes,
    size_t length,
    char **error);

/**
 * `wt_module_load` from a file, which is mapped and not copied. While the
 * module or a group of it exists, do not write into the file, but replace it.
 * A `.cwasm` of `wasi-threads-run compile` is such a file only if it was
 * compiled with the engine's options: `-W epoch-interruption=y`, or `n` for an
 * engine with `WT_ENGINE_UNINTERRUPTED`.
 *
 * Fails like `wt_module_load`, and if the file cannot be read.
 *
 * The caller ensures: The file has the bytes of `wt_module_serialize`, and
 * does not change. `path` ends with a NUL byte. `engine` came out of
 * `wt_engine_new`. `error` is NULL or may be written.
 */
wt_module *wt_module_load_file(const wt_engine *engine, const char *path, char **error);

/**
 * Deletes a module. Its groups go on.
 *
 * The caller ensures: `module` is NULL or came out of this library, and is
 * used no more.
 */
void wt_module_delete(wt_module *module);

/**
 * Makes a configuration: no arguments, no environment, no folders, an empty
 * standard input, outputs that drop what is written, at most 1,000 threads, no
 * other limit.
 */
wt_config *wt_config_new(void);

/**
 * Deletes a configuration. Groups that were made with it go on.
 *
 * The caller ensures: `config` is NULL or came out of `wt_config_new`, and is
 * used no more.
 */
void wt_config_delete(wt_config *config);

/**
 * Adds an argument. The first is the program's name, by convention.
 *
 * The caller ensures: `config` came out of `wt_config_new`. `argument` ends
 * with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_arg(wt_config *config, const char *argument, char **error);

/**
 * Adds a variable of the environment.
 *
 * Fails if the name is empty or contains `=`.
 *
 * The caller ensures: `config` came out of `wt_config_new`. `name` and `value`
 * end with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_env(wt_config *config, const char *name, const char *value, char **error);

/**
 * Gives programs the folder `host` and all that is in it, under the name
 * `guest`. If `read_only` is not 0, it is for reading only. It is opened when
 * a group is made.
 *
 * The caller ensures: `config` came out of `wt_config_new`. `host` and `guest`
 * end with a NUL byte. `error` is NULL or may be written.
 */
bool wt_config_preopen(
    wt_config *config,
    const char *host,
    const char *guest,
    int read_only,
    char **error);

/**
 * Gives programs the standard streams of this process. Their output is not
 * buffered.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_inherit_stdio(wt_config *config);

/**
 * Gives programs `descriptor` (a file, a pipe, a socket, a terminal) as their
 * standard stream `number`: 0 input, 1 output, 2 errors. The descriptor is
 * duplicated. The caller still has to close its own; the duplicate is closed
 * when the configuration and all groups made with it are deleted.
 *
 * Fails if `descriptor` is not open, or `number` is another one.
 *
 * The caller ensures: `config` came out of `wt_config_new`. `error` is NULL or
 * may be written.
 */
bool wt_config_stdio(wt_config *config, int number, int descriptor, char **error);

/**
 * Sets how many threads a program may have at once beside its main one: 1,000
 * by default. `thread-spawn` fails for more.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_max_threads(wt_config *config, uint32_t threads);

/**
 * Sets to how many bytes each memory of a program may grow, shared or not. A
 * program that begins with more is refused. By default only the program's own
 * limit holds.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_max_memory(wt_config *config, uint64_t bytes);

/**
 * Sets after how many milliseconds a run ends as `WT_TIMED_OUT`, whatever its
 * threads do. 0, the default, means never.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_timeout(wt_config *config, uint64_t milliseconds);

/**
 * Sets how many milliseconds the end of a run waits for threads that cannot be
 * interrupted: 10,000 by default. Such a thread is in a system call that
 * nothing interrupts (a dead network disk), or computes in an engine with
 * `WT_ENGINE_UNINTERRUPTED`. `wt_outcome_left_behind` counts those that have
 * not ended by then.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_grace(wt_config *config, uint64_t milliseconds);

/**
 * If `detect` is not 0, a run ends as `WT_DEADLOCKED` when all its threads
 * wait for one another. The caller thereby promises to write nothing into the
 * memory while the program runs.
 *
 * The caller ensures: `config` is NULL, for which nothing is done, or came out
 * of `wt_config_new`.
 */
void wt_config_detect_deadlock(wt_config *config, int detect);

/**
 * Makes a group for a program with the settings of `config`; NULL means a new
 * configuration. Opens its folders, makes its memory, and runs nothing.
 *
 * Fails if a folder cannot be opened, if nothing provides an import of the
 * program, or if the program needs more memory than it may have.
 *
 * The caller ensures: `module` and `config` came out of this library. `error`
 * is NULL or may be written.
 */
wt_group *wt_group_new(const wt_module *module, const wt_config *config, char **error);

/**
 * Runs the program: calls `function`, an export without parameters and
 * results, in its main thread; NULL is `_start`. Blocks until the program has
 * ended. Then all its threads have ended, except those left behind.
 *
 * Fails if nothing was run: there is no such export, the group has run before,
 * or the host cannot start a thread. What the program does is an outcome, and
 * not an error.
 *
 * The caller ensures: `group` came out of `wt_group_new`. `function` is NULL
 * or ends with a NUL byte. `error` is NULL or may be written.
 */
wt_outcome *wt_group_run(const wt_group *group, const char *function, char **error);

/**
 * Ends the program as `WT_CANCELLED`, unless it has ended. May be called from
 * any thread, and does not wait: `wt_group_run` returns soon. A program that
 * has not run yet ends as soon as it runs.
 *
 * The caller ensures: `group` is NULL, for which nothing is done, or came out
 * of `wt_group_new`.
 */
void wt_group_cancel(const wt_group *group);

/**
 * The present size in bytes of the memory that the program's threads share; 0
 * if there is none.
 *
 * The caller ensures: `group` is NULL, for which it is 0, or came out of
 * `wt_group_new`.
 */
uint64_t wt_group_memory_size(const wt_group *group);

/**
 * Copies `length` bytes of the shared memory, from `address` on, to `to`. Each
 * byte that the program writes meanwhile is either old or new.
 *
 * Fails when not all of them are inside the memory, or there is no shared one;
 * then nothing is copied.
 *
 * The caller ensures: `to` has space for `length` bytes. `group` came out of
 * `wt_group_new`. `error` is NULL or may be written.
 */
bool wt_group_memory_read(
    const wt_group *group,
    uint64_t address,
    uint8_t *to,
    size_t length,
    char **error);

/**
 * Copies `length` bytes of `from` into the shared memory, from `address` on.
 * The reverse of `wt_group_memory_read`.
 *
 * Fails when not all of them are inside the memory, or there is no shared one;
 * then nothing is copied.
 *
 * The caller ensures: `from` has `length` bytes. `group` came out of
 * `wt_group_new`. `error` is NULL or may be written.
 */
bool wt_group_memory_write(
    const wt_group *group,
    uint64_t address,
    const uint8_t *from,
    size_t length,
    char **error);

/**
 * Deletes a group. If its program has not ended, ends it, and blocks until
 * that is done.
 *
 * The caller ensures: `group` is NULL or came out of `wt_group_new`, and is
 * used no more.
 */
void wt_group_delete(wt_group *group);

/**
 * The kind of the end; `WT_OTHER` for NULL.
 *
 * The caller ensures: `outcome` is NULL or came out of `wt_group_run`.
 */
wt_kind wt_outcome_kind(const wt_outcome *outcome);

/**
 * The exit status of the program: the code of `proc_exit`, all 32 bits, or 0
 * if the program returned. 134 for every other end.
 *
 * The caller ensures: `outcome` is NULL or came out of `wt_group_run`.
 */
int32_t wt_outcome_status(const wt_outcome *outcome);

/**
 * How the program ended, as a sentence such as `the program exited with status
 * 3`. Lives as long as the outcome.
 *
 * The caller ensures: `outcome` is NULL, for which it is NULL, or came out of
 * `wt_group_run`.
 */
const char *wt_outcome_message(const wt_outcome *outcome);

/**
 * The backtrace of a trap, with a line for each function; NULL if there was no
 * trap. Names from the program are escaped. Lives as long as the outcome.
 *
 * The caller ensures: `outcome` is NULL, for which it is NULL, or came out of
 * `wt_group_run`.
 */
const char *wt_outcome_backtrace(const wt_outcome *outcome);

/**
 * The id of the thread that trapped, 0 for the main thread; -1 for every other
 * end.
 *
 * The caller ensures: `outcome` is NULL or came out of `wt_group_run`.
 */
int wt_outcome_thread(const wt_outcome *outcome);

/**
 * How many threads had not ended when the grace period was over
 * (`wt_config_grace`). Each keeps a host thread and the memory while its
 * system call lasts or, in an engine with `WT_ENGINE_UNINTERRUPTED`, while it
 * computes.
 *
 * The caller ensures: `outcome` is NULL or came out of `wt_group_run`.
 */
size_t wt_outcome_left_behind(const wt_outcome *outcome);

/**
 * Deletes an outcome.
 *
 * The caller ensures: `outcome` is NULL or came out of `wt_group_run`, and is
 * used no more.
 */
void wt_outcome_delete(wt_outcome *outcome);

/**
 * Deletes a text that a function of this library has stored in `error`. Does
 * nothing for NULL.
 *
 * The caller ensures: The text came out of this library, was not changed, and
 * is not deleted twice.
 */
void wt_string_delete(char *text);

/**
 * Deletes bytes of `wt_module_serialize`. Does nothing for NULL.
 *
 * The caller ensures: Both came out of one call of `wt_module_serialize`, and
 * are not deleted twice.
 */
void wt_bytes_delete(uint8_t *bytes, size_t length);

/**
 * The version of this library, such as `48.0.0`. The first number is
 * Wasmtime's. Do not delete the text.
 */
const char *wt_version(void);

#ifdef __cplusplus
}
#endif

#endif
