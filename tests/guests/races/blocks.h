// Races about blocks of a heap.
#pragma once
#include "cases.h"
#include "heap.h"

static int *block;
static APART int read_block(void) { return PEEK(block[4]); }
static APART void write_block(void) { PEEK(block[4]) = 1; }
static APART void drop_block(void) { free(block); }
static void make_block(void) { block = malloc(24); }

static void free_it(void *unused) {
  (void)unused;
  if (mended) wait_for(&flag, 1);
  drop_block();
}
static void read_it(void *unused) {
  (void)unused;
  read_block();
  set(&flag, 1);
}
static void write_it(void *unused) {
  (void)unused;
  write_block();
  set(&flag, 1);
}
static void freed_read(void) {
  make_block();
  both(free_it, read_it);
}
static void freed_write(void) {
  make_block();
  both(write_it, free_it);
}
