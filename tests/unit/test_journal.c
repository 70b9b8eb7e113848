#include "base/file.h"
#include "control/host/journal.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char state_a[96], state_b[96], target[96];
static struct veld_diag diag;

static void put(const char *path, const char *text)
{
    cr_assert_eq(veld_file_replace(path, text, strlen(text), 0644), 0);
}

static const char *get(const char *path)
{
    static char buf[VELD_JOURNAL_FILE_MAX + 1];
    size_t len;
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), 0, "%s", path);
    return buf;
}

static const char *undo_file(const char *state)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/undo.json", state);
    return path;
}

static void make_dirs(void)
{
    strcpy(dir, "/tmp/veld-test-journal.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(state_a, sizeof state_a, "%s/a", dir);
    snprintf(state_b, sizeof state_b, "%s/b", dir);
    snprintf(target, sizeof target, "%s/resolv.conf", dir);
    cr_assert_eq(mkdir(state_a, 0700) | mkdir(state_b, 0700), 0);
    put(target, "nameserver 192.0.2.1\n");
}

static void remove_dirs(void)
{
    unlink(target);
    rmdir(state_a);
    rmdir(state_b);
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

TestSuite(journal, .init = make_dirs, .fini = remove_dirs);

static struct veld_journal *open_at(const char *state)
{
    struct veld_journal *j = NULL;
    cr_assert_eq(veld_journal_open(&j, state, &diag), 0, "%s", diag.text);
    return j;
}

static void edit(struct veld_journal *j, const char *text)
{
    cr_assert_eq(veld_journal_edit(j, target, text, strlen(text), &diag), 0, "%s", diag.text);
}

static void insert(struct veld_journal *j, const char *line)
{
    cr_assert_eq(veld_journal_insert(j, target, line, &diag), 0, "%s", diag.text);
}

/* What a daemon killed after its changes leaves: the journal and the changed file. */
static void crash_after(void (*change)(struct veld_journal *))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct veld_journal *j;
        if (veld_journal_open(&j, state_a, &diag) < 0)
            _exit(1);
        change(j);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0);
}

static void change_content(struct veld_journal *j)
{
    edit(j, "changed\n");
}

static void change_lines(struct veld_journal *j)
{
    insert(j, "nameserver 127.0.86.1");
}

Test(journal, close_puts_back_newest_first)
{
    struct veld_journal *j = open_at(state_a);
    edit(j, "one\n");
    edit(j, "two\n");
    cr_assert_str_eq(get(target), "two\n");
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
    cr_assert_neq(access(undo_file(state_a), F_OK), 0);
}

Test(journal, bytes_are_exact)
{
    static const char odd[] = "\xff\xfe\0# latin-1: \xe9 no newline";
    cr_assert_eq(veld_file_replace(target, odd, sizeof odd - 1, 0644), 0);
    struct veld_journal *j = open_at(state_a);
    edit(j, "x");
    insert(j, "nameserver 127.0.86.1");
    veld_journal_close(j);
    char buf[128];
    size_t len;
    cr_assert_eq(veld_file_read(target, buf, sizeof buf, &len), 0);
    cr_assert_eq(len, sizeof odd - 1);
    cr_assert_eq(memcmp(buf, odd, len), 0);
}

Test(journal, nothing_happens_when_the_content_is_there)
{
    struct veld_journal *j = open_at(state_a);
    edit(j, "nameserver 192.0.2.1\n");
    cr_assert_neq(access(undo_file(state_a), F_OK), 0);
    veld_journal_close(j);
}

Test(journal, crash_after_edit_is_undone_at_next_open)
{
    crash_after(change_content);
    cr_assert_str_eq(get(target), "changed\n");
    struct veld_journal *j = open_at(state_a);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n", "before anything else is done");
    cr_assert_neq(access(undo_file(state_a), F_OK), 0);
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
}

Test(journal, crash_after_insert_is_undone_at_next_open)
{
    crash_after(change_lines);
    cr_assert_not_null(strstr(get(target), "\nnameserver 127.0.86.1\nnameserver 192.0.2.1\n"));
    struct veld_journal *j = open_at(state_a);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n", "before anything else is done");
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
}

/* Written down, but the file not yet changed. */
Test(journal, crash_between_journal_and_edit_changes_nothing)
{
    crash_after(change_content);
    put(target, "nameserver 192.0.2.1\n");
    veld_journal_close(open_at(state_a));
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");

    crash_after(change_lines);
    put(target, "nameserver 192.0.2.1\n");
    veld_journal_close(open_at(state_a));
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
}

