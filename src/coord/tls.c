#include "coord/tls.h"

#include "base/file.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PEM_MAX     65536 /* bytes of a file, or of what the store has */
#define DAY_S       86400
#define SERIAL_BITS 127

void veld_tls_clear(struct veld_tls *t)
{
    if (t->key_pem)
        veld_wipe(t->key_pem, strlen(t->key_pem));
    free(t->key_pem);
    free(t->cert_pem);
    *t = (struct veld_tls){0};
}

char *veld_tls_fingerprint(const uint8_t certificate[32], char out[VELD_TLS_FINGERPRINT_STRLEN])
{
    char text[48];
    if (veld_base64_encode(text, sizeof text, certificate, 32) < 0)
        text[0] = '\0';
    snprintf(out, VELD_TLS_FINGERPRINT_STRLEN, "SHA256:%.43s", text); /* the 44th pads */
    return out;
}

/* OpenSSL's own reason, and none left behind for the next. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return text ? text : "unknown reason";
}

/* ---- PEM ---- */

static char *take_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = len > 0 ? malloc((size_t)len + 1) : NULL;
    if (text) {
        memcpy(text, data, (size_t)len);
        text[len] = '\0';
    }
    return text;
}

static char *cert_to_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_X509(bio, cert) ? take_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

static char *key_to_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wipes what it held */
    char *text = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                     ? take_text(bio)
                     : NULL;
    BIO_free(bio);
    return text;
}

static X509 *pem_to_cert(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return cert;
}

/* An encrypted key is refused instead of asking the terminal for its passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
    return -1;
}

static EVP_PKEY *pem_to_key(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return key;
}

/* What follows from the certificate itself. */
static int describe(struct veld_tls *t, X509 *cert)
{
    unsigned n = 0;
    struct tm tm;
    if (!X509_digest(cert, EVP_sha256(), t->certificate, &n) || n != sizeof t->certificate ||
        !ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
        return VELD_E_FORMAT;
    time_t end = timegm(&tm);
    t->not_after_s = end > 0 ? (uint64_t)end : 0;
    return 0;
}

/* `t` has both texts: do they hold what they should? `cert_name` and so on are for people. */
static int check(struct veld_tls *t, const char *cert_name, const char *key_name,
                 struct veld_diag *diag)
{
    int rc = 0;
    X509 *cert = pem_to_cert(t->cert_pem);
    EVP_PKEY *key = NULL;
    if (!cert)
        rc = veld_fail(diag, VELD_E_FORMAT, "%s holds no certificate in PEM (%s)", cert_name,
                       reason());
    else if (!(key = pem_to_key(t->key_pem)))
        rc = veld_fail(diag, VELD_E_FORMAT,
                       "%s holds no private key in PEM without a passphrase (%s)", key_name,
                       reason());
    else if (!X509_check_private_key(cert, key))
        rc = veld_fail(diag, VELD_E_KEY,
                       "the key in %s is not that of the certificate in %s; name the pair that "
                       "belongs together",
                       key_name, cert_name);
    else if ((rc = describe(t, cert)) < 0)
        veld_fail(diag, rc, "the certificate in %s cannot be used (%s)", cert_name, reason());
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(cert);
    return rc;
}

/* ---- Making ---- */

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *n = BN_new();
    bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
              BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return ok;
}

static bool set_name(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)VELD_TLS_NAME, -1, -1, 0) &&
           X509_set_issuer_name(cert, name);
}

/* From a day ago, for clients whose clocks are behind. */
static bool set_times(X509 *cert, uint64_t now_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)now_s - DAY_S) &&
           ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)now_s, VELD_TLS_YEARS * 365, 0);
}

static X509 *make_cert(EVP_PKEY *key, uint64_t now_s)
{
    X509 *cert = X509_new();
    if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) && set_name(cert) &&
        set_times(cert, now_s) && X509_set_pubkey(cert, key) &&
        add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
        add_extension(cert, NID_ext_key_usage, "serverAuth") &&
        add_extension(cert, NID_subject_alt_name, "DNS:" VELD_TLS_NAME) &&
        X509_sign(cert, key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

int veld_tls_make(struct veld_tls *out, uint64_t now_s, struct veld_diag *diag)
{
    *out = (struct veld_tls){0};
    int rc = 0;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? make_cert(key, now_s) : NULL;
    if (!cert || !(out->cert_pem = cert_to_pem(cert)) || !(out->key_pem = key_to_pem(key)) ||
        describe(out, cert) < 0) {
        rc = veld_fail(diag, VELD_E_IO, "cannot make a certificate: %s", reason());
        veld_tls_clear(out);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

/* ---- Files ---- */

/* A key that others may read is theirs, too: whoever has it is the server to all who pinned it. */
static int check_mode(const char *path, struct veld_diag *diag)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)))
        return veld_fail(diag, VELD_E_PERM,
                         "%s: mode %04o lets others than its owner use the server's key; mend "
                         "it with: chmod 600 %s",
                         path, (unsigned)(st.st_mode & 07777), path);
    return 0; /* of one that is not there, reading tells */
}

