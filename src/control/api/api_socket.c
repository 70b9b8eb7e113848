#include "control/api/api_socket.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_MODE 0660
#define BACKLOG     64

static struct sockaddr_un address_of(const struct veld_api_socket *s)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path, s->path);
    return sun;
}

static int make_directory(const char *path, struct veld_diag *diag)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
    strcpy(dir, path);
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir)
        return 0;
    *slash = '\0';
    int rc = veld_mkdirs(dir, 0755);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot make the socket's directory %s: %s", dir,
                         strerror(errno));
    return 0;
}

/* Nobody listens on the path once this returns 0. */
static int clear_path(const struct veld_api_socket *s, struct veld_diag *diag)
{
    struct stat st;
    if (lstat(s->path, &st) < 0)
        return errno == ENOENT ? 0
                               : veld_fail(diag, VELD_E_IO, "cannot make the socket %s: %s",
                                           s->path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return veld_fail(diag, VELD_E_EXIST,
                         "%s is there already and is not a socket; choose another --socket",
                         s->path);
    struct sockaddr_un sun = address_of(s);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return veld_fail(diag, VELD_E_IO, "cannot make a socket: %s", strerror(errno));
    int rc = connect(probe, (struct sockaddr *)&sun, sizeof sun);
    int why = errno;
    close(probe);
    if (rc == 0 || why == EAGAIN) /* EAGAIN: alive, and its backlog is full */
        return veld_fail(diag, VELD_E_EXIST,
                         "another veld-daemon is running on %s; stop it with: veld --socket %s "
                         "down",
                         s->path, s->path);
    if (why != ECONNREFUSED && why != ENOENT)
        return veld_fail(diag, why == EACCES ? VELD_E_PERM : VELD_E_IO,
                         "cannot tell whether %s is in use: %s", s->path, strerror(why));
    if (unlink(s->path) < 0 && errno != ENOENT)
        return veld_fail(diag, VELD_E_PERM, "cannot remove the stale socket %s: %s", s->path,
                         strerror(errno));
    return 0;
}

/* Hand the file to the group, where there is one. Going on without is safe: fewer may connect. */
static void give_to_group(struct veld_api_socket *s)
{
    struct group *group = getgrnam(VELD_API_GROUP);
    if (!group)
        return;
    if (lchown(s->path, (uid_t)-1, group->gr_gid) < 0) {
        veld_warn("cannot give %s to group %s: %s", s->path, VELD_API_GROUP, strerror(errno));
        return;
    }
    s->has_group = true;
    s->group = group->gr_gid;
}

static int bind_path(struct veld_api_socket *s, struct veld_diag *diag)
{
    struct sockaddr_un sun = address_of(s);
    struct stat st;
    /*
     * The file takes its mode from the socket, less the umask: so it is right from
     * the first moment, and nothing is changed by a path that somebody may replace.
     */
    mode_t mask = umask(0);
    bool bound = fchmod(s->fd, SOCKET_MODE) == 0 &&
                 bind(s->fd, (struct sockaddr *)&sun, sizeof sun) == 0;
    int bind_errno = errno;
    umask(mask);
    if (!bound)
        return veld_fail(diag, bind_errno == EACCES ? VELD_E_PERM : VELD_E_IO,
                         "cannot make the socket %s: %s", s->path, strerror(bind_errno));
    if (lstat(s->path, &st) < 0 || listen(s->fd, BACKLOG) < 0) {
        int why = errno;
        unlink(s->path);
        return veld_fail(diag, VELD_E_IO, "cannot listen on the socket %s: %s", s->path,
                         strerror(why));
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return 0;
}

int veld_api_socket_open(struct veld_api_socket *s, const char *path, struct veld_diag *diag)
{
    *s = (struct veld_api_socket){.fd = -1};
    if (strlen(path) >= sizeof s->path)
        return veld_fail(diag, VELD_E_RANGE,
                         "the socket's name is too long: %.200s; at most %zu bytes", path,
                         sizeof s->path - 1);
    strcpy(s->path, path);
    int rc = make_directory(path, diag);
    if (rc == 0)
        rc = clear_path(s, diag);
    if (rc < 0)
        return rc;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot make a socket: %s", strerror(errno));
    rc = bind_path(s, diag);
    if (rc < 0) {
        close(s->fd);
        s->fd = -1;
        return rc;
    }
    give_to_group(s);
    return 0;
}

void veld_api_socket_close(struct veld_api_socket *s)
{
    struct stat st;
    if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        unlink(s->path);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static bool has_supplementary_group(int connection, gid_t group)
{
    socklen_t len = 0;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE ||
        len > NGROUPS_MAX * sizeof(gid_t))
        return false; /* none, or a kernel before 4.13 */
    gid_t *groups = malloc(len);
    bool found = false;
    if (groups && getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
        for (size_t i = 0; i < len / sizeof *groups && !found; i++)
            found = groups[i] == group;
    }
    free(groups);
    return found;
}

bool veld_api_socket_allows(const struct veld_api_socket *s, int connection)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    return s->has_group &&
           (peer.gid == s->group || has_supplementary_group(connection, s->group));
}
