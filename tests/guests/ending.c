// How a program with threads ends.
//
// usage: ending HOW MAIN
//
// HOW is what a child does, 50 ms after it started:
//   exit      proc_exit(7)
//   trap      unreachable
//   memory    a load outside of the memory
//   stay      nothing: it waits forever, as main may do
// MAIN is what the main thread is doing then:
//   wait      in memory.atomic.wait, without a timeout
//   spin      computing
//   sleep     in poll_oneoff on a clock, for an hour
//   read      in fd_read on stdin
//   poll      in poll_oneoff on stdin, readable
//   join      waiting for the child
// A line says when the child is about to act, with the time: the test measures
// from there.
#include "thread.h"

static const char *how;
static int never;

static void child(void *arg) {
  (void)arg;
  if (!strcmp(how, "stay")) {
    print("staying\n");
    for (;;) futex_wait(&never, 0);
  }
  sleep_ns(50 * 1000 * 1000);
  uint64_t t = 0;
  wasi_clock_time_get(CLOCK_REALTIME, 1, &t);
  print("ending at %llu\n", t);
  if (!strcmp(how, "exit")) wasi_proc_exit(7);
  if (!strcmp(how, "trap")) __builtin_trap();
  if (!strcmp(how, "memory")) *(volatile int *)0xfffffff0u;
  check(false, "unknown HOW %s", how);
}

int guest_main(int argc, char **argv) {
  check(argc == 3, "usage: ending HOW MAIN");
  how = argv[1];
  const char *main_does = argv[2];
  static struct thread t;
  int tid = thread_start(&t, child, 0);
  check(tid > 0, "thread-spawn: %d", tid);
  if (!strcmp(main_does, "wait")) {
    for (;;) futex_wait(&never, 0);
  } else if (!strcmp(main_does, "spin")) {
    for (volatile unsigned i = 0;; i++) {}
  } else if (!strcmp(main_does, "sleep")) {
    sleep_ns(3600ull * 1000 * 1000 * 1000);
  } else if (!strcmp(main_does, "read")) {
    char c;
    wasi_iovec v = {&c, 1};
    uint32_t got = 0;
    int err = wasi_fd_read(0, &v, 1, &got);
    check(false, "fd_read returned: errno %d, %u bytes", err, got);
  } else if (!strcmp(main_does, "poll")) {
    wasi_subscription s = {.userdata = 2, .tag = 1, .fd = {0}};
    wasi_event e;
    uint32_t n = 0;
    int err = wasi_poll_oneoff(&s, &e, 1, &n);
    check(false, "poll_oneoff returned: errno %d, %u events", err, n);
  } else if (!strcmp(main_does, "join")) {
    thread_join(&t);
  }
  check(false, "main went on");
  return 1;
}
