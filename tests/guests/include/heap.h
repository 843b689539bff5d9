// A heap of small blocks. Its functions have the names by which a host knows an allocator.
#pragma once
#include "thread.h"

static mutex heap_lock;
static union heap_block { union heap_block *next; char bytes[64]; } *heap_free;

__attribute__((noinline)) void *malloc(size_t size) {
  check(size <= sizeof *heap_free, "malloc: %zu", size);
  mutex_lock(&heap_lock);
  union heap_block *block = heap_free;
  if (block) heap_free = block->next;
  else block = alloc(sizeof *block);
  mutex_unlock(&heap_lock);
  return block;
}
__attribute__((noinline)) void free(void *at) {
  union heap_block *block = at;
  mutex_lock(&heap_lock);
  block->next = heap_free;
  heap_free = block;
  mutex_unlock(&heap_lock);
}
