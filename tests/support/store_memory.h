/*
 * A store in memory that fails when it is told to, for tests of what stands on one.
 *
 * `fail_at` N makes the N-th operation from then on (begin, put, commit; 1 is the
 * next) and all after it fail, as a disk that is full or gone, until it is set to 0.
 * `lost_commit` makes the commit that fails write its batch all the same: a disk that broke
 * after the last byte. A crash is closing what stands on the store and opening it
 * anew: what was not committed is gone.
 */
#ifndef VELD_TESTS_STORE_MEMORY_H
#define VELD_TESTS_STORE_MEMORY_H

#include "base/bytes.h"
#include "coord/store.h"

#include <glib.h>
#include <stdbool.h>

struct test_store {
    struct veld_store store;
    GTree *pairs, *batch; /* GBytes to GBytes; in the batch NULL: remove */
    uint64_t ops, commits;
    uint64_t fail_at; /* 0: never */
    bool lost_commit;
};

static inline struct test_store *test_store_of(struct veld_store *s)
{
    return VELD_CONTAINER_OF(s, struct test_store, store);
}

static inline gint test_store_order(gconstpointer a, gconstpointer b, gpointer ctx)
{
    return g_bytes_compare(a, b);
}

static inline void test_store_unref(gpointer bytes)
{
    if (bytes)
        g_bytes_unref(bytes);
}

static inline GTree *test_store_tree(void)
{
    return g_tree_new_full(test_store_order, NULL, test_store_unref, test_store_unref);
}

static inline bool test_store_fails(struct test_store *t)
{
    t->ops++;
    if (t->fail_at == 0)
        return false;
    if (t->fail_at > 1)
        t->fail_at--;
    else
        return true;
    return false;
}

static inline int test_store_scan(struct veld_store *s, const void *prefix, size_t prefix_len,
                                  int (*each)(void *ctx, const uint8_t *key, size_t key_len,
                                              const uint8_t *value, size_t value_len),
                                  void *ctx)
{
    struct test_store *t = test_store_of(s);
    GBytes *from = g_bytes_new(prefix, prefix_len);
    int rc = 0;
    for (GTreeNode *n = g_tree_lower_bound(t->pairs, from); n && rc == 0;
         n = g_tree_node_next(n)) {
        gsize key_len, value_len;
        const uint8_t *key = g_bytes_get_data(g_tree_node_key(n), &key_len);
        const uint8_t *value = g_bytes_get_data(g_tree_node_value(n), &value_len);
        if (key_len < prefix_len || (prefix_len && memcmp(key, prefix, prefix_len) != 0))
            break;
        rc = each(ctx, key, key_len, value, value_len);
    }
    g_bytes_unref(from);
    return rc;
}

static inline int test_store_begin(struct veld_store *s)
{
    struct test_store *t = test_store_of(s);
    if (t->batch || test_store_fails(t))
        return VELD_E_IO;
    t->batch = test_store_tree();
    return 0;
}

static inline int test_store_put(struct veld_store *s, const void *key, size_t key_len,
                                 const void *value, size_t value_len)
{
    struct test_store *t = test_store_of(s);
    if (!t->batch || test_store_fails(t))
        return VELD_E_IO;
    if (key_len == 0 || key_len > VELD_STORE_KEY_MAX || value_len > VELD_STORE_VALUE_MAX)
        return VELD_E_RANGE;
    g_tree_replace(t->batch, g_bytes_new(key, key_len),
                   value ? g_bytes_new(value, value_len) : NULL);
    return 0;
}

static inline void test_store_drop_batch(struct test_store *t)
{
    if (t->batch)
        g_tree_destroy(t->batch);
    t->batch = NULL;
}

static inline void test_store_apply(struct test_store *t)
{
    for (GTreeNode *n = g_tree_node_first(t->batch); n; n = g_tree_node_next(n)) {
        GBytes *key = g_tree_node_key(n), *value = g_tree_node_value(n);
        if (value)
            g_tree_replace(t->pairs, g_bytes_ref(key), g_bytes_ref(value));
        else
            g_tree_remove(t->pairs, key);
    }
}

static inline int test_store_commit(struct veld_store *s, struct veld_diag *diag)
{
    struct test_store *t = test_store_of(s);
    if (!t->batch)
        return VELD_E_STATE;
    bool fails = test_store_fails(t);
    if (!fails || t->lost_commit)
        test_store_apply(t);
    test_store_drop_batch(t);
    t->commits += !fails;
    return fails ? veld_fail(diag, VELD_E_IO, "the disk is full") : 0;
}

static inline void test_store_abort(struct veld_store *s)
{
    test_store_drop_batch(test_store_of(s));
}

static inline int test_store_backup(struct veld_store *s, const char *path,
                                    struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_UNSUPPORTED, "memory has no file");
}

static inline void test_store_close(struct veld_store *s)
{
    struct test_store *t = test_store_of(s);
    test_store_drop_batch(t);
    g_tree_destroy(t->pairs);
    g_free(t);
}

static inline struct test_store *test_store_new(void)
{
    static const struct veld_store_ops ops = {
        .scan = test_store_scan,
        .begin = test_store_begin,
        .put = test_store_put,
        .commit = test_store_commit,
        .abort = test_store_abort,
        .backup = test_store_backup,
        .close = test_store_close,
    };
    struct test_store *t = g_new0(struct test_store, 1);
    t->store.ops = &ops;
    t->pairs = test_store_tree();
    return t;
}

/* All pairs as one, to compare states by; the caller's to unref. */
static inline GBytes *test_store_image(const struct test_store *t)
{
    GByteArray *all = g_byte_array_new();
    for (GTreeNode *n = g_tree_node_first(t->pairs); n; n = g_tree_node_next(n)) {
        GBytes *both[] = {g_tree_node_key(n), g_tree_node_value(n)};
        for (int i = 0; i < 2; i++) {
            gsize len;
            const guint8 *p = g_bytes_get_data(both[i], &len);
            uint8_t head[4];
            veld_store_le32(head, (uint32_t)len);
            g_byte_array_append(all, head, sizeof head);
            g_byte_array_append(all, p, (guint)len);
        }
    }
    return g_byte_array_free_to_bytes(all);
}

#endif
