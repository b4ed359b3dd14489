/* Records what a process does to the files below one directory, for powercut.py.
 *
 *   LD_PRELOAD=recorder.so RECORDER_DIR=/watched RECORDER_TRACE=/elsewhere/trace program ...
 *
 * Theory of operation
 *
 * 1. The wrapped functions make the system call themselves (no dlsym), then append one record to
 *    the trace. Only calls that succeeded are recorded, and of a short write only what was written.
 * 2. There is no table of descriptors. Each call asks the kernel what the descriptor names (fstat
 *    and /proc/self/fd), so that dup, fork, exec and inherited descriptors need no bookkeeping.
 * 3. A change and its record are made under one lock: the trace has the order in which the changes
 *    took effect. Syncs run outside the lock, as they may be slow and may overlap with writes; the
 *    record says how long the trace was when the sync began, as only that much is surely durable.
 * 4. A record is one writev to an O_APPEND descriptor: records of several processes do not mix, and
 *    SIGKILL can damage only the last one. A caller gets its result after the record is written.
 * 5. Files whose name ends in -shm are ignored: SQLite rebuilds them, and maps them into memory.
 *
 * Not seen: stdio (libc calls itself), mmap, sendfile, copy_file_range, pwritev, fallocate, creat.
 * powercut.py compares the recorded end state with the real one, so that none can pass unnoticed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "the 64-bit names are aliases of the plain ones");

#define MAGIC 0x31435250u /* "PRC1" */
#define TRACE_FD_MIN 500  /* out of the way of programs that count on low numbers */

enum kind { OPENED = 1, WRITTEN, TRUNCATED, SYNCED, DIRECTORY_SYNCED, LINKED, UNLINKED, RENAMED,
            DIRECTORY_MADE, DIRECTORY_REMOVED };

struct header { /* operations.py reads the same layout */
    uint32_t magic, kind;
    uint64_t inode;
    uint64_t value; /* offset of a write, new size, or whether an open emptied the file */
    uint64_t since; /* size of the trace when a sync began */
    uint32_t path_size, target_size;
    uint64_t data_size;
};

struct place {
    ino_t inode;
    mode_t mode;
    char absolute[2 * PATH_MAX];
    const char *path; /* relative to the watched directory; "" is that directory, or no name */
};

static int trace_fd = -1;
static char root[PATH_MAX];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&order); }
static void unlock(void) { pthread_mutex_unlock(&order); }

static void fail(const char *reason)
{
    dprintf(2, "recorder: %s: %s\n", reason, strerror(errno));
    _exit(97); /* a recording with a hole would prove nothing */
}

__attribute__((constructor)) static void start(void)
{
    const char *directory = getenv("RECORDER_DIR"), *trace = getenv("RECORDER_TRACE");
    if (!directory || !trace)
        return;
    if (!realpath(directory, root))
        fail("RECORDER_DIR");
    int fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    trace_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD_MIN);
    if (trace_fd < 0)
        fail("RECORDER_TRACE");
    syscall(SYS_close, fd);
    pthread_atfork(lock, unlock, unlock);
}

static void record(struct header header, const char *path, const char *target, const void *data)
{
    int saved = errno;
    header.magic = MAGIC;
    header.path_size = strlen(path);
    header.target_size = strlen(target);
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)path, header.path_size},
                            {(void *)target, header.target_size},
                            {(void *)data, header.data_size}};
    size_t size = sizeof header + header.path_size + header.target_size + header.data_size;
    if (syscall(SYS_writev, trace_fd, parts, 4) != (ssize_t)size)
        fail("the trace cannot be written");
    errno = saved;
}

/* Whether `place->absolute` is watched; sets `place->path` if so. */
static bool watched(struct place *place)
{
    size_t prefix = strlen(root), size = strlen(place->absolute);
    const char *rest = place->absolute + prefix;
    if (strncmp(place->absolute, root, prefix) != 0 || (*rest != '/' && *rest != '\0'))
        return false;
    place->path = *rest == '/' ? rest + 1 : rest;
    return size < 4 || strcmp(place->absolute + size - 4, "-shm") != 0;
}

