#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int from_errno(void)
{
    switch (errno) {
    case ENOENT: return VELD_E_NOENT;
    case EEXIST: return VELD_E_EXIST;
    case EACCES:
    case EPERM: return VELD_E_PERM;
    default: return VELD_E_IO;
    }
}

int veld_file_read(const char *path, char *buf, size_t size, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    size_t n = 0;
    int rc = 0;
    for (;;) {
        ssize_t r = read(fd, buf + n, size - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            rc = from_errno();
        if (r <= 0)
            break;
        n += (size_t)r;
        if (n == size) {
            rc = VELD_E_RANGE;
            break;
        }
    }
    close(fd);
    if (rc < 0)
        return rc;
    buf[n] = '\0';
    *len = n;
    return 0;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t w = write(fd, p, len);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return from_errno();
        p += w;
        len -= (size_t)w;
    }
    return 0;
}

static int sync_parent(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    int rc = fsync(fd) < 0 ? from_errno() : 0;
    close(fd);
    return rc;
}

/* A synced temporary file beside `path`; `tmp` receives its name. */
static int write_temporary(const char *path, const void *data, size_t len, mode_t mode,
                           char tmp[PATH_MAX])
{
    if (snprintf(tmp, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX)
        return VELD_E_RANGE;
    int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    int rc = write_all(fd, data, len);
    if (rc == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        rc = from_errno();
    if (close(fd) < 0 && rc == 0)
        rc = from_errno();
    if (rc < 0)
        unlink(tmp);
    return rc;
}

int veld_file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
    char tmp[PATH_MAX];
    int rc = write_temporary(path, data, len, mode, tmp);
    if (rc < 0)
        return rc;
    if (rename(tmp, path) < 0) {
        rc = from_errno();
        unlink(tmp);
        return rc;
    }
    return sync_parent(path);
}

int veld_file_create(const char *path, const void *data, size_t len, mode_t mode)
{
    char tmp[PATH_MAX];
    int rc = write_temporary(path, data, len, mode, tmp);
    if (rc < 0)
        return rc;
    if (link(tmp, path) < 0)
        rc = from_errno();
    unlink(tmp);
    return rc < 0 ? rc : sync_parent(path);
}

/* 0 also when it is there already. */
static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : from_errno();
    return sync_parent(path);
}

int veld_mkdirs(const char *path, mode_t mode)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return VELD_E_RANGE;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int rc = make_dir(copy, 0755);
        if (rc < 0)
            return rc;
        *slash = '/';
    }
    return make_dir(copy, mode);
}
