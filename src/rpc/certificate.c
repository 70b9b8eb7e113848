#include "rpc/certificate.h"

#include "crypto/primitives.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define PREFIX     "SHA256:"
#define BASE64_LEN 43 /* of 32 bytes, without the padding that follows */

#define CHAIN_MAX      10
#define SECURITY_LEVEL 2 /* OpenSSL's: 112 bits, so no SHA-1 */

char *veld_certificate_format(const uint8_t certificate[32], char out[VELD_CERTIFICATE_STRLEN])
{
    char text[BASE64_LEN + 2];
    int rc = veld_base64_encode(text, sizeof text, certificate, 32);
    snprintf(out, VELD_CERTIFICATE_STRLEN, PREFIX "%.*s", BASE64_LEN, rc < 0 ? "" : text);
    return out;
}

static int parse_base64(const char *text, uint8_t certificate[32])
{
    char padded[BASE64_LEN + 1];
    if (strlen(text) != BASE64_LEN)
        return VELD_E_FORMAT;
    memcpy(padded, text, BASE64_LEN);
    padded[BASE64_LEN] = '=';
    return veld_base64_decode(certificate, 32, padded, sizeof padded);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_hex(const char *text, uint8_t certificate[32])
{
    uint8_t out[32];
    if (strlen(text) != 2 * sizeof out)
        return VELD_E_FORMAT;
    for (size_t i = 0; i < sizeof out; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return VELD_E_FORMAT;
        out[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(certificate, out, sizeof out);
    return 0;
}

int veld_certificate_parse(const char *text, uint8_t certificate[32])
{
    if (strncmp(text, PREFIX, strlen(PREFIX)) == 0)
        return parse_base64(text + strlen(PREFIX), certificate);
    return parse_hex(text, certificate);
}

/* The caller frees. NULL when it is none. */
static X509 *read_pem(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return x;
}

int veld_certificate_of_pem(const char *pem, uint8_t certificate[32])
{
    X509 *x = read_pem(pem);
    unsigned len = 0;
    bool done = x && X509_digest(x, EVP_sha256(), certificate, &len) == 1 && len == 32;
    X509_free(x);
    return done ? 0 : VELD_E_FORMAT;
}

/* ---- What a CA vouches for ---- */

static X509_STORE *store_of(const char *ca)
{
    X509_STORE *store = X509_STORE_new();
    BIO *bio = BIO_new_mem_buf(ca, -1);
    X509 *x;
    while (store && bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        (void)X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    BIO_free(bio);
    return store;
}

/* What follows the first, at most CHAIN_MAX. */
static STACK_OF(X509) * others_of(const char *chain)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(chain, -1);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    X509_free(x);
    while (x && others && sk_X509_num(others) < CHAIN_MAX &&
           (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (sk_X509_push(others, x) <= 0)
            X509_free(x);
    BIO_free(bio);
    return others;
}

static bool ask_for(X509_STORE_CTX *c, const struct veld_rpc_address *host)
{
    X509_VERIFY_PARAM *want = X509_STORE_CTX_get0_param(c);
    X509_VERIFY_PARAM_set_hostflags(want, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                              X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set_auth_level(want, SECURITY_LEVEL);
    /* What was given is trusted, be it a root or not. */
    return X509_VERIFY_PARAM_set_flags(want, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
           X509_STORE_CTX_set_purpose(c, X509_PURPOSE_SSL_SERVER) == 1 &&
           (host->is_literal ? X509_VERIFY_PARAM_set1_ip_asc(want, host->host)
                             : X509_VERIFY_PARAM_set1_host(want, host->host, 0)) == 1;
}

const char *veld_certificate_doubt(const char *chain, const char *ca,
                                   const struct veld_rpc_address *host)
{
    const char *doubt = "it cannot be checked";
    X509 *first = read_pem(chain);
    STACK_OF(X509) *others = others_of(chain);
    X509_STORE *store = store_of(ca);
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    if (first && others && store && c && X509_STORE_CTX_init(c, store, first, others) == 1 &&
        ask_for(c, host)) {
        bool is_right = X509_verify_cert(c) == 1;
        doubt = is_right ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(c));
    }
    X509_STORE_CTX_free(c);
    X509_STORE_free(store);
    sk_X509_pop_free(others, X509_free);
    X509_free(first);
    ERR_clear_error();
    return doubt;
}
