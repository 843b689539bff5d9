// A parallel search over many files. The names of a folder go into a list. Each thread takes the
// next name, looks at the file's size, reads it and counts the lines that contain a word.
//
// usage: search THREADS FILES
//
// Listing the folder is in the time; making the files is not.
#include "bench.h"

#define FOLDER "files"
#define CHUNK 32768u
#define MAX_FILES 4096u
#define NAME 16u
static const char needle[] = "deadlock";

static char names[MAX_FILES][NAME];
static uint32_t files, listed, next;
static int folder_fd;
static uint64_t found, read_bytes;
static unsigned char *buffers[MAX_THREADS];

static void add_name(const char *name, uint32_t len) {
  if (len >= NAME || name[0] == '.') return;
  check(listed < MAX_FILES, "too many files");
  for (uint32_t i = 0; i < len; i++) names[listed][i] = name[i];
  names[listed++][len] = 0;
}
#ifdef __wasm__
static void list_names(void) {
  static unsigned char buf[8192];
  uint64_t cookie = 0;
  for (;;) {
    uint32_t used = 0, at = 0;
    int error = wasi_fd_readdir(folder_fd, buf, sizeof buf, cookie, &used);
    check(error == 0, "fd_readdir: errno %d", error);
    while (at + sizeof(wasi_dirent) <= used) {
      wasi_dirent d;
      __builtin_memcpy(&d, buf + at, sizeof d);
      if (at + sizeof d + d.namlen > used) break;
      add_name((const char *)buf + at + sizeof d, d.namlen);
      at += (uint32_t)sizeof d + d.namlen;
      cookie = d.next;
    }
    // A buffer that was not filled is the last one.
    if (used < sizeof buf) return;
  }
}
#else
static void list_names(void) {
  DIR *folder = fdopendir(dup(folder_fd));
  check(folder, "cannot list the folder");
  for (struct dirent *entry; (entry = readdir(folder));) add_name(entry->d_name, (uint32_t)strlen(entry->d_name));
  closedir(folder);
}
#endif

// Lines of `text` with the needle in them; lines end inside a file's one chunk.
static uint64_t count_lines(const unsigned char *text, uint32_t len) {
  uint64_t lines = 0;
  const uint32_t size = sizeof needle - 1;
  for (uint32_t i = 0; i + size <= len; i++) {
    if (text[i] != (unsigned char)needle[0]) continue;
    uint32_t k = 1;
    while (k < size && text[i + k] == (unsigned char)needle[k]) k++;
    if (k < size) continue;
    lines++;
    while (i < len && text[i] != '\n') i++;
  }
  return lines;
}
static void search(int me) {
  uint64_t lines = 0, bytes = 0;
  if (me == 0) {
    list_names();
    check(listed == files, "%u of %u files listed", listed, files);
    __atomic_store_n(&next, 1, __ATOMIC_RELEASE);
    futex_wake((int *)&next, -1u);
  } else {
    while (__atomic_load_n(&next, __ATOMIC_ACQUIRE) == 0) futex_wait((int *)&next, 0);
  }
  // Numbers are one higher than their file's, so that zero means not listed yet.
  for (uint32_t i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) <= files;) {
    int fd = open_at(folder_fd, names[i - 1], 0, RIGHT_FD_READ, 0);
    wasi_filestat s;
    int error = wasi_fd_filestat_get(fd, &s);
    check(error == 0 && s.size <= CHUNK, "fd_filestat_get: errno %d", error);
    uint32_t len = 0;
    for (;;) {
      wasi_iovec v = iovec_of(buffers[me] + len, CHUNK - len);
      uint32_t n = 0;
      error = wasi_fd_read(fd, &v, 1, &n);
      check(error == 0, "fd_read: errno %d", error);
      if (n == 0) break;
      len += n;
    }
    check(len == s.size, "a short file");
    lines += count_lines(buffers[me], len);
    bytes += len;
    close_fd(fd);
  }
  __atomic_add_fetch(&found, lines, __ATOMIC_RELAXED);
  __atomic_add_fetch(&read_bytes, bytes, __ATOMIC_RELAXED);
}

static void make_files(void) {
  static unsigned char text[CHUNK];
  uint64_t state = 7;
  for (uint32_t f = 0; f < files; f++) {
    uint32_t len = 2048 + (uint32_t)(next_random(&state) % (CHUNK - 4096));
    for (uint32_t at = 0; at < len; at++) {
      uint64_t r = next_random(&state);
      text[at] = (unsigned char)(r % 61 == 0 ? '\n' : 'a' + (r >> 8) % 26);
      if (r % 997 == 0 && at + sizeof needle < len)
        for (uint32_t k = 0; k + 1 < sizeof needle; k++) text[at++] = (unsigned char)needle[k];
    }
    char name[NAME];
    format(name, sizeof name, "%06u.txt", f);
    int fd = open_at(folder_fd, name, O_CREAT | O_TRUNC, RIGHTS_FILE, 0);
    pwrite_all(fd, text, len, 0);
    close_fd(fd);
  }
}

int guest_main(int argc, char **argv) {
  check(argc >= 3, "usage: search THREADS FILES");
  int threads = (int)parse_u64(argv[1]);
  files = (uint32_t)parse_u64(argv[2]);
  check(threads >= 1 && threads <= MAX_THREADS && files >= 1 && files <= MAX_FILES, "threads: %d", threads);
  int error = wasi_path_create_directory(work_dir(), FOLDER, sizeof FOLDER - 1);
  check(error == 0 || error == EEXIST, "path_create_directory: errno %d", error);
  folder_fd = open_at(work_dir(), FOLDER, O_DIRECTORY, RIGHTS_FOLDER, 0);
  make_files();
  for (int i = 0; i < threads; i++) buffers[i] = alloc(CHUNK);
  uint64_t ns = run_team(threads, search);
  check(found > 0, "nothing found in %llu bytes", (unsigned long long)read_bytes);
  report("search", threads, files, ns, found << 32 ^ read_bytes);
  return 0;
}
