/* Calls every function of the library, with right and with wrong arguments.
 * The program's argument is a folder to write into. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wasi_threads.h"

#define CHECK(it)                                                              \
  do {                                                                         \
    if (!(it)) {                                                               \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #it, error ? error : ""); \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

static char *error;

/* Whether the last call failed with a text that contains this. */
static bool said(const char *text) {
  bool there = error && strstr(error, text);
  if (!there) fprintf(stderr, "not said: %s\n", text);
  if (there) {
    wt_string_delete(error);
    error = NULL;
  }
  return there;
}

static wt_module *text(const wt_engine *engine, const char *of) {
  wt_module *module = wt_module_new(engine, (const uint8_t *)of, strlen(of), &error);
  CHECK(module && !error);
  return module;
}

/* Main waits for ever, and each of two threads does this. */
#define THREADS(DO)                                                               \
  "(module (import \"env\" \"memory\" (memory 1 2 shared))"                       \
  "(import \"wasi\" \"thread-spawn\" (func $spawn (param i32) (result i32)))"     \
  "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"    \
  "(import \"wasi_snapshot_preview1\" \"fd_read\""                                \
  "  (func $read (param i32 i32 i32 i32) (result i32)))"                          \
  "(export \"memory\" (memory 0))"                                                \
  "(func (export \"wasi_thread_start\") (param i32 i32) " DO ")"                  \
  "(func (export \"other\"))"                                                     \
  "(func (export \"taking\") (param i32))"                                        \
  "(func (export \"_start\")"                                                     \
  "  (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1)))"       \
  "  (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"

static wt_outcome *run(const wt_module *module, const wt_config *config) {
  wt_group *group = wt_group_new(module, config, &error);
  CHECK(group && !error);
  wt_outcome *outcome = wt_group_run(group, NULL, &error);
  CHECK(outcome && !error);
  /* The outcome outlives its group. */
  wt_group_delete(group);
  return outcome;
}

static void *cancel(void *group) {
  struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
  nanosleep(&moment, NULL);
  wt_group_cancel(group);
  return NULL;
}

static void engines(void) {
  CHECK(!wt_engine_new(6, &error) && said("unknown flags"));
  CHECK(!wt_engine_new(6, NULL));
  wt_engine *engine = wt_engine_new(0, NULL);
  CHECK(engine);
  wt_engine_delete(engine);
  wt_engine_delete(NULL);
  CHECK(strtol(wt_version(), NULL, 10) == MAJOR);
}

static void modules(const wt_engine *engine, const char *folder) {
  CHECK(!wt_module_new(NULL, NULL, 0, &error) && said("`engine` is NULL"));
  CHECK(!wt_module_new(engine, NULL, 1, &error) && said("`bytes` is NULL"));
  CHECK(!wt_module_new(engine, (const uint8_t *)"\0asm", 4, &error) && error);
  wt_string_delete(error);
  CHECK(!wt_module_new(engine, (const uint8_t *)"(module", 7, &error) && error);
  wt_string_delete(error);
  CHECK(!wt_module_open(engine, NULL, &error) && said("`path` is NULL"));
  CHECK(!wt_module_open(engine, "\xff", &error) && said("`path` is not UTF-8"));

  wt_module *module = text(engine, THREADS("(call $exit (i32.const 300))"));
  size_t length = 0;
  CHECK(!wt_module_serialize(module, NULL, &error) && said("`length` is NULL"));
  CHECK(!wt_module_serialize(NULL, &length, &error) && said("`module` is NULL"));
  uint8_t *bytes = wt_module_serialize(module, &length, &error);
  CHECK(bytes && length > 0);
  CHECK(!wt_module_new(engine, bytes, length, &error) && said("`wt_module_load`"));
  CHECK(!wt_module_load(engine, bytes, length - 1, &error) && said("damaged"));
  CHECK(!wt_module_load(engine, NULL, 0, &error) && said("no stamp"));
  wt_engine *other = wt_engine_new(WT_ENGINE_UNINTERRUPTED, &error);
  CHECK(other);
  CHECK(!wt_module_load(other, bytes, length, &error) && said("engine"));
  wt_engine_delete(other);
  wt_module *loaded = wt_module_load(engine, bytes, length, &error);
  CHECK(loaded && !error);
  char path[4096];
  snprintf(path, sizeof path, "%s/it.cwasm", folder);
  FILE *file = fopen(path, "wb");
  CHECK(file && fwrite(bytes, 1, length, file) == length && !fclose(file));
  wt_bytes_delete(bytes, length);
  wt_bytes_delete(NULL, 5);
  wt_module *mapped = wt_module_load_file(engine, path, &error);
  CHECK(mapped && !error);
  CHECK(!wt_module_load_file(engine, "no/such/file", &error) && said("no/such/file"));
  wt_module *all[] = {module, loaded, mapped};
  for (int i = 0; i < 3; i++) {
    wt_outcome *outcome = run(all[i], NULL);
    CHECK(wt_outcome_kind(outcome) == WT_EXITED && wt_outcome_status(outcome) == 300);
    CHECK(wt_outcome_thread(outcome) == -1 && !wt_outcome_backtrace(outcome));
    CHECK(!strcmp(wt_outcome_message(outcome), "the program exited with status 300"));
    CHECK(wt_outcome_left_behind(outcome) == 0);
    wt_outcome_delete(outcome);
    wt_module_delete(all[i]);
  }
  wt_module_delete(NULL);
}

