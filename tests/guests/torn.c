// Threads write lines to stdout at the same time, with no lock between them:
// a line is written by one call, so the host must not tear or lose it.
//
// usage: torn [THREADS [LINES]]
#include "thread.h"

static unsigned lines;
static int go;

struct worker { struct thread thread; unsigned id; };

static void work(void *arg) {
  struct worker *w = arg;
  while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE)) futex_wait(&go, 0);
  for (unsigned i = 0; i < lines; i++)
    print("<thread %u line %05u %s>\n", w->id, i, "the quick brown fox jumps over the lazy dog");
}

int guest_main(int argc, char **argv) {
  unsigned threads = argc > 1 ? (unsigned)parse_u64(argv[1]) : 8;
  lines = argc > 2 ? (unsigned)parse_u64(argv[2]) : 1000;
  struct worker *w = alloc(threads * sizeof *w);
  memset(w, 0, threads * sizeof *w);
  for (unsigned i = 0; i < threads; i++) {
    w[i].id = i;
    int tid = thread_start(&w[i].thread, work, &w[i]);
    check(tid > 0, "thread-spawn: %d", tid);
  }
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  futex_wake(&go, -1u);
  for (unsigned i = 0; i < threads; i++) thread_join(&w[i].thread);
  return 0;
}
