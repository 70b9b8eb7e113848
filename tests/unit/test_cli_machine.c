#include "base/bytes.h"
#include "cli/coord/machine.h"

#include "../support/state_dir.h"

#include <fcntl.h>

static struct veld_diag diag;
static struct veld_machine machine;
static char name[VELD_LABEL_MAX + 1];

static void fini(void)
{
    veld_machine_close(&machine);
    chmod(state_dir, 0700);
    state_dir_remove();
}

TestSuite(cli_machine, .init = state_dir_make, .fini = fini, .timeout = 20);

static void know(const char *network)
{
    cr_assert_eq(veld_profile_write(state_dir, network, VELD_PROFILE_NETWORK, "x", 1, &diag),
                 0);
}

Test(cli_machine, opens_and_makes_what_is_missing)
{
    char deep[128];
    strcpy(deep, in_state_dir("deep/er"));
    cr_assert_eq(veld_machine_open(&machine, deep, &diag), 0, "%s", diag.text);
    cr_assert(machine.named);
    cr_assert_eq(mode_of("deep/er"), 0700);
    cr_assert_eq(veld_machine_identity(&machine, &diag), 0, "%s", diag.text);
    cr_assert_eq(mode_of("deep/er/identity"), 0600);
    uint8_t pub[32];
    memcpy(pub, machine.id->pub, 32);
    veld_machine_close(&machine);
    cr_assert_eq(veld_machine_open(&machine, deep, &diag), 0);
    cr_assert_eq(veld_machine_identity(&machine, &diag), 0);
    cr_assert_arr_eq(machine.id->pub, pub, 32);
}

Test(cli_machine, a_state_directory_of_others_is_refused)
{
    cr_assert_eq(chmod(state_dir, 0777), 0);
    cr_assert_eq(veld_machine_open(&machine, state_dir, &diag), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "chmod go-w"), "%s", diag.text);
}

/* As a user without rights. */
Test(cli_machine, one_that_cannot_be_written_says_sudo)
{
    cr_assert_eq(chmod(state_dir, 0755), 0);
    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    else
        cr_assert_eq(chmod(state_dir, 0555), 0);
    cr_assert_eq(veld_machine_open(&machine, state_dir, &diag), VELD_E_PERM, "%s", diag.text);
    cr_assert_not_null(strstr(diag.text, "run this with sudo"), "%s", diag.text);
    char below[128];
    strcpy(below, in_state_dir("below"));
    cr_assert_eq(veld_machine_open(&machine, below, &diag), VELD_E_PERM, "%s", diag.text);
    cr_assert_not_null(strstr(diag.text, "run this with sudo"), "%s", diag.text);
}

Test(cli_machine, the_only_network_is_meant)
{
    cr_assert_eq(veld_machine_open(&machine, state_dir, &diag), 0);
    cr_assert_eq(veld_machine_network(&machine, NULL, NULL, name, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "veld up --network NAME"), "%s", diag.text);
    know("mynet");
    cr_assert_eq(veld_machine_network(&machine, NULL, NULL, name, &diag), 0);
    cr_assert_str_eq(name, "mynet");
    cr_assert_str_eq(veld_machine_option(&machine, "mynet"), "");
    know("another");
    cr_assert_str_eq(veld_machine_option(&machine, "mynet"), " --network mynet");
    cr_assert_eq(veld_machine_network(&machine, NULL, NULL, name, &diag), VELD_E_STATE);
    cr_assert_not_null(strstr(diag.text, "another, mynet"), "%s", diag.text);
    cr_assert_eq(veld_machine_network(&machine, "MyNet", NULL, name, &diag), 0);
    cr_assert_str_eq(name, "mynet");
    cr_assert_eq(veld_machine_network(&machine, "../mynet", NULL, name, &diag), VELD_E_FORMAT);
    cr_assert_str_eq(name, "");
}

Test(cli_machine, names_as_typed)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "a.b",
                                      "a b",
                                      "../a",
                                      "\xc3\xa4",
                                      ("a123456789b123456789c123456789d123456789e123456789"
                                       "f123456789-123x")};
    cr_assert_eq(veld_label_typed("Server-1", "machine", name, &diag), 0);
    cr_assert_str_eq(name, "server-1");
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        cr_expect_eq(veld_label_typed(bad[i], "machine", name, &diag), VELD_E_FORMAT, "%s",
                     bad[i]);
        cr_expect_not_null(strstr(diag.text, "no name for a machine"), "%s", diag.text);
        cr_expect_str_eq(name, "");
    }
}
