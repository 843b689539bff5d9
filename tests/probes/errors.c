/* Errors that take a particular place, owner or state. The test has furnished these beforehand,
 * owned by root unless said otherwise (`mine`: by the user that the program runs as):
 *
 *     secret           a file of mode 0000          readable       a file of mode 0444
 *     shut/            a folder of mode 0700        writable       a file of mode 0666
 *     looked/          a folder of mode 0755        sticky/other   a file of mode 0666 in a folder
 *                      that holds `file`                           of mode 01777
 *     busy             a program that runs          mine/shown     a file of mode 0444
 *     fifo             a FIFO that is not open      mine/listed/   a folder of mode 0400 with `in`
 *     socket           of a server that has gone    mine/passed/   a folder of mode 0100 with `in`
 *     device           of a driver there is none of mine/blind/    a folder of mode 0200
 *
 * `OTHER` in the environment is a folder of another file system. */
#include "probe.h"

static int at;

#define SAYS(call, name, expression) \
    do { \
        errno = 0; \
        cell("errors", call, name, "%s", expression); \
    } while (0)

static const char *opened(const char *path, int flags)
{
    int fd = openat(at, path, flags, 0644);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? error_name(errno) : "opened";
}

static const char *stat_of(const char *path)
{
    struct stat stat;
    return attributes(fstatat(at, path, &stat, AT_SYMLINK_NOFOLLOW), &stat);
}

static const char *times(const char *path, const struct timespec *both)
{
    return result(set_times_at(at, path, both, 0));
}

static const char *times_of(int flags, const char *path, const struct timespec *both)
{
    const char *said;
    int fd = openat(at, path, flags);
    if (fd < 0)
        return error_name(errno);
    said = result(set_times_of(fd, both));
    close(fd);
    return said;
}

static void probe_opens(void)
{
    static const char *const places[] = {
        "secret", "readable", "writable", "shut", "shut/file", "looked", "looked/file", "looked/new",
        "sticky/other", "busy", "fifo", "socket", "device", "mine/shown", "mine/listed",
        "mine/listed/in", "mine/passed", "mine/passed/in", "mine/blind", "mine/blind/new",
    };
    static const struct {
        const char *name;
        int flags;
    } ways[] = {
        {"read", O_RDONLY | O_NONBLOCK},
        {"write", O_WRONLY | O_NONBLOCK},
        {"both", O_RDWR},
        {"read creat", O_RDONLY | O_CREAT | O_NONBLOCK},
        {"write creat", O_WRONLY | O_CREAT | O_NONBLOCK},
        {"excl", O_WRONLY | O_CREAT | O_EXCL},
        {"trunc", O_WRONLY | O_TRUNC | O_NONBLOCK},
        {"read trunc", O_RDONLY | O_TRUNC | O_NONBLOCK},
        {"directory", O_RDONLY | O_DIRECTORY},
        {"nofollow", O_RDONLY | O_NOFOLLOW | O_NONBLOCK},
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            char name[64];
            /* Opening one side of a FIFO for both is left to the descriptors' probes. */
            snprintf(name, sizeof name, "open %s", ways[w].name);
            SAYS(name, places[p], opened(places[p], ways[w].flags));
        }
    SAYS("open", "twice excl", opened("mine/made", O_WRONLY | O_CREAT | O_EXCL));
    SAYS("open", "twice excl again", opened("mine/made", O_WRONLY | O_CREAT | O_EXCL));
    SAYS("open", "directory creat", opened("mine", O_RDONLY | O_CREAT | O_DIRECTORY));
    SAYS("open", "not a folder", opened("writable/in", O_RDONLY));
}

