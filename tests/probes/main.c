/* probes AREA...: writes the cells of these areas to the file `cells` of the working folder, which
 * the test has furnished. */
#include "probe.h"
#ifndef __wasi__
#include <signal.h>
#endif

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*probe)(void);
    } areas[] = {
        {"paths", probe_paths},
        {"errors", probe_errors},
        {"descriptors", probe_descriptors},
        {"directories", probe_directories},
        {"unreachable", probe_unreachable},
        {"streams", probe_standard_streams},
        {"surroundings", probe_surroundings},
        {"read only", probe_read_only},
        {"small", probe_small},
        {"many links", probe_many_links},
        {"numbers", probe_numbers},
        {"quota", probe_quota},
        {"connections", probe_connections},
    };
#ifndef __wasi__
    /* A guest has no signals: a write without a reader is an error there. */
    signal(SIGPIPE, SIG_IGN);
    umask(022);
#endif
    report_to("cells");
    for (int i = 1; i < argc; i++)
        for (size_t area = 0; area < sizeof areas / sizeof *areas; area++)
            if (!strcmp(argv[i], areas[area].name))
                areas[area].probe();
    return 0;
}
