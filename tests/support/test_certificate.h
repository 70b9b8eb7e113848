/*
 * Certificates made for a test: self-signed ones, a CA, what a CA signs.
 */
#ifndef VELD_TESTS_TEST_CERTIFICATE_H
#define VELD_TESTS_TEST_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct test_certificate {
    char pem[4096], key[1024];
    uint8_t sha256[32];
    X509 *x;
    EVP_PKEY *pkey;
};

static inline void test_certificate_require(int is, const char *what)
{
    if (!is) {
        fprintf(stderr, "a certificate for the test: %s failed\n", what);
        abort();
    }
}

static inline void test_certificate_extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    test_certificate_require(e && X509_add_ext(x, e, -1), value);
    X509_EXTENSION_free(e);
}

static inline void test_certificate_write(struct test_certificate *c)
{
    BIO *pem = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    test_certificate_require(PEM_write_bio_X509(pem, c->x), "PEM");
    test_certificate_require(PEM_write_bio_PrivateKey(key, c->pkey, NULL, NULL, 0, NULL, NULL),
                             "PEM of the key");
    int n = BIO_read(pem, c->pem, sizeof c->pem - 1);
    int k = BIO_read(key, c->key, sizeof c->key - 1);
    test_certificate_require(n > 0 && k > 0, "reading");
    c->pem[n] = c->key[k] = '\0';
    BIO_free(pem);
    BIO_free(key);
}

/*
 * `names` as of subjectAltName, NULL: none; `issuer` NULL: self-signed; `ca` NULL: none, else
 * its name; from `from_s` on, for a day.
 */
static inline void test_certificate_make(struct test_certificate *c, const char *names,
                                         const struct test_certificate *issuer, const char *ca,
                                         long from_s)
{
    static long serial;
    c->pkey = EVP_EC_gen("P-256");
    c->x = X509_new();
    X509_set_version(c->x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c->x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(c->x), from_s + 86400);
    X509_set_pubkey(c->x, c->pkey);
    X509_NAME *name = X509_get_subject_name(c->x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)(ca ? ca : "veld-coord"), -1, -1, 0);
    X509_set_issuer_name(c->x, issuer ? X509_get_subject_name(issuer->x) : name);
    test_certificate_extend(c->x, NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (names)
        test_certificate_extend(c->x, NID_subject_alt_name, names);
    test_certificate_require(X509_sign(c->x, issuer ? issuer->pkey : c->pkey, EVP_sha256()) > 0,
                             "signing");
    unsigned len;
    test_certificate_require(X509_digest(c->x, EVP_sha256(), c->sha256, &len), "digest");
    test_certificate_write(c);
}

static inline void test_certificate_clear(struct test_certificate *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->pkey);
}

#endif
