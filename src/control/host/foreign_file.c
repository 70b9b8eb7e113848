#include "control/host/foreign_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES       20
#define LOCK_INTERVAL_NS 10000000

static int from_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return VELD_E_NOENT;
    case EACCES:
    case EPERM:
    case EROFS: return VELD_E_PERM;
    default: return VELD_E_IO;
    }
}

int veld_foreign_resolve(const char *path, char out[PATH_MAX])
{
    if (realpath(path, out))
        return 0;
    struct stat st;
    if (errno != ENOENT || lstat(path, &st) == 0)
        return from_errno(); /* a link that leads nowhere is somebody's intention: not ours to fill */

    char dir[PATH_MAX], base[PATH_MAX], real[PATH_MAX];
    if (strlen(path) >= PATH_MAX)
        return VELD_E_RANGE;
    strcpy(dir, path);
    strcpy(base, path);
    if (!realpath(dirname(dir), real))
        return from_errno();
    if (snprintf(out, PATH_MAX, "%s/%s", real, basename(base)) >= PATH_MAX)
        return VELD_E_RANGE;
    return 1;
}

bool veld_foreign_is_proc(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Whether a new file under the same name would be the same to everybody. */
static bool replaceable(const char *path, const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1 && st->st_uid == geteuid() &&
           st->st_gid == getegid() && listxattr(path, NULL, 0) <= 0 &&
           !veld_foreign_is_proc(path);
}

static int write_in_place(const char *path, const char *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    int rc = 0;
    ssize_t w = pwrite(fd, data, len, 0); /* one call: /proc takes a value whole */
    if (w < 0) {
        rc = from_errno();
    } else if ((size_t)w != len) {
        errno = ENOSPC;
        rc = VELD_E_IO;
    } else if (!veld_foreign_is_proc(path) &&
               (ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0)) {
        rc = from_errno();
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

int veld_foreign_write(const char *path, const char *data, size_t len, struct veld_diag *diag)
{
    struct stat st;
    int rc = lstat(path, &st) == 0 ? 0 : from_errno();
    bool missing = rc == VELD_E_NOENT;
    if (missing || (rc == 0 && replaceable(path, &st)))
        rc = veld_file_replace(path, data, len, missing ? 0644 : st.st_mode & 07777);
    else if (rc == 0)
        rc = write_in_place(path, data, len);
    bool in_directory_only =
        errno == EBUSY || errno == EROFS || errno == EACCES || errno == EPERM || errno == EXDEV;
    if (rc < 0 && !missing && in_directory_only)
        rc = write_in_place(path, data, len);
    if (rc == 0)
        return 0;
    if (errno == EROFS)
        return veld_fail(diag, VELD_E_PERM,
                         "cannot change %s: it is on a read-only file system (in a container, "
                         "mount it writable or make the setting outside)",
                         path);
    return veld_fail(diag, rc, "cannot change %s: %s", path, strerror(errno));
}

int veld_foreign_lock(const char *path)
{
    char dir[PATH_MAX];
    if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir)
        return -1;
    int fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    struct timespec interval = {.tv_nsec = LOCK_INTERVAL_NS};
    for (int i = 0; i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        nanosleep(&interval, NULL);
    return fd;
}

void veld_foreign_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
