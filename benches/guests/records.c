// A database-like mix: threads read and change small records of one file under
// locks and note each change in a journal.
//
// usage: records THREADS OPS
//
// Of the operations, four in five read a page and look at one record; the others
// read the page, change a record, write the page back and append a line to the
// journal. A page belongs to one of sixteen locks, the journal has its own.
#include "bench.h"

#define PAGE 4096u
#define RECORD 256u
#define PAGES 512u
#define STRIPES 16u

struct record {
  uint64_t number, changes, total, sum;
  unsigned char rest[RECORD - 32];
};
_Static_assert(sizeof(struct record) == RECORD, "record");
union page {
  struct record records[PAGE / RECORD];
  unsigned char bytes[PAGE];
};

static int data_fd, journal_fd;
static uint64_t ops;
static mutex stripes[STRIPES], journal_lock;
static union page pages[MAX_THREADS];
static uint64_t written[MAX_THREADS][16], amounts[MAX_THREADS][16];

static uint64_t sum_of(const struct record *r) { return r->number * 31 + r->changes * 17 + r->total; }

static void mix(int me) {
  union page *page = &pages[me];
  uint64_t state = 0x9e3779b97f4a7c15ull * ((uint64_t)me + 1);
  for (uint64_t i = 0; i < ops; i++) {
    uint64_t r = next_random(&state);
    uint32_t number = (uint32_t)(r >> 20) % (PAGES * (PAGE / RECORD));
    uint32_t at = number / (PAGE / RECORD);
    struct record *record = &page->records[number % (PAGE / RECORD)];
    mutex *stripe = &stripes[at % STRIPES];
    mutex_lock(stripe);
    pread_all(data_fd, page, PAGE, (uint64_t)at * PAGE);
    check(record->number == number && record->sum == sum_of(record), "record %u is broken", number);
    if (r % 5 != 0) {
      mutex_unlock(stripe);
      continue;
    }
    uint64_t amount = r >> 8 & 0xff;
    record->changes++;
    record->total += amount;
    record->sum = sum_of(record);
    pwrite_all(data_fd, page, PAGE, (uint64_t)at * PAGE);
    mutex_unlock(stripe);
    char line[64];
    size_t len = format(line, sizeof line, "%02d %08u %08u %016llx\n", me, number, (unsigned)amount, (unsigned long long)i);
    mutex_lock(&journal_lock);
    append_all(journal_fd, line, (uint32_t)len);
    mutex_unlock(&journal_lock);
    written[me][0]++;
    amounts[me][0] += amount;
  }
}

int guest_main(int argc, char **argv) {
  check(argc >= 3, "usage: records THREADS OPS");
  int threads = (int)parse_u64(argv[1]);
  ops = parse_u64(argv[2]);
  check(threads >= 1 && threads <= MAX_THREADS && ops > 0, "threads: %d", threads);
  data_fd = open_new("records.dat");
  journal_fd = open_new("journal.dat");
  for (uint32_t p = 0; p < PAGES; p++) {
    for (uint32_t i = 0; i < PAGE / RECORD; i++) {
      struct record *r = &pages[0].records[i];
      r->number = p * (PAGE / RECORD) + i;
      r->changes = r->total = 0;
      r->sum = sum_of(r);
    }
    pwrite_all(data_fd, &pages[0], PAGE, (uint64_t)p * PAGE);
  }
  uint64_t ns = run_team(threads, mix);

  // What the records say must be what the threads did.
  uint64_t changes = 0, total = 0, wrote = 0, amount = 0;
  for (uint32_t p = 0; p < PAGES; p++) {
    pread_all(data_fd, &pages[0], PAGE, (uint64_t)p * PAGE);
    for (uint32_t i = 0; i < PAGE / RECORD; i++) {
      changes += pages[0].records[i].changes;
      total += pages[0].records[i].total;
    }
  }
  for (int i = 0; i < threads; i++) {
    wrote += written[i][0];
    amount += amounts[i][0];
  }
  check(changes == wrote && total == amount, "changes were lost");
  wasi_filestat s;
  int error = wasi_fd_filestat_get(journal_fd, &s);
  check(error == 0 && s.size == wrote * 38, "the journal has %llu bytes for %llu lines", (unsigned long long)s.size, (unsigned long long)wrote);
  report("records", threads, (uint64_t)threads * ops, ns, changes << 32 ^ total);
  return 0;
}
