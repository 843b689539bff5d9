// Draws the Mandelbrot set with letters, its rows shared out among threads.
//
//     scripts/build-guests.sh examples/mandelbrot.c
//     wasi-threads-run target/guests/mandelbrot.wasm [THREADS [ROWS]]
//
// Freestanding C: no libc, only the small headers of tests/guests/include. With
// wasi-sdk the same program would use <pthread.h> and <stdio.h>.
#include "thread.h"

enum { MAX_THREADS = 64, MAX_ROWS = 400, STEPS = 20000 };
static unsigned rows, columns;
static char *picture;     // rows lines of columns letters and a newline
static unsigned next_row; // the first row no thread has taken yet

// How long the point stays near the origin: 0 to STEPS.
static unsigned escape_time(double cx, double cy) {
  double x = 0, y = 0;
  unsigned n = 0;
  for (; n < STEPS && x * x + y * y <= 4; n++) {
    double t = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = t;
  }
  return n;
}

static void draw_rows(void *arg) {
  (void)arg;
  static const char shades[] = " .,:;+=ox%#@";
  for (;;) {
    // Rows take different time, so each thread takes the next one when it is
    // ready for it, rather than a fixed share.
    unsigned row = __atomic_fetch_add(&next_row, 1, __ATOMIC_RELAXED);
    if (row >= rows) return;
    char *line = picture + row * (columns + 1);
    for (unsigned column = 0; column < columns; column++) {
      unsigned n = escape_time(-2.2 + 3.2 * column / columns, 1.2 * ((int)(2 * row) - (int)rows) / rows);
      unsigned shade = 0;
      while (n > 1 && shade < sizeof shades - 2) { n /= 2; shade++; }
      line[column] = shades[shade];
    }
    line[columns] = '\n';
  }
}

int guest_main(int argc, char **argv) {
  unsigned threads = argc > 1 ? (unsigned)parse_u64(argv[1]) : 4;
  rows = argc > 2 ? (unsigned)parse_u64(argv[2]) : 40;
  if (threads < 1 || threads > MAX_THREADS || rows < 1 || rows > MAX_ROWS) {
    static const char usage[] = "usage: mandelbrot [THREADS (1 to 64) [ROWS (1 to 400)]]\n";
    write_all(2, usage, sizeof usage - 1);
    return 1;
  }
  columns = rows * 2;
  picture = alloc(rows * (columns + 1));

  uint64_t start = now_ns();
  static struct thread team[MAX_THREADS];
  for (unsigned i = 0; i < threads; i++) {
    int tid = thread_start(&team[i], draw_rows, 0);
    check(tid > 0, "thread-spawn gave %d", tid);
  }
  for (unsigned i = 0; i < threads; i++) thread_join(&team[i]);
  uint64_t took = now_ns() - start;

  write_all(1, picture, rows * (columns + 1));
  print("%u rows by %u threads in %llu ms\n", rows, threads, (unsigned long long)(took / 1000000));
  return 0;
}
