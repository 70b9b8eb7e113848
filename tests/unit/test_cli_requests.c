#include "../support/trust_rig.h"

#include "cli/coord/requests.h"

#include <criterion/criterion.h>
#include <ctype.h>

static struct test_trust t;
static struct veld_requests r;
static struct veld_blob blobs[4];
static struct veld_diag diag;

static void start(void)
{
    test_trust_make(&t);
}

static void stop(void)
{
    veld_requests_clear(&r);
    for (size_t i = 0; i < 4; i++)
        veld_blob_clear(&blobs[i]);
    test_trust_free(&t);
}

TestSuite(cli_requests, .init = start, .fini = stop, .timeout = 20);

/* Of machine `n`. */
static void ask(size_t i, unsigned n, const char *name, uint64_t created_s)
{
    struct veld_identity *id = test_trust_identity(n);
    struct veld_join_request request = {.created_s = created_s};
    snprintf(request.name, sizeof request.name, "%s", name);
    memcpy(request.network_id, t.network.id, 32);
    memcpy(request.member, id->pub, 32);
    test_trust_must(veld_join_request_sign(&blobs[i], id->seed, &request), "request");
    veld_identity_free(id);
}

Test(cli_requests, read_and_found_by_their_code)
{
    const struct veld_waiting_request *found;
    char lower[VELD_JOIN_CODE_STRLEN];
    ask(0, 1, "one", 10);
    ask(1, 2, "two", 10);
    cr_assert_eq(veld_requests_read(&r, blobs, 2, t.network.id), 0);
    cr_assert_eq(r.n, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(veld_requests_find(&r, r.list[i].code, &found, &diag), 0, "%s", diag.text);
        cr_assert_eq(found, &r.list[i]);
    }
    for (size_t i = 0; i < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)r.list[0].code[i]);
    cr_assert_eq(veld_requests_find(&r, lower, &found, &diag), 0);
    cr_assert_str_eq(found->request.name, "one");
    cr_assert_eq(veld_requests_find(&r, "0000-0000", &found, &diag), VELD_E_NOENT);
    cr_assert_null(found);
    cr_assert_not_null(strstr(diag.text, "nobody with the code \"0000-0000\""));
}

Test(cli_requests, a_name_lets_nobody_in_and_tells_the_code)
{
    const struct veld_waiting_request *found;
    char command[64];
    ask(0, 1, "one", 10);
    ask(1, 2, "two", 10);
    ask(2, 3, "two", 10);
    cr_assert_eq(veld_requests_read(&r, blobs, 3, t.network.id), 0);
    cr_assert_eq(veld_requests_find(&r, "One", &found, &diag), VELD_E_NOENT);
    cr_assert_null(found);
    snprintf(command, sizeof command, "one waits with code %s;", r.list[0].code);
    cr_assert_not_null(strstr(diag.text, command), "%s", diag.text);
    snprintf(command, sizeof command, "veld approve %s", r.list[0].code);
    cr_assert_not_null(strstr(diag.text, command), "%s", diag.text);
    cr_assert_eq(veld_requests_find(&r, "two", &found, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "2 machines wait under the name two"), "%s",
                       diag.text);
}

/* A server may still have, or show, what a machine asked before. */
Test(cli_requests, of_one_machine_the_newest)
{
    const struct veld_waiting_request *found;
    ask(0, 1, "new", 20);
    ask(1, 1, "old", 10);
    ask(2, 1, "newest", 30);
    cr_assert_eq(veld_requests_read(&r, blobs, 3, t.network.id), 0);
    cr_assert_eq(r.n, 1);
    cr_assert_eq(veld_requests_find(&r, r.list[0].code, &found, &diag), 0);
    cr_assert_str_eq(found->request.name, "newest");
}

Test(cli_requests, what_does_not_prove_is_counted)
{
    static const uint8_t other[32] = {1};
    ask(0, 1, "one", 10);
    ask(1, 2, "two", 10);
    blobs[1].p[blobs[1].len - 1] ^= 1;
    cr_assert_eq(veld_requests_read(&r, blobs, 2, t.network.id), 0);
    cr_assert_eq(r.n, 1);
    cr_assert_eq(r.refused, 1);
    veld_requests_clear(&r);
    cr_assert_eq(veld_requests_read(&r, blobs, 1, other), 0);
    cr_assert_eq(r.n, 0);
    cr_assert_eq(r.refused, 1);
}

/* Forty bits can be searched for. */
Test(cli_requests, a_code_of_two_lets_nobody_in)
{
    const struct veld_waiting_request *found;
    ask(0, 1, "one", 10);
    ask(1, 2, "two", 10);
    cr_assert_eq(veld_requests_read(&r, blobs, 2, t.network.id), 0);
    strcpy(r.list[1].code, r.list[0].code);
    cr_assert_eq(veld_requests_find(&r, r.list[0].code, &found, &diag), VELD_E_STATE);
    cr_assert_null(found);
    cr_assert_not_null(strstr(diag.text, "somebody else"), "%s", diag.text);
}
