#include "base/bytes.h"
#include "profile/server.h"

#include "../support/state_dir.h"

#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static struct veld_diag diag;
static struct veld_profile_coord coord;

static void fini(void)
{
    veld_profile_coord_clear(&coord);
    state_dir_remove();
}

TestSuite(profile_server, .init = state_dir_make, .fini = fini, .timeout = 20);

Test(profile_server, round_trip)
{
    struct veld_profile_coord in = {.address = "server:50051"};
    memset(in.certificate, 1, 32);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_NOENT);
    cr_assert_eq(veld_profile_coord_save(state_dir, NULL, &in, &diag), 0, "%s", diag.text);
    cr_assert_eq(mode_of("coord.json"), 0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(coord.address, "server:50051");
    cr_assert_null(coord.ca_path);
    cr_assert_arr_eq(coord.certificate, in.certificate, 32);
    veld_profile_coord_clear(&coord);

    char ca[] = "/etc/ca.pem";
    in.ca_path = ca;
    cr_assert_eq(veld_profile_coord_save(state_dir, "mynet", &in, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_profile_coord_load(state_dir, "mynet", &coord, &diag), 0);
    cr_assert_str_eq(coord.ca_path, ca);
    struct veld_profile_coord copy;
    cr_assert_eq(veld_profile_coord_copy(&copy, &coord, &diag), 0);
    cr_assert_neq(copy.ca_path, coord.ca_path);
    cr_assert_str_eq(copy.ca_path, ca);
    veld_profile_coord_clear(&copy);
}

Test(profile_server, what_could_not_be_read_is_not_written)
{
    char relative[] = "ca.pem";
    struct veld_profile_coord bad[] = {{.address = "server"},
                                       {.address = "Server:1"},
                                       {.address = "server:1", .ca_path = relative},
                                       {.address = ""}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_eq(veld_profile_coord_save(state_dir, NULL, &bad[i], &diag), VELD_E_INVAL,
                     "%zu", i);
    cr_assert_eq(access(in_state_dir("coord.json"), F_OK), -1);
}

/* Never "not logged in": that would ask for a new certificate to trust. */
Test(profile_server, a_broken_file_is_an_error_with_its_path_and_a_remedy)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"version\": 0}",
        "{\"version\": \"1\"}",
        "{\"version\": 1}",
        "{\"version\":1,\"address\":\"s:1\"}",
        "{\"version\":1,\"address\":\"s\",\"certificate\":\"" KEY "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"AQ==\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":7}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"ca\":\"x\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"more\":1}",
        "{\"version\":1,\"address\":\"s:1\",\"address\":\"t:1\",\"certificate\":\"" KEY "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\"} x",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_text("coord.json", bad[i], 0600);
        cr_expect_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_FORMAT,
                     "%s", bad[i]);
        cr_expect_not_null(strstr(diag.text, in_state_dir("coord.json")), "%s", diag.text);
        cr_expect_not_null(strstr(diag.text, "veld login"), "%s", diag.text);
        cr_expect_null(coord.ca_path);
        cr_expect_str_eq(coord.address, "");
    }
    write_text("coord.json", "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\"}",
               0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), 0, "%s", diag.text);
}

Test(profile_server, a_later_versions_file_is_said_to_be_one)
{
    write_text("coord.json", "{\"version\": 2, \"whatever\": []}", 0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_UNSUPPORTED);
    cr_assert_not_null(strstr(diag.text, "later version"), "%s", diag.text);
}
