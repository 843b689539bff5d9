// One operation many times, on one thread, on what a program gets from outside: a pipe, sockets,
// folders, memory.
//
// usage: system OPERATION 1 OPS [PORT]
//
// `pipe` reads stdin, which is a pipe that holds all it is going to read. Operations on sockets
// talk to the bench's client (support/feed.rs): the first connection it makes is for orders, the
// second for data. Each order is one byte, and is answered by one when it is done. Natively the
// program listens on PORT; a guest is given the socket. Only the operations are timed, not the
// orders between them.
#include "bench.h"

#define BATCH 100
#define MESSAGE 64
#define LISTED 32
static uint64_t ops;
static int folder;
static char buffer[65536] __attribute__((aligned(64)));

#define MUST(call)                                                             \
  do {                                                                         \
    int error_ = (call);                                                       \
    check(error_ == 0, "errno %d", error_);                                    \
  } while (0)
// Nanoseconds that `operation` takes, done `count` times.
#define TIMED(count, operation)                                                \
  ({                                                                           \
    uint64_t begin_ = now_ns();                                                \
    for (uint64_t i = 0; i < (count); i++) operation;                          \
    now_ns() - begin_;                                                         \
  })

// --- Without a client -------------------------------------------------------
static uint64_t op_random64k(void) { return TIMED(ops, MUST(wasi_random_get(buffer, sizeof buffer))); }

static uint64_t op_filestat(void) {
  wasi_filestat s;
  int fd = open_new("system.dat");
  uint64_t ns = TIMED(ops, MUST(wasi_fd_filestat_get(fd, &s)));
  check(s.size == 0, "a new file is not empty");
  return ns;
}

static void read_pipe(void) {
  wasi_iovec v = iovec_of(buffer, MESSAGE);
  uint32_t got = 0;
  int error = wasi_fd_read(0, &v, 1, &got);
  check(error == 0 && got == MESSAGE, "errno %d, %u bytes", error, got);
}
static uint64_t op_pipe(void) { return TIMED(ops, read_pipe()); }

static void list_folder(void) {
  uint32_t used = 0;
  MUST(wasi_fd_readdir(folder, buffer, 4096, 0, &used));
  check(used >= LISTED * 24 && used < 4096, "%u bytes of names", used);
}
// A whole folder of 32 files, from its beginning.
static uint64_t op_readdir(void) {
  char name[32];
  int error = wasi_path_create_directory(work_dir(), "listed", 6);
  check(error == 0 || error == EEXIST, "listed: errno %d", error);
  for (int i = 0; i < LISTED; i++) {
    format(name, sizeof name, "listed/e%02d", i);
    close_fd(open_new(name));
  }
  folder = open_at(work_dir(), "listed", O_DIRECTORY, RIGHTS_FOLDER, 0);
  return TIMED(ops, list_folder());
}

// A page of 64 KiB more. The C library's twin is the break.
#ifdef __wasm__
static void grow(void) { check(__builtin_wasm_memory_grow(0, 1) != (size_t)-1, "memory is at its maximum"); }
#else
static void grow(void) { check(sbrk(65536) != (void *)-1, "memory is at its maximum"); }
#endif
static uint64_t op_grow(void) { return TIMED(ops, grow()); }

#ifndef SINGLE
// A wait that does not wait, again and again, for a word that stays the same.
static int word;
static uint64_t op_differs(void) { return TIMED(ops, futex_wait(&word, 1)); }
#endif

