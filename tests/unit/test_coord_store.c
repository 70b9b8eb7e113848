/* The store on LMDB: whole batches or none, one server at a time, disks that are full. */
#include "coord/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The disk, as LMDB sees it: these stand before the C library's. `disk_fails_at` N makes
 * the N-th write or sync from then on fail, and with `disk_stays_broken` all that follow.
 */
static unsigned disk_ops, disk_fails_at;
static bool disk_stays_broken;

static bool disk_fails(void)
{
    if (disk_fails_at == 0)
        return false;
    disk_ops++;
    errno = EIO;
    return disk_ops == disk_fails_at || (disk_stays_broken && disk_ops > disk_fails_at);
}

__attribute__((visibility("default"))) ssize_t disk_pwrite(int fd, const void *p, size_t n,
                                                           off_t at) __asm__("pwrite");
ssize_t disk_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return disk_fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

__attribute__((visibility("default"))) ssize_t disk_writev(int fd, const struct iovec *v,
                                                           int n) __asm__("writev");
ssize_t disk_writev(int fd, const struct iovec *v, int n)
{
    return disk_fails() ? -1 : syscall(SYS_writev, fd, v, n);
}

__attribute__((visibility("default"))) int disk_sync(int fd) __asm__("fdatasync");
int disk_sync(int fd)
{
    return disk_fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static char dir[] = "/tmp/veld-test-store.XXXXXX";
static char path[80];
static struct veld_store *s;
static struct veld_diag diag;

static int remove_one(const char *p, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(p);
}

static void start(void)
{
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/peers.db", dir);
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
}

static void stop(void)
{
    s->ops->close(s);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(coord_store, .init = start, .fini = stop);

static void reopen(void)
{
    s->ops->close(s);
    s = NULL;
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
}

static int put(const char *key, const char *value)
{
    return s->ops->put(s, key, strlen(key), value, value ? strlen(value) : 0);
}

static char seen[4096];

static int see(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
               size_t value_len)
{
    size_t at = strlen(seen);
    snprintf(seen + at, sizeof seen - at, "%.*s=%.*s ", (int)key_len, (const char *)key,
             (int)value_len, (const char *)value);
    return ctx && strncmp((const char *)key, ctx, key_len) == 0 ? 42 : 0;
}

static const char *all(const char *prefix)
{
    seen[0] = '\0';
    cr_assert_eq(s->ops->scan(s, prefix, strlen(prefix), see, NULL), 0);
    return seen;
}

Test(coord_store, keeps_pairs_in_order)
{
    cr_assert_str_eq(all(""), "");
    cr_assert_eq(s->ops->begin(s), 0);
    put("b2", "y");
    put("a", "x");
    put("b10", "z");
    put("c", "");
    cr_assert_str_eq(all(""), "", "not before the commit");
    cr_assert_eq(s->ops->commit(s, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(all(""), "a=x b10=z b2=y c= ");
    cr_assert_str_eq(all("b"), "b10=z b2=y ");
    cr_assert_str_eq(all("bb"), "");
    seen[0] = '\0';
    cr_assert_eq(s->ops->scan(s, "", 0, see, (void *)(uintptr_t) "b10"), 42, "ended early");
    cr_assert_str_eq(seen, "a=x b10=z ");
    reopen();
    cr_assert_str_eq(all(""), "a=x b10=z b2=y c= ");
}

Test(coord_store, replaces_and_removes)
{
    cr_assert_eq(s->ops->begin(s), 0);
    put("a", "1");
    put("a", "2");
    put("b", "1");
    put("b", NULL);
    put("never there", NULL);
    cr_assert_eq(s->ops->commit(s, &diag), 0);
    cr_assert_str_eq(all(""), "a=2 ");
    cr_assert_eq(s->ops->begin(s), 0);
    put("a", NULL);
    put("c", "3");
    s->ops->abort(s);
    cr_assert_str_eq(all(""), "a=2 ");
    cr_assert_eq(s->ops->begin(s), 0);
    cr_assert_eq(s->ops->commit(s, &diag), 0);
    cr_assert_str_eq(all(""), "a=2 ", "what was aborted does not come back");
}

Test(coord_store, bounds)
{
    static char key[VELD_STORE_KEY_MAX + 1], value[VELD_STORE_VALUE_MAX + 1];
    memset(key, 'k', sizeof key);
    cr_assert_eq(s->ops->begin(s), 0);
    cr_assert_eq(s->ops->put(s, key, sizeof key, "v", 1), VELD_E_RANGE);
    cr_assert_eq(s->ops->put(s, key, 0, "v", 1), VELD_E_RANGE);
    cr_assert_eq(s->ops->put(s, "k", 1, value, sizeof value), VELD_E_RANGE);
    cr_assert_eq(s->ops->put(s, key, VELD_STORE_KEY_MAX, value, VELD_STORE_VALUE_MAX), 0);
    cr_assert_eq(s->ops->commit(s, &diag), 0, "%s", diag.text);
}

static size_t count_bytes;

static int count(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                 size_t value_len)
{
    for (size_t i = 0; i < value_len; i++)
        cr_assert_eq(value[i], key[0]);
    count_bytes += value_len;
    return 0;
}

static void write_mebibytes(uint8_t batch, uint8_t n)
{
    static uint8_t value[VELD_STORE_VALUE_MAX];
    memset(value, batch, sizeof value);
    cr_assert_eq(s->ops->begin(s), 0);
    for (uint8_t i = 0; i < n; i++)
        cr_assert_eq(s->ops->put(s, (uint8_t[]){batch, i}, 2, value, sizeof value), 0);
    cr_assert_eq(s->ops->commit(s, &diag), 0, "%s", diag.text);
}

/* Its map begins with 16 MiB: one batch that is larger, two that are together, and a file that is. */
Test(coord_store, grows)
{
    write_mebibytes(0, 17);
    write_mebibytes(1, 17);
    reopen();
    write_mebibytes(2, 4);
    count_bytes = 0;
    cr_assert_eq(s->ops->scan(s, "", 0, count, NULL), 0);
    cr_assert_eq(count_bytes, 38u << 20);
}

Test(coord_store, file_is_private)
{
    struct stat st;
    char lock[96];
    snprintf(lock, sizeof lock, "%s-lock", path);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat(lock, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

/* Runs in a child: LMDB is not to be opened twice in one process. 0: as expected. */
static int in_child(int (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(what());
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_refused(void)
{
    struct veld_store *other = NULL;
    int rc = veld_store_lmdb_open(&other, path, &diag);
    return rc == VELD_E_EXIST && !other && strstr(diag.text, "another veld-coord") ? 0 : 1;
}

static int open_works(void)
{
    struct veld_store *other = NULL;
    return veld_store_lmdb_open(&other, path, &diag) == 0 ? 0 : 1;
}

/* A backup that was put back by hand: the server's key is in it. */
Test(coord_store, a_file_that_others_may_use_is_mended)
{
    static const mode_t loose[] = {0644, 0640, 0606, 0660};
    struct stat st;
    s->ops->close(s);
    s = NULL;
    for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
        cr_assert_eq(chmod(path, loose[i]), 0);
        cr_assert_eq(in_child(open_works), 0);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0600, "%o", (unsigned)loose[i]);
    }
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
}

Test(coord_store, one_server_at_a_time)
{
    cr_assert_eq(in_child(open_refused), 0);
    s->ops->close(s);
    cr_assert_eq(in_child(open_works), 0, "and one that died is gone");
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
    cr_assert_eq(in_child(open_refused), 0);
}

static char copy[80];

static int backup_beside(void)
{
    return veld_store_lmdb_backup(path, copy, &diag) == 0 ? 0 : 1;
}

Test(coord_store, backup)
{
    struct stat st;
    snprintf(copy, sizeof copy, "%s/copy.db", dir);
    cr_assert_eq(s->ops->begin(s), 0);
    put("a", "1");
    cr_assert_eq(s->ops->commit(s, &diag), 0);
    cr_assert_eq(s->ops->backup(s, copy, &diag), 0, "%s", diag.text);
    cr_assert_eq(s->ops->backup(s, copy, &diag), VELD_E_EXIST, "never over another file");
    cr_assert_eq(stat(copy, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    unlink(copy);
    cr_assert_eq(in_child(backup_beside), 0, "by another process");
    cr_assert_eq(s->ops->begin(s), 0);
    put("a", "2");
    cr_assert_eq(s->ops->commit(s, &diag), 0);
    s->ops->close(s);
    snprintf(path, sizeof path, "%s", copy);
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(all(""), "a=1 ");
}

static void refused(const char *bad_path, int wanted, const char *word)
{
    struct veld_store *other = NULL;
    diag.text[0] = '\0';
    cr_assert_eq(veld_store_lmdb_open(&other, bad_path, &diag), wanted, "%s", diag.text);
    cr_assert_null(other);
    cr_assert_not_null(strstr(diag.text, word), "%s", diag.text);
}

Test(coord_store, what_cannot_be_opened)
{
    char bad[96];
    struct veld_diag no;
    snprintf(bad, sizeof bad, "%s/no/where", dir);
    refused(bad, VELD_E_IO, "No such file");
    refused(dir, VELD_E_IO, "directory");
    snprintf(bad, sizeof bad, "%s/other", dir);
    FILE *f = fopen(bad, "w");
    for (int i = 0; i < 5000; i++)
        fputs("no database ", f);
    fclose(f);
    refused(bad, VELD_E_FORMAT, "is no database of veld-coord");
    cr_assert_eq(truncate(bad, 100), 0);
    refused(bad, VELD_E_FORMAT, "is no database of veld-coord");
    snprintf(bad, sizeof bad, "%s/nothing", dir);
    cr_assert_eq(veld_store_lmdb_backup(bad, "/tmp/x", &no), VELD_E_NOENT);
}

/* A batch of some 600 KiB; its result. */
static int write_much(char fill)
{
    static char value[60000];
    memset(value, fill, sizeof value);
    cr_assert_eq(s->ops->begin(s), 0);
    for (char i = 'a'; i <= 'j'; i++)
        cr_assert_eq(s->ops->put(s, &i, 1, value, sizeof value), 0);
    return s->ops->commit(s, &diag);
}

static int check(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                 size_t value_len)
{
    if (value_len != 60000 || value[0] != *(const char *)ctx || value[59999] != value[0])
        return 1;
    count_bytes += value_len;
    return 0;
}

/* All that was written before is there, and nothing of what failed. */
static bool holds(char fill)
{
    count_bytes = 0;
    return s->ops->scan(s, "", 0, check, &fill) == 0 && count_bytes == 600000;
}

static void fill_up(int (*more)(void), int (*less)(void))
{
    cr_assert_eq(write_much('1'), 0, "%s", diag.text);
    cr_assert_eq(more(), 0);
    bool failed = false;
    for (int i = 0; i < 3; i++) { /* until LMDB's free pages are used up */
        if (write_much('2') == 0)
            cr_assert_eq(write_much('1'), 0);
        else
            failed = true;
        if (failed)
            break;
    }
    cr_assert(failed, "the disk was not full");
    cr_assert_not_null(strstr(diag.text, path), "%s", diag.text);
    cr_assert_not_null(strstr(diag.text, "make room"), "%s", diag.text);
    cr_assert(holds('1'));
    cr_assert_lt(write_much('3'), 0, "it still is");
    cr_assert(holds('1'));
    cr_assert_eq(less(), 0);
    cr_assert_eq(write_much('4'), 0, "%s", diag.text);
    cr_assert(holds('4'));
    reopen();
    cr_assert(holds('4'));
}

static int limit_file(void)
{
    struct stat st;
    signal(SIGXFSZ, SIG_IGN);
    if (stat(path, &st) < 0)
        return -1;
    struct rlimit r = {.rlim_cur = (rlim_t)st.st_size + 300000, .rlim_max = RLIM_INFINITY};
    return setrlimit(RLIMIT_FSIZE, &r);
}

static int unlimit_file(void)
{
    struct rlimit r = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    return setrlimit(RLIMIT_FSIZE, &r);
}

Test(coord_store, file_that_may_not_grow)
{
    fill_up(limit_file, unlimit_file);
}

static char ballast[80];

static int fill_disk(void)
{
    static char block[65536];
    int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof block) > 0)
        ;
    return close(fd);
}

static int free_disk(void)
{
    return unlink(ballast);
}

/* A disk of 4 MiB, in a mount namespace of this test's. */
Test(coord_store, disk_that_is_full)
{
    char disk[80];
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("needs root, for a small disk of its own");
    snprintf(disk, sizeof disk, "%s/disk", dir);
    cr_assert_eq(mkdir(disk, 0700), 0);
    cr_assert_eq(mount("tmpfs", disk, "tmpfs", 0, "size=4m"), 0, "%s", strerror(errno));
    s->ops->close(s);
    snprintf(path, sizeof path, "%s/disk/peers.db", dir);
    snprintf(ballast, sizeof ballast, "%s/disk/ballast", dir);
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
    fill_up(fill_disk, free_disk);
    s->ops->close(s);
    cr_assert_eq(umount(disk), 0);
    snprintf(path, sizeof path, "%s/peers.db", dir);
    cr_assert_eq(veld_store_lmdb_open(&s, path, &diag), 0, "%s", diag.text);
}

/* Each write and each sync of a batch: it holds or it does not, and the store goes on. */
Test(coord_store, every_write_and_sync_fails)
{
    unsigned failed = 0;
    for (int stays = 0; stays < 2; stays++) {
        for (unsigned n = 1; n <= 200; n++) {
            disk_fails_at = 0;
            cr_assert_eq(write_much('1'), 0, "%s", diag.text);
            disk_stays_broken = stays;
            disk_ops = 0;
            disk_fails_at = n;
            int rc = write_much('2');
            bool reached = disk_ops >= n;
            disk_fails_at = 0;
            if (!reached)
                break; /* it needs no more than that */
            failed += rc < 0;
            /* What failed is not there; what could not even be taken back may be, but whole. */
            cr_assert(holds(rc < 0 ? '1' : '2') || (stays && holds('2')), "operation %u", n);
            cr_assert_eq(write_much('3'), 0, "after operation %u: %s", n, diag.text);
            cr_assert(holds('3'));
            reopen();
            cr_assert(holds('3'));
        }
    }
    cr_assert_geq(failed, 6, "%u", failed);
}
