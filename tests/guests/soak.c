// Everything at once for as long as is asked for: files, waits, spawns, polls. Whatever comes back
// is checked.
//
// usage: soak SECONDS THREADS
//
// Each thread has files of its own in descriptor 3, a thread that it starts and joins again and
// again, and a neighbour that it takes turns with. What is not as it must be is counted and said,
// and the program goes on; its status is 1 then.
#include "thread.h"

enum { DIR = 3, MOST = 64, BYTES = 1500, RECORD = 64, RECORDS = 200, SAID = 20 };

struct worker {
  struct thread thread, helper;
  unsigned id, step, records;
  int adds, log;
  uint64_t files, appends, waits, spawns, polls;
};

static struct worker workers[MOST];
static unsigned threads;
static uint64_t deadline;
static int errors, turn;
static mutex turns;
static condvar turned;

// Says what is wrong, the first times.
#define expect(cond, ...)                                                      \
  do {                                                                         \
    if (!(cond) && __atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED) < SAID) {  \
      char said_[300];                                                         \
      size_t length_ = format(said_, sizeof said_, "soak:%d: %s: ", __LINE__, #cond); \
      length_ += format(said_ + length_, sizeof said_ - length_, __VA_ARGS__); \
      length_ += format(said_ + length_, sizeof said_ - length_, "\n");        \
      write_all(2, said_, length_);                                            \
    }                                                                          \
  } while (0)

static bool over(void) { return now_ns() >= deadline; }

static int open_file(const char *name, uint16_t oflags, uint16_t fdflags) {
  int fd = -1;
  int err = wasi_path_open(DIR, 0, name, strlen(name), oflags, RIGHTS_FILE, 0, fdflags, &fd);
  expect(err == 0, "path_open %s: errno %d", name, err);
  return fd;
}

static size_t read_all(int fd, char *buf, size_t cap) {
  size_t n = 0;
  for (;;) {
    wasi_iovec v = {buf + n, (uint32_t)(cap - n)};
    uint32_t got = 0;
    int err = wasi_fd_read(fd, &v, 1, &got);
    expect(err == 0, "fd_read: errno %d", err);
    if (err || !got) return n;
    n += got;
  }
}

// A file: written, read, compared, removed.
static void do_file(struct worker *w) {
  char name[32], want[BYTES], got[BYTES + 1];
  unsigned len = 1 + (w->id * 97 + w->step * 31) % BYTES;
  for (unsigned i = 0; i < len; i++) want[i] = (char)(i * 7 + w->id + w->step);
  format(name, sizeof name, "own-%02u", w->id);
  int fd = open_file(name, O_CREAT | O_EXCL, 0);
  write_all(fd, want, len);
  expect(wasi_fd_close(fd) == 0, "fd_close");
  fd = open_file(name, 0, 0);
  size_t n = read_all(fd, got, sizeof got);
  expect(n == len && !memcmp(got, want, len), "%zu bytes, not %u", n, len);
  expect(wasi_fd_close(fd) == 0, "fd_close");
  expect(wasi_path_unlink_file(DIR, name, strlen(name)) == 0, "path_unlink_file %s", name);
  w->files++;
}

static void record(const struct worker *w, unsigned r, char *to) {
  size_t n = format(to, RECORD + 1, "thread %02u record %08u ", w->id, r);
  while (n < RECORD - 1) to[n++] = (char)('a' + (w->id + r) % 26);
  to[n] = '\n';
}

// A record more in a file that is opened to append; from time to time all of them are looked at,
// and the file begins anew.
static void do_append(struct worker *w) {
  static char all[MOST][RECORD * (RECORDS + 1)];
  char name[32], want[RECORD + 1];
  format(name, sizeof name, "log-%02u", w->id);
  if (w->log < 0) w->log = open_file(name, O_CREAT | O_TRUNC, FDFLAG_APPEND);
  record(w, w->records++, want);
  wasi_iovec v = {want, RECORD};
  uint32_t put = 0;
  int err = wasi_fd_write(w->log, &v, 1, &put);
  expect(err == 0 && put == RECORD, "append: errno %d, %u bytes", err, put);
  w->appends++;
  if (w->records < RECORDS) return;
  expect(wasi_fd_close(w->log) == 0, "fd_close");
  int fd = open_file(name, 0, 0);
  size_t n = read_all(fd, all[w->id], sizeof all[0]);
  expect(n == RECORD * RECORDS, "%zu bytes of records", n);
  for (unsigned r = 0; r < RECORDS; r++) {
    record(w, r, want);
    expect(!memcmp(all[w->id] + r * RECORD, want, RECORD), "record %u", r);
  }
  expect(wasi_fd_close(fd) == 0, "fd_close");
  w->log = -1;
  w->records = 0;
}

