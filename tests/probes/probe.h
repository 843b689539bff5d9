/* Probes: one program of POSIX calls, built natively and for a guest. Each probe is a cell: a name
 * and what the call said, one line of the file `cells`. Both twins must write the same lines. */
#ifndef PROBE_H
#define PROBE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* report.c */

/* Opens the file that the cells go to. */
void report_to(const char *path);
/* The cell `area.call.NAME`; `format` makes NAME's value. */
void cell(const char *area, const char *call, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A result as text: the number, or the name of the error. */
const char *result(long value);
/* As `result`, of a call that returns the error instead of setting `errno`. */
const char *returned(int error);
const char *error_name(int error);
/* Type and size of what `stat` says. Of a directory, a device and a pipe the size is left out. */
const char *attributes(int failed, const struct stat *stat);
/* Ends the program: the surroundings of a probe could not be made. */
void broken(const char *what) __attribute__((noreturn));

/* The areas, one file each. */

void probe_paths(void);
void probe_errors(void);
void probe_descriptors(void);
void probe_standard_streams(void);
void probe_directories(void);
void probe_unreachable(void);
void probe_surroundings(void);
void probe_read_only(void);
void probe_small(void);
void probe_many_links(void);
void probe_numbers(void);
void probe_quota(void);
void probe_connections(void);

/* times.c: `utimensat` and `futimens`; no times are the time now. */
int set_times_at(int at, const char *path, const struct timespec both[2], int flags);
int set_times_of(int fd, const struct timespec both[2]);

/* operations.c: every operation on one descriptor, as cells of `area`. */
void probe_operations(const char *area, const char *kind, int fd);

#endif
