// Races about data that is handed from one thread to the other.
#pragma once
#include "cases.h"

static int data, published;
static APART void write_data(int value) { data = value; }
static APART int read_data(void) { return PEEK(data); }

// The flag is no atomic.
static APART void publish_plainly(void) { published = 1; }
static APART int look_plainly(void) { return PEEK(published); }
static void publish(void *unused) {
  (void)unused;
  write_data(1);
  if (mended) set(&published, 1);
  else publish_plainly();
}
static void consume(void *unused) {
  (void)unused;
  if (mended ? get(&published) : look_plainly()) read_data();
}
static void plain_flag(void) { both(publish, consume); }

// The flag is one, and the data is written once more.
static void publish_early(void *unused) {
  (void)unused;
  write_data(1);
  if (mended) write_data(2);
  set(&flag, 1);
  if (!mended) write_data(2);
}
static void wait_and_read(void *unused) {
  (void)unused;
  wait_for(&flag, 1);
  read_data();
}
static void write_behind_flag(void) { both(publish_early, wait_and_read); }

// A second store hides what the first has published.
static void publish_first(void *unused) {
  (void)unused;
  write_data(1);
  __atomic_fetch_add(&flag, 1, __ATOMIC_ACQ_REL);
}
static void publish_second(void *unused) {
  (void)unused;
  wait_for(&published, 1);
  if (mended) __atomic_fetch_add(&flag, 1, __ATOMIC_ACQ_REL);
  else set(&flag, 2);
}
static void store_hides(void) {
  start(&one, publish_first, 0);
  start(&two, publish_second, 0);
  // It knows nothing of the first one.
  set(&published, 1);
  wait_until_at_least(&flag, 2);
  read_data();
  thread_join(&one);
  thread_join(&two);
}

// Made when it is first needed.
static int *made;
static int storage[2];
static APART void make(int *of) { made = of; }
static APART int *is_made(void) { return PEEK(made); }
static void make_once(void *of) {
  if (mended) mutex_lock(&lock);
  if (!is_made()) make(of);
  if (mended) mutex_unlock(&lock);
}
static void lazy(void) {
  start(&one, make_once, &storage[0]);
  start(&two, make_once, &storage[1]);
  thread_join(&one);
  thread_join(&two);
}

// The same with a lock, and a look before it.
static void make_checked(void *of) {
  int *found = mended ? __atomic_load_n(&made, __ATOMIC_ACQUIRE) : is_made();
  if (found) return;
  mutex_lock(&lock);
  if (mended) {
    if (!__atomic_load_n(&made, __ATOMIC_ACQUIRE)) __atomic_store_n(&made, of, __ATOMIC_RELEASE);
  } else if (!is_made()) {
    make(of);
  }
  mutex_unlock(&lock);
}
static void double_checked(void) {
  start(&one, make_checked, &storage[0]);
  start(&two, make_checked, &storage[1]);
  thread_join(&one);
  thread_join(&two);
}

// A ring for one producer and one consumer.
static int ring[4], head;
static APART void put(int value) { ring[0] = value; }
static APART int take(void) { return PEEK(ring[0]); }
static APART void advance(void) { head++; }
static APART int plain_head(void) { return PEEK(head); }
static void produce(void *unused) {
  (void)unused;
  put(7);
  if (mended) set(&head, 1);
  else advance();
}
static void drain(void *unused) {
  (void)unused;
  if (mended ? get(&head) : plain_head()) take();
}
static void ring_index(void) { both(produce, drain); }

// The result is read before the join.
static int result;
static APART void compute(void) { result = 42; }
static APART int use(void) { return PEEK(result); }
static void work(void *unused) {
  (void)unused;
  compute();
}
static void before_join(void) {
  start(&one, work, 0);
  if (!mended) use();
  thread_join(&one);
  use();
}

// Two phases, and nothing in between.
static int halves[2], done_first;
static APART void fill_half(int at) { halves[at] = at; }
static APART int sum_halves(void) { return PEEK(halves[0]) + PEEK(halves[1]); }
static void phase(int at) {
  fill_half(at);
  __atomic_fetch_add(&done_first, 1, __ATOMIC_ACQ_REL);
  if (mended) wait_for(&done_first, 2);
  sum_halves();
}
static void phase_one(void *unused) {
  (void)unused;
  phase(0);
}
static void phase_two(void *unused) {
  (void)unused;
  phase(1);
}
static void no_barrier(void) { both(phase_one, phase_two); }

// Each thread is to know its number.
static APART int number_of(void *at) { return *(volatile int *)at; }
static void know_number(void *at) { number_of(at); }
static APART void next(int *i) { ++PEEK(*i); }
static void loop_variable(void) {
  static int i, numbers[2] = {0, 1};
  start(&one, know_number, mended ? &numbers[0] : &i);
  next(&i);
  start(&two, know_number, mended ? &numbers[1] : &i);
  thread_join(&one);
  thread_join(&two);
}

// A sequence lock: the reader throws away what was written meanwhile. One that looks elsewhere
// cannot.
static int sequence;
static bool looks_again;
static void write_in_sequence(void *unused) {
  (void)unused;
  for (int i = 1; i < 9; i++) {
    __atomic_fetch_add(&sequence, 1, __ATOMIC_ACQ_REL);
    write_data(i);
    __atomic_fetch_add(&sequence, 1, __ATOMIC_RELEASE);
  }
}
static void read_in_sequence(void *unused) {
  (void)unused;
  for (int good = 0; good < 8;) {
    int before = get(&sequence);
    int seen = read_data();
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    bool same = looks_again ? __atomic_load_n(&sequence, __ATOMIC_RELAXED) == before : !get(&flag);
    good += same && !(before & 1) && seen >= 0;
  }
}
static void sequence_lock(void) {
  looks_again = true;
  both(write_in_sequence, read_in_sequence);
}
static void sequence_unchecked(void) { both(write_in_sequence, read_in_sequence); }

// The argument is on a stack that is used for something else by then.
static APART int start_with_local(void) {
  volatile int local = 5;
  start(&one, know_number, (void *)&local);
  if (mended) thread_join(&one);
  return local;
}
// In a function of its own: the compiler leaves out a call that only writes its own stack.
static APART void number_all(volatile int *locals) {
  for (int i = 0; i < 16; i++) locals[i] = i;
}
static APART int use_stack(void) {
  int locals[16];
  number_all(locals);
  return PEEK(locals[3]);
}
static void stack_is_gone(void) {
  start_with_local();
  use_stack();
  thread_join(&one);
}
