/*
 * Where the registry is kept: an ordered map of bytes to bytes, changed in
 * batches that are durable as a whole or not at all. LMDB by default
 * (store_lmdb.c); nothing here has its shape, so that a distributed store can
 * take its place.
 *
 * Invariant: after commit returns 0 the batch survives a crash of the process
 * and of the machine; after any failure the store is as before the batch.
 * Thread: one.
 */
#ifndef VELD_COORD_STORE_H
#define VELD_COORD_STORE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define VELD_STORE_KEY_MAX   256
#define VELD_STORE_VALUE_MAX (1u << 20)

struct veld_store;
struct veld_store_ops {
    /* All pairs whose key begins with `prefix`, in order; `each` returning non-zero ends it and is returned. */
    int (*scan)(struct veld_store *s, const void *prefix, size_t prefix_len,
                int (*each)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                            size_t value_len),
                void *ctx);
    int (*begin)(struct veld_store *s);
    /* Within a batch. `value` NULL: remove. */
    int (*put)(struct veld_store *s, const void *key, size_t key_len, const void *value,
               size_t value_len);
    /* The batch is over either way. */
    int (*commit)(struct veld_store *s, struct veld_diag *diag);
    void (*abort)(struct veld_store *s);
    /* A consistent copy into a new file. */
    int (*backup)(struct veld_store *s, const char *path, struct veld_diag *diag);
    void (*close)(struct veld_store *s);
};
struct veld_store {
    const struct veld_store_ops *ops;
};

/*
 * One file (and FILE-lock beside it), 0600. VELD_E_EXIST: another process serves
 * it; VELD_E_FORMAT, VELD_E_PERM, VELD_E_IO.
 */
VELD_MUST_USE int veld_store_lmdb_open(struct veld_store **out, const char *path,
                                       struct veld_diag *diag);
/* To scan and close alone, also while another process serves it. VELD_E_NOENT, and as above. */
VELD_MUST_USE int veld_store_lmdb_read(struct veld_store **out, const char *path,
                                       struct veld_diag *diag);
/* A consistent copy of `path` into the new file `copy`; also while another process serves it. */
VELD_MUST_USE int veld_store_lmdb_backup(const char *path, const char *copy,
                                         struct veld_diag *diag);

#endif
