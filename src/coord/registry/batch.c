#include "coord/registry/batch.h"

#include <glib.h>

struct note {
    void *what;
    veld_batch_fn *keep, *undo;
};

struct veld_batch {
    struct veld_store *store;
    GArray *notes; /* struct note */
    bool begun;    /* the store's batch */
    int failed;    /* the first error of it */
};

struct veld_batch *veld_batch_new(struct veld_store *store)
{
    struct veld_batch *b = g_new0(struct veld_batch, 1);
    b->store = store;
    b->notes = g_array_new(FALSE, FALSE, sizeof(struct note));
    return b;
}

void veld_batch_put(struct veld_batch *b, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    if (!b->begun && !b->failed) {
        b->failed = b->store->ops->begin(b->store);
        b->begun = !b->failed;
    }
    if (!b->failed)
        b->failed = b->store->ops->put(b->store, key, key_len, value, value_len);
}

void veld_batch_note(struct veld_batch *b, void *what, veld_batch_fn *keep, veld_batch_fn *undo)
{
    struct note n = {.what = what, .keep = keep, .undo = undo};
    g_array_append_val(b->notes, n);
}

bool veld_batch_is_open(const struct veld_batch *b)
{
    return b->notes->len > 0 || b->begun || b->failed;
}

static void keep_all(struct veld_batch *b)
{
    for (guint i = 0; i < b->notes->len; i++) {
        struct note *n = &g_array_index(b->notes, struct note, i);
        if (n->keep)
            n->keep(n->what);
    }
}

static void undo_all(struct veld_batch *b)
{
    for (guint i = b->notes->len; i > 0; i--) {
        struct note *n = &g_array_index(b->notes, struct note, i - 1);
        if (n->undo)
            n->undo(n->what);
    }
}

static int store_batch(struct veld_batch *b, struct veld_diag *diag)
{
    int rc = b->failed;
    if (rc)
        veld_fail(diag, rc, "the database takes no changes: %s", veld_strerror(rc));
    if (!b->begun)
        return rc;
    if (rc)
        b->store->ops->abort(b->store);
    else
        rc = b->store->ops->commit(b->store, diag);
    return rc;
}

int veld_batch_commit(struct veld_batch *b, struct veld_diag *diag)
{
    int rc = store_batch(b, diag);
    if (rc)
        undo_all(b);
    else
        keep_all(b);
    g_array_set_size(b->notes, 0);
    b->begun = false;
    b->failed = 0;
    return rc;
}

void veld_batch_free(struct veld_batch *b)
{
    if (!b)
        return;
    if (b->begun)
        b->store->ops->abort(b->store);
    undo_all(b);
    g_array_free(b->notes, TRUE);
    g_free(b);
}
