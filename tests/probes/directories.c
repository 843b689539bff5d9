/* Listings: every name once, positions that can be told and sought, entries that come and go. */
#include "probe.h"
#include <dirent.h>

enum { NAMES = 200 };

static char names[NAMES][32];

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static const char *type_of(int type)
{
    switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "folder";
    case DT_LNK: return "link";
    case DT_CHR: return "character device";
    case DT_UNKNOWN: return "unknown";
    default: return "other";
    }
}

/* The names of a folder in order, each with its type, bytes beyond ASCII as `?`. */
static const char *list(const char *path)
{
    static char text[1024];
    static char found[32][32];
    size_t n = 0, used = 0;
    struct dirent *entry;
    DIR *folder = opendir(path);
    if (!folder)
        return error_name(errno);
    errno = 0;
    while (n < 32 && (entry = readdir(folder)))
        snprintf(found[n++], sizeof *found, "%.12s %s", entry->d_name, type_of(entry->d_type));
    if (errno)
        used += sprintf(text, "%s after ", error_name(errno));
    closedir(folder);
    qsort(found, n, sizeof *found, compare);
    used += sprintf(text + used, "%zu:", n);
    for (size_t i = 0; i < n; i++)
        used += snprintf(text + used, sizeof text - used, " %s,", found[i]);
    for (char *byte = text; *byte; byte++)
        if (*byte & 0x80)
            *byte = '?';
    return text;
}

static void furnish(const char *path)
{
    char name[64];
    if (mkdir(path, 0755))
        broken(path);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s/entry%03d", path, i);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        if (fd < 0)
            broken(name);
        close(fd);
    }
}

/* How many names a listing has from where it stands, and how many of them twice. */
static const char *count(DIR *folder)
{
    static char text[64];
    struct dirent *entry;
    int n = 0, twice = 0;
    while (n < NAMES && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            strcpy(names[n++], entry->d_name);
    qsort(names, n, sizeof *names, compare);
    for (int i = 1; i < n; i++)
        twice += !strcmp(names[i - 1], names[i]);
    snprintf(text, sizeof text, "%d names, %d twice", n, twice);
    return text;
}

/* Seeks to every position that was told, in the wrong order: how many lead elsewhere. */
static void probe_positions(const char *path)
{
    static long positions[NAMES + 2];
    static char next[NAMES + 2][32];
    struct dirent *entry;
    int n = 0, wrong = 0;
    DIR *folder = opendir(path);
    if (!folder)
        broken(path);
    for (; n < NAMES + 2; n++) {
        positions[n] = telldir(folder);
        entry = readdir(folder);
        if (!entry)
            break;
        strcpy(next[n], entry->d_name);
    }
    for (int i = n - 1; i >= 0; i--) {
        seekdir(folder, positions[i]);
        entry = readdir(folder);
        wrong += !entry || strcmp(entry->d_name, next[i]);
    }
    cell("directories", "seekdir", "to every position", "%d of %d wrong", wrong, n);
    seekdir(folder, positions[n / 2]);
    entry = readdir(folder);
    wrong = !entry || strcmp(entry->d_name, next[n / 2]);
    cell("directories", "seekdir", "and on", "%d wrong, then %d", wrong,
         (entry = readdir(folder)) && !strcmp(entry->d_name, next[n / 2 + 1]));
    rewinddir(folder);
    cell("directories", "rewinddir", "all again", "%s", count(folder));
    closedir(folder);
}

static void probe_changing(const char *path)
{
    char name[64];
    struct dirent *entry;
    DIR *folder = opendir(path), *second = opendir(path);
    if (!folder || !second)
        broken(path);
    for (int i = 0; i < 10; i++)
        readdir(second);
    for (int i = 0; i < NAMES / 2; i++) {
        snprintf(name, sizeof name, "%s/entry%03d", path, i);
        unlink(name);
    }
    rewinddir(folder);
    cell("directories", "rewinddir", "after half went", "%s", count(folder));
    /* What is left is found once by either lister. */
    int left = 0;
    while ((entry = readdir(second)))
        left += strcmp(entry->d_name, "entry100") >= 0 && entry->d_name[0] == 'e';
    cell("directories", "second lister", "after half went", "%s", left >= NAMES / 2 - 10 ? "goes on" : "stops");
    closedir(folder);
    closedir(second);
}

/* A listing that removes what it finds, as `rm -r` does. */
static void probe_removing(const char *path)
{
    char name[300];
    struct dirent *entry;
    int removed = 0;
    DIR *folder = opendir(path);
    while ((entry = readdir(folder))) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        removed += entry->d_name[0] == 'e' && !unlink(name);
    }
    closedir(folder);
    cell("directories", "unlink", "while listing", "%d", removed);
    cell("directories", "rmdir", "after that", "%s", result(rmdir(path)));
}

void probe_directories(void)
{
    cell("directories", "list", "odd names", "%s", list("mine/odd"));
    cell("directories", "list", "may be listed only", "%s", list("mine/listed"));
    cell("directories", "list", "may be passed only", "%s", list("mine/passed"));
    cell("directories", "list", "neither", "%s", list("mine/blind"));
    cell("directories", "list", "another's", "%s", list("looked"));
    cell("directories", "list", "another's that is shut", "%s", list("shut"));
    cell("directories", "list", "no folder", "%s", list("writable"));
    cell("directories", "list", "missing", "%s", list("missing"));
    cell("directories", "list", "device", "%s", list("/dev/null"));
    furnish("mine/many");
    probe_positions("mine/many");
    probe_changing("mine/many");
    probe_removing("mine/many");
}

/* The test has every look at `plain` fail, of either twin: a listing looks at nothing. */
void probe_unreachable(void)
{
    static const char *const path = "mine/odd/plain";
    struct stat stat;
    int fd;
    cell("unreachable", "list", path, "%s", list("mine/odd"));
    cell("unreachable", "stat", path, "%s", attributes(fstatat(AT_FDCWD, path, &stat, 0), &stat));
    cell("unreachable", "lstat", path, "%s",
         attributes(fstatat(AT_FDCWD, path, &stat, AT_SYMLINK_NOFOLLOW), &stat));
    cell("unreachable", "readlink", path, "%s", result(readlink(path, (char[9]){0}, 8)));
    fd = open(path, O_RDONLY);
    cell("unreachable", "open", path, "%s", fd < 0 ? error_name(errno) : "opened");
}
