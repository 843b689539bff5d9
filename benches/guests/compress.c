// A parallel compressor. Blocks of a file go through a bounded work queue to threads, which
// compress them and hand them to a writer that keeps their order. The method is LZ77: a hash table
// of four-byte sequences, byte literals and back references.
//
// usage: compress THREADS MEBIBYTES
//
// After the timed part the output is read back, expanded and compared.
#include "bench.h"

#define BLOCK 65536u
#define WORST (BLOCK + BLOCK / 64 + 64)
#define QUEUE 8u
#define HASH_BITS 13

struct job {
  uint32_t block;
  uint32_t packed_len;
  bool packed;
  unsigned char *packed_bytes;
};
static struct job queue[QUEUE];
static uint32_t blocks, next_in, next_taken, next_out;
static mutex lock;
static condvar changed;
static int input_fd, output_fd;

struct scratch {
  unsigned char plain[BLOCK];
  uint32_t seen[1 << HASH_BITS];
};
static struct scratch *scratches[MAX_THREADS];

static uint32_t load32(const unsigned char *p) {
  uint32_t v;
  __builtin_memcpy(&v, p, 4);
  return v;
}
// Token: 0nnnnnnn n+1 literals follow; 1nnnnnnn hi lo: n+4 bytes from hi:lo+1 back.
static unsigned char *put_literals(unsigned char *out, const unsigned char *from, const unsigned char *to) {
  while (from < to) {
    uint32_t n = (uint32_t)(to - from);
    if (n > 128) n = 128;
    *out++ = (unsigned char)(n - 1);
    for (uint32_t i = 0; i < n; i++) *out++ = *from++;
  }
  return out;
}
static uint32_t pack(const unsigned char *in, uint32_t len, unsigned char *out_begin, uint32_t *seen) {
  for (uint32_t i = 0; i < 1u << HASH_BITS; i++) seen[i] = 0;
  unsigned char *out = out_begin;
  const unsigned char *p = in, *end = in + len, *literals = in;
  while (p + 4 <= end) {
    uint32_t word = load32(p), slot = word * 2654435761u >> (32 - HASH_BITS);
    // Positions are kept one higher, so that zero means none.
    uint32_t candidate = seen[slot];
    seen[slot] = (uint32_t)(p - in) + 1;
    const unsigned char *old = in + candidate - 1;
    if (candidate == 0 || load32(old) != word) {
      p++;
      continue;
    }
    uint32_t n = 4, back = (uint32_t)(p - old) - 1;
    while (n < 131 && p + n < end && old[n] == p[n]) n++;
    out = put_literals(out, literals, p);
    *out++ = (unsigned char)(0x80 | (n - 4));
    *out++ = (unsigned char)(back >> 8);
    *out++ = (unsigned char)back;
    p += n;
    literals = p;
  }
  return (uint32_t)(put_literals(out, literals, end) - out_begin);
}
static uint32_t unpack(const unsigned char *in, uint32_t len, unsigned char *out_begin) {
  const unsigned char *end = in + len;
  unsigned char *out = out_begin;
  while (in < end) {
    uint32_t token = *in++, n;
    if (token & 0x80) {
      n = (token & 0x7f) + 4;
      uint32_t back = ((uint32_t)in[0] << 8 | in[1]) + 1;
      in += 2;
      check(back <= (uint32_t)(out - out_begin) && out + n <= out_begin + BLOCK, "a broken reference");
      for (const unsigned char *from = out - back; n--;) *out++ = *from++;
    } else {
      n = token + 1;
      check(out + n <= out_begin + BLOCK, "a broken literal");
      while (n--) *out++ = *in++;
    }
  }
  return (uint32_t)(out - out_begin);
}