static void probe_changes(void)
{
    SAYS("stat", "shut/file", stat_of("shut/file"));
    SAYS("stat", "mine/listed/in", stat_of("mine/listed/in"));
    SAYS("stat", "mine/passed/in", stat_of("mine/passed/in"));
    SAYS("stat", "writable/in", stat_of("writable/in"));
    SAYS("mkdir", "shut/new", result(mkdirat(at, "shut/new", 0755)));
    SAYS("mkdir", "looked/new", result(mkdirat(at, "looked/new", 0755)));
    SAYS("mkdir", "writable/new", result(mkdirat(at, "writable/new", 0755)));
    SAYS("mkdir", "proc", result(mkdir("/proc/new", 0755)));
    SAYS("rmdir", "looked/folder", result(unlinkat(at, "looked/folder", AT_REMOVEDIR)));
    SAYS("rmdir", "shut/folder", result(unlinkat(at, "shut/folder", AT_REMOVEDIR)));
    SAYS("rmdir", "mine/listed", result(unlinkat(at, "mine/listed", AT_REMOVEDIR)));
    SAYS("unlink", "looked/file", result(unlinkat(at, "looked/file", 0)));
    SAYS("unlink", "shut/file", result(unlinkat(at, "shut/file", 0)));
    SAYS("unlink", "sticky/other", result(unlinkat(at, "sticky/other", 0)));
    SAYS("unlink", "proc", result(unlink("/proc/version")));
    SAYS("unlink", "folder", result(unlinkat(at, "mine", 0)));
    SAYS("readlink", "shut/link", result(readlinkat(at, "shut/link", (char[9]){0}, 8)));
    SAYS("readlink", "cut off", result(readlinkat(at, "mine/link", (char[9]){0}, 2)));
    SAYS("readlink", "no room", result(readlinkat(at, "mine/link", (char[9]){0}, 0)));
    SAYS("readlink", "file", result(readlinkat(at, "writable", (char[9]){0}, 8)));
    SAYS("symlink", "looked/new", result(symlinkat("x", at, "looked/new2")));
    SAYS("symlink", "shut/new", result(symlinkat("x", at, "shut/new2")));
    SAYS("symlink", "absolute", result(symlinkat("/x", at, "mine/absolute")));
    SAYS("link", "folder", result(linkat(at, "mine", at, "mine/other", 0)));
    SAYS("link", "looked/new", result(linkat(at, "mine/shown", at, "looked/new3", 0)));
    SAYS("link", "another's", result(linkat(at, "readable", at, "mine/linked", 0)));
    SAYS("link", "exists", result(linkat(at, "mine/shown", at, "writable", 0)));
    SAYS("link", "dangling", result(linkat(at, "mine/link", at, "mine/link2", 0)));
    SAYS("rename", "looked/new", result(renameat(at, "mine/made", at, "looked/new4")));
    SAYS("rename", "from looked", result(renameat(at, "looked/file", at, "mine/new4")));
    SAYS("rename", "from sticky", result(renameat(at, "sticky/other", at, "mine/new5")));
    SAYS("rename", "into itself", result(renameat(at, "mine", at, "mine/below")));
    SAYS("rename", "proc", result(rename("/proc/version", "/proc/elsewhere")));
}

static void probe_times(void)
{
    static const char *const places[] = {"secret", "readable", "writable", "shut/file", "looked",
                                         "looked/file", "busy", "fifo", "device", "mine",
                                         "mine/shown", "mine/listed", "mine/passed/in"};
    const struct timespec set[2] = {{1000, 1}, {2000, 2}};
    const struct timespec odd[2] = {{1, 1000000000}, {1, 1000000000}};
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        SAYS("utimens set", places[p], times(places[p], set));
        SAYS("utimens now", places[p], times(places[p], NULL));
        SAYS("futimens set", places[p], times_of(O_RDONLY | O_NONBLOCK, places[p], set));
        SAYS("futimens now", places[p], times_of(O_RDONLY | O_NONBLOCK, places[p], NULL));
    }
    SAYS("futimens now", "writable, for writing", times_of(O_WRONLY, "writable", NULL));
    SAYS("futimens set", "writable, for writing", times_of(O_WRONLY, "writable", set));
    SAYS("utimens set", "too many nanoseconds", times("mine", odd));
}

static void probe_other_file_system(void)
{
    const char *path = getenv("OTHER");
    int other = path ? open(path, O_RDONLY | O_DIRECTORY) : -1;
    if (other < 0)
        broken("OTHER");
    int fd = openat(at, "mine/moved", O_WRONLY | O_CREAT, 0644);
    if (fd >= 0)
        close(fd);
    SAYS("rename", "other file system", result(renameat(at, "mine/moved", other, "moved")));
    SAYS("link", "other file system", result(linkat(at, "mine/moved", other, "moved", 0)));
    close(other);
}

/* Places and sizes at the edge of what there is. */
static void probe_edges(void)
{
    long long far = 0x7fffffffffffffffLL;
    int fd = openat(at, "mine/edge", O_RDWR | O_CREAT, 0644);
    if (fd < 0)
        broken("mine/edge");
    SAYS("pwrite", "far", result(pwrite(fd, "x", 1, far)));
    SAYS("pwrite", "far less one", result(pwrite(fd, "x", 1, far - 1)));
    SAYS("pwrite", "negative", result(pwrite(fd, "x", 1, -1)));
    SAYS("pread", "negative", result(pread(fd, (char[1]){0}, 1, -1)));
    SAYS("pread", "far", result(pread(fd, (char[1]){0}, 1, far)));
    SAYS("truncate", "negative", result(ftruncate(fd, -1)));
    SAYS("truncate", "far", result(ftruncate(fd, far)));
    SAYS("allocate", "nothing", returned(posix_fallocate(fd, 0, 0)));
    SAYS("allocate", "negative", returned(posix_fallocate(fd, -1, 5)));
    SAYS("allocate", "far", returned(posix_fallocate(fd, far, 5)));
    SAYS("advise", "negative length", returned(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL)));
    SAYS("seek", "negative", result(lseek(fd, -1, SEEK_SET)));
    SAYS("seek", "far", result(lseek(fd, far, SEEK_SET) == far ? 1 : lseek(fd, far, SEEK_SET)));
    SAYS("seek", "beyond far", result(lseek(fd, 1, SEEK_CUR)));
    close(fd);
}

void probe_errors(void)
{
    at = open(".", O_RDONLY | O_DIRECTORY);
    if (at < 0)
        broken(".");
    probe_opens();
    probe_times();
    probe_changes();
    probe_other_file_system();
    probe_edges();
    close(at);
}
