/* Preloaded into redis-server (LD_PRELOAD): how much of each file is on its disk.
 *
 * After each fsync() or fdatasync() that succeeded, the file that DYNAMESIS_SYNCED names gets a
 * line "BYTES PATH": so long was the file when the call began. Any thread may call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(int fd, long long size) {
    char link[64], path[4096], line[4200];
    const char *into = getenv("DYNAMESIS_SYNCED");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = into == NULL ? -1 : readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    int file = open(into, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return;
    length = snprintf(line, sizeof line, "%lld %s\n", size, path);
    if (write(file, line, length) < 0) { /* then more is taken to be lost than is */ }
    close(file);
}

static int synced(const char *name, int fd) {
    struct stat is;
    int known = fstat(fd, &is) == 0 && S_ISREG(is.st_mode);
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    int done = real(fd);
    if (done == 0 && known) note(fd, (long long)is.st_size);
    return done;
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
