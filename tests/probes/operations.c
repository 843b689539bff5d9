/* Every operation on one descriptor. In order: what needs what others have used up comes first. */
#include "probe.h"
#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

static const char *area, *kind;
static int fd;

#define SAYS(call, expression) \
    do { \
        errno = 0; \
        cell(area, call, kind, "%s", expression); \
    } while (0)

static const char *ready(int events)
{
    static char text[64];
    struct pollfd polled = {.fd = fd, .events = events};
    int n = poll(&polled, 1, 0);
    if (n < 0)
        return error_name(errno);
    snprintf(text, sizeof text, "%d%s%s%s%s%s", n, polled.revents & POLLIN ? " in" : "",
             polled.revents & POLLOUT ? " out" : "", polled.revents & POLLHUP ? " hup" : "",
             polled.revents & POLLERR ? " err" : "", polled.revents & POLLNVAL ? " nval" : "");
    return text;
}

static const char *flags(void)
{
    static char text[64];
    int found = fcntl(fd, F_GETFL);
    if (found < 0)
        return error_name(errno);
    snprintf(text, sizeof text, "%s%s%s%s%s",
             (found & O_ACCMODE) == O_RDONLY ? "read"
                 : (found & O_ACCMODE) == O_WRONLY ? "write"
                 : (found & O_ACCMODE) == O_RDWR ? "both" : "neither",
             found & O_APPEND ? " append" : "", found & O_NONBLOCK ? " nonblock" : "",
             (found & O_DSYNC) == O_DSYNC ? " dsync" : "", (found & O_SYNC) == O_SYNC ? " sync" : "");
    return text;
}

/* What `fstat` says beside type and size. */
static const char *identity(void)
{
    static char text[96];
    struct stat stat;
    if (fstat(fd, &stat))
        return error_name(errno);
    /* The times of a socket are what was in the kernel's memory before. The links of a folder are
     * the folders in it. To the guest a folder that is a stream is of no known type. */
    int socket = S_ISSOCK(stat.st_mode), file = S_ISREG(stat.st_mode);
    snprintf(text, sizeof text, "%s inode, %lld links, %s accessed, %s modified",
             stat.st_ino ? "an" : "no", file ? (long long)stat.st_nlink : 0,
             socket || stat.st_atim.tv_sec ? "was" : "not", socket || stat.st_mtim.tv_sec ? "was" : "not");
    return text;
}

static const char *with_flags(int added, int removed)
{
    int found = fcntl(fd, F_GETFL);
    if (found < 0)
        return error_name(errno);
    return result(fcntl(fd, F_SETFL, (found | added) & ~removed));
}

static const char *times(int now)
{
    const struct timespec both[2] = {{1000, 1}, {1000, 1}};
    return result(set_times_of(fd, now ? NULL : both));
}

static const char *vector_read(void)
{
    char first[2], second[3];
    struct iovec buffers[3] = {{first, 2}, {NULL, 0}, {second, 3}};
    return result(readv(fd, buffers, 3));
}

static const char *vector_write(void)
{
    struct iovec buffers[3] = {{"de", 2}, {NULL, 0}, {"fgh", 3}};
    return result(writev(fd, buffers, 3));
}

static const char *below(const char *path)
{
    struct stat stat;
    return attributes(fstatat(fd, path, &stat, 0), &stat);
}

static const char *opened_below(void)
{
    int opened = openat(fd, "bytes", O_RDONLY);
    if (opened < 0)
        return error_name(errno);
    close(opened);
    return "opened";
}

static const char *accepted(void)
{
    int connection = accept(fd, NULL, NULL);
    if (connection < 0)
        return error_name(errno);
    close(connection);
    return "accepted";
}

/* What is never at its end is not asked for its length. */
static int is_endless(void)
{
    return !strcmp(kind, "urandom");
}

static void probe_state(void)
{
    struct stat stat;
    SAYS("fstat", attributes(fstat(fd, &stat), &stat));
    SAYS("identity", identity());
    SAYS("isatty", isatty(fd) ? "terminal" : error_name(errno));
    SAYS("get flags", flags());
    SAYS("poll in", ready(POLLIN));
    SAYS("poll out", ready(POLLOUT));
    SAYS("poll both", ready(POLLIN | POLLOUT));
}

