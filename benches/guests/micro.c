// One operation many times: what one call, one spawn, one wait costs.
//
// usage: micro OPERATION THREADS OPS [shared]
//
// Each of THREADS threads does OPS operations at the same time, on a file of its
// own, or all on one with `shared`. `spawn` is the exception: THREADS threads are
// started and joined, OPS times.
#include "bench.h"

#define FILE_BYTES (1u << 20)
static uint64_t ops;
static bool one_file;
static int shared_fd = -1;
static int fds[MAX_THREADS];
static char names[MAX_THREADS][16];
static char buffers[MAX_THREADS][65536] __attribute__((aligned(64)));
// One word a thread, so far apart that no two share a cache line.
static uint64_t results[MAX_THREADS][16] __attribute__((aligned(128)));

static int fd_of(int me) { return one_file ? shared_fd : fds[me]; }
#define REPEAT for (uint64_t i = 0; i < ops; i++)
#define MUST(call)                                                             \
  do {                                                                         \
    int error_ = (call);                                                       \
    check(error_ == 0, "errno %d", error_);                                    \
  } while (0)
#define MUST_MOVE(call, bytes)                                                 \
  do {                                                                         \
    uint32_t moved = 0;                                                        \
    int error_ = (call);                                                       \
    check(error_ == 0 && moved == (bytes), "errno %d, %u bytes", error_, moved); \
  } while (0)

static void op_clock(int me) {
  uint64_t t = 0;
  REPEAT wasi_clock_time_get(CLOCK_MONOTONIC, 1, &t);
  results[me][0] = t;
}
static void op_random(int me) { REPEAT MUST(wasi_random_get(buffers[me], 32)); }
static void op_yield(int me) { (void)me; REPEAT wasi_sched_yield(); }
static void op_fdstat(int me) {
  int fd = fd_of(me);
  wasi_fdstat s;
  REPEAT MUST(wasi_fd_fdstat_get(fd, &s));
}
static void op_tell(int me) {
  int fd = fd_of(me);
  uint64_t at;
  REPEAT MUST(wasi_fd_tell(fd, &at));
}
static void op_write64(int me) {
  int fd = fd_of(me);
  wasi_iovec v = iovec_of(buffers[me], 64);
  REPEAT MUST_MOVE(wasi_fd_write(fd, &v, 1, &moved), 64);
}
static void op_pread4k(int me) {
  int fd = fd_of(me);
  wasi_iovec v = iovec_of(buffers[me], 4096);
  REPEAT MUST_MOVE(wasi_fd_pread(fd, &v, 1, i % (FILE_BYTES / 4096) * 4096, &moved), 4096);
}
static void op_pread64k(int me) {
  int fd = fd_of(me);
  wasi_iovec v = iovec_of(buffers[me], 65536);
  REPEAT MUST_MOVE(wasi_fd_pread(fd, &v, 1, i % (FILE_BYTES / 65536) * 65536, &moved), 65536);
}
static void op_pwrite4k(int me) {
  int fd = fd_of(me);
  wasi_iovec v = iovec_of(buffers[me], 4096);
  REPEAT MUST_MOVE(wasi_fd_pwrite(fd, &v, 1, i % (FILE_BYTES / 4096) * 4096, &moved), 4096);
}
static void op_openclose(int me) {
  const char *name = names[one_file ? 0 : me];
  REPEAT close_fd(open_at(work_dir(), name, 0, RIGHTS_FILE, 0));
}
static void op_stat(int me) {
  const char *name = names[one_file ? 0 : me];
  uint32_t len = (uint32_t)strlen(name);
  wasi_filestat s;
  REPEAT MUST(wasi_path_filestat_get(work_dir(), FOLLOW, name, len, &s));
}
// Pairs, so that every round finds what the first did; `names` is the thread's own file.
static void op_mkdir(int me) {
  char name[16];
  uint32_t len = (uint32_t)format(name, sizeof name, "d%02d", me);
  REPEAT {
    MUST(wasi_path_create_directory(work_dir(), name, len));
    MUST(wasi_path_remove_directory(work_dir(), name, len));
  }
}
static void op_unlink(int me) {
  char name[16];
  uint32_t len = (uint32_t)format(name, sizeof name, "u%02d", me);
  REPEAT {
    close_fd(open_new(name));
    MUST(wasi_path_unlink_file(work_dir(), name, len));
  }
}
static void op_rename(int me) {
  char name[16];
  uint32_t len = (uint32_t)format(name, sizeof name, "r%02d", me), old = (uint32_t)strlen(names[me]);
  REPEAT {
    MUST(wasi_path_rename(work_dir(), names[me], old, work_dir(), name, len));
    MUST(wasi_path_rename(work_dir(), name, len, work_dir(), names[me], old));
  }
}
static void op_compute(int me) {
  uint64_t x = (uint64_t)me + 1;
  REPEAT next_random(&x);
  results[me][0] = x;
}
#ifndef SINGLE
static mutex lock_;
static uint64_t counter;
static void op_mutex(int me) {
  (void)me;
  REPEAT {
    mutex_lock(&lock_);
    counter++;
    mutex_unlock(&lock_);
  }
}
// A word without waiters, one for each thread.
static void op_notify(int me) { REPEAT futex_wake((int *)results[me], 1); }
// The word counts turns; an operation is one turn and waiting for the next.
static int turn;
static void op_pingpong(int me) {
  REPEAT {
    int mine = (int)(2 * i) + me, now;
    while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine) futex_wait(&turn, now);
    __atomic_store_n(&turn, mine + 1, __ATOMIC_RELEASE);
    futex_wake(&turn, 1);
  }
}
static void nothing(void *arg) { (void)arg; }
static uint64_t spawns(int threads, uint64_t rounds) {
  uint64_t begin = now_ns();
  for (uint64_t k = 0; k < rounds; k++) {
    for (int i = 0; i < threads; i++) check(thread_start(&team[i].thread, nothing, 0) > 0, "round %llu", (unsigned long long)k);
    for (int i = 0; i < threads; i++) thread_join(&team[i].thread);
  }
  return now_ns() - begin;
}
#endif

