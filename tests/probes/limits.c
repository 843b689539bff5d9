/* Errors that take a limit: a file system that is mounted read-only or is full, a file with as many
 * links as it can have, as many descriptors as there may be, a quota. The test has made these; the
 * environment says where they are:
 *
 *     READ_ONLY  file, folder/in, empty/, link -> file, fifo
 *     SMALL      64 KiB and ten names
 *     MANY_LINKS file, with the most links
 *     LIMIT      the number of descriptors
 *
 * Each call is made with a single name, which needs no resolution, and with `./` before it. */
#include "probe.h"
#include <dirent.h>
#include <sys/uio.h>
#ifndef __wasi__
#include <sys/resource.h>
#endif

static const char *area, *prefix;
static int at;

#define SAYS(call, name, expression) \
    do { \
        char says[64]; \
        snprintf(says, sizeof says, "%s%s", prefix, name); \
        errno = 0; \
        cell(area, call, says, "%s", expression); \
    } while (0)

static const char *path(const char *name)
{
    static char paths[2][64];
    static int next;
    next ^= 1;
    snprintf(paths[next], sizeof paths[next], "%s%s", prefix, name);
    return paths[next];
}

static const char *opened(const char *name, int flags)
{
    int fd = openat(at, path(name), flags, 0644);
    if (fd < 0)
        return error_name(errno);
    close(fd);
    return "opened";
}

static const char *times(const char *name, int now)
{
    const struct timespec both[2] = {{1000, 1}, {2000, 2}};
    return result(set_times_at(at, path(name), now ? NULL : both, 0));
}

static int open_folder(const char *variable)
{
    const char *name = getenv(variable);
    int fd = name ? open(name, O_RDONLY | O_DIRECTORY) : -1;
    if (fd < 0)
        broken(variable);
    return fd;
}

/* `probe`, with single names and with others. */
static void both_ways(const char *in_area, void (*probe)(void))
{
    area = in_area;
    prefix = "";
    probe();
    prefix = "./";
    probe();
    prefix = "";
}

/* Whatever is changed at a path. What is there, what is missing and what is no folder are refused
 * in an order of their own. */
static void probe_changes(void)
{
    SAYS("mkdir", "new", result(mkdirat(at, path("new"), 0755)));
    SAYS("mkdir", "file", result(mkdirat(at, path("file"), 0755)));
    SAYS("mkdir", "file/new", result(mkdirat(at, path("file/new"), 0755)));
    SAYS("mkdir", "folder/new", result(mkdirat(at, path("folder/new"), 0755)));
    SAYS("rmdir", "empty", result(unlinkat(at, path("empty"), AT_REMOVEDIR)));
    SAYS("rmdir", "folder", result(unlinkat(at, path("folder"), AT_REMOVEDIR)));
    SAYS("rmdir", "missing", result(unlinkat(at, path("missing"), AT_REMOVEDIR)));
    SAYS("unlink", "file", result(unlinkat(at, path("file"), 0)));
    SAYS("unlink", "folder", result(unlinkat(at, path("folder"), 0)));
    SAYS("unlink", "missing", result(unlinkat(at, path("missing"), 0)));
    SAYS("symlink", "new", result(symlinkat("x", at, path("new"))));
    SAYS("symlink", "file", result(symlinkat("x", at, path("file"))));
    SAYS("link", "new", result(linkat(at, path("file"), at, path("new"), 0)));
    SAYS("link", "link", result(linkat(at, path("file"), at, path("link"), 0)));
    SAYS("link", "from missing", result(linkat(at, path("missing"), at, path("new"), 0)));
    SAYS("rename", "file to new", result(renameat(at, path("file"), at, path("new"))));
    SAYS("rename", "file to link", result(renameat(at, path("file"), at, path("link"))));
    SAYS("rename", "missing", result(renameat(at, path("missing"), at, path("new"))));
    SAYS("utimens set", "file", times("file", 0));
    SAYS("utimens now", "file", times("file", 1));
    SAYS("utimens set", "missing", times("missing", 0));
}