static void configurations(const wt_engine *engine, const char *folder) {
  wt_config *config = wt_config_new();
  CHECK(!wt_config_arg(NULL, "a", &error) && said("`config` is NULL"));
  CHECK(!wt_config_arg(config, NULL, &error) && said("`argument` is NULL"));
  CHECK(!wt_config_arg(config, "\xff", &error) && said("`argument` is not UTF-8"));
  CHECK(!wt_config_env(config, "a=b", "c", &error) && said("`a=b`"));
  CHECK(!wt_config_env(config, "", "c", &error) && said("``"));
  CHECK(!wt_config_stdio(config, 3, 0, &error) && said("no standard stream 3"));
  CHECK(!wt_config_stdio(config, -1, 0, &error) && said("no standard stream -1"));
  CHECK(!wt_config_stdio(config, 0, -1, &error) && said("-1 is no descriptor"));
  CHECK(!wt_config_stdio(config, 0, 987654, &error) && said("cannot duplicate"));
  wt_config_inherit_stdio(NULL);
  wt_config_timeout(NULL, 1);

  /* A program that writes its first argument, the value of its first variable and the first byte
   * of the folder's file. */
  wt_module *module = text(
      engine,
      "(module"
      "(import \"wasi_snapshot_preview1\" \"args_get\" (func $args (param i32 i32) (result i32)))"
      "(import \"wasi_snapshot_preview1\" \"environ_get\" (func $env (param i32 i32) (result i32)))"
      "(import \"wasi_snapshot_preview1\" \"path_open\""
      "  (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
      "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
      "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
      "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
      "(memory (export \"memory\") 1)"
      "(data (i32.const 0) \"file\")"
      "(func (export \"_start\")"
      "  (if (call $args (i32.const 512) (i32.const 1024)) (then unreachable))"
      "  (if (call $env (i32.const 512) (i32.const 1028)) (then unreachable))"
      "  (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)"
      "        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)) (then (call $exit (i32.const 9))))"
      "  (i32.store (i32.const 16) (i32.const 2048)) (i32.store (i32.const 20) (i32.const 1))"
      "  (if (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))"
      "  (i32.store8 (i32.const 1027) (i32.load8_u (i32.const 2048)))"
      /* Opening for writing must fail in a folder that is read-only. */
      "  (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)"
      "        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))) (then (call $exit (i32.const 10))))"
      "  (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const 7))"
      "  (if (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))"
      "  (call $exit (i32.const 3))))");
  char path[4096];
  snprintf(path, sizeof path, "%s/file", folder);
  FILE *file = fopen(path, "wb");
  CHECK(file && fputs("!?", file) >= 0 && !fclose(file));
  CHECK(wt_config_arg(config, "arg", &error) && !error);
  CHECK(wt_config_env(config, "V", "x", &error) && !error);
  CHECK(wt_config_preopen(config, folder, "/", 1, &error));
  int ends[2];
  CHECK(!pipe(ends));
  CHECK(wt_config_stdio(config, 1, ends[1], &error) && !close(ends[1]));
  /* One configuration serves two groups, even after the caller has closed its descriptor. */
  for (int i = 0; i < 2; i++) {
    wt_outcome *outcome = run(module, config);
    CHECK(wt_outcome_status(outcome) == 3);
    wt_outcome_delete(outcome);
    char said[8] = {0};
    CHECK(read(ends[0], said, 7) == 7 && !memcmp(said, "arg!V=x", 7));
  }
  /* It has no shared memory, so nothing can be read. */
  wt_group *group = wt_group_new(module, config, &error);
  uint8_t byte;
  CHECK(group && wt_group_memory_size(group) == 0);
  CHECK(!wt_group_memory_read(group, 0, &byte, 1, &error) && said("no shared memory"));
  wt_group_delete(group);
  CHECK(wt_config_preopen(config, "/no/such/folder", "/", 0, &error));
  CHECK(!wt_group_new(module, config, &error) && said("/no/such/folder"));
  wt_config_delete(config);
  wt_config_delete(NULL);
  /* The duplicates are closed with their last owner. */
  CHECK(read(ends[0], &byte, 1) == 0);
  CHECK(!close(ends[0]));
  wt_module_delete(module);
}

