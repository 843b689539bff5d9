/* Arguments, environment, clocks, random numbers, yielding. */
#include "probe.h"
#include <poll.h>
#include <sched.h>
#include <time.h>
#ifndef __wasi__
#include <sys/random.h>
#endif

#define SAYS(call, name, expression) \
    do { \
        errno = 0; \
        cell("surroundings", call, name, "%s", expression); \
    } while (0)

static const char *sane(const struct timespec *time)
{
    return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000 ? "sane" : "odd";
}

static void probe_clock(const char *name, clockid_t clock)
{
    struct timespec first, second;
    SAYS("clock_gettime", name, clock_gettime(clock, &first) ? error_name(errno) : sane(&first));
    SAYS("clock_getres", name, clock_getres(clock, &second) ? error_name(errno) : sane(&second));
    clock_gettime(clock, &second);
    SAYS("clock goes on", name,
         second.tv_sec > first.tv_sec
                 || (second.tv_sec == first.tv_sec && second.tv_nsec >= first.tv_nsec)
             ? "yes" : "no");
}

void probe_surroundings(void)
{
    static char bytes[512];
    struct timespec moment = {0, 1000000}, far = {-1, 0}, odd = {0, 1000000000};
    int zero = 1;
    probe_clock("real", CLOCK_REALTIME);
    probe_clock("monotonic", CLOCK_MONOTONIC);
    SAYS("nanosleep", "a moment", result(nanosleep(&moment, NULL)));
    SAYS("nanosleep", "negative", result(nanosleep(&far, NULL)));
    SAYS("nanosleep", "too many nanoseconds", result(nanosleep(&odd, NULL)));
    SAYS("clock_nanosleep", "in the past",
         returned(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL)));
    SAYS("poll", "nothing, a moment", result(poll(NULL, 0, 1)));
    SAYS("sched_yield", "once", result(sched_yield()));
    SAYS("getentropy", "256 bytes", result(getentropy(bytes, 256)));
    for (size_t i = 0; i < 256; i++)
        zero &= !bytes[i];
    SAYS("getentropy", "all zero", zero ? "yes" : "no");
    SAYS("getentropy", "257 bytes", result(getentropy(bytes, 257)));
    SAYS("getentropy", "nothing", result(getentropy(bytes, 0)));
    SAYS("getenv", "set", getenv("SET") ? getenv("SET") : "unset");
    SAYS("getenv", "empty", getenv("EMPTY") ? getenv("EMPTY") : "unset");
    SAYS("getenv", "unset", getenv("UNSET") ? getenv("UNSET") : "unset");
}