static void probe_mounted_read_only(void)
{
    struct stat stat;
    int fd;
    SAYS("open read", "file", opened("file", O_RDONLY));
    SAYS("open read", "link", opened("link", O_RDONLY));
    SAYS("open write", "file", opened("file", O_WRONLY));
    SAYS("open write", "link", opened("link", O_WRONLY));
    SAYS("open write", "missing", opened("missing", O_WRONLY));
    SAYS("open both", "file", opened("file", O_RDWR));
    SAYS("open both", "fifo", opened("fifo", O_RDWR));
    SAYS("open trunc", "file", opened("file", O_WRONLY | O_TRUNC));
    SAYS("open read creat", "file", opened("file", O_RDONLY | O_CREAT));
    SAYS("open read creat", "new", opened("new", O_RDONLY | O_CREAT));
    SAYS("open write creat", "file", opened("file", O_WRONLY | O_CREAT));
    SAYS("open write creat", "new", opened("new", O_WRONLY | O_CREAT));
    SAYS("open excl", "file", opened("file", O_WRONLY | O_CREAT | O_EXCL));
    SAYS("open excl", "new", opened("new", O_WRONLY | O_CREAT | O_EXCL));
    SAYS("open directory", "folder", opened("folder", O_RDONLY | O_DIRECTORY));
    SAYS("stat", "file", attributes(fstatat(at, path("file"), &stat, 0), &stat));
    probe_changes();
    fd = openat(at, path("file"), O_RDONLY);
    SAYS("fsync", "file", result(fsync(fd)));
    SAYS("ftruncate", "file", result(ftruncate(fd, 1)));
    SAYS("write", "file", result(write(fd, "x", 1)));
    SAYS("futimens now", "file", result(set_times_of(fd, NULL)));
    close(fd);
    SAYS("fsync", "folder itself", result(fsync(at)));
}

void probe_read_only(void)
{
    at = open_folder("READ_ONLY");
    both_ways("read only", probe_mounted_read_only);
    close(at);
}

/* Fills a file; how far the last write came. */
static void probe_full(void)
{
    static char bytes[100 * 1024];
    struct iovec two[2] = {{bytes, 3000}, {bytes, 3000}};
    char name[16];
    int made = 0;
    int fd = openat(at, path("big"), O_RDWR | O_CREAT, 0644);
    if (fd < 0)
        broken("big");
    SAYS("write", "more than there is room for", result(write(fd, bytes, sizeof bytes)));
    SAYS("write", "full", result(write(fd, bytes, 1)));
    SAYS("writev", "full", result(writev(fd, two, 2)));
    SAYS("pwrite", "full", result(pwrite(fd, bytes, 5, 1 << 20)));
    SAYS("pwrite", "where there is something", result(pwrite(fd, bytes, 5, 0)));
    SAYS("allocate", "full", returned(posix_fallocate(fd, 0, 1 << 20)));
    SAYS("ftruncate", "to have a hole", result(ftruncate(fd, 1 << 20)));
    SAYS("ftruncate", "to nothing", result(ftruncate(fd, 0)));
    SAYS("write", "with room again", result(write(fd, bytes, 1000)));
    close(fd);
    for (; made < 100; made++) {
        snprintf(name, sizeof name, "name%d", made);
        if (mkdirat(at, path(name), 0755))
            break;
    }
    SAYS("mkdir", "the last one", error_name(errno));
    cell(area, "mkdir", *prefix ? "how many, ./" : "how many", "%d", made);
    SAYS("open creat", "no name left", opened("new", O_WRONLY | O_CREAT));
    SAYS("symlink", "no name left", result(symlinkat("x", at, path("new"))));
    SAYS("link", "no name left", result(linkat(at, path("big"), at, path("new"), 0)));
    SAYS("rename", "no name left", result(renameat(at, path("big"), at, path("new"))));
    SAYS("unlink", "no name left", result(unlinkat(at, path("new"), 0)));
    for (int i = 0; i < made; i++) {
        snprintf(name, sizeof name, "name%d", i);
        unlinkat(at, path(name), AT_REMOVEDIR);
    }
}

void probe_small(void)
{
    at = open_folder("SMALL");
    both_ways("full", probe_full);
    close(at);
}

static void probe_most_links(void)
{
    SAYS("link", "one too many", result(linkat(at, path("file"), at, path("new"), 0)));
    SAYS("link", "to what is there", result(linkat(at, path("file"), at, path("0"), 0)));
    SAYS("rename", "to another link", result(renameat(at, path("0"), at, path("1"))));
    SAYS("rename", "file", result(renameat(at, path("file"), at, path("new"))));
    SAYS("rename", "back", result(renameat(at, path("new"), at, path("file"))));
}

