/* A file system that can lose what was not synced: preloaded, it writes down every change below a folder, with what was
 * there before, and every sync. `tests/soak/disk.py` reads that after a process was killed, and takes back what no sync
 * covers, as a power cut would. Nothing is written down before `losing_begin`; syncs then do nothing else.
 *
 * Memory that is mapped is not seen: of SQLite's that is the -shm file, which no power cut spares.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC, CREATE, RENAME, UNLINK };

struct record {
    uint32_t kind, path_size, other_size, padding;
    uint64_t inode, offset, size_before, before_size, after_size;
};

static int journal = -1;
static char root[PATH_MAX];
static size_t root_size;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

int losing_begin(const char *folder, const char *into) {
    root_size = strlen(folder);
    memcpy(root, folder, root_size + 1);
    journal = REAL(open)(into, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
    return journal;
}

static int below(const char *path) {
    size_t size = strlen(path);
    return journal >= 0 && !strncmp(path, root, root_size) && (path[root_size] == '/' || !path[root_size]) &&
           !(size > 4 && !strcmp(path + size - 4, "-shm"));
}

/* The path of an open file below the folder; 0 for any other. */
static int path_of(int fd, char *path) {
    char link[64];
    if (journal < 0 || fd == journal) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return below(path);
}

static void put(uint32_t kind, const char *path, const char *other, uint64_t inode, uint64_t offset,
                uint64_t size_before, const void *before, uint64_t before_size, const void *after,
                uint64_t after_size) {
    struct record head = {kind, strlen(path), other ? strlen(other) : 0, 0,
                          inode, offset, size_before, before_size, after_size};
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)path, head.path_size},
                            {(void *)other, head.other_size},
                            {(void *)before, before_size},
                            {(void *)after, after_size}};
    if (REAL(writev)(journal, parts, 5) < (ssize_t)sizeof head) abort();
}

/* What a file has from an offset on, at most so much. */
static char *piece(int fd, uint64_t offset, uint64_t most, uint64_t *size) {
    char *found = malloc(most + 1);
    if (!found) abort();
    ssize_t got = most ? pread(fd, found, most, offset) : 0;
    *size = got > 0 ? got : 0;
    return found;
}

static char *whole(const char *path, uint64_t *size, uint64_t *inode) {
    struct stat info;
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    *size = *inode = 0;
    if (fd < 0 || fstat(fd, &info)) return NULL;
    *inode = info.st_ino;
    char *found = piece(fd, 0, info.st_size, size);
    close(fd);
    return found;
}

static void note_write(int fd, const char *path, const void *data, size_t size, off_t offset) {
    struct stat info;
    uint64_t before_size;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) return;
    char *before = piece(fd, offset, size, &before_size);
    put(WRITE, path, NULL, info.st_ino, offset, info.st_size, before, before_size, data, size);
    free(before);
}

static void note_truncate(int fd, const char *path, off_t to) {
    struct stat info;
    uint64_t before_size = 0;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) return;
    char *before = piece(fd, to, info.st_size > to ? info.st_size - to : 0, &before_size);
    put(TRUNCATE, path, NULL, info.st_ino, to, info.st_size, before, before_size, NULL, 0);
    free(before);
}

#define WRITING(path, note, call)       \
    do {                                \
        pthread_mutex_lock(&lock);      \
        note;                           \
        __auto_type done = call;        \
        pthread_mutex_unlock(&lock);    \
        return done;                    \
    } while (0)

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(pwrite64)(fd, data, size, offset);
    WRITING(path, note_write(fd, path, data, size, offset), REAL(pwrite64)(fd, data, size, offset));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(write)(fd, data, size);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    WRITING(path, note_write(fd, path, data, size, lseek(fd, 0, appends ? SEEK_END : SEEK_CUR)),
            REAL(write)(fd, data, size));
}

int ftruncate64(int fd, off64_t to) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate64)(fd, to);
    WRITING(path, note_truncate(fd, path, to), REAL(ftruncate64)(fd, to));
}

int ftruncate(int fd, off_t to) { return ftruncate64(fd, to); }

static int synced(int fd, const char *path) {
    struct stat info;
    if (fstat(fd, &info)) return -1;
    put(SYNC, path, NULL, info.st_ino, 0, 0, NULL, 0, NULL, 0);
    return 0;
}

int fsync(int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(fsync)(fd);
    WRITING(path, , synced(fd, path));
}

int fdatasync(int fd) { return fsync(fd); }

static int opened(int (*call)(int, const char *, int, ...), int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat info;
    if (journal < 0 || !(flags & (O_CREAT | O_TRUNC)) || name[0] != '/' || !below(name)) return call(at, name, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = lstat(name, &info);
    if (!is_new && flags & O_TRUNC) {
        int fd = REAL(open)(name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            note_truncate(fd, name, 0);
            close(fd);
        }
    }
    int fd = call(at, name, flags, mode);
    if (is_new && fd >= 0 && !fstat(fd, &info) && path_of(fd, path))
        put(CREATE, path, NULL, info.st_ino, 0, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags)                             \
    mode_t mode = 0;                            \
    if ((flags) & (O_CREAT | O_TMPFILE)) {      \
        va_list more;                           \
        va_start(more, flags);                  \
        mode = va_arg(more, mode_t);            \
        va_end(more);                           \
    }

int openat(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(REAL(openat), at, name, flags, mode);
}

int openat64(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(REAL(openat64), at, name, flags, mode);
}

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(REAL(openat), AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(REAL(openat64), AT_FDCWD, name, flags, mode);
}

int rename(const char *from, const char *to) {
    uint64_t size, inode;
    if (journal < 0 || !below(from)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    char *before = whole(to, &size, &inode);
    int done = REAL(rename)(from, to);
    int error = errno;
    if (!done) put(RENAME, from, to, inode, before != NULL, size, before, size, NULL, 0);
    free(before);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int unlink(const char *path) {
    uint64_t size, inode;
    if (journal < 0 || !below(path)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    char *before = whole(path, &size, &inode);
    if (before) put(UNLINK, path, NULL, inode, 0, size, before, size, NULL, 0);
    free(before);
    int done = REAL(unlink)(path);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
