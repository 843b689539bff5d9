/*
 * Runs a program with threads, and tells how it ended.
 *
 *   cc -I include examples/primes.c -L LIBRARY_FOLDER -lwasi_threads_c -o primes
 *   ./primes ../../examples/primes.wat 3 1000
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wasi_threads.h"

/* Ends with the library's error. */
static void fail(char *error) {
  fprintf(stderr, "primes: %s\n", error);
  wt_string_delete(error);
  exit(1);
}

int main(int argc, char **argv) {
  char *error = NULL;
  if (argc < 2) {
    fprintf(stderr, "usage: primes PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  wt_engine *engine = wt_engine_new(0, &error);
  if (!engine) fail(error);
  wt_module *module = wt_module_open(engine, argv[1], &error);
  if (!module) fail(error);

  wt_config *config = wt_config_new();
  for (int i = 1; i < argc; i++)
    if (!wt_config_arg(config, argv[i], &error)) fail(error);
  wt_config_inherit_stdio(config);
  wt_config_max_threads(config, 64);
  wt_config_timeout(config, 60000);

  wt_group *group = wt_group_new(module, config, &error);
  if (!group) fail(error);
  wt_outcome *outcome = wt_group_run(group, NULL, &error);
  if (!outcome) fail(error);
  printf("%s\n", wt_outcome_message(outcome));
  if (wt_outcome_backtrace(outcome)) printf("%s\n", wt_outcome_backtrace(outcome));

  /* The second word of its memory has the number of primes. It can be read after the end. */
  uint8_t word[4];
  if (!wt_group_memory_read(group, 4, word, sizeof word, &error)) fail(error);
  uint32_t found = word[0] | (uint32_t)word[1] << 8 | (uint32_t)word[2] << 16 | (uint32_t)word[3] << 24;
  printf("found, says the memory: %" PRIu32 "\n", found);
  if (wt_group_memory_read(group, wt_group_memory_size(group), word, 1, &error)) return 3;
  printf("beyond it: %s\n", error);
  wt_string_delete(error);

  int status = wt_outcome_status(outcome);
  wt_outcome_delete(outcome);
  wt_group_delete(group);
  wt_config_delete(config);
  wt_module_delete(module);
  wt_engine_delete(engine);
  return status;
}
