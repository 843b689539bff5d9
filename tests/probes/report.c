/* Cells on their way out: the values as text. */
#include "probe.h"
#include <stdarg.h>

static FILE *cells;

void report_to(const char *path)
{
    cells = fopen(path, "w");
    if (!cells)
        broken(path);
}

void cell(const char *area, const char *call, const char *name, const char *format, ...)
{
    va_list values;
    fprintf(cells, "%s.%s.%s\t", area, call, name);
    va_start(values, format);
    vfprintf(cells, format, values);
    va_end(values);
    fputc('\n', cells);
    /* The last line of a twin that dies says where. */
    fflush(cells);
}

const char *error_name(int error)
{
    static char unknown[32];
    switch (error) {
#define NAME(error) case error: return #error;
    NAME(E2BIG) NAME(EACCES) NAME(EADDRINUSE) NAME(EAFNOSUPPORT) NAME(EAGAIN) NAME(EALREADY)
    NAME(EBADF) NAME(EBUSY) NAME(ECANCELED) NAME(ECONNABORTED) NAME(ECONNREFUSED)
    NAME(ECONNRESET) NAME(EDEADLK) NAME(EDESTADDRREQ) NAME(EDOM) NAME(EDQUOT) NAME(EEXIST)
    NAME(EFAULT) NAME(EFBIG) NAME(EILSEQ) NAME(EINPROGRESS) NAME(EINTR) NAME(EINVAL) NAME(EIO)
    NAME(EISCONN) NAME(EISDIR) NAME(ELOOP) NAME(EMFILE) NAME(EMLINK) NAME(EMSGSIZE)
    NAME(ENAMETOOLONG) NAME(ENFILE) NAME(ENOBUFS) NAME(ENODEV) NAME(ENOENT) NAME(ENOEXEC)
    NAME(ENOMEM) NAME(ENOPROTOOPT) NAME(ENOSPC) NAME(ENOSYS) NAME(ENOTCONN) NAME(ENOTDIR)
    NAME(ENOTEMPTY) NAME(ENOTSOCK) NAME(ENOTSUP) NAME(ENOTTY) NAME(ENXIO) NAME(EOVERFLOW)
    NAME(EPERM) NAME(EPIPE) NAME(EPROTO) NAME(ERANGE) NAME(EROFS) NAME(ESPIPE) NAME(ESRCH)
    NAME(ESTALE) NAME(ETIMEDOUT) NAME(ETXTBSY) NAME(EXDEV)
#ifdef ENOTCAPABLE
    NAME(ENOTCAPABLE)
#endif
#undef NAME
    }
    snprintf(unknown, sizeof unknown, "errno %d", error);
    return unknown;
}

const char *result(long value)
{
    static char text[32];
    if (value == -1)
        return error_name(errno);
    snprintf(text, sizeof text, "%ld", value);
    return text;
}

const char *returned(int error)
{
    return error ? error_name(error) : "0";
}

const char *attributes(int failed, const struct stat *stat)
{
    static char text[64];
    const char *type;
    if (failed)
        return error_name(errno);
    switch (stat->st_mode & S_IFMT) {
    case S_IFREG:
        snprintf(text, sizeof text, "file size %lld links %lld", (long long)stat->st_size,
                 (long long)stat->st_nlink);
        return text;
    case S_IFLNK:
        snprintf(text, sizeof text, "link size %lld", (long long)stat->st_size);
        return text;
    case S_IFDIR: type = "folder"; break;
    case S_IFCHR: type = "character device"; break;
    case S_IFBLK: type = "block device"; break;
    case S_IFSOCK: type = "socket"; break;
#if defined(S_IFIFO) && S_IFIFO != S_IFSOCK
    case S_IFIFO: type = "fifo"; break;
#endif
    case 0: type = "no type"; break;
    default: type = "other type"; break;
    }
    return type;
}

void broken(const char *what)
{
    fprintf(stderr, "probes: %s: %s\n", what, error_name(errno));
    exit(3);
}
