// Threads share a mutex, a condition variable and stdout.
//
// usage: mutex_condvar [THREADS [ROUNDS]]
//
// The threads take turns, in order, through one mutex and one condition
// variable; each turn prints one line. So every line is whole, the lines are in
// a known order, and a lost wake-up or a lost update stops the program.
#include "thread.h"

static mutex lock;
static condvar turn_changed;
static unsigned turn, threads, rounds;

struct worker { struct thread thread; unsigned id; };

static void work(void *arg) {
  struct worker *w = arg;
  for (unsigned r = 0; r < rounds; r++) {
    mutex_lock(&lock);
    while (turn % threads != w->id) cond_wait(&turn_changed, &lock);
    print("turn %u: thread %u, round %u, %s\n", turn, w->id, r, "abcdefghijklmnopqrstuvwxyz0123456789");
    turn++;
    cond_broadcast(&turn_changed);
    mutex_unlock(&lock);
  }
}

int guest_main(int argc, char **argv) {
  threads = argc > 1 ? (unsigned)parse_u64(argv[1]) : 8;
  rounds = argc > 2 ? (unsigned)parse_u64(argv[2]) : 20;
  struct worker *w = alloc(threads * sizeof *w);
  memset(w, 0, threads * sizeof *w);
  for (unsigned i = 0; i < threads; i++) {
    w[i].id = i;
    int tid = thread_start(&w[i].thread, work, &w[i]);
    check(tid > 0, "thread-spawn: %d", tid);
  }
  for (unsigned i = 0; i < threads; i++) thread_join(&w[i].thread);
  check(turn == threads * rounds, "%u turns", turn);
  print("done: %u turns\n", turn);
  return 0;
}
