// POSIX threads on wasi-libc: needs wasi-sdk.
//
// usage: sum THREADS COUNT
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sum, count;

static void *add(void *unused) {
  (void)unused;
  for (unsigned long i = 0; i < count; i++) {
    pthread_mutex_lock(&lock);
    sum++;
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int threads = atoi(argv[1]);
  count = strtoul(argv[2], NULL, 10);
  pthread_t team[threads];
  for (int i = 0; i < threads; i++)
    if (pthread_create(&team[i], NULL, add, NULL) != 0) return 3;
  for (int i = 0; i < threads; i++) pthread_join(team[i], NULL);
  printf("%d threads counted to %lu\n", threads, sum);
  return sum != count * threads;
}
