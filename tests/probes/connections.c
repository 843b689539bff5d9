/* Connections that a listener hands out, and descriptors that change their number. */
#include "probe.h"
#include <poll.h>
#include <sys/socket.h>
#ifdef __wasi__
#include <wasi/libc.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#endif

#ifdef __wasi__
static int called_listener(void)
{
    const char *number = getenv("CALLED");
    if (!number)
        broken("CALLED");
    return atoi(number);
}

static int renumber(int from, int to)
{
    return __wasilibc_fd_renumber(from, to);
}
#else
static int call(const struct sockaddr_in *name, const char *bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)name, sizeof *name)
        || send(fd, bytes, strlen(bytes), 0) != (ssize_t)strlen(bytes))
        broken("call");
    return fd;
}

/* Does what the host of the guest does: of three callers the first stays, the second says what it
 * has to say and goes, the third breaks off. */
static int called_listener(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM, 0), gone;
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) || listen(fd, 3)
        || getsockname(fd, (struct sockaddr *)&name, &length))
        broken("listener");
    call(&name, "stays");
    close(call(&name, "goes"));
    gone = call(&name, "");
    if (setsockopt(gone, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once))
        broken("linger");
    close(gone);
    return fd;
}

/* What wasi-libc's function does: `to` is what `from` was, and `from` is closed. */
static int renumber(int from, int to)
{
    if (from == to)
        return fcntl(from, F_GETFD) < 0 ? -1 : 0;
    if (dup2(from, to) < 0)
        return -1;
    return close(from);
}
#endif

/* What comes of a read, as bytes or as an error. */
static const char *said(ssize_t got, const char *bytes)
{
    static char text[64];
    if (got < 0)
        return error_name(errno);
    snprintf(text, sizeof text, "%zd %.*s", got, (int)got, bytes);
    return text;
}

static const char *ready(int fd, short events)
{
    static char text[32];
    struct pollfd one = {fd, events, 0};
    int found = poll(&one, 1, 100);
    if (found < 0)
        return error_name(errno);
    snprintf(text, sizeof text, "%d%s%s", found, one.revents & POLLIN ? " in" : "",
             one.revents & POLLOUT ? " out" : "");
    return text;
}

#define SAYS(call, value) cell("connections", call, name, "%s", value)

static void probe_connection(const char *name, int fd)
{
    char bytes[16];
    struct stat stat;
    SAYS("accept", fd < 0 ? error_name(errno) : "accepted");
    if (fd < 0)
        return;
    SAYS("fstat", attributes(fstat(fd, &stat), &stat));
    SAYS("nonblock", fcntl(fd, F_GETFL) & O_NONBLOCK ? "yes" : "no");
    SAYS("poll in", ready(fd, POLLIN));
    SAYS("peek", said(recv(fd, bytes, 2, MSG_PEEK), bytes));
    SAYS("recv", said(recv(fd, bytes, 2, 0), bytes));
    SAYS("read", said(read(fd, bytes, sizeof bytes), bytes));
    if (!strcmp(name, "goes"))
        SAYS("read at the end", said(read(fd, bytes, sizeof bytes), bytes));
    if (!strcmp(name, "breaks off"))
        SAYS("write", result(write(fd, "abc", 3)));
    if (!strcmp(name, "stays")) {
        SAYS("send", result(send(fd, "abc", 3, 0)));
        SAYS("write", result(write(fd, "abc", 3)));
        SAYS("poll both", ready(fd, POLLIN | POLLOUT));
        SAYS("seek", result(lseek(fd, 0, SEEK_SET)));
        SAYS("shutdown write", result(shutdown(fd, SHUT_WR)));
        SAYS("send after shutdown", result(send(fd, "abc", 3, 0)));
    }
    SAYS("close", result(close(fd)));
    SAYS("close again", result(close(fd)));
}

static void probe_renumbering(const char *name, int onto_itself)
{
    char bytes[8] = "";
    int from = open("mine/renumbered", O_RDONLY), to = open("mine/other", O_RDONLY);
    if (from < 0 || to < 0)
        broken("renumber");
    if (onto_itself)
        to = from;
    SAYS("renumber", result(renumber(from, to)));
    SAYS("read the new", said(read(to, bytes, sizeof bytes), bytes));
    if (!onto_itself)
        SAYS("read the old", said(read(from, bytes, sizeof bytes), bytes));
    SAYS("close the new", result(close(to)));
}

static void make(const char *path, const char *bytes)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(bytes, file) < 0 || fclose(file))
        broken(path);
}

void probe_connections(void)
{
    const char *name = "none";
    int listener = called_listener(), fd;
    SAYS("poll", ready(listener, POLLIN));
    probe_connection("stays", accept(listener, NULL, NULL));
    probe_connection("goes", accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    probe_connection("breaks off", accept(listener, NULL, NULL));
    SAYS("set nonblock", result(fcntl(listener, F_SETFL, O_NONBLOCK)));
    SAYS("accept", result(accept(listener, NULL, NULL)));
    name = "odd flags";
    SAYS("accept", result(accept4(listener, NULL, NULL, 0x40000000)));

    make("mine/renumbered", "from");
    make("mine/other", "onto");
    probe_renumbering("another", 0);
    probe_renumbering("itself", 1);
    fd = open("mine/other", O_RDONLY);
    name = "nothing";
    SAYS("renumber", result(renumber(777, fd)));
    SAYS("read what was there", said(read(fd, (char[1]){0}, 0), ""));
    name = "no number";
    SAYS("renumber", result(renumber(-1, fd)));
    SAYS("renumber onto", result(renumber(fd, -1)));
    close(fd);
    name = "onto a free number";
    fd = open("mine/other", O_RDONLY);
    SAYS("renumber", result(renumber(fd, 700)));
    close(fd);
}
