#include "../support/store_memory.h"

#include "coord/registry/batch.h"

#include <criterion/criterion.h>

static struct test_store *store;
static struct veld_batch *batch;
static char said[64];

static void say(const char *what)
{
    strncat(said, what, sizeof said - strlen(said) - 1);
}

static void keep(void *what)
{
    say("+");
    say(what);
}

static void undo(void *what)
{
    say("-");
    say(what);
}

static void start(void)
{
    store = test_store_new();
    batch = veld_batch_new(&store->store);
}

static void stop(void)
{
    veld_batch_free(batch);
    store->store.ops->close(&store->store);
}

TestSuite(coord_batch, .init = start, .fini = stop);

static void change(void)
{
    veld_batch_note(batch, (void *)(uintptr_t) "a", keep, undo);
    veld_batch_put(batch, "k", 1, "v", 1);
    veld_batch_note(batch, (void *)(uintptr_t) "b", keep, undo);
    veld_batch_note(batch, (void *)(uintptr_t) "c", NULL, NULL);
    veld_batch_put(batch, "l", 1, NULL, 0);
}

Test(coord_batch, kept_in_order)
{
    struct veld_diag diag;
    cr_assert_not(veld_batch_is_open(batch));
    cr_assert_eq(veld_batch_commit(batch, &diag), 0, "nothing is nothing");
    cr_assert_eq(store->ops, 0);
    change();
    cr_assert(veld_batch_is_open(batch));
    cr_assert_str_eq(said, "");
    cr_assert_eq(veld_batch_commit(batch, &diag), 0);
    cr_assert_str_eq(said, "+a+b");
    cr_assert_not(veld_batch_is_open(batch));
    cr_assert_eq(veld_batch_commit(batch, &diag), 0);
    cr_assert_str_eq(said, "+a+b", "once");
}

/* begin, two puts and the commit may fail, and leave nothing behind; the next batch is a new one. */
Test(coord_batch, undone_in_reverse_whatever_fails)
{
    struct veld_diag diag = {.text = ""};
    for (unsigned n = 1; n <= 4; n++) {
        said[0] = '\0';
        store->fail_at = n;
        change();
        cr_assert(veld_batch_is_open(batch));
        cr_assert_lt(veld_batch_commit(batch, &diag), 0, "operation %u", n);
        cr_assert_str_not_empty(diag.text);
        cr_assert_str_eq(said, "-b-a");
        cr_assert_eq(g_tree_nnodes(store->pairs), 0);
        cr_assert_null(store->batch);
        store->fail_at = 0;
        change();
        cr_assert_eq(veld_batch_commit(batch, &diag), 0);
        cr_assert_str_eq(said, "-b-a+a+b");
        g_tree_remove_all(store->pairs);
    }
}

Test(coord_batch, notes_alone_need_no_store)
{
    store->fail_at = 1;
    veld_batch_note(batch, (void *)(uintptr_t) "a", keep, undo);
    cr_assert_eq(veld_batch_commit(batch, NULL), 0);
    cr_assert_str_eq(said, "+a");
}

Test(coord_batch, freed_is_undone)
{
    change();
    veld_batch_free(batch);
    cr_assert_str_eq(said, "-b-a");
    cr_assert_eq(g_tree_nnodes(store->pairs), 0);
    batch = veld_batch_new(&store->store);
}