static void probe_transfers(void)
{
    char bytes[16];
    SAYS("tell at first", result(lseek(fd, 0, SEEK_CUR)));
    SAYS("set nonblock", with_flags(O_NONBLOCK, 0));
    SAYS("get nonblock", flags());
    SAYS("read", result(read(fd, bytes, 3)));
    SAYS("read nothing", result(read(fd, bytes, 0)));
    SAYS("readv", vector_read());
    SAYS("pread", result(pread(fd, bytes, 3, 1)));
    SAYS("tell", is_endless() ? "skipped" : result(lseek(fd, 0, SEEK_CUR)));
    SAYS("write", result(write(fd, "abc", 3)));
    SAYS("write nothing", result(write(fd, "", 0)));
    SAYS("writev", vector_write());
    SAYS("pwrite", result(pwrite(fd, "xyz", 3, 1)));
    SAYS("tell after writes", is_endless() ? "skipped" : result(lseek(fd, 0, SEEK_CUR)));
    SAYS("seek", result(lseek(fd, 2, SEEK_SET)));
    SAYS("seek on", result(lseek(fd, 1, SEEK_CUR)));
    SAYS("seek to the end", result(lseek(fd, 0, SEEK_END)));
    SAYS("poll in at the end", ready(POLLIN));
    SAYS("read at the end", result(read(fd, bytes, 3)));
    SAYS("seek before the start", result(lseek(fd, -100, SEEK_SET)));
    SAYS("seek oddly", result(lseek(fd, 0, 9)));
    SAYS("seek beyond the end", result(lseek(fd, 1000, SEEK_SET)));
    SAYS("poll in beyond the end", ready(POLLIN));
    SAYS("seek back", result(lseek(fd, 0, SEEK_SET)));
}

static void probe_sockets(void)
{
    char bytes[16];
    SAYS("recv peek", result(recv(fd, bytes, 3, MSG_PEEK)));
    SAYS("recv", result(recv(fd, bytes, 3, 0)));
    SAYS("recv nothing", result(recv(fd, bytes, 0, 0)));
    SAYS("send", result(send(fd, "abc", 3, 0)));
    SAYS("accept", accepted());
    SAYS("shutdown neither", result(shutdown(fd, 77)));
    SAYS("shutdown write", result(shutdown(fd, SHUT_WR)));
    SAYS("send after shutdown", result(send(fd, "abc", 3, 0)));
    SAYS("poll out after shutdown", ready(POLLOUT));
    SAYS("shutdown read", result(shutdown(fd, SHUT_RD)));
    SAYS("poll after shutdown", ready(POLLIN));
}

static void probe_file(void)
{
    struct stat stat;
    SAYS("sync", result(fsync(fd)));
    SAYS("datasync", result(fdatasync(fd)));
    SAYS("advise", returned(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL)));
    SAYS("advise oddly", returned(posix_fadvise(fd, 0, 0, 77)));
    SAYS("allocate", returned(posix_fallocate(fd, 0, 32)));
    SAYS("fstat after allocate", attributes(fstat(fd, &stat), &stat));
    SAYS("truncate", result(ftruncate(fd, 5)));
    SAYS("fstat after truncate", attributes(fstat(fd, &stat), &stat));
    SAYS("times", times(0));
    SAYS("times now", times(1));
    SAYS("set sync", with_flags(O_SYNC, 0));
    SAYS("set append", with_flags(O_APPEND, 0));
    SAYS("get append", flags());
    SAYS("append", result(write(fd, "+", 1)));
    SAYS("pwrite append", result(pwrite(fd, "-", 1, 0)));
    SAYS("tell after append", is_endless() ? "skipped" : result(lseek(fd, 0, SEEK_CUR)));
    SAYS("clear flags", with_flags(0, O_APPEND | O_NONBLOCK));
    SAYS("get cleared flags", flags());
    SAYS("fstat at last", attributes(fstat(fd, &stat), &stat));
}

static void probe_folder(void)
{
    SAYS("stat below", below("bytes"));
    SAYS("stat itself", below("."));
    SAYS("open below", opened_below());
    SAYS("mkdir below", result(mkdirat(fd, "below", 0755)));
    SAYS("unlink below", result(unlinkat(fd, "below", 0)));
    SAYS("rmdir below", result(unlinkat(fd, "below", AT_REMOVEDIR)));
    SAYS("symlink below", result(symlinkat("x", fd, "link below")));
    SAYS("readlink below", result(readlinkat(fd, "link below", (char[4]){0}, 3)));
    SAYS("rename below", result(renameat(fd, "link below", fd, "link")));
    SAYS("unlink link below", result(unlinkat(fd, "link", 0)));
    /* Closes the descriptor with it: the last of all. */
    DIR *folder = fdopendir(fd);
    int failed = errno;
    struct dirent *first = folder ? readdir(folder) : NULL;
    cell(area, "list", kind, "%s", first ? "entries" : !folder ? error_name(failed) : "end");
    if (folder)
        closedir(folder);
    else
        close(fd);
    SAYS("read after close", result(read(fd, (char[1]){0}, 1)));
    SAYS("close again", result(close(fd)));
}

void probe_operations(const char *in_area, const char *of_kind, int of)
{
    area = in_area, kind = of_kind, fd = of;
    probe_state();
    probe_transfers();
    probe_sockets();
    probe_file();
    probe_folder();
}
