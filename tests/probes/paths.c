/* Every call that takes a path, with every shape of path. Each cell has a folder of its own:
 *
 *     file        three bytes        lfile     -> file        dangling -> nowhere
 *     folder/     empty              lfolder   -> folder      loop     -> loop
 *     full/in     not empty          lfull     -> full
 *
 * The value of a cell is the call's result, and what it changed in that folder. */
#include "probe.h"
#include <sys/time.h>

static const char *const objects[] = {
    "file", "folder", "full", "lfile", "lfolder", "lfull", "dangling", "loop", "missing",
};
enum { OBJECTS = sizeof objects / sizeof *objects };

/* `@` stands for an object. */
static const char *const decorations[] = {
    "@", "./@", "@/", "@//", "@///", "@/.", "@/./", "@/..", "folder/../@", "lfolder/../@",
    "folder//..//@", "@/in",
};

static char name255[256], name256[257], path4095[4096], path4096[4097];
static char long_folder[300], long_below[300], long_slash[300];

static const struct {
    const char *name, *path;
} others[] = {
    {"empty", ""}, {"dot", "."}, {"dot slash", "./"}, {"dot dot", ".."}, {"root", "/"},
    {"root file", "/no such file of the probes"}, {"above", "../../../../../../../../../../../../etc"},
    {"255 bytes", name255}, {"256 bytes", name256}, {"4095 bytes", path4095},
    {"4096 bytes", path4096}, {"not UTF-8", "n\xff"}, {"backslash", "fol\\der"}, {"colon", "a:b"},
    {"256 bytes, folder", long_folder}, {"256 bytes below", long_below},
    {"256 bytes and slash", long_slash}, {"trailing dot", "name."}, {"three dots", "..."},
};

/* The folder of a cell, and the folder it is in. */
static int here = -1;

static void make_file(const char *name, const char *bytes)
{
    int fd = openat(here, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes))
        broken(name);
    close(fd);
}

static void furnish(void)
{
    static unsigned count;
    char name[32];
    snprintf(name, sizeof name, "cell%u", count++);
    if (mkdir(name, 0755))
        broken(name);
    here = open(name, O_RDONLY | O_DIRECTORY);
    if (here < 0)
        broken(name);
    make_file("file", "abc");
    if (mkdirat(here, "folder", 0755) || mkdirat(here, "full", 0755))
        broken("folder");
    make_file("full/in", "abcde");
    if (symlinkat("file", here, "lfile") || symlinkat("folder", here, "lfolder")
        || symlinkat("full", here, "lfull") || symlinkat("nowhere", here, "dangling")
        || symlinkat("loop", here, "loop"))
        broken("link");
}

static char type_of(const char *name)
{
    struct stat stat;
    if (fstatat(here, name, &stat, AT_SYMLINK_NOFOLLOW))
        return '-';
    return S_ISDIR(stat.st_mode) ? 'd' : S_ISLNK(stat.st_mode) ? 'l' : S_ISREG(stat.st_mode)
        ? '0' + (int)(stat.st_size % 10) : '?';
}

/* What is here now and was not, as a list of names and types. */
static const char *changes(void)
{
    static const struct {
        const char *name;
        char type;
    } furnished[] = {
        {"file", '3'}, {"folder", 'd'}, {"full", 'd'}, {"full/in", '5'}, {"lfile", 'l'},
        {"lfolder", 'l'}, {"lfull", 'l'}, {"dangling", 'l'}, {"loop", 'l'}, {"nowhere", '-'},
        {"missing", '-'}, {"new", '-'}, {"folder/in", '-'}, {"folder/new", '-'},
        {"full/new", '-'}, {name255, '-'}, {"a:b", '-'}, {"name.", '-'}, {"...", '-'},
        {"fol\\der", '-'},
    };
    static char text[1024];
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof furnished / sizeof *furnished; i++) {
        char type = type_of(furnished[i].name);
        if (type != furnished[i].type)
            used += snprintf(text + used, sizeof text - used, " %.8s=%c", furnished[i].name, type);
    }
    return text;
}

