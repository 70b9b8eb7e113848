#include "coord/store.h"

#include "base/bytes.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <libgen.h>
#include <limits.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_MIN ((size_t)16 << 20) /* address space, not memory; grows by doubling */
#define MAP_MAX ((size_t)1 << (sizeof(size_t) == 8 ? 44 : 30))

/* One change of the batch, in `bytes`: a batch is kept whole, since a map that was too small wants it all anew. */
struct op {
    size_t key, key_len, value, value_len;
    bool remove;
};

struct store_lmdb {
    struct veld_store store;
    MDB_env *env;
    MDB_dbi dbi;
    size_t map;
    char path[PATH_MAX];
    GArray *ops;       /* struct op */
    GByteArray *bytes; /* keys and values */
};

static struct store_lmdb *self(struct veld_store *s)
{
    return VELD_CONTAINER_OF(s, struct store_lmdb, store);
}

/* Is no database of LMDB's, or none of use. */
static bool is_foreign(int rc)
{
    return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED;
}

static int open_error(const char *path, int rc, struct veld_diag *diag)
{
    if (is_foreign(rc))
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s is no database of veld-coord, or it is damaged: restore a backup, "
                         "or move it away and start anew (members come back by themselves)",
                         path);
    switch (rc) {
    case EACCES:
    case EPERM:
    case EROFS:
        return veld_fail(diag, VELD_E_PERM,
                         "cannot open the database %s: %s; give it to the user that runs "
                         "veld-coord, or name another with --db",
                         path, mdb_strerror(rc));
    default:
        return veld_fail(diag, VELD_E_IO, "cannot open the database %s: %s", path,
                         mdb_strerror(rc));
    }
}

/* So that the file is still there after the machine lost power. */
static int sync_folder(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return VELD_E_IO;
    int rc = fsync(fd) < 0 ? VELD_E_IO : 0;
    close(fd);
    return rc;
}

/* An environment on `path`: to serve it, which only one process may, or to read it beside that one. */
static int env_open(MDB_env **out, const char *path, size_t map, unsigned flags)
{
    MDB_env *env = NULL;
    char lock[PATH_MAX];
    snprintf(lock, sizeof lock, "%s-lock", path);
    bool had_lock = access(lock, F_OK) == 0;
    int rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, map);
    if (rc == 0)
        rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NORDAHEAD | flags, 0600);
    if (rc == 0) {
        *out = env;
        return 0;
    }
    mdb_env_close(env);
    if (is_foreign(rc) && !had_lock)
        unlink(lock); /* nobody else uses it either, beside what is no database */
    return rc;
}

static int dbi_open(struct store_lmdb *l)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &l->dbi);
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    return rc;
}

/* The server's key is in it: a copy that was put back with a mode for everybody is mended. */
static void make_private(const char *path, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !(st.st_mode & (S_IRWXG | S_IRWXO)))
        return;
    unsigned mode = st.st_mode & 07777;
    if (fchmod(fd, 0600) == 0)
        veld_warn("the database %s, which holds the server's key, had mode %04o; it has 0600 "
                  "now. If others use this machine, they may have read the key",
                  path, mode);
    else
        veld_warn(
            "the database %s, which holds the server's key, has mode %04o, so that others "
            "may use it; mend it with: chmod 600 %s",
            path, mode, path);
}

static int serve(struct store_lmdb *l, struct veld_diag *diag)
{
    MDB_envinfo info;
    int fd, rc = env_open(&l->env, l->path, l->map, 0);
    if (rc)
        return open_error(l->path, rc, diag);
    rc = mdb_env_get_fd(l->env, &fd);
    if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno;
    if (rc == EWOULDBLOCK) {
        mdb_env_close(l->env);
        l->env = NULL;
        return veld_fail(diag, VELD_E_EXIST,
                         "another veld-coord serves the database %s; stop it, or name another "
                         "with --db",
                         l->path);
    }
    if (rc == 0) {
        make_private(l->path, fd);
        rc = dbi_open(l);
    }
    if (rc == 0)
        rc = mdb_env_info(l->env, &info);
    if (rc) {
        mdb_env_close(l->env);
        l->env = NULL;
        return open_error(l->path, rc, diag);
    }
    l->map = info.me_mapsize; /* of a large database more than was asked for */
    return 0;
}

