/* A state directory for a test: made before, removed with all that is in it after. */
#ifndef VELD_TESTS_STATE_DIR_H
#define VELD_TESTS_STATE_DIR_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char state_dir[64];

static void state_dir_make(void)
{
    strcpy(state_dir, "/tmp/veld-test-profile.XXXXXX");
    cr_assert_not_null(mkdtemp(state_dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void state_dir_remove(void)
{
    nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in it; of the last four calls. */
static const char *in_state_dir(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", state_dir, name);
    return path;
}

static inline mode_t mode_of(const char *name)
{
    struct stat st;
    cr_assert_eq(stat(in_state_dir(name), &st), 0, "%s", name);
    return st.st_mode & 07777;
}

static inline void write_text(const char *name, const char *text, mode_t mode)
{
    const char *path = in_state_dir(name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, mode), 0);
}

#endif
