#include "crypto/secret_file.h"

#include "base/file.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_LEN VELD_SECRET_TEXT_LEN

static int open_secret(const char *path, const char *what, const char *remedy,
                       struct veld_diag *diag)
{
    /* NONBLOCK: a FIFO in the secret's place must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return fd;
    if (errno == ENOENT || errno == ENOTDIR)
        return veld_fail(diag, VELD_E_NOENT, "%s: there is no %s file; make one with: %s", path,
                         what, remedy);
    if (errno == EACCES || errno == EPERM)
        return veld_fail(diag, VELD_E_PERM, "%s: not allowed to read the %s file: %s", path,
                         what, strerror(errno));
    return veld_fail(diag, VELD_E_IO, "%s: cannot open the %s file: %s", path, what,
                     strerror(errno));
}

/*
 * The mode that counts is that of the file which was opened, so a symbolic link
 * may lead to it (as managed secrets often do) without a race.
 */
static int look_at(int fd, const char *path, const char *what, struct stat *st,
                   struct veld_diag *diag)
{
    if (fstat(fd, st) < 0)
        return veld_fail(diag, VELD_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st->st_mode))
        return veld_fail(diag, VELD_E_FORMAT, "%s: the %s is not a regular file", path, what);
    return 0;
}

static bool is_open_to_others(const struct stat *st)
{
    return st->st_mode & (S_IRWXG | S_IRWXO);
}

static int check_mode(const struct stat *st, const char *path, struct veld_diag *diag)
{
    if (is_open_to_others(st))
        return veld_fail(diag, VELD_E_PERM,
                         "%s: mode %04o lets others than its owner use the secret; mend it "
                         "with: chmod 600 %s",
                         path, (unsigned)(st->st_mode & 07777), path);
    return 0;
}

/* The secret from an open file. `text` is the caller's, to be wiped. */
static int read_text(int fd, const char *path, const char *what, const char *remedy,
                     char text[TEXT_LEN + 2], uint8_t out[32], struct veld_diag *diag)
{
    ssize_t n = TEMP_FAILURE_RETRY(read(fd, text, TEXT_LEN + 2));
    if (n < 0)
        return veld_fail(diag, VELD_E_IO, "%s: %s", path, strerror(errno));
    if (n == TEXT_LEN + 2 && text[TEXT_LEN] == '\r')
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s: the %s file has a CR before its newline; mend it with: "
                         "sed -i 's/\\r$//' %s",
                         path, what, path);
    if (n != TEXT_LEN + 1 || text[TEXT_LEN] != '\n' ||
        veld_base64_decode(out, 32, text, TEXT_LEN) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s: does not hold 32 bytes in base64 (44 characters and a newline), "
                         "as the %s file must; restore it from a backup, or move it away and "
                         "run: %s",
                         path, what, remedy);
    return 0;
}

int veld_secret_file_read(const char *path, const char *what, const char *remedy,
                          uint8_t out[32], struct veld_diag *diag)
{
    char text[TEXT_LEN + 2];
    struct stat st;
    memset(out, 0, 32);
    int fd = open_secret(path, what, remedy, diag);
    if (fd < 0)
        return fd;
    int rc = look_at(fd, path, what, &st, diag);
    if (rc == 0)
        rc = read_text(fd, path, what, remedy, text, out, diag);
    if (rc == VELD_E_FORMAT && S_ISREG(st.st_mode) && is_open_to_others(&st))
        rc = veld_fail(diag, rc, /* some other file: it is not to be moved away */
                       "%s: is no %s file, which holds 32 bytes in base64 (44 characters and a "
                       "newline); name the right one",
                       path, what);
    if (rc == 0)
        rc = check_mode(&st, path, diag);
    close(fd);
    veld_wipe(text, sizeof text);
    if (rc < 0)
        veld_wipe(out, 32);
    return rc;
}

int veld_secret_file_create(const char *path, const char *what, const uint8_t secret[32],
                            struct veld_diag *diag)
{
    char text[TEXT_LEN + 2];
    int rc = veld_base64_encode(text, sizeof text, secret, 32);
    if (rc == 0) {
        text[TEXT_LEN] = '\n';
        rc = veld_file_create(path, text, TEXT_LEN + 1, 0600);
    }
    int saved_errno = errno;
    veld_wipe(text, sizeof text);
    if (rc == VELD_E_EXIST)
        return veld_fail(diag, rc, "%s: already exists; an %s is never overwritten", path,
                         what);
    if (rc < 0)
        return veld_fail(diag, rc, "%s: cannot write the %s: %s%s", path, what,
                         strerror(saved_errno),
                         rc == VELD_E_NOENT ? "; make its directory first" : "");
    return 0;
}
