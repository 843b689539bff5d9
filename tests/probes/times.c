/* Setting times. The wasi-libc that Debian has asks for "now" with a flag too many, which every
 * runtime refuses: so the guest asks itself, as later versions of the library do. */
#include "probe.h"
#ifdef __wasi__
#include <wasi/api.h>

static int said(__wasi_errno_t error)
{
    errno = error;
    return error ? -1 : 0;
}
#endif

int set_times_at(int at, const char *path, const struct timespec both[2], int flags)
{
#ifdef __wasi__
    if (!both)
        return said(__wasi_path_filestat_set_times(
            at, flags & AT_SYMLINK_NOFOLLOW ? 0 : __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, 0, 0,
            __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_MTIM_NOW));
#endif
    return utimensat(at, path, both, flags);
}

int set_times_of(int fd, const struct timespec both[2])
{
#ifdef __wasi__
    if (!both)
        return said(__wasi_fd_filestat_set_times(
            fd, 0, 0, __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_MTIM_NOW));
#endif
    return futimens(fd, both);
}
