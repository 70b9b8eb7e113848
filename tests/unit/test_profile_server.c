#include "base/bytes.h"
#include "profile/server.h"

#include "../support/state_dir.h"

#define PEM "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n"
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
    char pem[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    struct veld_profile_coord in = {.address = "server:50051", .pem = pem};
    memset(in.certificate, 1, 32);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_NOENT);
    cr_assert_eq(veld_profile_coord_save(state_dir, NULL, &in, &diag), 0, "%s", diag.text);
    cr_assert_eq(mode_of("coord.json"), 0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(coord.address, "server:50051");
    cr_assert_str_eq(coord.pem, pem);
    cr_assert_null(coord.ca_path);
    cr_assert_arr_eq(coord.certificate, in.certificate, 32);
    veld_profile_coord_clear(&coord);
    cr_assert_null(coord.pem);

    char ca[] = "/etc/ca.pem";
    in.ca_path = ca;
    cr_assert_eq(veld_profile_coord_save(state_dir, "mynet", &in, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_profile_coord_load(state_dir, "mynet", &coord, &diag), 0);
    cr_assert_str_eq(coord.ca_path, ca);
    struct veld_profile_coord copy;
    cr_assert_eq(veld_profile_coord_copy(&copy, &coord, &diag), 0);
    cr_assert_str_eq(copy.pem, pem);
    cr_assert_neq(copy.pem, coord.pem);
    cr_assert_str_eq(copy.ca_path, ca);
    veld_profile_coord_clear(&copy);
}

Test(profile_server, what_could_not_be_read_is_not_written)
{
    char pem[] = "no certificate", good[] = "-----BEGIN CERTIFICATE-----\n",
         relative[] = "ca.pem";
    struct veld_profile_coord bad[] = {
        {.address = "server:1", .pem = pem},
        {.address = "server", .pem = good},
        {.address = "Server:1", .pem = good},
        {.address = "server:1", .pem = good, .ca_path = relative},
        {.address = "server:1"}};
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
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\"}",
        "{\"version\":1,\"address\":\"s\",\"certificate\":\"" KEY "\",\"pem\":\"" PEM "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"AQ==\",\"pem\":\"" PEM "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":7,\"pem\":\"" PEM "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"pem\":\"x\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"pem\":\"" PEM
        "\",\"ca\":\"x\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"pem\":\"" PEM
        "\",\"more\":1}",
        "{\"version\":1,\"address\":\"s:1\",\"address\":\"t:1\",\"certificate\":\"" KEY
        "\",\"pem\":\"" PEM "\"}",
        "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"pem\":\"" PEM "\"} x",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_text("coord.json", bad[i], 0600);
        cr_expect_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_FORMAT,
                     "%s", bad[i]);
        cr_expect_not_null(strstr(diag.text, in_state_dir("coord.json")), "%s", diag.text);
        cr_expect_not_null(strstr(diag.text, "veld login"), "%s", diag.text);
        cr_expect_null(coord.pem);
        cr_expect_str_eq(coord.address, "");
    }
    write_text("coord.json",
               "{\"version\":1,\"address\":\"s:1\",\"certificate\":\"" KEY "\",\"pem\":\"" PEM
               "\"}",
               0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), 0, "%s", diag.text);
}

Test(profile_server, a_later_versions_file_is_said_to_be_one)
{
    write_text("coord.json", "{\"version\": 2, \"whatever\": []}", 0600);
    cr_assert_eq(veld_profile_coord_load(state_dir, NULL, &coord, &diag), VELD_E_UNSUPPORTED);
    cr_assert_not_null(strstr(diag.text, "later version"), "%s", diag.text);
}