static int read_file(const char *path, char **out, struct veld_diag *diag)
{
    size_t len;
    char *text = malloc(PEM_MAX);
    if (!text)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    int rc = veld_file_read(path, text, PEM_MAX, &len);
    if (rc < 0) {
        free(text);
        return veld_fail(diag, rc, "cannot read %s: %s", path,
                         rc == VELD_E_RANGE ? "it is too long for a certificate or key"
                                            : strerror(errno));
    }
    *out = text;
    return 0;
}

int veld_tls_read(struct veld_tls *out, const char *cert_path, const char *key_path,
                  uint64_t now_s, struct veld_diag *diag)
{
    *out = (struct veld_tls){0};
    int rc = read_file(cert_path, &out->cert_pem, diag);
    if (rc == 0)
        rc = check_mode(key_path, diag);
    if (rc == 0)
        rc = read_file(key_path, &out->key_pem, diag);
    if (rc == 0)
        rc = check(out, cert_path, key_path, diag);
    if (rc == 0 && out->not_after_s <= now_s)
        rc = veld_fail(diag, VELD_E_RANGE,
                       "the certificate in %s has expired; renew it, or leave --tls-cert out: "
                       "the server then makes one that clients pin",
                       cert_path);
    if (rc < 0)
        veld_tls_clear(out);
    return rc;
}

/* ---- The store ---- */

/* The value, as text; the caller wipes and frees `*ctx`. */
static int take_bundle(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                       size_t value_len)
{
    char **text = ctx;
    if (key_len != strlen(VELD_TLS_STORE_KEY) || *text)
        return 0;
    if (value_len >= PEM_MAX)
        return VELD_E_FORMAT;
    *text = malloc(value_len + 1);
    if (!*text)
        return VELD_E_NOMEM;
    memcpy(*text, value, value_len);
    (*text)[value_len] = '\0';
    return 0;
}

static int from_bundle(struct veld_tls *out, const char *text, struct veld_diag *diag)
{
    X509 *cert = pem_to_cert(text);
    EVP_PKEY *key = pem_to_key(text);
    bool ok = cert && key && X509_check_private_key(cert, key) &&
              (out->cert_pem = cert_to_pem(cert)) && (out->key_pem = key_to_pem(key)) &&
              describe(out, cert) == 0;
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(cert);
    if (ok)
        return 0;
    veld_tls_clear(out);
    return veld_fail(diag, VELD_E_FORMAT,
                     "the server's certificate in the database is spoilt; bring the database "
                     "back from a backup (veld-coord backup makes them)");
}

int veld_tls_load(struct veld_tls *out, struct veld_store *store, struct veld_diag *diag)
{
    char *text = NULL;
    *out = (struct veld_tls){0};
    int rc = store->ops->scan(store, VELD_TLS_STORE_KEY, strlen(VELD_TLS_STORE_KEY),
                              take_bundle, &text);
    if (rc < 0)
        veld_fail(diag, rc, "cannot read the server's certificate from the database: %s",
                  veld_strerror(rc));
    else if (!text)
        rc = veld_fail(diag, VELD_E_NOENT,
                       "the database has no certificate yet: the server makes one when it "
                       "first starts");
    else
        rc = from_bundle(out, text, diag);
    if (text)
        veld_wipe(text, strlen(text));
    free(text);
    return rc;
}

static int put_bundle(struct veld_store *store, const char *text, struct veld_diag *diag)
{
    int rc = store->ops->begin(store);
    if (rc == 0) {
        rc = store->ops->put(store, VELD_TLS_STORE_KEY, strlen(VELD_TLS_STORE_KEY), text,
                             strlen(text));
        if (rc == 0)
            return store->ops->commit(store, diag);
        store->ops->abort(store);
    }
    return veld_fail(diag, rc, "cannot keep the server's certificate in the database: %s",
                     veld_strerror(rc));
}

int veld_tls_save(const struct veld_tls *t, struct veld_store *store, struct veld_diag *diag)
{
    size_t cert_len = strlen(t->cert_pem), key_len = strlen(t->key_pem);
    char *both = malloc(cert_len + key_len + 1);
    if (!both)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    memcpy(both, t->cert_pem, cert_len);
    memcpy(both + cert_len, t->key_pem, key_len + 1);
    int rc = put_bundle(store, both, diag);
    veld_wipe(both, cert_len + key_len);
    free(both);
    return rc;
}
