#include "base/bytes.h"
#include "profile/tokens.h"

#include "../support/state_dir.h"

static struct veld_diag diag;
static struct veld_made_token *tokens;
static size_t n;

static void fini(void)
{
    free(tokens);
    state_dir_remove();
}

TestSuite(profile_tokens, .init = state_dir_make, .fini = fini, .timeout = 60);

Test(profile_tokens, round_trip)
{
    struct veld_made_token in = {.created_s = 1000, .expires_s = 2000, .uses = 3, .flags = 2};
    memset(in.key, 0xab, sizeof in.key);
    in.n_routes = 1;
    cr_assert_eq(veld_prefix_parse("10.0.0.0/8", &in.routes[0]), 0);
    cr_assert_eq(veld_tokens_load(state_dir, "mynet", &tokens, &n, &diag), 0);
    cr_assert_eq(n, 0);
    free(tokens);
    cr_assert_eq(veld_tokens_add(state_dir, "mynet", &in, 1000, &diag), 0, "%s", diag.text);
    in.key[0] = 1;
    in.uses = UINT32_MAX;
    in.expires_s = 0;
    cr_assert_eq(veld_tokens_add(state_dir, "mynet", &in, 1000, &diag), 0, "%s", diag.text);
    cr_assert_eq(mode_of("networks/mynet/tokens.json"), 0600);
    cr_assert_eq(veld_tokens_load(state_dir, "mynet", &tokens, &n, &diag), 0, "%s", diag.text);
    cr_assert_eq(n, 2);
    cr_assert_eq(tokens[0].key[0], 0xab);
    cr_assert_eq(tokens[0].created_s, 1000);
    cr_assert_eq(tokens[0].expires_s, 2000);
    cr_assert_eq(tokens[0].uses, 3);
    cr_assert_eq(tokens[0].flags, 2);
    cr_assert_eq(tokens[0].n_routes, 1);
    cr_assert_eq(tokens[1].uses, UINT32_MAX);
    char id[VELD_TOKEN_ID_STRLEN];
    cr_assert_str_eq(veld_token_id(tokens[1].key, id), "01ababab");
}

Test(profile_tokens, those_that_ended_make_room)
{
    struct veld_made_token t = {.created_s = 1, .uses = 1};
    cr_assert_eq(veld_profile_make(state_dir, "mynet", &diag), 0);
    FILE *f = fopen(in_state_dir("networks/mynet/tokens.json"), "w");
    fputs("{\"version\":1,\"tokens\":[", f);
    for (int i = 0; i < VELD_TOKENS_MAX; i++)
        fprintf(f,
                "%s{\"key\":\"q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\",\"created\":1,"
                "\"expires\":%d,\"uses\":1,\"routes\":[],\"flags\":0}",
                i ? "," : "", i < 10 ? 100 : 0);
    fputs("]}", f);
    fclose(f);
    cr_assert_eq(veld_tokens_add(state_dir, "mynet", &t, 100, &diag), VELD_E_FULL,
                 "none ended");
    cr_assert_eq(veld_tokens_add(state_dir, "mynet", &t, 101, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_tokens_load(state_dir, "mynet", &tokens, &n, &diag), 0);
    cr_assert_eq(n, VELD_TOKENS_MAX - 10 + 1);
}

#define TOKEN(key, number)                                                                     \
    "{\"version\":1,\"tokens\":[{\"key\":\"" key                                               \
    "\",\"created\":1,\"expires\":2,\"uses\":" number ",\"routes\":[],\"flags\":0}]}"
#define KEY "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="

Test(profile_tokens, a_broken_file_is_an_error)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"version\":1}",
                                      "{\"version\":1,\"tokens\":{}}",
                                      "{\"version\":1,\"tokens\":[7]}",
                                      "{\"version\":1,\"tokens\":[{}]}",
                                      TOKEN("AQ==", "1"),
                                      TOKEN(KEY, "-1"),
                                      TOKEN(KEY, "4294967296"),
                                      TOKEN(KEY, "1.5"),
                                      TOKEN(KEY, "1,\"x\":2")};
    cr_assert_eq(veld_profile_make(state_dir, "mynet", &diag), 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_text("networks/mynet/tokens.json", bad[i], 0600);
        cr_expect_eq(veld_tokens_load(state_dir, "mynet", &tokens, &n, &diag), VELD_E_FORMAT,
                     "%s", bad[i]);
        cr_expect_not_null(strstr(diag.text, in_state_dir("networks/mynet/tokens.json")));
        cr_expect_null(tokens);
        struct veld_made_token t = {.uses = 1};
        cr_expect_eq(veld_tokens_add(state_dir, "mynet", &t, 1, &diag), VELD_E_FORMAT,
                     "it would be lost");
    }
    write_text("networks/mynet/tokens.json", TOKEN(KEY, "1"), 0600);
    cr_assert_eq(veld_tokens_load(state_dir, "mynet", &tokens, &n, &diag), 0, "%s", diag.text);
    cr_assert_eq(n, 1);
}
