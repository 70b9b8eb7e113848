#include "crypto/identity.h"

#include "base/bytes.h"
#include "base/file.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_LEN 44 /* base64 of 32 bytes */

/* ---- in memory ---- */

static void derive(struct veld_identity *id)
{
    veld_ed25519_keypair(id->seed, id->pub);
    veld_ed25519_secret_to_x25519(id->x_secret, id->seed);
    veld_x25519_public(id->x_pub, id->x_secret);
}

struct veld_identity *veld_identity_generate(void)
{
    struct veld_identity *id = veld_secure_alloc(sizeof *id);
    if (!id)
        return NULL;
    veld_random(id->seed, sizeof id->seed);
    derive(id);
    return id;
}

struct veld_identity *veld_identity_from_seed(const uint8_t seed[32])
{
    struct veld_identity *id = veld_secure_alloc(sizeof *id);
    if (!id)
        return NULL;
    memcpy(id->seed, seed, sizeof id->seed);
    derive(id);
    return id;
}

void veld_identity_free(struct veld_identity *id)
{
    veld_secure_free(id);
}

/* ---- on disk ---- */

static int open_identity(const char *path, struct veld_diag *diag)
{
    /* NONBLOCK: a FIFO in the key's place must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return fd;
    if (errno == ENOENT || errno == ENOTDIR)
        return veld_fail(diag, VELD_E_NOENT,
                         "%s: there is no identity file; make one with: veld keygen %s", path,
                         path);
    if (errno == EACCES || errno == EPERM)
        return veld_fail(diag, VELD_E_PERM, "%s: not allowed to read the identity file: %s",
                         path, strerror(errno));
    return veld_fail(diag, VELD_E_IO, "%s: cannot open the identity file: %s", path,
                     strerror(errno));
}

/*
 * The mode that counts is that of the file which was opened, so a symbolic link
 * may lead to it (as managed secrets often do) without a race.
 */
static int check_mode(int fd, const char *path, struct veld_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return veld_fail(diag, VELD_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return veld_fail(diag, VELD_E_FORMAT, "%s: the identity is not a regular file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return veld_fail(diag, VELD_E_PERM,
                         "%s: mode %04o lets others than its owner use the secret key; mend it "
                         "with: chmod 600 %s",
                         path, (unsigned)(st.st_mode & 07777), path);
    return 0;
}

/* The seed from an open file. `text` is the caller's, to be wiped. */
static int read_seed(int fd, const char *path, char text[TEXT_LEN + 2], uint8_t seed[32],
                     struct veld_diag *diag)
{
    ssize_t n = TEMP_FAILURE_RETRY(read(fd, text, TEXT_LEN + 2));
    if (n < 0)
        return veld_fail(diag, VELD_E_IO, "%s: %s", path, strerror(errno));
    if (n == TEXT_LEN + 2 && text[TEXT_LEN] == '\r')
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s: the identity file has a CR before its newline; mend it with: "
                         "sed -i 's/\\r$//' %s",
                         path, path);
    if (n != TEXT_LEN + 1 || text[TEXT_LEN] != '\n' ||
        veld_base64_decode(seed, 32, text, TEXT_LEN) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s: not an identity file (44 base64 characters and a newline); "
                         "restore it from a backup, or move it away and run: veld keygen %s",
                         path, path);
    return 0;
}

int veld_identity_load(const char *path, struct veld_identity **out, struct veld_diag *diag)
{
    int fd = open_identity(path, diag);
    if (fd < 0)
        return fd;
    char text[TEXT_LEN + 2];
    uint8_t seed[32];
    int rc = check_mode(fd, path, diag);
    if (rc == 0)
        rc = read_seed(fd, path, text, seed, diag);
    close(fd);
    if (rc == 0) {
        struct veld_identity *id = veld_identity_from_seed(seed);
        if (id)
            *out = id;
        else
            rc = veld_fail(diag, VELD_E_NOMEM, "%s: no guarded memory for the identity", path);
    }
    veld_wipe(text, sizeof text);
    veld_wipe(seed, sizeof seed);
    return rc;
}

int veld_identity_save(const struct veld_identity *id, const char *path, struct veld_diag *diag)
{
    char text[TEXT_LEN + 2];
    int rc = veld_base64_encode(text, sizeof text, id->seed, sizeof id->seed);
    if (rc == 0) {
        text[TEXT_LEN] = '\n';
        rc = veld_file_create(path, text, TEXT_LEN + 1, 0600);
    }
    int saved_errno = errno;
    veld_wipe(text, sizeof text);
    if (rc == VELD_E_EXIST)
        return veld_fail(diag, rc, "%s: already exists; an identity is never overwritten",
                         path);
    if (rc < 0)
        return veld_fail(diag, rc, "%s: cannot write the identity: %s", path,
                         strerror(saved_errno));
    return 0;
}

/* ---- public keys as text ---- */

void veld_pubkey_format(const uint8_t pub[32], char out[VELD_PUBKEY_STRLEN])
{
    if (veld_base64_encode(out, VELD_PUBKEY_STRLEN, pub, 32) < 0)
        out[0] = '\0';
}

int veld_pubkey_parse(const char *text, uint8_t pub[32])
{
    uint8_t key[32], x_public[32];
    if (veld_base64_decode(key, sizeof key, text, strlen(text)) < 0)
        return VELD_E_FORMAT;
    int rc = veld_ed25519_public_to_x25519(x_public, key);
    if (rc == 0)
        memcpy(pub, key, sizeof key);
    return rc;
}

void veld_pubkey_fingerprint(const uint8_t pub[32], char out[VELD_FINGERPRINT_STRLEN])
{
    uint8_t hash[VELD_HASH_SIZE];
    veld_sha256(hash, &(struct veld_bytes){pub, 32}, 1);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
