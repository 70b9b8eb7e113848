#include "cli/coord/token_text.h"

#include "crypto/primitives.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_fd(int fd, const char *name, struct veld_token_text *t, struct veld_diag *diag)
{
    size_t n = 0;
    while (n < sizeof t->text) {
        ssize_t got = TEMP_FAILURE_RETRY(read(fd, t->text + n, sizeof t->text - n));
        if (got < 0)
            return veld_fail(diag, VELD_E_IO, "cannot read the token from %s: %s", name,
                             strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n == sizeof t->text)
        return veld_fail(diag, VELD_E_FORMAT, "what %s holds is too long for a join token",
                         name);
    t->text[n] = '\0';
    if (strlen(t->text) != n)
        return veld_fail(diag, VELD_E_FORMAT, "what %s holds is no join token", name);
    return 0;
}

static int read_file(const char *path, struct veld_token_text *t, struct veld_diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return veld_fail(diag, errno == ENOENT ? VELD_E_NOENT : VELD_E_IO,
                         "cannot open the token file %s: %s", path, strerror(errno));
    int rc = read_fd(fd, path, t, diag);
    close(fd);
    return rc;
}

/* Out of what `ps` shows, whether it is good for anything or not. */
static int take_argument(char *argument, struct veld_token_text *t, struct veld_diag *diag)
{
    size_t len = strlen(argument);
    bool fits = len < sizeof t->text;
    if (fits)
        memcpy(t->text, argument, len + 1);
    veld_wipe(argument, len);
    return fits ? 0 : veld_fail(diag, VELD_E_FORMAT, "it is too long for a join token");
}

/* Mail and terminals fold lines: a token has no white space of its own. */
static void drop_space(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (!isspace((unsigned char)*from))
            *to++ = *from;
    }
    veld_wipe(to, strlen(to));
}

static int fail_empty(const char *argument, const char *file, struct veld_diag *diag)
{
    if (file)
        return veld_fail(diag, VELD_E_FORMAT, "the token file %s is empty", file);
    return veld_fail(diag, VELD_E_FORMAT,
                     argument[0] == '-' ? "standard input was empty, where a join token was to "
                                          "be"
                                        : "the join token is empty; it is one word that begins "
                                          "with veld1");
}

int veld_token_text_take(struct veld_token_text **out, char *argument, const char *file,
                         struct veld_diag *diag)
{
    struct veld_token_text *t = veld_secure_alloc(sizeof *t);
    const char *from = argument && strcmp(argument, "-") == 0 ? "-" : "";
    int rc;
    if (!t) {
        if (argument)
            veld_wipe(argument, strlen(argument));
        return veld_fail(diag, VELD_E_NOMEM, "no guarded memory for the token");
    }
    if (file)
        rc = read_file(file, t, diag);
    else if (from[0])
        rc = read_fd(STDIN_FILENO, "standard input", t, diag);
    else
        rc = take_argument(argument, t, diag);
    if (rc == 0) {
        drop_space(t->text);
        rc = t->text[0] ? 0 : fail_empty(from, file, diag);
    }
    if (rc < 0) {
        veld_token_text_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void veld_token_text_free(struct veld_token_text *t)
{
    veld_secure_free(t);
}
