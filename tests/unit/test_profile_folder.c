#include "base/bytes.h"
#include "profile/folder.h"

#include "../support/state_dir.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

static struct veld_diag diag;
static struct veld_blob blob;

static void fini(void)
{
    veld_blob_clear(&blob);
    state_dir_remove();
}

TestSuite(profile_folder, .init = state_dir_make, .fini = fini, .timeout = 60);

static int put(const char *network, const char *file, const char *text)
{
    return veld_profile_write(state_dir, network, file, text, strlen(text), &diag);
}

static int get(const char *network, const char *file)
{
    diag.text[0] = '\0';
    return veld_profile_read(state_dir, network, file, 64, &blob, &diag);
}

Test(profile_folder, what_is_written_is_read_and_nobody_elses)
{
    umask(0);
    cr_assert_eq(put("mynet", VELD_PROFILE_LEASE, "hello"), 0, "%s", diag.text);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), 0, "%s", diag.text);
    cr_assert_eq(blob.len, 5);
    cr_assert_arr_eq(blob.p, "hello", 5);
    cr_assert_eq(mode_of("networks"), 0700);
    cr_assert_eq(mode_of("networks/mynet"), 0700);
    cr_assert_eq(mode_of("networks/mynet/lease"), 0600);
    cr_assert_eq(put(NULL, VELD_PROFILE_COORD, "x"), 0, "%s", diag.text);
    cr_assert_eq(mode_of("coord.json"), 0600);
    cr_assert_eq(put("mynet", VELD_PROFILE_LEASE, ""), 0);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), 0);
    cr_assert_eq(blob.len, 0);
}

/* A name comes from a coord server, a token or a command line. */
Test(profile_folder, no_name_leads_elsewhere)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        "a/../b",
        "A",
        "a.b",
        "a b",
        "-a",
        "a-",
        "a\n",
        "\xc3\xa4",
        "networks/a",
        "~",
        "*",
        "a_b",
        "a123456789b123456789c123456789d123456789e123456789f123456789-123x"};
    int fd = -1;
    for (size_t i = 0; i < VELD_ARRAY_LEN(names); i++) {
        char path[VELD_PROFILE_PATH_MAX];
        const char *name = names[i];
        cr_expect_eq(put(name, VELD_PROFILE_LEASE, "x"), VELD_E_FORMAT, "%s", name);
        cr_expect_not_null(strstr(diag.text, "a-z"), "%s", diag.text);
        cr_expect_eq(get(name, VELD_PROFILE_LEASE), VELD_E_FORMAT, "%s", name);
        cr_expect_eq(veld_profile_make(state_dir, name, &diag), VELD_E_FORMAT, "%s", name);
        cr_expect_eq(veld_profile_remove(state_dir, name, &diag), VELD_E_FORMAT, "%s", name);
        cr_expect_eq(veld_profile_lock(state_dir, name, &fd, &diag), VELD_E_FORMAT, "%s", name);
        cr_expect_eq(veld_profile_unlink(state_dir, name, VELD_PROFILE_LEASE, &diag),
                     VELD_E_FORMAT, "%s", name);
        cr_expect_eq(veld_profile_path(state_dir, name, VELD_PROFILE_LEASE, path, &diag),
                     VELD_E_FORMAT, "%s", name);
        cr_expect_str_eq(path, "");
    }
    cr_assert_eq(access(in_state_dir("networks"), F_OK), -1, "something was made");
}

Test(profile_folder, no_file_is_another)
{
    static const char *const files[] = {"",       "..",   "../owner", "identity",
                                        "owner/", "lock", "Network",  "coord.json.x"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(files); i++) {
        cr_expect_eq(put("mynet", files[i], "x"), VELD_E_INVAL, "%s", files[i]);
        cr_expect_eq(get("mynet", files[i]), VELD_E_INVAL, "%s", files[i]);
    }
    cr_expect_eq(put(NULL, VELD_PROFILE_OWNER, "x"), VELD_E_INVAL, "a network's file alone");
    cr_assert_eq(access(in_state_dir("networks"), F_OK), -1, "something was made");
}

Test(profile_folder, what_cannot_be_ours_is_refused_with_its_path)
{
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), VELD_E_NOENT);
    cr_assert_eq(put("mynet", VELD_PROFILE_LEASE, "hello"), 0);
    cr_assert_eq(veld_profile_read(state_dir, "mynet", VELD_PROFILE_LEASE, 4, &blob, &diag),
                 VELD_E_RANGE);
    cr_assert_not_null(strstr(diag.text, in_state_dir("networks/mynet/lease")), "%s",
                       diag.text);
    cr_assert_null(blob.p);
    cr_assert_eq(veld_profile_read(state_dir, "mynet", VELD_PROFILE_LEASE, 5, &blob, &diag), 0);

    unlink(in_state_dir("networks/mynet/lease"));
    cr_assert_eq(mkfifo(in_state_dir("networks/mynet/lease"), 0600), 0);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), VELD_E_FORMAT, "a FIFO hangs who reads it");
    cr_assert_not_null(strstr(diag.text, "regular file"), "%s", diag.text);
}