static const char *opened(const char *path, int flags)
{
    static char text[96];
    struct stat stat;
    int fd = openat(here, path, flags, 0644);
    if (fd < 0)
        return error_name(errno);
    snprintf(text, sizeof text, "%s", attributes(fstat(fd, &stat), &stat));
    close(fd);
    return text;
}

/* A read and a write say what the descriptor was opened for. */
static const char *opened_and_used(const char *path, int flags)
{
    static char text[160], byte[1];
    const char *read_said;
    int fd = openat(here, path, flags, 0644);
    size_t used;
    if (fd < 0)
        return error_name(errno);
    read_said = result(read(fd, byte, 1));
    used = snprintf(text, sizeof text, "read %s", read_said);
    snprintf(text + used, sizeof text - used, " write %s", result(write(fd, "xy", 2)));
    close(fd);
    return text;
}

static const char *stat_of(const char *path, int flags)
{
    struct stat stat;
    return attributes(fstatat(here, path, &stat, flags), &stat);
}

static const char *target_of(const char *path)
{
    static char text[64];
    ssize_t length = readlinkat(here, path, text, sizeof text - 1);
    if (length < 0)
        return error_name(errno);
    text[length] = 0;
    return text;
}

/* Sets the times and says whose they became. */
static const char *timed(const char *path, int flags, int now)
{
    static const char *const names[] = {"file", "folder", "full", "lfile", "lfolder", "lfull",
                                        "dangling", "loop"};
    static char text[160];
    struct timespec times[2] = {{1000, 500}, {2000, 700}};
    size_t used;
    used = snprintf(text, sizeof text, "%s",
                    result(set_times_at(here, path, now ? NULL : times, flags)));
    for (size_t i = 0; !now && i < sizeof names / sizeof *names; i++) {
        struct stat stat;
        if (!fstatat(here, names[i], &stat, AT_SYMLINK_NOFOLLOW) && stat.st_mtim.tv_sec == 2000)
            used += snprintf(text + used, sizeof text - used, " %s", names[i]);
    }
    return text;
}

/* One call with one path. */
typedef const char *call(const char *path);

#define OPEN(name, flags) \
    static const char *name(const char *path) { return opened(path, flags); }
#define USE(name, flags) \
    static const char *name(const char *path) { return opened_and_used(path, flags); }
#define CALL(name, expression) \
    static const char *name(const char *path) { return expression; }

