/* base/outlive.c: the mark of processes that are meant to outlive a run. */
#include "base/outlive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUTLIVE_MAPPING "serry-outlive"

void sri_outlive_mark(void)
{
    setenv(SRI_OUTLIVE, "1", 1);
    int fd = memfd_create(OUTLIVE_MAPPING, MFD_CLOEXEC);
    if (fd < 0)
        return;
    if (ftruncate(fd, 1) == 0)
        (void)!mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
}

/* Does a file of /proc/PID have an entry, ended by end, that begins with, or has in it, what? */
static bool outlive_says(pid_t pid, const char *file, int end, const char *what, bool anywhere)
{
    char path[64], *entry = NULL;
    size_t room = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "re");
    while (f && !found && getdelim(&entry, &room, end, f) > 0)
        found = anywhere ? strstr(entry, what) != NULL : strncmp(entry, what, strlen(what)) == 0;
    free(entry);
    if (f)
        fclose(f);
    return found;
}

bool sri_outlive_is_marked(pid_t pid)
{
    return outlive_says(pid, "environ", '\0', SRI_OUTLIVE "=", false)
           || outlive_says(pid, "maps", '\n', "/memfd:" OUTLIVE_MAPPING, true);
}
