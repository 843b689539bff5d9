// Many spawns.
//
// usage: spawns row N    N threads one after the other, each joined
//        spawns once N   N threads alive at the same moment
#include "thread.h"

static int counter, arrived, leave;

static void count(void *arg) { __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED); }

static void stay(void *arg) {
  (void)arg;
  __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
  futex_wake(&arrived, 1);
  while (!__atomic_load_n(&leave, __ATOMIC_ACQUIRE)) futex_wait(&leave, 0);
  count(&counter);
}

int guest_main(int argc, char **argv) {
  check(argc == 3, "usage: spawns row|once N");
  unsigned n = (unsigned)parse_u64(argv[2]);
  if (!strcmp(argv[1], "row")) {
    static struct thread t;
    for (unsigned i = 0; i < n; i++) {
      int tid = thread_start(&t, count, &counter);
      check(tid > 0, "spawn %u: %d", i, tid);
      thread_join(&t);
    }
  } else {
    struct thread *t = alloc(n * sizeof *t);
    memset(t, 0, n * sizeof *t);
    for (unsigned i = 0; i < n; i++) {
      int tid = thread_start(&t[i], stay, 0);
      check(tid > 0, "spawn %u: %d", i, tid);
    }
    for (int a; (a = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST)) != (int)n;) futex_wait(&arrived, a);
    // All are alive now, so all their ids must differ.
    for (unsigned i = 0; i < n; i++)
      for (unsigned k = 0; k < i; k++) check(t[i].tid != t[k].tid, "thread id %d twice", t[i].tid);
    __atomic_store_n(&leave, 1, __ATOMIC_RELEASE);
    futex_wake(&leave, -1u);
    for (unsigned i = 0; i < n; i++) thread_join(&t[i]);
  }
  check(counter == (int)n, "%d threads ran", counter);
  print("%s %u: ok\n", argv[1], n);
  return 0;
}