/* After a write that failed halfway nothing that LMDB has in memory is believed. */
static int serve_anew(struct store_lmdb *l, struct veld_diag *diag)
{
    if (l->env)
        mdb_env_close(l->env);
    l->env = NULL;
    return serve(l, diag);
}

static int lmdb_scan(struct veld_store *s, const void *prefix, size_t prefix_len,
                     int (*each)(void *ctx, const uint8_t *key, size_t key_len,
                                 const uint8_t *value, size_t value_len),
                     void *ctx)
{
    struct store_lmdb *l = self(s);
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key = {.mv_data = (void *)(uintptr_t)prefix, .mv_size = prefix_len}, value;
    if (!l->env || mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn))
        return VELD_E_IO;
    if (mdb_cursor_open(txn, l->dbi, &cursor)) {
        mdb_txn_abort(txn);
        return VELD_E_IO;
    }
    int told = 0,
        rc = mdb_cursor_get(cursor, &key, &value, prefix_len ? MDB_SET_RANGE : MDB_FIRST);
    while (rc == 0 && told == 0 && key.mv_size >= prefix_len &&
           memcmp(key.mv_data, prefix, prefix_len) == 0) {
        told = each(ctx, key.mv_data, key.mv_size, value.mv_data, value.mv_size);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (told)
        return told;
    return rc == 0 || rc == MDB_NOTFOUND ? 0 : VELD_E_IO;
}

static void forget_batch(struct store_lmdb *l)
{
    g_array_set_size(l->ops, 0);
    g_byte_array_set_size(l->bytes, 0);
}

static int lmdb_begin(struct veld_store *s)
{
    forget_batch(self(s));
    return 0;
}

static int lmdb_put(struct veld_store *s, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    struct store_lmdb *l = self(s);
    if (key_len == 0 || key_len > VELD_STORE_KEY_MAX || value_len > VELD_STORE_VALUE_MAX)
        return VELD_E_RANGE;
    struct op op = {.key = l->bytes->len, .key_len = key_len, .remove = !value};
    g_byte_array_append(l->bytes, key, (guint)key_len);
    if (value) {
        op.value = l->bytes->len;
        op.value_len = value_len;
        g_byte_array_append(l->bytes, value, (guint)value_len);
    }
    g_array_append_val(l->ops, op);
    return 0;
}

/* The batch as one transaction. An LMDB error or errno. */
static int transact(struct store_lmdb *l)
{
    MDB_txn *txn;
    int rc = l->env ? mdb_txn_begin(l->env, NULL, 0, &txn) : MDB_PANIC;
    if (rc)
        return rc;
    for (guint i = 0; i < l->ops->len && rc == 0; i++) {
        const struct op *op = &g_array_index(l->ops, struct op, i);
        MDB_val key = {.mv_data = l->bytes->data + op->key, .mv_size = op->key_len};
        MDB_val value = {.mv_data = l->bytes->data + op->value, .mv_size = op->value_len};
        rc = op->remove ? mdb_del(txn, l->dbi, &key, NULL)
                        : mdb_put(txn, l->dbi, &key, &value, 0);
        if (op->remove && rc == MDB_NOTFOUND)
            rc = 0;
    }
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int grow(struct store_lmdb *l)
{
    if (l->map >= MAP_MAX)
        return ENOSPC;
    int rc = mdb_env_set_mapsize(l->env, l->map * 2);
    if (rc == 0)
        l->map *= 2;
    return rc;
}

static int lmdb_commit(struct veld_store *s, struct veld_diag *diag)
{
    struct store_lmdb *l = self(s);
    struct veld_diag anew;
    if (!l->env && serve(l, diag) < 0) /* an earlier failure could not be mended */
        return VELD_E_IO;
    int rc = transact(l);
    while (rc == MDB_MAP_FULL) {
        rc = grow(l);
        if (rc == 0)
            rc = transact(l);
    }
    forget_batch(l);
    if (rc == 0)
        return 0;
    veld_fail(diag, VELD_E_IO,
              "cannot write the database %s: %s; make room on its disk, or mend it. What was "
              "acknowledged before is safe",
              l->path,
              mdb_strerror(rc)); /* a disk that fills up within a write is EIO, to LMDB */
    serve_anew(l, &anew);        /* if that fails too, the next commit tries it again */
    return VELD_E_IO;
}

static void lmdb_abort(struct veld_store *s)
{
    forget_batch(self(s));
}

static int copy_to(MDB_env *env, const char *path, struct veld_diag *diag)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return veld_fail(diag, errno == EEXIST ? VELD_E_EXIST : VELD_E_IO,
                         "cannot make the backup %s: %s; name a file that is not there yet",
                         path, strerror(errno));
    int rc = mdb_env_copyfd(env, fd);
    if (rc == 0 && fsync(fd) < 0)
        rc = errno;
    if (close(fd) < 0 && rc == 0)
        rc = errno;
    if (rc == 0 && sync_folder(path) < 0)
        rc = EIO;
    if (rc) {
        unlink(path);
        return veld_fail(diag, VELD_E_IO, "cannot write the backup %s: %s", path,
                         mdb_strerror(rc));
    }
    return 0;
}

