#include "profile/folder.h"

#include "base/bytes.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETWORKS   "networks"
#define LOCK_TRIES 200
#define LOCK_US    50000

static const char *const files[] = {
    VELD_PROFILE_NETWORK, VELD_PROFILE_MEMBERSHIP, VELD_PROFILE_REQUEST,
    VELD_PROFILE_COORD,   VELD_PROFILE_SETTINGS,   VELD_PROFILE_LEASE,
    VELD_PROFILE_OWNER,   VELD_PROFILE_TOKENS,     VELD_PROFILE_REVOCATIONS,
    VELD_PROFILE_MEMBERS, VELD_PROFILE_PINS,
};

/* ---- Paths ---- */

static bool is_file(const char *network, const char *file)
{
    if (!network)
        return strcmp(file, VELD_PROFILE_COORD) == 0;
    for (size_t i = 0; i < VELD_ARRAY_LEN(files); i++) {
        if (strcmp(files[i], file) == 0)
            return true;
    }
    return false;
}

static int folder_path(const char *state_dir, const char *network,
                       char out[VELD_PROFILE_PATH_MAX], struct veld_diag *diag)
{
    out[0] = '\0';
    if (network && !veld_label_is_valid(network))
        return veld_fail(diag, VELD_E_FORMAT,
                         "\"%.80s\" is no name of a network; use 1 to %d of a-z, 0-9 and inner "
                         "hyphens",
                         network, VELD_LABEL_MAX);
    /* Room for the longest name of a file and a temporary one's suffix. */
    if (strlen(state_dir) >= PATH_MAX - VELD_LABEL_MAX - 64)
        return veld_fail(diag, VELD_E_RANGE, "%.200s...: the path is too long", state_dir);
    snprintf(out, VELD_PROFILE_PATH_MAX, network ? "%s/" NETWORKS "/%s" : "%s", state_dir,
             network);
    return 0;
}

int veld_profile_path(const char *state_dir, const char *network, const char *file,
                      char out[VELD_PROFILE_PATH_MAX], struct veld_diag *diag)
{
    int rc = folder_path(state_dir, network, out, diag);
    if (rc < 0)
        return rc;
    if (!is_file(network, file)) {
        out[0] = '\0';
        return veld_fail(diag, VELD_E_INVAL, "\"%.80s\" is no file of a network", file);
    }
    strcat(out, "/");
    strcat(out, file);
    return 0;
}

/* ---- Whom they belong to ---- */

/* The same as for the state directory's own mode, one level down. */
static int check_writers(const char *path, const struct stat *st, struct veld_diag *diag)
{
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return veld_fail(diag, VELD_E_PERM,
                         "%s: mode %04o lets others than its owner change it; mend it with: "
                         "chmod go-w %s",
                         path, (unsigned)(st->st_mode & 07777), path);
    return 0;
}

static int check_folder(const char *path, struct veld_diag *diag)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return veld_fail(diag,
                         errno == ENOENT   ? VELD_E_NOENT
                         : errno == EACCES ? VELD_E_PERM
                                           : VELD_E_IO,
                         "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return veld_fail(diag, VELD_E_FORMAT, "%s is not a directory; move it away", path);
    return check_writers(path, &st, diag);
}

/* The folders on the way to a network's files; the state directory's is base/state_dir.h's to look at. */
static int check_folders(const char *state_dir, const char *network, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = folder_path(state_dir, network, path, diag);
    if (rc < 0 || !network)
        return rc;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    rc = check_folder(path, diag);
    *slash = '/';
    return rc < 0 ? rc : check_folder(path, diag);
}

/* ---- Files ---- */

static int fail_read(const char *path, int rc, size_t max, struct veld_diag *diag)
{
    if (rc == VELD_E_RANGE)
        return veld_fail(
            diag, rc,
            "%s is larger than %zu bytes and cannot be what veld wrote; restore it "
            "from a backup",
            path, max);
    if (rc == VELD_E_PERM)
        return veld_fail(diag, rc, "%s: not allowed to read it; run this with sudo", path);
    return veld_fail(diag, rc, "cannot read %s: %s", path, strerror(errno));
}

/* Its size, once it is sure that it is a file as written here. */
static int check_file(const char *path, size_t max, size_t *size, struct veld_diag *diag)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? veld_fail(diag, VELD_E_NOENT, "there is no %s", path)
                   : fail_read(path, errno == EACCES ? VELD_E_PERM : VELD_E_IO, max, diag);
    if (!S_ISREG(st.st_mode))
        return veld_fail(diag, VELD_E_FORMAT, "%s is not a regular file; move it away", path);
    if ((uint64_t)st.st_size > max)
        return fail_read(path, VELD_E_RANGE, max, diag);
    *size = (size_t)st.st_size;
    return check_writers(path, &st, diag);
}

int veld_profile_read(const char *state_dir, const char *network, const char *file, size_t max,
                      struct veld_blob *out, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    size_t size = 0, len;
    veld_blob_clear(out);
    int rc = veld_profile_path(state_dir, network, file, path, diag);
    if (rc == 0)
        rc = check_folders(state_dir, network, diag);
    if (rc == 0)
        rc = check_file(path, max, &size, diag);
    if (rc < 0)
        return rc;
    char *bytes = malloc(size + 2); /* the NUL, and room to see that it ends there */
    if (!bytes)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    rc = veld_file_read(path, bytes, size + 2, &len);
    if (rc < 0) {
        free(bytes);
        return fail_read(path, rc, max, diag);
    }
    out->p = (uint8_t *)bytes;
    out->len = len;
    return 0;
}