static void ends(const wt_engine *engine) {
  wt_config *config = wt_config_new();
  wt_config_timeout(config, 100);
  wt_config_grace(config, 60000);
  /* One thread computes, one waits. */
  wt_module *module = text(engine, THREADS("(if (local.get 1) (then (loop (br 0))))"
                                           "(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))"));
  wt_outcome *outcome = run(module, config);
  CHECK(wt_outcome_kind(outcome) == WT_TIMED_OUT && wt_outcome_status(outcome) == 134);
  wt_outcome_delete(outcome);

  wt_config_timeout(config, 0);
  wt_group *group = wt_group_new(module, config, &error);
  pthread_t thread;
  CHECK(group && !pthread_create(&thread, NULL, cancel, group));
  outcome = wt_group_run(group, "_start", &error);
  CHECK(outcome && wt_outcome_kind(outcome) == WT_CANCELLED && !pthread_join(thread, NULL));
  CHECK(!wt_group_run(group, NULL, &error) && said("the group has run already"));
  wt_outcome_delete(outcome);
  wt_group_delete(group);
  wt_module_delete(module);

  /* All threads wait. */
  wt_config_detect_deadlock(config, 1);
  module = text(engine, THREADS("(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))"));
  outcome = run(module, config);
  CHECK(wt_outcome_kind(outcome) == WT_DEADLOCKED);
  wt_outcome_delete(outcome);
  wt_module_delete(module);

  module = text(engine, THREADS("(if (local.get 1) (then unreachable))"));
  outcome = run(module, config);
  CHECK(wt_outcome_kind(outcome) == WT_TRAPPED && wt_outcome_thread(outcome) > 0);
  CHECK(strstr(wt_outcome_message(outcome), "unreachable"));
  CHECK(wt_outcome_backtrace(outcome) && strstr(wt_outcome_backtrace(outcome), "wasm backtrace"));
  wt_outcome_delete(outcome);

  /* Exports. */
  group = wt_group_new(module, NULL, &error);
  CHECK(group && !wt_group_run(group, "none", &error) && said("no function `none`"));
  CHECK(!wt_group_run(group, "taking", &error) && said("`taking`"));
  outcome = wt_group_run(group, "other", &error);
  CHECK(outcome && wt_outcome_kind(outcome) == WT_RETURNED && wt_outcome_status(outcome) == 0);
  wt_outcome_delete(outcome);
  wt_group_delete(group);

  /* One of two threads is refused, which the program does not check. Then a limit of memory below
   * the initial size. */
  wt_config_max_threads(config, 1);
  wt_config_max_memory(config, 100);
  CHECK(!wt_group_new(module, config, &error) && error);
  wt_string_delete(error);
  wt_config_delete(config);
  wt_module_delete(module);

  CHECK(!wt_group_new(NULL, NULL, &error) && said("`module` is NULL"));
  CHECK(!wt_group_run(NULL, NULL, &error) && said("`group` is NULL"));
  wt_group_cancel(NULL);
  wt_group_delete(NULL);
  wt_outcome_delete(NULL);
  wt_string_delete(NULL);
  CHECK(wt_outcome_kind(NULL) == WT_OTHER && !wt_outcome_message(NULL) && !wt_outcome_backtrace(NULL));
}