static int lmdb_backup(struct veld_store *s, const char *path, struct veld_diag *diag)
{
    struct store_lmdb *l = self(s);
    if (!l->env)
        return veld_fail(diag, VELD_E_IO, "the database %s cannot be read", l->path);
    return copy_to(l->env, path, diag);
}

static void lmdb_close(struct veld_store *s)
{
    struct store_lmdb *l = self(s);
    if (l->env)
        mdb_env_close(l->env);
    g_array_free(l->ops, TRUE);
    g_byte_array_free(l->bytes, TRUE);
    g_free(l);
}

static const struct veld_store_ops lmdb_ops = {
    .scan = lmdb_scan,
    .begin = lmdb_begin,
    .put = lmdb_put,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .backup = lmdb_backup,
    .close = lmdb_close,
};

/* Not open yet. NULL: the path is too long. */
static struct store_lmdb *new_store(const char *path, const struct veld_store_ops *ops,
                                    struct veld_diag *diag)
{
    if (strlen(path) >= PATH_MAX - sizeof "-lock") {
        veld_fail(diag, VELD_E_RANGE, "%s: the path is too long", path);
        return NULL;
    }
    struct store_lmdb *l = g_new0(struct store_lmdb, 1);
    l->store.ops = ops;
    l->map = MAP_MIN;
    strcpy(l->path, path);
    l->ops = g_array_new(FALSE, FALSE, sizeof(struct op));
    l->bytes = g_byte_array_new();
    return l;
}

int veld_store_lmdb_open(struct veld_store **out, const char *path, struct veld_diag *diag)
{
    struct store_lmdb *l = new_store(path, &lmdb_ops, diag);
    if (!l)
        return VELD_E_RANGE;
    int rc = serve(l, diag);
    if (rc == 0 && sync_folder(path) < 0)
        rc = veld_fail(diag, VELD_E_IO, "cannot sync the folder of %s: %s", path,
                       strerror(errno));
    if (rc < 0) {
        lmdb_close(&l->store);
        return rc;
    }
    *out = &l->store;
    return 0;
}

/* An environment that is there already, to read. */
static int reader_open(MDB_env **out, const char *path, struct veld_diag *diag)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return veld_fail(diag, errno == ENOENT ? VELD_E_NOENT : VELD_E_IO,
                         "cannot read the database %s: %s", path, strerror(errno));
    int rc = env_open(out, path, MAP_MIN, MDB_RDONLY);
    return rc ? open_error(path, rc, diag) : 0;
}

static const struct veld_store_ops lmdb_read_ops = {.scan = lmdb_scan, .close = lmdb_close};

int veld_store_lmdb_read(struct veld_store **out, const char *path, struct veld_diag *diag)
{
    struct store_lmdb *l = new_store(path, &lmdb_read_ops, diag);
    if (!l)
        return VELD_E_RANGE;
    int rc = reader_open(&l->env, path, diag);
    if (rc == 0 && (rc = dbi_open(l)) != 0)
        rc = open_error(path, rc, diag);
    if (rc < 0) {
        lmdb_close(&l->store);
        return rc;
    }
    *out = &l->store;
    return 0;
}

int veld_store_lmdb_backup(const char *path, const char *copy, struct veld_diag *diag)
{
    MDB_env *env;
    int rc = reader_open(&env, path, diag);
    if (rc < 0)
        return rc;
    rc = copy_to(env, copy, diag);
    mdb_env_close(env);
    return rc;
}