Test(journal, entry_is_on_disk_before_the_file_changes)
{
    struct veld_journal *j = open_at(state_a);
    /* a journal that cannot be written: nothing may be changed */
    cr_assert_eq(mkdir(undo_file(state_a), 0700), 0);
    cr_assert_lt(veld_journal_edit(j, target, "x", 1, &diag), 0);
    cr_assert_lt(veld_journal_insert(j, target, "x", &diag), 0);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
    rmdir(undo_file(state_a));
    veld_journal_close(j);
}

Test(journal, a_foreign_change_stays)
{
    crash_after(change_content);
    put(target, "nameserver 198.51.100.7\n");
    veld_journal_close(open_at(state_a));
    cr_assert_str_eq(get(target), "nameserver 198.51.100.7\n");
    cr_assert_neq(access(undo_file(state_a), F_OK), 0);
}

Test(journal, inserted_line_leaves_a_file_that_others_changed)
{
    struct veld_journal *j = open_at(state_a);
    insert(j, "nameserver 127.0.86.1");
    char both[512];
    snprintf(both, sizeof both, "# by hand\n%soptions rotate\n", get(target));
    put(target, both);
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "# by hand\nnameserver 192.0.2.1\noptions rotate\n");
}

Test(journal, two_daemons_leave_in_either_order)
{
    for (int first = 0; first < 2; first++) {
        struct veld_journal *a = open_at(state_a);
        insert(a, "nameserver 127.0.86.1");
        struct veld_journal *b = open_at(state_b);
        insert(b, "nameserver 127.0.86.1"); /* as in two network namespaces */
        veld_journal_close(first == 0 ? a : b);
        const char *now = get(target);
        cr_assert_not_null(strstr(now, "nameserver 127.0.86.1\nnameserver 192.0.2.1\n"));
        cr_assert_not_null(strstr(now, first == 0 ? state_b : state_a));
        cr_assert_null(strstr(now, first == 0 ? state_a : state_b));
        veld_journal_close(first == 0 ? b : a);
        cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
    }
}

Test(journal, lines_left_by_a_lost_journal_are_adopted)
{
    crash_after(change_lines);
    cr_assert_eq(unlink(undo_file(state_a)), 0);
    struct veld_journal *j = open_at(state_a);
    insert(j, "nameserver 127.0.86.1");
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
}

Test(journal, missing_file_is_made_and_removed_again)
{
    unlink(target);
    struct veld_journal *j = open_at(state_a);
    cr_assert_eq(veld_journal_edit(j, target, "x", 1, &diag), VELD_E_NOENT);
    insert(j, "nameserver 127.0.86.1");
    cr_assert_not_null(strstr(get(target), "\nnameserver 127.0.86.1\n"));
    veld_journal_close(j);
    cr_assert_neq(access(target, F_OK), 0);

    put(target, ""); /* an empty file of somebody else's */
    j = open_at(state_a);
    insert(j, "nameserver 127.0.86.1");
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "");
}

Test(journal, dangling_link_is_left_alone)
{
    unlink(target);
    cr_assert_eq(symlink("/nonexistent/resolv.conf", target), 0);
    struct veld_journal *j = open_at(state_a);
    cr_assert_eq(veld_journal_insert(j, target, "x", &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, target));
    veld_journal_close(j);
}

Test(journal, symbolic_link_mode_and_owner_stay)
{
    char link_path[128];
    struct stat st;
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    cr_assert_eq(symlink("resolv.conf", link_path), 0);
    cr_assert_eq(chmod(target, 0640), 0);
    uid_t owners[] = {geteuid(), 12};
    for (size_t i = 0; i < (geteuid() == 0 ? 2 : 1); i++) {
        cr_assert_eq(chown(target, owners[i], (gid_t)-1), 0);
        struct veld_journal *j = open_at(state_a);
        cr_assert_eq(veld_journal_insert(j, link_path, "x", &diag), 0, "%s", diag.text);
        cr_assert_eq(lstat(link_path, &st), 0);
        cr_assert(S_ISLNK(st.st_mode));
        for (int closed = 0; closed < 2; closed++) {
            cr_assert_eq(stat(target, &st), 0);
            cr_assert_eq(st.st_mode & 07777, 0640);
            cr_assert_eq(st.st_uid, owners[i]);
            if (!closed)
                veld_journal_close(j);
        }
        cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
    }
    unlink(link_path);
}

Test(journal, hard_links_stay)
{
    char other[128];
    snprintf(other, sizeof other, "%s/other", dir);
    cr_assert_eq(link(target, other), 0);
    struct veld_journal *j = open_at(state_a);
    insert(j, "nameserver 127.0.86.1");
    cr_assert_not_null(strstr(get(other), "\nnameserver 127.0.86.1\n"));
    veld_journal_close(j);
    cr_assert_str_eq(get(other), "nameserver 192.0.2.1\n");
    unlink(other);
}

