#include "cli/coord/members.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct veld_members make(struct veld_member_entry *list, size_t n)
{
    return (struct veld_members){.list = list, .n = n};
}

Test(cli_members, found_by_name_and_key)
{
    struct veld_member_entry list[2] = {{.membership = {.name = "a", .member = {1}}},
                                        {.membership = {.name = "b", .member = {2}}}};
    static const uint8_t two[32] = {2}, three[32] = {3};
    struct veld_members m = make(list, 2);
    cr_assert_eq(veld_members_by_name(&m, "b"), &list[1].membership);
    cr_assert_null(veld_members_by_name(&m, "c"));
    cr_assert_eq(veld_members_by_key(&m, two), &list[1].membership);
    cr_assert_null(veld_members_by_key(&m, three));
}

/* Whom a revoked key let in: itself, or by a token that it made; not itself. */
Test(cli_members, signed_by)
{
    struct veld_member_entry list[] = {
        {.membership = {.member = {1}, .signer = {9}}},
        {.membership = {.member = {2}, .signer = {8}, .admin = {9}, .by_token = true}},
        {.membership = {.member = {3}, .signer = {8}}},
        {.membership = {.member = {9}, .signer = {9}}},
    };
    static const uint8_t nine[32] = {9}, seven[32] = {7};
    struct veld_members m = make(list, 4);
    struct veld_diag diag;
    uint8_t(*kept)[32];
    size_t n;
    cr_assert_eq(veld_members_signed_by(&m, nine, &kept, &n, &diag), 0);
    cr_assert_eq(n, 2);
    cr_assert_eq(kept[0][0], 1);
    cr_assert_eq(kept[1][0], 2);
    free(kept);
    cr_assert_eq(veld_members_signed_by(&m, seven, &kept, &n, &diag), 0);
    cr_assert_eq(n, 0);
    free(kept);
}
