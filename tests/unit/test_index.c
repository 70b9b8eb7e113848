#include "crypto/primitives.h"
#include "dataplane/index.h"

#include <criterion/criterion.h>

static struct veld_index x;

static struct veld_session *make(uint32_t local_index)
{
    cr_assert_eq(veld_crypto_init(), 0);
    struct veld_session *s = veld_session_new(
        &(struct veld_session_params){.local_index = local_index, .lanes = 1}, NULL);
    cr_assert_not_null(s);
    return s;
}

Test(index, the_whole_index_is_compared)
{
    cr_assert_eq(veld_index_init(&x), 0);
    struct veld_session *s = make(5 * VELD_SESSIONS_MAX + 77);
    cr_assert_eq(veld_index_insert(&x, s), 0);
    cr_assert_eq(veld_index_find(&x, 5 * VELD_SESSIONS_MAX + 77), s);
    cr_assert_null(veld_index_find(&x, 77));
    cr_assert_null(veld_index_find(&x, 6 * VELD_SESSIONS_MAX + 77));
    cr_assert_null(veld_index_find(&x, 5 * VELD_SESSIONS_MAX + 78));
    veld_index_remove(&x, s);
    cr_assert_null(veld_index_find(&x, 5 * VELD_SESSIONS_MAX + 77));
    veld_session_free(s);
    veld_index_free(&x);
}

Test(index, a_slot_has_one_session)
{
    cr_assert_eq(veld_index_init(&x), 0);
    struct veld_session *a = make(3), *b = make(VELD_SESSIONS_MAX + 3);
    cr_assert_eq(veld_index_insert(&x, a), 0);
    cr_assert_eq(veld_index_insert(&x, b), VELD_E_EXIST);
    cr_assert_eq(veld_index_find(&x, 3), a);
    veld_index_remove(&x, a);
    cr_assert_eq(veld_index_insert(&x, b), 0);
    cr_assert_eq(veld_index_find(&x, VELD_SESSIONS_MAX + 3), b);
    veld_session_free(a);
    veld_session_free(b);
    veld_index_free(&x);
}
