#include "base/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/veld-test-file.XXXXXX";

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

TestSuite(file, .init = make_dir, .fini = remove_dir);

Test(file, replace_writes_whole_with_exact_mode)
{
    const char *path = in_dir("a");
    char buf[16];
    size_t len;
    struct stat st;
    umask(0077);
    cr_assert_eq(veld_file_replace(path, "one", 3, 0644), 0);
    cr_assert_eq(veld_file_replace(path, "two!", 4, 0640), 0);
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), 0);
    cr_assert_eq(len, 4);
    cr_assert_str_eq(buf, "two!");
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0640);
    unlink(path);
}

Test(file, create_never_overwrites)
{
    const char *path = in_dir("a");
    char buf[16];
    size_t len;
    cr_assert_eq(veld_file_create(path, "one", 3, 0600), 0);
    cr_assert_eq(veld_file_create(path, "two", 3, 0600), VELD_E_EXIST);
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), 0);
    cr_assert_str_eq(buf, "one");
    unlink(path);
}

Test(file, read_is_bounded)
{
    const char *path = in_dir("a");
    char buf[4];
    size_t len;
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), VELD_E_NOENT);
    cr_assert_eq(veld_file_replace(path, "four", 4, 0600), 0);
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), VELD_E_RANGE);
    cr_assert_eq(veld_file_replace(path, "thr", 3, 0600), 0);
    cr_assert_eq(veld_file_read(path, buf, sizeof buf, &len), 0);
    unlink(path);
}

Test(file, mkdirs_makes_each_once)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/x/y", dir);
    cr_assert_eq(veld_mkdirs(path, 0700), 0);
    cr_assert_eq(veld_mkdirs(path, 0700), 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    rmdir(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}
