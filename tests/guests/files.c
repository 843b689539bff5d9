// Threads share one preopened directory (descriptor 3).
//
// usage: files THREADS FILES RECORDS
//
// Each thread writes FILES files of its own, reads each back and compares, then
// appends RECORDS records of 64 bytes to one file that all of them share through
// one descriptor. At the end the shared file must hold every record of every
// thread exactly once, whole, and each thread's in order.
#include "thread.h"

enum { DIR = 3, RECORD = 64, MAX_THREADS = 64 };
static unsigned files, records;
static int shared_fd;

struct worker { struct thread thread; unsigned id; };

static int open_file(const char *name, uint16_t oflags, uint16_t fdflags) {
  int fd = -1;
  int err = wasi_path_open(DIR, 1, name, strlen(name), oflags, RIGHTS_FILE, 0, fdflags, &fd);
  check(err == 0, "path_open %s: errno %d", name, err);
  return fd;
}

static uint32_t read_up_to(int fd, void *buf, uint32_t len) {
  wasi_iovec v = {buf, len};
  uint32_t got = 0;
  int err = wasi_fd_read(fd, &v, 1, &got);
  check(err == 0, "fd_read: errno %d", err);
  return got;
}

static size_t contents(char *buf, size_t cap, unsigned id, unsigned file) {
  size_t n = 0;
  unsigned lines = 1 + (id * 31 + file * 7) % 20;
  for (unsigned i = 0; i < lines; i++)
    n += format(buf + n, cap - n, "thread %u file %u line %u\n", id, file, i);
  return n;
}

static void work(void *arg) {
  struct worker *w = arg;
  char name[32], want[1024], got[1024];
  for (unsigned f = 0; f < files; f++) {
    size_t len = contents(want, sizeof want, w->id, f);
    format(name, sizeof name, "t%02u-%04u.txt", w->id, f);
    int fd = open_file(name, O_CREAT | O_EXCL, 0);
    write_all(fd, want, len);
    check(wasi_fd_close(fd) == 0, "close %s", name);
    fd = open_file(name, 0, 0);
    size_t n = 0;
    for (uint32_t k; (k = read_up_to(fd, got + n, sizeof got - n)) != 0;) n += k;
    check(n == len && memcmp(got, want, len) == 0, "%s reads back wrong: %zu bytes, not %zu", name, n, len);
    check(wasi_fd_close(fd) == 0, "close %s", name);
  }
  for (unsigned r = 0; r < records; r++) {
    char rec[RECORD + 1];
    size_t n = format(rec, sizeof rec, "thread %02u record %08u ", w->id, r);
    while (n < RECORD - 1) rec[n++] = (char)('a' + (w->id + r) % 26);
    rec[n] = '\n';
    wasi_iovec v = {rec, RECORD};
    uint32_t put = 0;
    int err = wasi_fd_write(shared_fd, &v, 1, &put);
    check(err == 0 && put == RECORD, "append: errno %d, %u bytes", err, put);
  }
}

static void verify(unsigned threads) {
  static unsigned next[MAX_THREADS];
  static char buf[RECORD * 1024];
  int fd = open_file("shared.log", 0, 0);
  unsigned total = 0;
  for (;;) {
    uint32_t have = 0, k;
    while (have < sizeof buf && (k = read_up_to(fd, buf + have, sizeof buf - have)) != 0) have += k;
    check(have % RECORD == 0, "shared.log: %u odd bytes", have % RECORD);
    for (uint32_t at = 0; at < have; at += RECORD) {
      char *rec = buf + at;
      check(memcmp(rec, "thread ", 7) == 0 && memcmp(rec + 9, " record ", 8) == 0 && rec[RECORD - 1] == '\n', "torn record");
      unsigned id = (unsigned)parse_u64(rec + 7), r = (unsigned)parse_u64(rec + 17);
      check(id < threads && next[id] == r, "thread %u: record %u after %u", id, r, next[id]);
      for (unsigned i = 26; i < RECORD - 1; i++) check(rec[i] == (char)('a' + (id + r) % 26), "torn record");
      next[id]++;
      total++;
    }
    if (have < sizeof buf) break;
  }
  check(total == threads * records, "shared.log: %u records", total);
  wasi_fd_close(fd);
}

int guest_main(int argc, char **argv) {
  check(argc == 4, "usage: files THREADS FILES RECORDS");
  unsigned threads = (unsigned)parse_u64(argv[1]);
  check(threads <= MAX_THREADS, "at most %u threads", MAX_THREADS);
  files = (unsigned)parse_u64(argv[2]);
  records = (unsigned)parse_u64(argv[3]);
  shared_fd = open_file("shared.log", O_CREAT | O_EXCL, FDFLAG_APPEND);
  struct worker *w = alloc(threads * sizeof *w);
  memset(w, 0, threads * sizeof *w);
  for (unsigned i = 0; i < threads; i++) {
    w[i].id = i;
    int tid = thread_start(&w[i].thread, work, &w[i]);
    check(tid > 0, "thread-spawn: %d", tid);
  }
  for (unsigned i = 0; i < threads; i++) thread_join(&w[i].thread);
  verify(threads);
  print("files: %u, records: %u\n", threads * files, threads * records);
  return 0;
}