static void memories(const wt_engine *engine) {
  wt_module *module = text(engine, THREADS(""));
  wt_config *config = wt_config_new();
  wt_config_detect_deadlock(config, 1);
  wt_group *group = wt_group_new(module, config, &error);
  uint8_t bytes[4] = {1, 2, 3, 4};
  CHECK(group && wt_group_memory_size(group) == 65536);
  CHECK(wt_group_memory_write(group, 65532, bytes, 4, &error) && !error);
  CHECK(!wt_group_memory_write(group, 65533, bytes, 4, &error) && said("not inside"));
  CHECK(!wt_group_memory_write(group, UINT64_MAX, bytes, SIZE_MAX, &error) && said("not inside"));
  CHECK(!wt_group_memory_write(group, 0, NULL, 1, &error) && said("`from` is NULL"));
  CHECK(wt_group_memory_write(group, 65536, NULL, 0, &error));
  wt_outcome *outcome = wt_group_run(group, NULL, &error);
  CHECK(outcome);
  memset(bytes, 0, sizeof bytes);
  CHECK(wt_group_memory_read(group, 65533, bytes, 3, &error) && !error);
  CHECK(bytes[0] == 2 && bytes[2] == 4 && bytes[3] == 0);
  CHECK(!wt_group_memory_read(group, 65536, bytes, 1, &error) && said("not inside"));
  CHECK(!wt_group_memory_read(group, 0, bytes, SIZE_MAX, &error) && said("not inside"));
  CHECK(!wt_group_memory_read(group, 0, NULL, 1, &error) && said("`to` is NULL"));
  CHECK(wt_group_memory_read(group, 65536, NULL, 0, &error));
  wt_outcome_delete(outcome);
  wt_group_delete(group);
  wt_config_delete(config);
  wt_module_delete(module);
}

static uint8_t byte_at(const wt_group *group, uint64_t address) {
  uint8_t byte = 0;
  CHECK(wt_group_memory_read(group, address, &byte, 1, &error));
  return byte;
}

static void *cancel_when_both_compute(void *group) {
  struct timespec moment = {.tv_nsec = 1000 * 1000};
  while (byte_at(group, 20) < 2) nanosleep(&moment, NULL);
  wt_group_cancel(group);
  return NULL;
}

/* Threads that compute in an engine that does not interrupt them are left behind, and counted. */
static void left(void) {
  wt_engine *engine = wt_engine_new(WT_ENGINE_UNINTERRUPTED, &error);
  CHECK(engine);
  wt_module *module = text(engine, THREADS("(drop (i32.atomic.rmw.add (i32.const 20) (i32.const 1)))"
                                           "(loop (br_if 0 (i32.eqz (i32.atomic.load (i32.const 16)))))"));
  wt_config *config = wt_config_new();
  wt_config_grace(config, 100);
  wt_group *group = wt_group_new(module, config, &error);
  pthread_t thread;
  CHECK(group && !pthread_create(&thread, NULL, cancel_when_both_compute, group));
  wt_outcome *outcome = wt_group_run(group, NULL, &error);
  CHECK(outcome && wt_outcome_kind(outcome) == WT_CANCELLED && !pthread_join(thread, NULL));
  CHECK(wt_outcome_left_behind(outcome) == 2);
  /* The threads see this, and end. */
  uint8_t one = 1;
  CHECK(wt_group_memory_write(group, 16, &one, 1, &error));
  wt_outcome_delete(outcome);
  wt_config_delete(config);
  wt_group_delete(group);
  wt_module_delete(module);
  wt_engine_delete(engine);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  engines();
  wt_engine *engine = wt_engine_new(0, &error);
  CHECK(engine && !error);
  modules(engine, argv[1]);
  configurations(engine, argv[1]);
  ends(engine);
  memories(engine);
  wt_engine_delete(engine);
  left();
  puts("everything is as it should be");
  return 0;
}
