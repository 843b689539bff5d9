// Twelve threads of which every frame is known: three each compute, read stdin, wait and sleep,
// under five calls of deep(). Main waits. Says `now` on stderr before.
//
// usage: stacks [spin THREADS]     as many threads that spin instead; then main traps
#include "thread.h"

enum { COMPUTE, READ, WAIT, SLEEP };
static int never, began, go;
static volatile uint64_t counter;
// Behind each call, so that none is a jump.
#define STAY() __asm__ volatile("" ::: "memory")

__attribute__((noinline)) static void leaf(void) { counter = counter + 1; }
__attribute__((noinline)) static void compute(void) {
  for (;;) {
    leaf();
    STAY();
  }
}
__attribute__((noinline)) static void reading(void) {
  char byte;
  wasi_iovec v = {&byte, 1};
  uint32_t got;
  wasi_fd_read(0, &v, 1, &got);
  STAY();
}
__attribute__((noinline)) static void waiting(void) {
  futex_wait(&never, 0);
  STAY();
}
__attribute__((noinline)) static void sleeping(void) {
  sleep_ns(600ull * 1000 * 1000 * 1000);
  STAY();
}
__attribute__((noinline)) static void deep(int n, int what) {
  if (n) deep(n - 1, what);
  else if (what == COMPUTE) compute();
  else if (what == READ) reading();
  else if (what == WAIT) waiting();
  else sleeping();
  STAY();
}
static void run(void *what) { deep(4, (int)(size_t)what); }
static void spin(void *arg) {
  (void)arg;
  __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
  futex_wait(&go, 0);
  compute();
}

int guest_main(int argc, char **argv) {
  unsigned threads = 12;
  void (*fn)(void *) = run;
  if (argc > 2 && !strcmp(argv[1], "spin")) threads = (unsigned)parse_u64(argv[2]), fn = spin;
  struct thread *all = alloc(threads * sizeof *all);
  for (unsigned i = 0; i < threads; i++) {
    int id = thread_start(&all[i], fn, (void *)(size_t)(i & 3));
    check(id > 0, "thread-spawn: %d", id);
  }
  if (fn == spin) {
    while (__atomic_load_n(&began, __ATOMIC_SEQ_CST) < (int)threads) wasi_sched_yield();
    __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
    futex_wake(&go, -1u);
  }
  write_all(2, "now\n", 4);
  if (fn == spin) __builtin_trap();
  waiting();
  return 0;
}