Test(journal, damaged_journal_is_refused_and_kept)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"version\": 2, \"changes\": []}",
        "{\"version\": 1}",
        "{\"version\": 1, \"changes\": [{}]}",
        "{\"version\": 1, \"changes\": [{\"path\": \"etc\", \"kind\": \"lines\", \"before\": "
        "\"\","
        " \"after\": \"\", \"created\": false}]}",
        "{\"version\": 1, \"changes\": [{\"path\": \"/x\", \"kind\": \"lines\", \"before\": "
        "\"!\","
        " \"after\": \"\", \"created\": false}]}",
        "{\"version\": 1, \"changes\": [{\"path\": \"/x\", \"kind\": \"else\", \"before\": "
        "\"\","
        " \"after\": \"\", \"created\": false}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct veld_journal *j = NULL;
        put(undo_file(state_a), bad[i]);
        cr_assert_eq(veld_journal_open(&j, state_a, &diag), VELD_E_FORMAT, "case %zu", i);
        cr_assert_null(j);
        cr_assert_not_null(strstr(diag.text, undo_file(state_a)));
        cr_assert_str_eq(get(undo_file(state_a)), bad[i]);
    }
    unlink(undo_file(state_a));
}

Test(journal, bounds)
{
    struct veld_journal *j = open_at(state_a);
    char text[8];
    for (int i = 0; i < VELD_JOURNAL_CHANGES_MAX; i++) {
        snprintf(text, sizeof text, "%d", i);
        edit(j, text);
    }
    cr_assert_eq(veld_journal_edit(j, target, "x", 1, &diag), VELD_E_FULL);
    static char large[VELD_JOURNAL_FILE_MAX + 1];
    cr_assert_eq(veld_journal_edit(j, target, large, sizeof large, &diag), VELD_E_RANGE);
    veld_journal_close(j);
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");

    cr_assert_eq(veld_file_replace(target, large, sizeof large, 0644), 0);
    j = open_at(state_a);
    cr_assert_eq(veld_journal_insert(j, target, "x", &diag), VELD_E_RANGE);
    veld_journal_close(j);
}

/* ---- with root: bind mounts and /proc, in namespaces of their own ---- */

static void own_namespaces(int flags)
{
    if (geteuid() != 0) {
        remove_dirs();
        cr_skip("needs root");
    }
    cr_assert_eq(unshare(flags), 0);
    if (flags & CLONE_NEWNS)
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

Test(journal, bind_mounted_file_is_written_in_place)
{
    own_namespaces(CLONE_NEWNS);
    char other[128];
    snprintf(other, sizeof other, "%s/other", dir);
    put(other, "nameserver 203.0.113.1\n");
    cr_assert_eq(mount(other, target, NULL, MS_BIND, NULL), 0);
    struct veld_journal *j = open_at(state_a);
    insert(j, "nameserver 127.0.86.1");
    cr_assert_not_null(strstr(get(other), "\nnameserver 127.0.86.1\nnameserver 203.0.113.1\n"));
    veld_journal_close(j);
    cr_assert_str_eq(get(other), "nameserver 203.0.113.1\n");

    cr_assert_eq(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    j = open_at(state_a);
    cr_assert_eq(veld_journal_insert(j, target, "x", &diag), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "read-only"));
    veld_journal_close(j);
    cr_assert_neq(access(undo_file(state_a), F_OK), 0);
    cr_assert_eq(umount(target), 0);
    unlink(other);
}

Test(journal, switches_in_proc)
{
    own_namespaces(CLONE_NEWNET);
    const char *path = "/proc/sys/net/ipv4/ip_forward";
    static const char *const ones[] = {"1", "1\n"}; /* reads back as the second */
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(get(path), "0\n");
        struct veld_journal *j = open_at(state_a);
        for (int again = 0; again < 2; again++)
            cr_assert_eq(veld_journal_edit(j, path, ones[i], strlen(ones[i]), &diag), 0, "%s",
                         diag.text);
        cr_assert_str_eq(get(path), "1\n");
        veld_journal_close(j);
        cr_assert_str_eq(get(path), "0\n");
    }
}

Test(journal, what_cannot_be_undone_is_kept)
{
    own_namespaces(CLONE_NEWNS);
    crash_after(change_lines);
    cr_assert_eq(mount(target, target, NULL, MS_BIND, NULL), 0);
    cr_assert_eq(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    veld_journal_close(open_at(state_a));
    cr_assert_eq(access(undo_file(state_a), F_OK), 0);
    cr_assert_eq(umount(target), 0);
    veld_journal_close(open_at(state_a));
    cr_assert_str_eq(get(target), "nameserver 192.0.2.1\n");
}
