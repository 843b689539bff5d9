// Races about bytes: parts of words, ranges, memory that is used again, and what the host does.
#pragma once
#include "cases.h"

// Two fields of one word.
static volatile struct { unsigned low : 4, high : 4; } fields;
static volatile struct { uint8_t low, high; } parts;
static APART void set_low(void) {
  if (mended) parts.low = 1;
  else fields.low = 1;
}
static APART void set_high(void) {
  if (mended) parts.high = 1;
  else fields.high = 1;
}
static void low(void *unused) {
  (void)unused;
  set_low();
}
static void high(void *unused) {
  (void)unused;
  set_high();
}
static void bit_fields(void) { both(low, high); }

// A byte that others change by atomics is read as part of a word.
static union { uint8_t byte[4]; uint32_t word; } mixed;
static APART uint32_t read_word(void) { return PEEK(mixed.word); }
static void set_byte(void *unused) {
  (void)unused;
  __atomic_store_n(&mixed.byte[1], 1, __ATOMIC_RELEASE);
}
static void read_all(void *unused) {
  (void)unused;
  if (mended) __atomic_load_n(&mixed.word, __ATOMIC_ACQUIRE);
  else read_word();
}
static void mixed_sizes(void) { both(set_byte, read_all); }

// A counter of atomics, read by a plain load.
static int events;
static APART int plain_events(void) { return PEEK(events); }
static void happen(void *unused) {
  (void)unused;
  __atomic_fetch_add(&events, 1, __ATOMIC_RELAXED);
}
static void read_events(void *unused) {
  (void)unused;
  if (mended) get(&events);
  else plain_events();
}
static void mixed_atomic(void) { both(happen, read_events); }

// Words that share bytes.
static uint8_t bytes[16];
static APART void set_unaligned(unsigned at) {
  typedef uint32_t __attribute__((aligned(1), may_alias)) unaligned;
  *(volatile unaligned *)&bytes[at] = 0x01010101;
}
static void first_word(void *unused) {
  (void)unused;
  set_unaligned(0);
}
static void next_word(void *unused) {
  (void)unused;
  set_unaligned(mended ? 4 : 3);
}
static void overlap(void) { both(first_word, next_word); }

// Ranges: copied, filled.
static char from[256], to[256];
static APART void copy(void) { __builtin_memcpy(to, from, sizeof to); }
static APART void store_one(void) { PEEK(from[200]) = 1; }
static void copy_all(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  copy();
  if (mended) mutex_unlock(&lock);
}
static void change_one(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  store_one();
  if (mended) mutex_unlock(&lock);
}
static void copy_and_store(void) { both(copy_all, change_one); }

static APART void fill(void) { __builtin_memset(to, 1, sizeof to); }
static APART char load_one(void) { return PEEK(to[100]); }
static void fill_all(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  fill();
  if (mended) mutex_unlock(&lock);
}
static void read_one(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  load_one();
  if (mended) mutex_unlock(&lock);
}
static void fill_and_load(void) { both(fill_all, read_one); }

// A cell that was given back is used by its new owner.
static int cell, cell_is_free;
static APART int read_cell(void) { return PEEK(cell); }
static APART void write_cell(void) { cell = 9; }
static void free_and_read(void *unused) {
  (void)unused;
  if (mended) read_cell();
  mutex_lock(&lock);
  cell_is_free = 1;
  mutex_unlock(&lock);
  if (!mended) read_cell();
}
static void take_cell(void *unused) {
  (void)unused;
  for (;;) {
    mutex_lock(&lock);
    int free = cell_is_free;
    mutex_unlock(&lock);
    if (free) break;
    sleep_ns(1000);
  }
  write_cell();
}
static void read_freed(void) { both(free_and_read, take_cell); }

// The host writes what another thread reads.
static char input[64];
static APART char read_input(void) { return PEEK(input[5]); }
static void read_file(void *unused) {
  (void)unused;
  wasi_iovec v = {input, sizeof input};
  uint32_t got = 0;
  if (mended) mutex_lock(&lock);
  wasi_fd_read(0, &v, 1, &got);
  if (mended) mutex_unlock(&lock);
}
static void use_input(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  read_input();
  if (mended) mutex_unlock(&lock);
}
static void host_write(void) { both(read_file, use_input); }

// The host reads what another thread writes.
static char output[64];
static APART void change_output(void) { output[5] = 'x'; }
static void write_file(void *unused) {
  (void)unused;
  wasi_iovec v = {output, sizeof output};
  uint32_t got = 0;
  if (mended) mutex_lock(&lock);
  wasi_fd_write(1, &v, 1, &got);
  if (mended) mutex_unlock(&lock);
}
static void make_output(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  change_output();
  if (mended) mutex_unlock(&lock);
}
static void host_read(void) { both(write_file, make_output); }