enum need { NOTHING, OWN_FILE };
static const struct { const char *name; void (*body)(int); enum need need; } operations[] = {
    {"clock", op_clock, NOTHING},       {"random", op_random, NOTHING},     {"yield", op_yield, NOTHING},
    {"fdstat", op_fdstat, OWN_FILE},    {"tell", op_tell, OWN_FILE},        {"write64", op_write64, OWN_FILE},
    {"pread4k", op_pread4k, OWN_FILE},  {"pread64k", op_pread64k, OWN_FILE}, {"pwrite4k", op_pwrite4k, OWN_FILE},
    {"openclose", op_openclose, OWN_FILE}, {"stat", op_stat, OWN_FILE},     {"compute", op_compute, NOTHING},
    {"mkdir", op_mkdir, NOTHING},       {"unlink", op_unlink, NOTHING},     {"rename", op_rename, OWN_FILE},
#ifndef SINGLE
    {"mutex", op_mutex, NOTHING},       {"notify", op_notify, NOTHING},     {"pingpong", op_pingpong, NOTHING},
#endif
};

static void make_file(int me) {
  format(names[me], sizeof names[me], "f%02d.dat", me);
  fds[me] = open_new(names[me]);
  for (uint32_t at = 0; at < FILE_BYTES; at += 65536) pwrite_all(fds[me], buffers[me], 65536, at);
}

int guest_main(int argc, char **argv) {
  check(argc >= 4, "usage: micro OPERATION THREADS OPS [shared]");
  const char *name = argv[1];
  int threads = (int)parse_u64(argv[2]);
  ops = parse_u64(argv[3]);
  one_file = argc > 4 && strcmp(argv[4], "shared") == 0;
  check(threads >= 1 && threads <= MAX_THREADS && ops > 0, "threads: %d", threads);
#ifndef SINGLE
  if (strcmp(name, "spawn") == 0) {
    spawns(threads, 20);
    report(name, threads, (uint64_t)threads * ops, spawns(threads, ops), 0);
    return 0;
  }
#endif
  for (unsigned o = 0; o < sizeof operations / sizeof *operations; o++) {
    if (strcmp(name, operations[o].name) != 0) continue;
    if (operations[o].need == OWN_FILE) {
      for (int i = 0; i < (one_file ? 1 : threads); i++) make_file(i);
      shared_fd = fds[0];
    }
    uint64_t ns = run_team(threads, operations[o].body);
#ifndef SINGLE
    if (operations[o].body == op_mutex) check(counter == (uint64_t)threads * ops, "the mutex does not exclude");
#endif
    report(name, threads, (uint64_t)threads * ops, ns, 0);
    return 0;
  }
  check(false, "no operation %s", name);
  return 1;
}