Test(profile_folder, what_others_may_change_is_refused)
{
    cr_assert_eq(put("mynet", VELD_PROFILE_LEASE, "x"), 0);
    for (mode_t others = S_IWGRP; others >= S_IWOTH; others >>= 3) {
        cr_assert_eq(chmod(in_state_dir("networks/mynet/lease"), 0600 | others), 0);
        cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), VELD_E_PERM);
        cr_assert_not_null(strstr(diag.text, "chmod go-w"), "%s", diag.text);
    }
    cr_assert_eq(chmod(in_state_dir("networks/mynet/lease"), 0644), 0);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), 0, "others may look");
    cr_assert_eq(chmod(in_state_dir("networks/mynet"), 0770), 0);
    cr_assert_eq(put("mynet", VELD_PROFILE_LEASE, "y"), VELD_E_PERM);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), VELD_E_PERM,
                 "a folder's writer may replace");
    cr_assert_eq(chmod(in_state_dir("networks/mynet"), 0700), 0);
    cr_assert_eq(chmod(in_state_dir("networks"), 0777), 0);
    cr_assert_eq(get("mynet", VELD_PROFILE_LEASE), VELD_E_PERM);
    char **names;
    size_t n;
    cr_assert_eq(veld_profile_networks(state_dir, &names, &n, &diag), VELD_E_PERM);
    cr_assert_eq(n, 0);
}

Test(profile_folder, networks_are_listed_in_order)
{
    char **names = NULL;
    size_t n = 7;
    cr_assert_eq(veld_profile_networks(state_dir, &names, &n, &diag), 0, "%s", diag.text);
    cr_assert_eq(n, 0);
    veld_names_free(names, n);
    cr_assert_eq(put("zebra", VELD_PROFILE_NETWORK, "x"), 0);
    cr_assert_eq(put("ape", VELD_PROFILE_NETWORK, "x"), 0);
    cr_assert_eq(put("unfinished", VELD_PROFILE_COORD, "x"), 0);
    cr_assert_eq(mkdir(in_state_dir("networks/lost+found"), 0700), 0);
    cr_assert_eq(mkdir(in_state_dir("networks/Upper"), 0700), 0);
    write_text("networks/Upper/network", "x", 0600);
    cr_assert_eq(veld_profile_networks(state_dir, &names, &n, &diag), 0, "%s", diag.text);
    cr_assert_eq(n, 2);
    cr_assert_str_eq(names[0], "ape");
    cr_assert_str_eq(names[1], "zebra");
    veld_names_free(names, n);
}

Test(profile_folder, networks_are_bounded)
{
    char **names = NULL, name[16];
    size_t n;
    for (int i = 0; i <= VELD_PROFILE_NETWORKS_MAX; i++) {
        char path[64];
        snprintf(name, sizeof name, "n%d", i);
        cr_assert_eq(veld_profile_make(state_dir, name, &diag), 0);
        snprintf(path, sizeof path, "networks/%s/network", name);
        write_text(path, "", 0600);
        if (i + 1 == VELD_PROFILE_NETWORKS_MAX) {
            cr_assert_eq(veld_profile_networks(state_dir, &names, &n, &diag), 0);
            cr_assert_eq(n, VELD_PROFILE_NETWORKS_MAX);
            veld_names_free(names, n);
        }
    }
    cr_assert_eq(veld_profile_networks(state_dir, &names, &n, &diag), VELD_E_FULL);
    cr_assert_not_null(strstr(diag.text, "veld leave"), "%s", diag.text);
}

Test(profile_folder, removed_with_all_that_is_in_it)
{
    cr_assert_eq(put("mynet", VELD_PROFILE_OWNER, "x"), 0);
    cr_assert_eq(put("mynet", VELD_PROFILE_NETWORK, "x"), 0);
    cr_assert_eq(put("other", VELD_PROFILE_NETWORK, "x"), 0);
    write_text("networks/mynet/network.aBcDeF", "of a writer that was killed", 0600);
    write_text("precious", "x", 0600);
    cr_assert_eq(symlink(in_state_dir("precious"), in_state_dir("networks/mynet/link")), 0);
    cr_assert_eq(veld_profile_remove(state_dir, "mynet", &diag), 0, "%s", diag.text);
    cr_assert_eq(access(in_state_dir("networks/mynet"), F_OK), -1);
    cr_assert_eq(access(in_state_dir("networks/other/network"), F_OK), 0);
    cr_assert_eq(access(in_state_dir("precious"), F_OK), 0, "a link was followed");
    cr_assert_eq(veld_profile_remove(state_dir, "mynet", &diag), VELD_E_NOENT);
}

Test(profile_folder, one_file_removed)
{
    cr_assert_eq(put("mynet", VELD_PROFILE_REQUEST, "x"), 0);
    cr_assert_eq(veld_profile_unlink(state_dir, "mynet", VELD_PROFILE_REQUEST, &diag), 0);
    cr_assert_eq(get("mynet", VELD_PROFILE_REQUEST), VELD_E_NOENT);
    cr_assert_eq(veld_profile_unlink(state_dir, "mynet", VELD_PROFILE_REQUEST, &diag), 0);
}

Test(profile_folder, a_lock_keeps_others_waiting)
{
    int fd = -1, pipes[2];
    char byte;
    cr_assert_eq(veld_profile_lock(state_dir, "mynet", &fd, &diag), 0, "%s", diag.text);
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int own = -1;
        close(fd);
        int rc = veld_profile_lock(state_dir, "mynet", &own, &diag);
        if (write(pipes[1], "x", 1) != 1)
            _exit(2);
        _exit(rc == 0 ? 0 : 1);
    }
    close(pipes[1]);
    usleep(300000);
    int status;
    cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it did not wait");
    close(fd);
    cr_assert_eq(read(pipes[0], &byte, 1), 1);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(profile_folder, a_path_too_long_is_told)
{
    char path[PATH_MAX + 8];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(veld_profile_write(path, "mynet", VELD_PROFILE_LEASE, "x", 1, &diag),
                 VELD_E_RANGE);
    cr_assert_eq(veld_profile_read(path, "mynet", VELD_PROFILE_LEASE, 1, &blob, &diag),
                 VELD_E_RANGE);
}