// --- With the client --------------------------------------------------------
#ifndef SINGLE
static int listener, orders, data;
static int accepted[BATCH];
// Some hosts give a listening socket that does not wait. Where time is taken, the connections are
// there.
static int accept_one(void) {
  int fd = -1, error;
  while ((error = wasi_sock_accept(listener, 0, &fd)) == EAGAIN) wasi_sched_yield();
  check(error == 0, "errno %d", error);
  return fd;
}
static void receive(int fd, uint32_t len) {
  wasi_iovec v = iovec_of(buffer, len);
  uint32_t got = 0;
  uint16_t flags = 0;
  int error = wasi_sock_recv(fd, &v, 1, 0, &got, &flags);
  check(error == 0 && got == len, "errno %d, %u bytes", error, got);
}
static void send_bytes(int fd, uint32_t len) {
  wasi_iovec v = iovec_of(buffer, len);
  uint32_t sent = 0;
  int error = wasi_sock_send(fd, &v, 1, 0, &sent);
  check(error == 0 && sent == len, "errno %d, %u bytes", error, sent);
}
static void order(char what) {
  buffer[0] = what;
  send_bytes(orders, 1);
  receive(orders, 1);
}
static void accept_all(void) {
  for (int i = 0; i < BATCH; i++) accepted[i] = accept_one();
}
static void close_all(void) {
  for (int i = 0; i < BATCH; i++) close_fd(accepted[i]);
}
// Each of these does whole batches, at least one.
static uint64_t batches(void) { return ops = (ops + BATCH - 1) / BATCH * BATCH, ops / BATCH; }
static uint64_t op_accept(void) {
  uint64_t ns = 0, all = batches();
  for (uint64_t n = 0; n < all; n++) {
    order('c');
    ns += TIMED(1, accept_all());
    close_all();
  }
  return ns;
}
static uint64_t op_recv(void) {
  uint64_t ns = 0, all = batches();
  for (uint64_t n = 0; n < all; n++) {
    order('w');
    ns += TIMED(BATCH, receive(data, MESSAGE));
  }
  return ns;
}
static uint64_t op_send(void) {
  uint64_t ns = 0, all = batches();
  for (uint64_t n = 0; n < all; n++) {
    ns += TIMED(BATCH, send_bytes(data, MESSAGE));
    order('r');
  }
  return ns;
}

// Of `count` connections the last has something to read.
#ifdef __wasm__
static wasi_subscription asked[BATCH];
static wasi_event events[BATCH];
static void ask(int count) {
  for (int i = 0; i < count; i++)
    asked[i] = (wasi_subscription){.userdata = (uint64_t)i, .tag = 1, .fd = {(uint32_t)accepted[BATCH - count + i]}};
}
static void poll_once(int count) {
  uint32_t ready = 0;
  MUST(wasi_poll_oneoff(asked, events, (uint32_t)count, &ready));
  check(ready >= 1 && events[ready - 1].userdata == (uint64_t)count - 1, "%u ready", ready); // wasmtime 46 says: all
}
#else
static struct pollfd asked[BATCH];
static void ask(int count) {
  for (int i = 0; i < count; i++) asked[i] = (struct pollfd){.fd = accepted[BATCH - count + i], .events = POLLIN};
}
static void poll_once(int count) {
  int ready = poll(asked, (nfds_t)count, -1);
  check(ready == 1, "%d ready", ready);
}
#endif
static uint64_t poll_of(int count) {
  order('c');
  accept_all();
  order('l');
  ask(count);
  return TIMED(ops, poll_once(count));
}
static uint64_t op_poll1(void) { return poll_of(1); }
static uint64_t op_poll100(void) { return poll_of(BATCH); }

#ifdef __wasm__
static void find_client(int argc, char **argv) {
  (void)argc, (void)argv;
  listener = 3; // no folders are given
}
#else
static void find_client(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int on = 1;
  check(argc > 4, "usage: system OPERATION 1 OPS PORT");
  at.sin_port = htons((uint16_t)parse_u64(argv[4]));
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0, "bind: errno %d", errno);
  check(listen(listener, 1024) == 0, "listen: errno %d", errno);
}
#endif
#endif

static const struct { const char *name; uint64_t (*body)(void); bool client; } operations[] = {
    {"random64k", op_random64k, false}, {"filestat", op_filestat, false}, {"pipe", op_pipe, false},
    {"readdir", op_readdir, false},     {"grow", op_grow, false},
#ifndef SINGLE
    {"differs", op_differs, false},     {"accept", op_accept, true},      {"recv", op_recv, true},
    {"send", op_send, true},            {"poll1", op_poll1, true},        {"poll100", op_poll100, true},
#endif
};

int guest_main(int argc, char **argv) {
  check(argc >= 4, "usage: system OPERATION 1 OPS [PORT]");
  check(parse_u64(argv[2]) == 1, "%s threads: these are for one", argv[2]);
  ops = parse_u64(argv[3]);
  for (unsigned o = 0; o < sizeof operations / sizeof *operations; o++) {
    if (strcmp(argv[1], operations[o].name) != 0) continue;
#ifndef SINGLE
    if (operations[o].client) {
      find_client(argc, argv);
      orders = accept_one();
      data = accept_one();
    }
#endif
    uint64_t ns = operations[o].body();
    report(argv[1], 1, ops, ns, 0);
    return 0;
  }
  check(false, "no operation %s", argv[1]);
  return 1;
}
