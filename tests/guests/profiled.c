// Programs of which it is known where their time goes.
//
// usage: profiled WHAT [MILLIONS [END]]
//
// Four threads do WHAT, each MILLIONS of steps; 0 is without an end:
//   split   30 % of the steps in light(), 70 % in heavy()
//   copy    half of them in heavy(), and 64 KiB copied for each 4,096 others, in copies()
//   convoy  all of them in heavy(), with one mutex held that all want
//   sleep   all of them in heavy(), and main sleeps in rest() until they are done
// END is what the first of the threads does then: `exit` (7) or `trap`.
#include "thread.h"

enum { THREADS = 4, COPY = 1 << 16 };
static const char *what;
static uint64_t steps;
static uint64_t sink;
static mutex lock;
static int done;

static uint64_t work(uint64_t seed, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return seed;
}
// The compiler is to leave both as they are, and apart.
__attribute__((noinline)) static uint64_t light(uint64_t seed, uint64_t n) { return work(seed, n) ^ 1; }
__attribute__((noinline)) static uint64_t heavy(uint64_t seed, uint64_t n) { return work(seed, n) ^ 2; }
__attribute__((noinline)) static void copies(char *to, const char *from, uint64_t n) {
  for (; n > 0; n--) {
    __builtin_memcpy(to, from, COPY);
    __asm__ volatile("" ::: "memory");
  }
}
__attribute__((noinline)) static void locked(uint64_t *seed, uint64_t n) {
  mutex_lock(&lock);
  *seed = heavy(*seed, n);
  mutex_unlock(&lock);
}
__attribute__((noinline)) static void rest(void) {
  while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < THREADS) sleep_ns(20 * 1000 * 1000);
}

struct worker { struct thread thread; unsigned id; const char *end; };

static void run(void *arg) {
  struct worker *w = arg;
  uint64_t seed = w->id + 1, left = steps;
  // Parts last longer than a kernel's clock needs to tick, and turns with the mutex less.
  uint64_t shortest = strcmp(what, "convoy") ? 20 * 1000 * 1000 : 10 * 1000;
  char *from = 0, *to = 0;
  if (!strcmp(what, "copy")) {
    from = alloc(COPY);
    to = alloc(COPY);
  }
  while (steps == 0 || left > 0) {
    // Of different lengths, so that they keep no time with it.
    uint64_t n = shortest + (seed >> 33) % shortest;
    n = steps > 0 && n > left ? left : n;
    left -= n;
    if (!strcmp(what, "split")) {
      seed = light(seed, n * 3 / 10);
      seed = heavy(seed, n * 7 / 10);
    } else if (!strcmp(what, "copy")) {
      seed = heavy(seed, n / 2);
      copies(to, from, n / 2 / 4096 + 1);
    } else if (!strcmp(what, "convoy")) {
      locked(&seed, n);
    } else {
      seed = heavy(seed, n);
    }
  }
  __atomic_fetch_add(&sink, seed, __ATOMIC_RELAXED);
  __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
  if (w->id == 0 && w->end) {
    // Not before main waits for this thread, and has waited for a while.
    while (!__builtin_wasm_memory_atomic_notify(&w->thread.done, 1)) wasi_sched_yield();
    sleep_ns(30 * 1000 * 1000);
    if (!strcmp(w->end, "exit")) wasi_proc_exit(7);
    if (!strcmp(w->end, "trap")) __builtin_trap();
  }
}

int guest_main(int argc, char **argv) {
  check(argc > 1, "usage: profiled WHAT [MILLIONS [END]]");
  what = argv[1];
  steps = (argc > 2 ? parse_u64(argv[2]) : 100) * 1000 * 1000;
  static struct worker w[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    w[i].id = i;
    w[i].end = argc > 3 ? argv[3] : 0;
    int tid = thread_start(&w[i].thread, run, &w[i]);
    check(tid > 0, "thread-spawn: %d", tid);
  }
  print("running\n");
  if (!strcmp(what, "sleep")) rest();
  for (unsigned i = 0; i < THREADS; i++) thread_join(&w[i].thread);
  return 0;
}