void probe_many_links(void)
{
    at = open_folder("MANY_LINKS");
    both_ways("links", probe_most_links);
    close(at);
}

/* Without a descriptor left. */
static void probe_none_left(void)
{
    struct stat stat;
    SAYS("open", "file", opened("bytes", O_RDONLY));
    SAYS("open", "folder", opened("listed", O_RDONLY | O_DIRECTORY));
    SAYS("open", "missing", opened("missing", O_RDONLY));
    SAYS("open creat", "new", opened("new", O_WRONLY | O_CREAT));
    SAYS("stat", "what was not made", attributes(fstatat(at, path("new"), &stat, 0), &stat));
    SAYS("open trunc", "file", opened("bytes", O_WRONLY | O_TRUNC));
    SAYS("stat", "what was not cut", attributes(fstatat(at, path("bytes"), &stat, 0), &stat));
    SAYS("lstat", "link", attributes(fstatat(at, path("link"), &stat, AT_SYMLINK_NOFOLLOW), &stat));
    SAYS("mkdir", "made", result(mkdirat(at, path("made"), 0755)));
    SAYS("rename", "made", result(renameat(at, path("made"), at, path("moved"))));
    SAYS("rmdir", "moved", result(unlinkat(at, path("moved"), AT_REMOVEDIR)));
    SAYS("symlink", "made", result(symlinkat("x", at, path("made"))));
    SAYS("readlink", "made", result(readlinkat(at, path("made"), (char[4]){0}, 3)));
    SAYS("link", "made", result(linkat(at, path("made"), at, path("moved"), 0)));
    SAYS("unlink", "made", result(unlinkat(at, path("made"), 0)));
    SAYS("unlink", "moved", result(unlinkat(at, path("moved"), 0)));
    SAYS("utimens set", "file", times("bytes", 0));
    SAYS("utimens now", "file", times("bytes", 1));
}

void probe_numbers(void)
{
    enum { MOST = 1024 };
    static int fds[MOST];
    const char *limit = getenv("LIMIT");
    int opened = 0;
    DIR *folder;
    at = open("mine", O_RDONLY | O_DIRECTORY);
    folder = opendir("mine");
    if (at < 0 || !folder || !limit)
        broken("mine");
#ifndef __wasi__
    struct rlimit most = {atoi(limit), atoi(limit)};
    if (setrlimit(RLIMIT_NOFILE, &most))
        broken("setrlimit");
#endif
    while (opened < MOST && (fds[opened] = openat(at, "bytes", O_RDONLY)) >= 0)
        opened++;
    area = "numbers";
    prefix = "";
    SAYS("open", "the last", error_name(errno));
    both_ways(area, probe_none_left);
    SAYS("readdir", "an open folder", readdir(folder) ? "an entry" : error_name(errno));
    SAYS("opendir", "listed", opendir("mine/listed") ? "opened" : error_name(errno));
    SAYS("read", "file", result(read(fds[0], (char[4]){0}, 4)));
    SAYS("fsync", "folder", result(fsync(at)));
    for (int i = 0; i < opened; i++)
        close(fds[i]);
    SAYS("open", "after that", (fds[0] = openat(at, "bytes", O_RDONLY)) < 0 ? error_name(errno) : "opened");
    close(fds[0]);
    closedir(folder);
    close(at);
}

/* The test has the system say EDQUOT to whatever would make something. */
static void probe_over_quota(void)
{
    int fd = openat(at, "bytes", O_RDWR);
    if (fd < 0)
        broken("bytes");
    SAYS("mkdir", "new", result(mkdirat(at, path("new"), 0755)));
    SAYS("symlink", "new", result(symlinkat("x", at, path("new"))));
    SAYS("link", "new", result(linkat(at, path("bytes"), at, path("new"), 0)));
    SAYS("rename", "new", result(renameat(at, path("bytes"), at, path("new"))));
    SAYS("pwrite", "file", result(pwrite(fd, "x", 1, 0)));
    SAYS("ftruncate", "file", result(ftruncate(fd, 100)));
    SAYS("allocate", "file", returned(posix_fallocate(fd, 0, 100)));
    close(fd);
}

void probe_quota(void)
{
    at = open("mine", O_RDONLY | O_DIRECTORY);
    if (at < 0)
        broken("mine");
    both_ways("quota", probe_over_quota);
    close(at);
}
