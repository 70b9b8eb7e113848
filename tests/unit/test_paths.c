#include "base/paths.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void clean_environment(void)
{
    static const char *const variables[] = {"VELD_SOCKET",    "VELD_STATE_DIR",  "VELD_CONFIG",
                                            "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

TestSuite(paths, .init = clean_environment);

Test(paths, option_wins_over_environment_over_default)
{
    char path[PATH_MAX];
    cr_assert_eq(veld_path_socket(NULL, path), 0);
    cr_assert_str_eq(path, VELD_DEFAULT_SOCKET);
    setenv("VELD_SOCKET", "/tmp/e.sock", 1);
    cr_assert_eq(veld_path_socket(NULL, path), 0);
    cr_assert_str_eq(path, "/tmp/e.sock");
    cr_assert_eq(veld_path_socket("/tmp/o.sock", path), 0);
    cr_assert_str_eq(path, "/tmp/o.sock");
    setenv("VELD_SOCKET", "", 1);
    cr_assert_eq(veld_path_socket(NULL, path), 0);
    cr_assert_str_eq(path, VELD_DEFAULT_SOCKET);
}

Test(paths, state_dir_by_privilege)
{
    char path[PATH_MAX];
    setenv("XDG_STATE_HOME", "/x/state", 1);
    if (geteuid() == 0) {
        cr_assert_eq(veld_path_state_dir(NULL, path), 0);
        cr_assert_str_eq(path, VELD_DEFAULT_STATE_DIR);
        cr_assert_eq(seteuid(65534), 0);
    }
    cr_assert_eq(veld_path_state_dir(NULL, path), 0);
    cr_assert_str_eq(path, "/x/state/veld");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/home/ann", 1);
    cr_assert_eq(veld_path_state_dir(NULL, path), 0);
    cr_assert_str_eq(path, "/home/ann/.local/state/veld");
    cr_assert_eq(veld_path_state_dir("/s", path), 0);
    cr_assert_str_eq(path, "/s");
}

Test(paths, config_found_or_told_where_it_was_looked_for)
{
    char path[PATH_MAX], file[PATH_MAX], dir[] = "/tmp/veld-test-paths.XXXXXX";
    struct veld_diag diag;
    if (access(VELD_DEFAULT_CONFIG, F_OK) == 0)
        cr_skip_test("this machine has a " VELD_DEFAULT_CONFIG);
    cr_assert_not_null(mkdtemp(dir));
    setenv("XDG_CONFIG_HOME", dir, 1);
    snprintf(file, sizeof file, "%s/veld/config.toml", dir);
    cr_assert_eq(veld_path_config(NULL, path, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, file), "%s", diag.text);
    cr_assert_not_null(strstr(diag.text, VELD_DEFAULT_CONFIG), "%s", diag.text);

    *strrchr(file, '/') = '\0';
    cr_assert_eq(mkdir(file, 0755), 0);
    strcat(file, "/config.toml");
    FILE *f = fopen(file, "w");
    cr_assert_not_null(f);
    fclose(f);
    cr_assert_eq(veld_path_config(NULL, path, &diag), 0);
    cr_assert_str_eq(path, file);
    cr_assert_eq(veld_path_config("named-but-absent", path, &diag), 0);
    cr_assert_str_eq(path, "named-but-absent");

    unlink(file);
    *strrchr(file, '/') = '\0';
    rmdir(file);
    rmdir(dir);
}

Test(paths, too_long_is_refused)
{
    static char huge[PATH_MAX + 8];
    char path[PATH_MAX];
    memset(huge, 'a', sizeof huge - 1);
    cr_assert_eq(veld_path_socket(huge, path), VELD_E_RANGE);
}
