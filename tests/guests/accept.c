// A server: threads that accept on one listening socket.
//
// usage: accept FD THREADS
//
// FD is the socket's descriptor, the first after the standard streams and the
// folders. Each connection is read to a newline, and its line sent back. It ends by a signal.
#include "thread.h"

WASI(sock_accept) wasi_sock_accept(int fd, uint16_t flags, int *out);
WASI(sock_recv) wasi_sock_recv(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *got, uint16_t *out_flags);
WASI(sock_send) wasi_sock_send(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *sent);

static int listener;

static void serve(int connection) {
  char line[64];
  uint32_t have = 0;
  while (have < sizeof line && (have == 0 || line[have - 1] != '\n')) {
    wasi_iovec v = {line + have, sizeof line - have};
    uint32_t got = 0;
    uint16_t flags = 0;
    int err = wasi_sock_recv(connection, &v, 1, 0, &got, &flags);
    check(err == 0, "sock_recv: errno %d", err);
    if (got == 0) break;
    have += got;
  }
  for (uint32_t sent = 0; sent < have;) {
    wasi_iovec v = {line + sent, have - sent};
    uint32_t n = 0;
    int err = wasi_sock_send(connection, &v, 1, 0, &n);
    check(err == 0, "sock_send: errno %d", err);
    sent += n;
  }
  int err = wasi_fd_close(connection);
  check(err == 0, "fd_close: errno %d", err);
}

static void work(void *arg) {
  (void)arg;
  for (;;) {
    int connection = -1;
    int err = wasi_sock_accept(listener, 0, &connection);
    check(err == 0, "sock_accept: errno %d", err);
    serve(connection);
  }
}

int guest_main(int argc, char **argv) {
  check(argc == 3, "usage: accept FD THREADS");
  listener = (int)parse_u64(argv[1]);
  unsigned n = (unsigned)parse_u64(argv[2]);
  struct thread *t = alloc(n * sizeof *t);
  memset(t, 0, n * sizeof *t);
  for (unsigned i = 0; i < n; i++) {
    int tid = thread_start(&t[i], work, 0);
    check(tid > 0, "spawn %u: %d", i, tid);
  }
  print("%u threads accept\n", n);
  for (unsigned i = 0; i < n; i++) thread_join(&t[i]);
  return 0;
}
