/* Every kind of descriptor. What a guest cannot make (a pipe, a socket, a terminal) its host hands
 * over, and says in the environment under which number. */
#include "probe.h"
#ifndef __wasi__
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#endif

static void by_path(const char *kind, const char *path, int flags)
{
    int fd = open(path, flags, 0644);
    if (fd < 0) {
        cell("descriptors", "open", kind, "%s", error_name(errno));
        return;
    }
    struct stat by_path, by_number;
    int same = !stat(path, &by_path) && !fstat(fd, &by_number) && by_path.st_ino == by_number.st_ino
        && by_path.st_dev == by_number.st_dev && by_path.st_nlink == by_number.st_nlink;
    cell("descriptors", "same by its path", kind, "%s", same ? "yes" : "no");
    probe_operations("descriptors", kind, fd);
}

static void make_file(const char *name, const char *bytes)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes))
        broken(name);
    close(fd);
}

#ifdef __wasi__
static int handed_over(const char *kind)
{
    const char *number = getenv(kind);
    if (!number)
        broken(kind);
    return atoi(number);
}
#else
static void raw(int terminal)
{
    struct termios how;
    if (tcgetattr(terminal, &how))
        broken("tcgetattr");
    cfmakeraw(&how);
    tcsetattr(terminal, TCSANOW, &how);
}

/* Does what the host of the guest does: 64 bytes lie in what can be read. */
static int handed_over(const char *kind)
{
    static char bytes[64];
    int ends[2];
    memset(bytes, 'b', sizeof bytes);
    if (!strcmp(kind, "TERMINAL")) {
        int ours = posix_openpt(O_RDWR | O_NOCTTY), theirs;
        if (ours < 0 || grantpt(ours) || unlockpt(ours))
            broken(kind);
        theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
        if (theirs < 0)
            broken(kind);
        raw(theirs);
        if (write(ours, bytes, sizeof bytes) != sizeof bytes)
            broken(kind);
        return theirs;
    }
    if (!strcmp(kind, "SOCKET")) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)
            || write(ends[1], bytes, sizeof bytes) != sizeof bytes)
            broken(kind);
        return ends[0];
    }
    if (!strcmp(kind, "DATAGRAM")) {
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) || write(ends[1], bytes, 8) != 8
            || write(ends[1], bytes, 8) != 8)
            broken(kind);
        return ends[0];
    }
    if (!strcmp(kind, "LISTENER")) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        strcpy(name.sun_path, "listener");
        if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) || listen(fd, 1))
            broken(kind);
        return fd;
    }
    if (pipe(ends))
        broken(kind);
    if (!strcmp(kind, "PIPE_TO_READ") || !strcmp(kind, "PIPE_AT_ITS_END")) {
        if (write(ends[1], bytes, sizeof bytes) != sizeof bytes)
            broken(kind);
        if (!strcmp(kind, "PIPE_AT_ITS_END"))
            close(ends[1]);
        return ends[0];
    }
    if (!strcmp(kind, "BROKEN_PIPE"))
        close(ends[0]);
    return ends[1];
}
#endif

void probe_descriptors(void)
{
    static const char *const handed[] = {
        "PIPE_TO_READ", "PIPE_AT_ITS_END", "PIPE_TO_WRITE", "BROKEN_PIPE", "SOCKET", "DATAGRAM",
        "LISTENER", "TERMINAL",
    };
    int fd;
    make_file("mine/bytes", "0123456789");
    make_file("mine/empty", "");
    by_path("file to read", "mine/bytes", O_RDONLY);
    by_path("file to write", "mine/bytes", O_WRONLY);
    make_file("mine/bytes", "0123456789");
    by_path("file", "mine/bytes", O_RDWR);
    make_file("mine/bytes", "0123456789");
    by_path("file with O_SYNC", "mine/bytes", O_RDWR | O_SYNC);
    by_path("file with O_DSYNC", "./mine/bytes", O_RDWR | O_DSYNC);
    by_path("new file with O_SYNC", "mine/new", O_RDWR | O_CREAT | O_EXCL | O_SYNC);
    make_file("mine/bytes", "0123456789");
    by_path("file to append", "mine/bytes", O_RDWR | O_APPEND);
    by_path("empty file", "mine/empty", O_RDONLY);
    by_path("folder", "mine", O_RDONLY | O_DIRECTORY);
    by_path("working folder", ".", O_RDONLY | O_DIRECTORY);
    by_path("fifo", "mine/fifo", O_RDWR);
    by_path("fifo to read", "mine/fifo", O_RDONLY | O_NONBLOCK);
    by_path("null", "/dev/null", O_RDWR);
    by_path("null to read", "/dev/null", O_RDONLY);
    by_path("null to write", "/dev/null", O_WRONLY);
    by_path("zero", "/dev/zero", O_RDWR);
    by_path("full", "/dev/full", O_RDWR);
    by_path("urandom", "/dev/urandom", O_RDONLY);
    by_path("proc file", "/proc/sys/kernel/ostype", O_RDONLY);
    by_path("proc folder", "/proc/sys/kernel", O_RDONLY | O_DIRECTORY);

    make_file("mine/deleted", "0123456789");
    fd = open("mine/deleted", O_RDWR);
    if (fd < 0 || unlink("mine/deleted"))
        broken("mine/deleted");
    probe_operations("descriptors", "deleted file", fd);
    if (mkdir("mine/removed", 0755))
        broken("mine/removed");
    fd = open("mine/removed", O_RDONLY | O_DIRECTORY);
    if (fd < 0 || rmdir("mine/removed"))
        broken("mine/removed");
    probe_operations("descriptors", "removed folder", fd);

    for (size_t i = 0; i < sizeof handed / sizeof *handed; i++)
        probe_operations("descriptors", handed[i], handed_over(handed[i]));
    probe_operations("descriptors", "number of nothing", 777);
    probe_operations("descriptors", "no number", -1);
}

/* Two numbers of one description: each sees what is set through the other. */
static void probe_shared_flags(void)
{
    struct stat stat;
    if (fstat(1, &stat) || !S_ISREG(stat.st_mode))
        return;
    int first = fcntl(1, F_GETFL), second = fcntl(2, F_GETFL);
    fcntl(1, F_SETFL, first | O_APPEND);
    cell("streams", "shared flags", "set by one", "%d", !!(fcntl(2, F_GETFL) & O_APPEND));
    fcntl(2, F_SETFL, second | O_APPEND);
    fcntl(2, F_SETFL, second & ~O_APPEND);
    cell("streams", "shared flags", "cleared by the other", "%d", !!(fcntl(1, F_GETFL) & O_APPEND));
    cell("streams", "shared flags", "pwrite", "%s", result(pwrite(1, "X", 1, 5)));
    cell("streams", "shared flags", "size", "%d", !fstat(1, &stat) ? (int)stat.st_size : -1);
    fcntl(1, F_SETFL, first);
    fcntl(2, F_SETFL, second);
}

/* The streams are what the test has made them. */
void probe_standard_streams(void)
{
    probe_shared_flags();
    probe_operations("streams", "input", 0);
    probe_operations("streams", "output", 1);
    probe_operations("streams", "error", 2);
}
