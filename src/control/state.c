#include "control/state.h"

#include "base/file.h"
#include "base/log.h"
#include "base/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ENDPOINTS_VERSION 1

struct veld_state {
    char dir[PATH_MAX];
    int lock_fd;
};

static int path_of(const struct veld_state *s, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", s->dir, name);
    return n > 0 && n < PATH_MAX ? 0 : VELD_E_RANGE;
}

static int lock_dir(struct veld_state *s, struct veld_diag *diag)
{
    char path[PATH_MAX], pid[32];
    if (path_of(s, "lock", path) < 0)
        return veld_fail(diag, VELD_E_RANGE, "%s: the path is too long", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot open %s: %s", path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = read(s->lock_fd, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = '\0';
        return veld_fail(diag, VELD_E_EXIST,
                         "a veld-daemon (pid %.*s) already uses %s; stop it with 'veld down', "
                         "or give this one a --state-dir of its own",
                         (int)strcspn(pid, "\n"), pid, s->dir);
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
        return veld_fail(diag, VELD_E_IO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

int veld_state_open(struct veld_state **out, const char *dir, struct veld_diag *diag)
{
    int rc = veld_state_dir_make(dir, diag);
    if (rc < 0)
        return rc;
    struct veld_state *s = calloc(1, sizeof *s);
    if (!s)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    s->lock_fd = -1;
    strcpy(s->dir, dir);
    rc = lock_dir(s, diag);
    if (rc < 0) {
        veld_state_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void veld_state_close(struct veld_state *s)
{
    if (!s)
        return;
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* the file stays: removing a lock file races with its next owner */
    free(s);
}

const char *veld_state_dir(const struct veld_state *s)
{
    return s->dir;
}

int veld_state_identity(struct veld_state *s, const char *path, struct veld_identity **out,
                        bool *made, struct veld_diag *diag)
{
    char own[PATH_MAX];
    if (!path) {
        if (path_of(s, "identity", own) < 0)
            return veld_fail(diag, VELD_E_RANGE, "%s: the path is too long", s->dir);
        path = own;
    }
    return veld_identity_load_or_make(path, out, made, diag);
}

int veld_state_timestamp_load(struct veld_state *s, uint64_t *floor_ns, struct veld_diag *diag)
{
    char path[PATH_MAX], text[32], *end;
    size_t len;
    *floor_ns = 0;
    int rc = path_of(s, "timestamp", path);
    if (rc == 0)
        rc = veld_file_read(path, text, sizeof text, &len);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc == 0) {
        errno = 0;
        uint64_t value = strtoull(text, &end, 10);
        if (errno == 0 && end != text && strcmp(end, "\n") == 0) {
            *floor_ns = value;
            return 0;
        }
        rc = VELD_E_FORMAT;
    }
    return veld_fail(diag, rc,
                     "%s cannot be used (%s); it keeps handshake timestamps from repeating. "
                     "If this machine's clock is right, remove the file and start again",
                     path, veld_strerror(rc));
}

int veld_state_timestamp_store(struct veld_state *s, uint64_t floor_ns)
{
    char path[PATH_MAX], text[32];
    int rc = path_of(s, "timestamp", path);
    if (rc < 0)
        return rc;
    int n = snprintf(text, sizeof text, "%" PRIu64 "\n", floor_ns);
    return veld_file_replace(path, text, (size_t)n, 0600);
}

static bool parse_endpoint(const char *key, json_t *value, struct veld_state_endpoint *out)
{
    const char *text = json_string_value(value);
    return text && veld_pubkey_parse(key, out->pub) == 0 &&
           veld_endpoint_parse(text, &out->endpoint) == 0;
}

int veld_state_endpoints_load(struct veld_state *s, struct veld_state_endpoint **out, size_t *n)
{
    char path[PATH_MAX];
    *out = NULL;
    *n = 0;
    if (path_of(s, "endpoints.json", path) < 0)
        return VELD_E_RANGE;
    json_error_t err;
    json_t *root = json_load_file(path, 0, &err);
    if (!root) {
        if (access(path, F_OK) == 0)
            veld_warn("%s:%d: %s; peers are not called at start", path, err.line, err.text);
        return 0;
    }
    json_t *map = json_object_get(root, "endpoints"), *value;
    const char *key;
    struct veld_state_endpoint *list = calloc(json_object_size(map) + 1, sizeof *list);
    if (!list) {
        json_decref(root);
        return VELD_E_NOMEM;
    }
    if (json_integer_value(json_object_get(root, "version")) == ENDPOINTS_VERSION) {
        json_object_foreach(map, key, value)
        {
            if (parse_endpoint(key, value, &list[*n]))
                (*n)++;
        }
    }
    json_decref(root);
    *out = list;
    return 0;
}

int veld_state_endpoints_store(struct veld_state *s,
                               const struct veld_state_endpoint *endpoints, size_t n)
{
    char path[PATH_MAX];
    int rc = path_of(s, "endpoints.json", path);
    if (rc < 0)
        return rc;
    json_t *map = json_object();
    for (size_t i = 0; i < n; i++) {
        char key[VELD_PUBKEY_STRLEN], text[VELD_ENDPOINT_STRLEN];
        veld_pubkey_format(endpoints[i].pub, key);
        json_object_set_new(map, key,
                            json_string(veld_endpoint_format(&endpoints[i].endpoint, text)));
    }
    json_t *root = json_pack("{s:i, s:o}", "version", ENDPOINTS_VERSION, "endpoints", map);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    rc = text ? veld_file_replace(path, text, strlen(text), 0600) : VELD_E_NOMEM;
    free(text);
    json_decref(root);
    return rc;
}
