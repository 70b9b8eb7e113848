#include "base/file.h"
#include "control/state.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/veld-test-state.XXXXXX";
static char state_dir[64];
static struct veld_state *state;
static struct veld_diag diag;

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", state_dir, name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void open_state(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(state_dir, sizeof state_dir, "%s/state", dir);
    cr_assert_eq(veld_state_open(&state, state_dir, &diag), 0, "%s", diag.text);
}

static void close_state(void)
{
    veld_state_close(state);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(state, .init = open_state, .fini = close_state);

Test(state, directory_is_private)
{
    struct stat st;
    cr_assert_eq(stat(state_dir, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
}

/* Whoever may change it chooses the machine's key, and what undo.json "puts back" as root. */
Test(state, a_directory_that_others_may_change_is_refused)
{
    struct veld_state *other = NULL;
    veld_state_close(state);
    for (mode_t others = S_IWGRP; others >= S_IWOTH; others >>= 3) {
        cr_assert_eq(chmod(state_dir, 0700 | others), 0);
        cr_assert_eq(veld_state_open(&other, state_dir, &diag), VELD_E_PERM);
        cr_assert_not_null(strstr(diag.text, "chmod go-w"), "%s", diag.text);
    }
    cr_assert_eq(access(in_dir("identity"), F_OK), -1);
    cr_assert_eq(chmod(state_dir, 0755), 0, "others may look");
    cr_assert_eq(veld_state_open(&state, state_dir, &diag), 0, "%s", diag.text);
    if (geteuid() != 0)
        return;
    veld_state_close(state);
    cr_assert_eq(chown(state_dir, 4711, 0), 0);
    cr_assert_eq(veld_state_open(&other, state_dir, &diag), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "4711"), "%s", diag.text);
    setenv("SUDO_UID", "4711", 1); /* theirs, and they are root */
    cr_assert_eq(veld_state_open(&state, state_dir, &diag), 0, "%s", diag.text);
}

Test(state, what_is_no_directory_is_refused)
{
    struct veld_state *other = NULL;
    cr_assert_eq(veld_state_open(&other, in_dir("lock"), &diag), VELD_E_IO);
    cr_assert_not_null(strstr(diag.text, "not a directory"), "%s", diag.text);
}

Test(state, one_daemon_a_directory)
{
    struct veld_state *other = NULL;
    cr_assert_eq(veld_state_open(&other, state_dir, &diag), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "already uses"), "%s", diag.text);
    veld_state_close(state);
    cr_assert_eq(veld_state_open(&state, state_dir, &diag), 0, "%s", diag.text);
}

Test(state, identity_is_made_once)
{
    struct veld_identity *a, *b;
    bool made;
    cr_assert_eq(veld_state_identity(state, NULL, &a, &made, &diag), 0, "%s", diag.text);
    cr_assert(made);
    cr_assert_eq(veld_state_identity(state, NULL, &b, &made, &diag), 0, "%s", diag.text);
    cr_assert_not(made);
    cr_assert_arr_eq(a->pub, b->pub, 32);
    veld_identity_free(a);
    veld_identity_free(b);
}

Test(state, broken_identity_is_never_replaced)
{
    struct veld_identity *id = NULL;
    char text[16];
    size_t len;
    bool made;
    cr_assert_eq(veld_file_replace(in_dir("identity"), "garbage\n", 8, 0600), 0);
    cr_assert_lt(veld_state_identity(state, NULL, &id, &made, &diag), 0);
    cr_assert_eq(veld_file_read(in_dir("identity"), text, sizeof text, &len), 0);
    cr_assert_str_eq(text, "garbage\n");
}

Test(state, timestamp_round_trip)
{
    uint64_t floor = 1;
    cr_assert_eq(veld_state_timestamp_load(state, &floor, &diag), 0);
    cr_assert_eq(floor, 0);
    cr_assert_eq(veld_state_timestamp_store(state, 1893456000123456789), 0);
    cr_assert_eq(veld_state_timestamp_load(state, &floor, &diag), 0);
    cr_assert_eq(floor, 1893456000123456789);
}

Test(state, broken_timestamp_is_an_error_not_zero)
{
    static const char *const bad[] = {"", "x\n", "12", "12\nx", "99999999999999999999999\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t floor = 7;
        cr_assert_eq(veld_file_replace(in_dir("timestamp"), bad[i], strlen(bad[i]), 0600), 0);
        cr_assert_lt(veld_state_timestamp_load(state, &floor, &diag), 0, "'%s'", bad[i]);
        cr_assert_not_null(strstr(diag.text, "timestamp"));
    }
}

Test(state, endpoints_round_trip_and_broken_file_is_only_a_lost_hint)
{
    struct veld_identity *id = veld_identity_generate();
    struct veld_state_endpoint in = {0}, *out;
    size_t n;
    memcpy(in.pub, id->pub, 32);
    veld_identity_free(id);
    cr_assert_eq(veld_endpoint_parse("[2001:db8::1]:51820", &in.endpoint), 0);
    cr_assert_eq(veld_state_endpoints_load(state, &out, &n), 0);
    cr_assert_eq(n, 0);
    cr_assert_eq(veld_state_endpoints_store(state, &in, 1), 0);
    cr_assert_eq(veld_state_endpoints_load(state, &out, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_arr_eq(out[0].pub, in.pub, 32);
    cr_assert(veld_endpoint_equal(&out[0].endpoint, &in.endpoint));
    free(out);
    static const char *const bad[] = {"", "{", "{\"version\":2,\"endpoints\":{}}", "[]",
                                      "{\"version\":1,\"endpoints\":{\"x\":\"y\",\"z\":3}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(veld_file_replace(in_dir("endpoints.json"), bad[i], strlen(bad[i]), 0600),
                     0);
        cr_assert_eq(veld_state_endpoints_load(state, &out, &n), 0);
        cr_assert_eq(n, 0, "'%s'", bad[i]);
        free(out);
    }
}