int veld_profile_make(const char *state_dir, const char *network, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX], networks[VELD_PROFILE_PATH_MAX];
    int rc = folder_path(state_dir, network, path, diag);
    if (rc < 0)
        return rc;
    snprintf(networks, sizeof networks, "%s/" NETWORKS, state_dir);
    /* One after the other: each of them is 0700. */
    rc = veld_mkdirs(state_dir, 0700);
    if (rc == 0 && network)
        rc = veld_mkdirs(networks, 0700);
    if (rc == 0 && network)
        rc = veld_mkdirs(path, 0700);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot make %s: %s%s", path, strerror(errno),
                         rc == VELD_E_PERM ? "; run this with sudo" : "");
    return check_folders(state_dir, network, diag);
}

int veld_profile_write(const char *state_dir, const char *network, const char *file,
                       const void *p, size_t len, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = veld_profile_path(state_dir, network, file, path, diag);
    if (rc == 0)
        rc = veld_profile_make(state_dir, network, diag);
    if (rc < 0)
        return rc;
    rc = veld_file_replace(path, p, len, 0600);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot write %s: %s%s", path, strerror(errno),
                         rc == VELD_E_PERM ? "; run this with sudo" : "");
    return 0;
}

int veld_profile_unlink(const char *state_dir, const char *network, const char *file,
                        struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = veld_profile_path(state_dir, network, file, path, diag);
    if (rc == 0 && unlink(path) < 0 && errno != ENOENT)
        rc = veld_fail(diag, VELD_E_IO, "cannot remove %s: %s", path, strerror(errno));
    return rc;
}

/* ---- Folders ---- */

static int remove_files(const char *path, struct veld_diag *diag)
{
    DIR *dir = opendir(path);
    if (!dir)
        return veld_fail(diag, errno == ENOENT ? VELD_E_NOENT : VELD_E_IO, "cannot open %s: %s",
                         path, strerror(errno));
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), e->d_name, 0) < 0 && errno != ENOENT)
            rc = veld_fail(diag, VELD_E_IO, "cannot remove %s/%s: %s", path, e->d_name,
                           strerror(errno));
    }
    closedir(dir);
    return rc;
}

int veld_profile_remove(const char *state_dir, const char *network, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = folder_path(state_dir, network, path, diag);
    if (rc == 0)
        rc = remove_files(path, diag);
    if (rc == 0 && rmdir(path) < 0)
        rc = veld_fail(diag, VELD_E_IO, "cannot remove %s: %s", path, strerror(errno));
    return rc;
}

int veld_profile_lock(const char *state_dir, const char *network, int *fd,
                      struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = veld_profile_make(state_dir, network, diag);
    if (rc == 0)
        rc = folder_path(state_dir, network, path, diag);
    if (rc < 0)
        return rc;
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot open %s: %s", path, strerror(errno));
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        usleep(LOCK_US);
    }
    close(*fd);
    *fd = -1;
    return veld_fail(diag, VELD_E_LIMIT,
                     "another veld command is changing %s and does not end; try again", path);
}

/* ---- Which networks there are ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_network(const char *state_dir, const char *name)
{
    char path[VELD_PROFILE_PATH_MAX];
    struct veld_diag ignored;
    return veld_profile_path(state_dir, name, VELD_PROFILE_NETWORK, path, &ignored) == 0 &&
           access(path, F_OK) == 0;
}

static int collect(const char *state_dir, DIR *dir, char **names, size_t *n,
                   struct veld_diag *diag)
{
    for (struct dirent *e; (e = readdir(dir));) {
        if (!is_network(state_dir, e->d_name))
            continue;
        if (*n == VELD_PROFILE_NETWORKS_MAX)
            return veld_fail(diag, VELD_E_FULL,
                             "%s/" NETWORKS " holds more than %d networks; leave some with: "
                             "veld leave NAME",
                             state_dir, VELD_PROFILE_NETWORKS_MAX);
        names[*n] = strdup(e->d_name);
        if (!names[*n])
            return veld_fail(diag, VELD_E_NOMEM, "out of memory");
        (*n)++;
    }
    return 0;
}

int veld_profile_networks(const char *state_dir, char ***names, size_t *n,
                          struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    *names = NULL;
    *n = 0;
    int rc = folder_path(state_dir, NULL, path, diag);
    if (rc < 0)
        return rc;
    strcat(path, "/" NETWORKS);
    rc = check_folder(path, diag);
    if (rc < 0)
        return rc == VELD_E_NOENT ? 0 : rc;
    DIR *dir = opendir(path);
    if (!dir)
        return veld_fail(diag, errno == EACCES ? VELD_E_PERM : VELD_E_IO, "cannot open %s: %s",
                         path, strerror(errno));
    char **list = calloc(VELD_PROFILE_NETWORKS_MAX, sizeof *list);
    rc = list ? collect(state_dir, dir, list, n, diag)
              : veld_fail(diag, VELD_E_NOMEM, "out of memory");
    closedir(dir);
    if (rc < 0) {
        veld_names_free(list, *n);
        *n = 0;
        return rc;
    }
    qsort(list, *n, sizeof *list, by_name);
    *names = list;
    return 0;
}

void veld_names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
