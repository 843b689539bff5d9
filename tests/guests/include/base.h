// Memory, strings, formatted output, program start: what a libc would give.
#pragma once
#include "wasi.h"
#include <stdarg.h>
#include <stdbool.h>

// The compiler may call these by itself, so they must exist by these names.
void *memcpy(void *restrict d, const void *restrict s, size_t n) {
  char *a = d; const char *b = s;
  while (n--) *a++ = *b++;
  return d;
}
void *memset(void *d, int c, size_t n) {
  char *a = d;
  while (n--) *a++ = (char)c;
  return d;
}
int memcmp(const void *x, const void *y, size_t n) {
  const unsigned char *a = x, *b = y;
  for (; n--; a++, b++) if (*a != *b) return *a - *b;
  return 0;
}
size_t strlen(const char *s) { size_t n = 0; while (s[n]) n++; return n; }
int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}
static inline uint64_t parse_u64(const char *s) {
  uint64_t n = 0;
  while (*s >= '0' && *s <= '9') n = n * 10 + (uint64_t)(*s++ - '0');
  return n;
}

// %d %u %x (int), %zu, %lld %llu %llx, %s %c %%, with an optional zero-padded width
// (%04u). Returns the length; always ends the buffer with a zero byte.
static inline size_t vformat(char *buf, size_t cap, const char *f, va_list ap) {
  size_t n = 0;
#define PUT(ch) do { if (n + 1 < cap) buf[n++] = (ch); } while (0)
  for (; *f; f++) {
    if (*f != '%') { PUT(*f); continue; }
    unsigned width = 0, longs = 0;
    f++;
    while (*f >= '0' && *f <= '9') width = width * 10 + (unsigned)(*f++ - '0');
    while (*f == 'l' || *f == 'z') { longs += *f == 'l'; f++; }
    if (*f == 's') { for (const char *s = va_arg(ap, const char *); *s; s++) PUT(*s); continue; }
    if (*f == 'c') { PUT((char)va_arg(ap, int)); continue; }
    if (*f == '%') { PUT('%'); continue; }
    uint64_t v;
    bool negative = false;
    if (*f == 'd') {
      int64_t s = longs == 2 ? va_arg(ap, int64_t) : va_arg(ap, int);
      negative = s < 0;
      v = negative ? 0 - (uint64_t)s : (uint64_t)s;
    } else {
      v = longs == 2 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);
    }
    unsigned base = *f == 'x' ? 16 : 10;
    char digits[24];
    unsigned i = 0;
    do { digits[i++] = "0123456789abcdef"[v % base]; v /= base; } while (v);
    while (i < width && i < sizeof digits) digits[i++] = '0';
    if (negative) PUT('-');
    while (i) PUT(digits[--i]);
  }
#undef PUT
  buf[n] = 0;
  return n;
}
__attribute__((format(printf, 3, 4)))
static inline size_t format(char *buf, size_t cap, const char *f, ...) {
  va_list ap;
  va_start(ap, f);
  size_t n = vformat(buf, cap, f, ap);
  va_end(ap);
  return n;
}

// Writes all bytes, in as few calls as the host allows.
static inline void write_all(int fd, const void *buf, size_t len) {
  const char *p = buf;
  while (len) {
    wasi_iovec v = {p, (uint32_t)len};
    uint32_t got = 0;
    if (wasi_fd_write(fd, &v, 1, &got) != 0) wasi_proc_exit(101);
    p += got;
    len -= got;
  }
}
// One formatted line (at most 1 KiB) to stdout, in one call.
__attribute__((format(printf, 1, 2)))
static inline void print(const char *f, ...) {
  char buf[1024];
  va_list ap;
  va_start(ap, f);
  size_t n = vformat(buf, sizeof buf, f, ap);
  va_end(ap);
  write_all(1, buf, n);
}
// Ends the program with status 100 and the reason on stderr, unless `cond`.
#define check(cond, ...)                                                       \
  do {                                                                         \
    if (!(cond)) {                                                             \
      char check_buf_[512];                                                    \
      size_t check_n_ = format(check_buf_, sizeof check_buf_, "%s:%d: check failed: %s: ", __FILE__, __LINE__, #cond); \
      check_n_ += format(check_buf_ + check_n_, sizeof check_buf_ - check_n_, __VA_ARGS__); \
      check_n_ += format(check_buf_ + check_n_, sizeof check_buf_ - check_n_, "\n"); \
      write_all(2, check_buf_, check_n_);                                      \
      wasi_proc_exit(100);                                                     \
    }                                                                          \
  } while (0)

static inline uint64_t now_ns(void) {
  uint64_t t = 0;
  wasi_clock_time_get(CLOCK_MONOTONIC, 1, &t);
  return t;
}
static inline void sleep_ns(uint64_t ns) {
  wasi_subscription s = {.userdata = 1, .tag = 0, .clock = {CLOCK_MONOTONIC, ns, 0, 0}};
  wasi_event e;
  uint32_t n = 0;
  int err = wasi_poll_oneoff(&s, &e, 1, &n);
  check(err == 0 && n == 1 && e.userdata == 1, "poll_oneoff: errno %d, %u events", err, n);
}

// Memory that is never given back, from the end of the data upwards. Any thread
// may call it.
extern unsigned char __heap_base;
static uint32_t heap_top;
static inline void *alloc(uint32_t bytes) {
  uint32_t zero = 0;
  __atomic_compare_exchange_n(&heap_top, &zero, ((uint32_t)&__heap_base + 15) & ~15u, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  uint32_t at = __atomic_fetch_add(&heap_top, (bytes + 15) & ~15u, __ATOMIC_SEQ_CST);
  uint32_t end = at + bytes, have = (uint32_t)__builtin_wasm_memory_size(0) << 16;
  // Two threads may both grow: the second then has some pages to spare.
  if (end > have) check(__builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) != (size_t)-1, "out of memory");
  return (void *)at;
}

int guest_main(int argc, char **argv);
__attribute__((export_name("_start"))) void _start(void) {
  uint32_t argc = 0, bytes = 0;
  wasi_args_sizes_get(&argc, &bytes);
  char **argv = alloc((argc + 1) * sizeof(char *));
  wasi_args_get(argv, alloc(bytes));
  argv[argc] = 0;
  int status = guest_main((int)argc, argv);
  if (status) wasi_proc_exit((uint32_t)status);
}