static bool name_of_descriptor(int fd, char *absolute)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, absolute, PATH_MAX - 1);
    absolute[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

/* Whether `fd` is a watched file or directory. Keeps errno. */
static bool place_of_descriptor(int fd, struct place *place)
{
    static const char deleted[] = " (deleted)";
    struct stat status;
    int saved = errno;
    bool found = trace_fd >= 0 && fstat(fd, &status) == 0 &&
                 (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) &&
                 name_of_descriptor(fd, place->absolute);
    errno = saved;
    if (!found)
        return false;
    if (status.st_nlink == 0)
        place->absolute[strlen(place->absolute) - (sizeof deleted - 1)] = '\0';
    place->inode = status.st_ino;
    place->mode = status.st_mode;
    found = watched(place);
    if (status.st_nlink == 0)
        place->path = "";
    return found;
}

/* Whether `path` is, or would be, an entry of a watched directory. Keeps errno. */
static bool place_of_path(int base, const char *path, struct place *place)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct stat status = {0};
    int saved = errno;
    if (trace_fd < 0 || strlen(path) >= sizeof parent)
        return false;
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = syscall(SYS_openat, base, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    bool found = fd >= 0 && name_of_descriptor(fd, place->absolute);
    if (fd >= 0)
        syscall(SYS_close, fd);
    if (found)
        fstatat(base, path, &status, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    if (!found)
        return false;
    strcat(strcat(place->absolute, "/"), slash ? slash + 1 : path);
    place->inode = status.st_ino;
    place->mode = status.st_mode;
    return watched(place);
}

static int opened(int base, const char *path, int flags, mode_t mode)
{
    struct place place;
    int fd = syscall(SYS_openat, base, path, flags, mode);
    if (fd < 0 || !place_of_descriptor(fd, &place) || S_ISDIR(place.mode))
        return fd;
    lock();
    record((struct header){.kind = OPENED, .inode = place.inode, .value = (flags & O_TRUNC) != 0},
           place.path, "", "");
    unlock();
    return fd;
}

#define MODE_ARGUMENT(flags, mode)                                \
    mode_t mode = 0;                                              \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list rest;                                             \
        va_start(rest, flags);                                    \
        mode = va_arg(rest, mode_t);                              \
        va_end(rest);                                             \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int base, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return opened(base, path, flags, mode);
}

static void wrote(const struct place *place, const void *data, size_t size, off_t offset)
{
    record((struct header){.kind = WRITTEN, .inode = place->inode, .value = offset, .data_size = size},
           "", "", data);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct place place;
    if (!place_of_descriptor(fd, &place))
        return syscall(SYS_pwrite64, fd, data, size, offset);
    lock();
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0)
        wrote(&place, data, done, offset);
    unlock();
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct place place;
    if (!place_of_descriptor(fd, &place))
        return syscall(SYS_writev, fd, parts, count);
    lock();
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    /* The position after the call is right for O_APPEND as well. */
    off_t offset = done > 0 ? lseek(fd, 0, SEEK_CUR) - done : 0;
    for (ssize_t left = done; left > 0; left -= parts->iov_len, offset += parts++->iov_len)
        wrote(&place, parts->iov_base,
              (size_t)left < parts->iov_len ? (size_t)left : parts->iov_len, offset);
    unlock();
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    struct place place;
    if (!place_of_descriptor(fd, &place))
        return syscall(SYS_write, fd, data, size);
    return writev(fd, &(struct iovec){(void *)data, size}, 1);
}

int ftruncate(int fd, off_t size)
{
    struct place place;
    if (!place_of_descriptor(fd, &place))
        return syscall(SYS_ftruncate, fd, size);
    lock();
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0)
        record((struct header){.kind = TRUNCATED, .inode = place.inode, .value = size}, "", "", "");
    unlock();
    return result;
}

int truncate(const char *path, off_t size)
{
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, size), saved = errno;
    syscall(SYS_close, fd);
    errno = saved;
    return result;
}

static int synced(int fd, long call)
{
    struct place place;
    if (!place_of_descriptor(fd, &place))
        return syscall(call, fd);
    struct stat trace;
    fstat(trace_fd, &trace);
    int result = syscall(call, fd);
    if (result != 0)
        return result;
    int kind = S_ISDIR(place.mode) ? DIRECTORY_SYNCED : SYNCED;
    lock();
    record((struct header){.kind = kind, .inode = place.inode, .since = trace.st_size},
           place.path, "", "");
    unlock();
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlinkat(int base, const char *path, int flags)
{
    struct place place;
    if (!place_of_path(base, path, &place))
        return syscall(SYS_unlinkat, base, path, flags);
    int kind = flags & AT_REMOVEDIR ? DIRECTORY_REMOVED : UNLINKED;
    lock();
    int result = syscall(SYS_unlinkat, base, path, flags);
    if (result == 0)
        record((struct header){.kind = kind, .inode = place.inode}, place.path, "", "");
    unlock();
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int base, const char *path, mode_t mode)
{
    struct place place;
    bool seen = place_of_path(base, path, &place);
    lock();
    int result = syscall(SYS_mkdirat, base, path, mode);
    if (result == 0 && seen)
        record((struct header){.kind = DIRECTORY_MADE}, place.path, "", "");
    unlock();
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* A name outside the watched directory is recorded as "". */
int renameat(int base, const char *path, int target_base, const char *target)
{
    struct place from = {0}, to;
    bool left = place_of_path(base, path, &from);
    bool arrived = place_of_path(target_base, target, &to);
    lock();
    int result = syscall(SYS_renameat2, base, path, target_base, target, 0);
    if (result == 0 && (left || arrived))
        record((struct header){.kind = RENAMED, .inode = from.inode},
               left ? from.path : "", arrived ? to.path : "", "");
    unlock();
    return result;
}

int rename(const char *path, const char *target)
{
    return renameat(AT_FDCWD, path, AT_FDCWD, target);
}

int linkat(int base, const char *path, int target_base, const char *target, int flags)
{
    struct place place;
    lock();
    int result = syscall(SYS_linkat, base, path, target_base, target, flags);
    if (result == 0 && place_of_path(target_base, target, &place))
        record((struct header){.kind = LINKED, .inode = place.inode}, place.path, "", "");
    unlock();
    return result;
}

int link(const char *path, const char *target)
{
    return linkat(AT_FDCWD, path, AT_FDCWD, target, 0);
}

/* The 64-bit names, which SQLite and CPython call. */
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
int truncate64(const char *, off_t) __attribute__((alias("truncate")));