// Waits for its turn and gives it on; all take as many as they get until the end.
static void do_turn(struct worker *w) {
  mutex_lock(&turns);
  while (turn % (int)threads != (int)w->id && !over()) cond_wait(&turned, &turns);
  if (turn % (int)threads == (int)w->id) turn = (turn + 1) % (int)(threads * 1000);
  cond_broadcast(&turned);
  mutex_unlock(&turns);
  w->waits++;
}

static void add(void *arg) { __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED); }

// A thread that adds one.
static void do_spawn(struct worker *w) {
  int before = w->adds;
  int tid = thread_start(&w->helper, add, &w->adds);
  expect(tid > 0, "thread-spawn: %d", tid);
  if (tid <= 0) return;
  thread_join(&w->helper);
  int after = __atomic_load_n(&w->adds, __ATOMIC_RELAXED);
  expect(after == before + 1, "%d, not %d", after, before + 1);
  w->spawns++;
}

// A file is always ready; a clock is in time.
static void do_poll(struct worker *w) {
  uint64_t began = now_ns(), ns = 20000 + w->step % 7 * 30000;
  wasi_subscription s[2] = {
      {.userdata = 1, .tag = 0, .clock = {CLOCK_MONOTONIC, ns, 0, 0}},
      {.userdata = 2, .tag = 2, .fd = {1}},
  };
  wasi_event e[2];
  uint32_t n = 0;
  unsigned subscriptions = 1 + w->step % 2;
  int err = wasi_poll_oneoff(s, e, subscriptions, &n);
  expect(err == 0 && n >= 1 && n <= subscriptions, "poll_oneoff: errno %d, %u events", err, n);
  for (unsigned i = 0; i < n; i++) {
    expect(e[i].error == 0 && (e[i].userdata == 1 || e[i].userdata == 2), "event %u", i);
    if (e[i].userdata == 1) expect(now_ns() - began >= ns, "%llu ns are too few", now_ns() - began);
  }
  w->polls++;
}

static void work(void *arg) {
  struct worker *w = arg;
  while (!over()) {
    switch (w->step++ % 5) {
      case 0: do_file(w); break;
      case 1: do_append(w); break;
      case 2: do_turn(w); break;
      case 3: do_spawn(w); break;
      default: do_poll(w);
    }
  }
  if (w->log >= 0) wasi_fd_close(w->log);
}

int guest_main(int argc, char **argv) {
  check(argc == 3, "usage: soak SECONDS THREADS");
  threads = (unsigned)parse_u64(argv[2]);
  check(threads > 0 && threads <= MOST, "at most %d threads", MOST);
  deadline = now_ns() + parse_u64(argv[1]) * 1000000000ull;
  for (unsigned i = 0; i < threads; i++) {
    struct worker *w = &workers[i];
    w->id = i;
    w->log = -1;
    int tid = thread_start(&w->thread, work, w);
    check(tid > 0, "thread-spawn: %d", tid);
  }
  uint64_t files = 0, appends = 0, waits = 0, spawns = 0, polls = 0;
  for (unsigned i = 0; i < threads; i++) {
    struct worker *w = &workers[i];
    // Threads that wait for a turn that does not come any more see that it is over.
    while (!__atomic_load_n(&w->thread.done, __ATOMIC_ACQUIRE)) {
      cond_broadcast(&turned);
      sleep_ns(20000000);
    }
    files += w->files, appends += w->appends, waits += w->waits, spawns += w->spawns, polls += w->polls;
  }
  print("operations: %llu (files %llu, appends %llu, turns %llu, spawns %llu, polls %llu)\n",
        files + appends + waits + spawns + polls, files, appends, waits, spawns, polls);
  print("errors: %d\n", errors);
  return errors != 0;
}