USE(open_read, O_RDONLY)
USE(open_write, O_WRONLY)
USE(open_both, O_RDWR)
USE(open_append, O_WRONLY | O_APPEND)
USE(open_read_creat, O_RDONLY | O_CREAT)
USE(open_write_creat, O_WRONLY | O_CREAT)
OPEN(open_excl, O_RDWR | O_CREAT | O_EXCL)
OPEN(open_trunc, O_WRONLY | O_TRUNC)
OPEN(open_creat_trunc, O_WRONLY | O_CREAT | O_TRUNC)
OPEN(open_directory, O_RDONLY | O_DIRECTORY)
OPEN(open_directory_nofollow, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
OPEN(open_directory_write, O_RDWR | O_DIRECTORY)
OPEN(open_nofollow, O_RDONLY | O_NOFOLLOW)
OPEN(open_nofollow_write, O_WRONLY | O_NOFOLLOW)
OPEN(open_nofollow_creat, O_WRONLY | O_NOFOLLOW | O_CREAT)
OPEN(open_nonblock, O_RDONLY | O_NONBLOCK)
CALL(stat_follow, stat_of(path, 0))
CALL(stat_nofollow, stat_of(path, AT_SYMLINK_NOFOLLOW))
CALL(make_directory, result(mkdirat(here, path, 0755)))
CALL(remove_directory, result(unlinkat(here, path, AT_REMOVEDIR)))
CALL(unlink_file, result(unlinkat(here, path, 0)))
CALL(read_link, target_of(path))
CALL(symlink_at, result(symlinkat("file", here, path)))
CALL(symlink_to, result(symlinkat(path, here, "new")))
CALL(link_from, result(linkat(here, path, here, "new", 0)))
CALL(link_from_following, result(linkat(here, path, here, "new", AT_SYMLINK_FOLLOW)))
CALL(link_file_to, result(linkat(here, "file", here, path, 0)))
CALL(rename_from, result(renameat(here, path, here, "new")))
CALL(rename_from_slash, result(renameat(here, path, here, "new/")))
CALL(rename_file_to, result(renameat(here, "file", here, path)))
CALL(rename_link_to, result(renameat(here, "lfile", here, path)))
CALL(rename_folder_to, result(renameat(here, "folder", here, path)))
CALL(rename_full_to, result(renameat(here, "full", here, path)))
CALL(times, timed(path, 0, 0))
CALL(times_nofollow, timed(path, AT_SYMLINK_NOFOLLOW, 0))
CALL(times_now, timed(path, 0, 1))

static const struct {
    const char *name;
    call *call;
} calls[] = {
    {"open read", open_read},
    {"open write", open_write},
    {"open both", open_both},
    {"open append", open_append},
    {"open read creat", open_read_creat},
    {"open write creat", open_write_creat},
    {"open excl", open_excl},
    {"open trunc", open_trunc},
    {"open creat trunc", open_creat_trunc},
    {"open directory", open_directory},
    {"open directory nofollow", open_directory_nofollow},
    {"open directory write", open_directory_write},
    {"open nofollow", open_nofollow},
    {"open nofollow write", open_nofollow_write},
    {"open nofollow creat", open_nofollow_creat},
    {"open nonblock", open_nonblock},
    {"stat", stat_follow},
    {"lstat", stat_nofollow},
    {"mkdir", make_directory},
    {"rmdir", remove_directory},
    {"unlink", unlink_file},
    {"readlink", read_link},
    {"symlink at", symlink_at},
    {"symlink to", symlink_to},
    {"link from", link_from},
    {"link following", link_from_following},
    {"link to", link_file_to},
    {"rename from", rename_from},
    {"rename from to slash", rename_from_slash},
    {"rename file to", rename_file_to},
    {"rename link to", rename_link_to},
    {"rename folder to", rename_folder_to},
    {"rename full to", rename_full_to},
    {"utimens", times},
    {"lutimens", times_nofollow},
    {"utimens now", times_now},
};

/* A folder that nothing has happened to serves the next cell too. */
static void probe(size_t call, const char *name, const char *path)
{
    const char *said, *changed;
    if (here < 0)
        furnish();
    said = calls[call].call(path);
    changed = changes();
    cell("paths", calls[call].name, name, "%s%s", said, changed);
    if (*changed || strstr(calls[call].name, "utimens")) {
        close(here);
        here = -1;
    }
}

/* Whether a call changes nothing, whatever its path is. */
static int looks(call *call)
{
    return call == stat_follow || call == stat_nofollow || call == open_directory
        || call == open_directory_nofollow || call == open_nonblock || call == open_nofollow
        || call == read_link;
}

static void decorate(char *path, const char *decoration, const char *object)
{
    const char *at = strchr(decoration, '@');
    sprintf(path, "%.*s%s%s", (int)(at - decoration), decoration, object, at + 1);
}

void probe_paths(void)
{
    char path[128];
    memset(name255, 'n', 255);
    memset(name256, 'n', 256);
    sprintf(long_folder, "%s/in", name256);
    sprintf(long_below, "folder/%s", name256);
    sprintf(long_slash, "%s/", name256);
    for (int i = 0; i < 4095; i++)
        path4095[i] = i % 2 ? '/' : '.';
    memcpy(path4095 + 4090, "/file", 5);
    for (int i = 0; i < 4096; i++)
        path4096[i] = i % 2 ? '/' : '.';
    memcpy(path4096 + 4092, "file", 4);

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (size_t d = 0; d < sizeof decorations / sizeof *decorations; d++)
            for (size_t o = 0; o < OBJECTS; o++) {
                decorate(path, decorations[d], objects[o]);
                probe(i, path, path);
            }
        for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
            /* The root and what is above are the machine's: they are only looked at. */
            int machines = others[o].path[0] == '/' || !strcmp(others[o].name, "above");
            if (machines && !looks(calls[i].call))
                continue;
            probe(i, others[o].name, others[o].path);
        }
    }
}