// Thread 0 feeds the queue and writes; every other one compresses. With one
// thread, that one does all in turn.
static void compress_one(struct job *job, struct scratch *mine) {
  pread_all(input_fd, mine->plain, BLOCK, (uint64_t)job->block * BLOCK);
  job->packed_len = pack(mine->plain, BLOCK, job->packed_bytes, mine->seen);
}
static void write_one(struct job *job) {
  uint32_t header = job->packed_len;
  append_all(output_fd, &header, 4);
  append_all(output_fd, job->packed_bytes, job->packed_len);
}
static void feed_and_write(void) {
  mutex_lock(&lock);
  while (next_out < blocks) {
    struct job *oldest = &queue[next_out % QUEUE];
    if (next_in < blocks && next_in - next_out < QUEUE) {
      struct job *job = &queue[next_in % QUEUE];
      job->block = next_in++;
      job->packed = false;
      cond_signal(&changed);
    } else if (oldest->packed) {
      mutex_unlock(&lock);
      write_one(oldest);
      mutex_lock(&lock);
      next_out++;
    } else {
      cond_wait(&changed, &lock);
    }
  }
  cond_broadcast(&changed);
  mutex_unlock(&lock);
}
static void compressor(struct scratch *mine) {
  mutex_lock(&lock);
  while (next_out < blocks) {
    if (next_taken == next_in) {
      if (next_taken == blocks) break;
      cond_wait(&changed, &lock);
      continue;
    }
    struct job *job = &queue[next_taken++ % QUEUE];
    mutex_unlock(&lock);
    compress_one(job, mine);
    mutex_lock(&lock);
    job->packed = true;
    cond_broadcast(&changed);
  }
  mutex_unlock(&lock);
}
static int compressors;
static void body(int me) {
  if (compressors == 0) {
    for (; next_out < blocks; next_out++) {
      queue[0].block = next_out;
      compress_one(&queue[0], scratches[0]);
      write_one(&queue[0]);
    }
  } else if (me == 0) {
    feed_and_write();
  } else {
    compressor(scratches[me]);
  }
}

// Words of a small vocabulary, lines, numbers: compresses to about a third.
static void make_input(void) {
  static const char *words[16] = {"thread ", "memory ", "wait ",  "notify ", "the ",   "of ",     "a ",      "shared ",
                                  "file\n",  "lock ",   "block ", "queue ",  "clock ", "random ", "offset ", "table "};
  static unsigned char text[BLOCK];
  uint64_t state = 42;
  for (uint32_t b = 0; b < blocks; b++) {
    for (uint32_t at = 0; at < BLOCK;) {
      uint64_t r = next_random(&state);
      const char *word = words[r & 15];
      if ((r >> 8 & 7) == 0) text[at++] = (unsigned char)('0' + (r >> 16) % 10);
      while (*word && at < BLOCK) text[at++] = (unsigned char)*word++;
    }
    pwrite_all(input_fd, text, BLOCK, (uint64_t)b * BLOCK);
  }
}
static uint64_t verify(void) {
  unsigned char *packed = queue[0].packed_bytes, *plain = alloc(BLOCK);
  uint64_t at = 0, hash = FNV_START;
  for (uint32_t b = 0; b < blocks; b++) {
    uint32_t len = 0;
    pread_all(output_fd, &len, 4, at);
    check(len <= WORST, "block %u: %u bytes", b, len);
    pread_all(output_fd, packed, len, at + 4);
    at += 4 + len;
    check(unpack(packed, len, plain) == BLOCK, "block %u has another length", b);
    pread_all(input_fd, scratches[0]->plain, BLOCK, (uint64_t)b * BLOCK);
    for (uint32_t i = 0; i < BLOCK; i++) check(plain[i] == scratches[0]->plain[i], "block %u differs at %u", b, i);
    hash = fnv(hash, packed, len);
  }
  return hash;
}

int guest_main(int argc, char **argv) {
  check(argc >= 3, "usage: compress THREADS MEBIBYTES");
  int threads = (int)parse_u64(argv[1]);
  uint32_t mebibytes = (uint32_t)parse_u64(argv[2]);
  check(threads >= 1 && threads < MAX_THREADS && mebibytes > 0, "threads: %d", threads);
  blocks = mebibytes * (1048576 / BLOCK);
  compressors = threads == 1 ? 0 : threads;
  for (int i = 0; i <= compressors; i++) scratches[i] = alloc(sizeof(struct scratch));
  for (uint32_t i = 0; i < QUEUE; i++) queue[i].packed_bytes = alloc(WORST);
  input_fd = open_new("plain.dat");
  output_fd = open_new("packed.dat");
  make_input();
  // The writer mostly sleeps, so it is not counted.
  uint64_t ns = run_team(compressors + 1, body);
  report("compress", threads, blocks, ns, verify());
  return 0;
}
