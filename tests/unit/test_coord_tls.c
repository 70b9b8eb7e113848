#include "base/clock.h"
#include "base/file.h"
#include "coord/tls.h"
#include "../support/store_memory.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S 1800000000u

static struct veld_tls make(void)
{
    struct veld_tls t;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_tls_make(&t, NOW_S, &diag), 0, "%s", diag.text);
    return t;
}

static char folder[] = "/tmp/veld-test-tls-XXXXXX", cert_path[64], key_path[64];

static void put(const char *path, const char *text)
{
    cr_assert_eq(veld_file_replace(path, text, strlen(text), 0600), 0);
}

static void setup(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
}

static void teardown(void)
{
    unlink(cert_path);
    unlink(key_path);
    rmdir(folder);
}

TestSuite(coord_tls, .init = setup, .fini = teardown, .timeout = 30);

Test(coord_tls, a_made_certificate_is_a_server_s_own_for_20_years)
{
    struct veld_tls t = make();
    BIO *bio = BIO_new_mem_buf(t.cert_pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    cr_assert(cert);
    EVP_PKEY *key = X509_get0_pubkey(cert);
    char group[32];
    size_t len;
    cr_assert_eq(EVP_PKEY_get_group_name(key, group, sizeof group, &len), 1);
    cr_assert_str_eq(group, "prime256v1");
    cr_assert_eq(X509_check_host(cert, "veld-coord", 0, 0, NULL), 1);
    cr_assert_eq(X509_check_host(cert, "example.com", 0, 0, NULL), 0);
    cr_assert_eq(X509_check_ca(cert), 0);
    cr_assert_eq(X509_verify(cert, key), 1);
    cr_assert_eq(t.not_after_s, NOW_S + 20ull * 365 * 86400);
    time_t before = NOW_S - 3600, after = NOW_S + 21ll * 365 * 86400;
    cr_assert_lt(X509_cmp_time(X509_get0_notBefore(cert), &before), 0);
    cr_assert_lt(X509_cmp_time(X509_get0_notAfter(cert), &after), 0);
    X509_free(cert);
    BIO_free(bio);
    veld_tls_clear(&t);
}

Test(coord_tls, each_made_one_is_another)
{
    struct veld_tls a = make(), b = make();
    cr_assert_neq(memcmp(a.certificate, b.certificate, 32), 0);
    cr_assert_str_neq(a.key_pem, b.key_pem);
    veld_tls_clear(&a);
    veld_tls_clear(&b);
}

Test(coord_tls, the_store_gives_back_what_it_was_given)
{
    struct veld_store *store = &test_store_new()->store;
    struct veld_tls t = make(), back;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_tls_load(&back, store, &diag), VELD_E_NOENT);
    cr_assert_eq(veld_tls_save(&t, store, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_tls_load(&back, store, &diag), 0, "%s", diag.text);
    cr_assert_arr_eq(back.certificate, t.certificate, 32);
    cr_assert_str_eq(back.cert_pem, t.cert_pem);
    cr_assert_str_eq(back.key_pem, t.key_pem);
    cr_assert(!strstr(back.cert_pem, "PRIVATE"), "what is shown holds the key");
    veld_tls_clear(&back);
    veld_tls_clear(&t);
    store->ops->close(store);
}

static void store_text(struct veld_store *store, const char *text)
{
    cr_assert_eq(store->ops->begin(store), 0);
    cr_assert_eq(store->ops->put(store, VELD_TLS_STORE_KEY, strlen(VELD_TLS_STORE_KEY), text,
                                 strlen(text)),
                 0);
    cr_assert_eq(store->ops->commit(store, NULL), 0);
}

Test(coord_tls, a_spoilt_one_in_the_store_is_not_replaced_in_silence)
{
    struct veld_store *store = &test_store_new()->store;
    struct veld_tls a = make(), b = make(), back;
    struct veld_diag diag = {""};
    char mixed[8192];
    store_text(store, a.cert_pem);
    cr_assert_eq(veld_tls_load(&back, store, &diag), VELD_E_FORMAT, "no key");
    snprintf(mixed, sizeof mixed, "%s%s", a.cert_pem, b.key_pem);
    store_text(store, mixed);
    cr_assert_eq(veld_tls_load(&back, store, &diag), VELD_E_FORMAT, "another's key");
    cr_assert(strstr(diag.text, "backup"), "%s", diag.text);
    cr_assert_null(back.key_pem);
    veld_tls_clear(&a);
    veld_tls_clear(&b);
    store->ops->close(store);
}

Test(coord_tls, files_are_read)
{
    struct veld_tls t = make(), back;
    struct veld_diag diag = {""};
    put(cert_path, t.cert_pem);
    put(key_path, t.key_pem);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), 0, "%s", diag.text);
    cr_assert_arr_eq(back.certificate, t.certificate, 32);
    veld_tls_clear(&back);
    veld_tls_clear(&t);
}

Test(coord_tls, a_key_that_others_may_use_is_refused)
{
    static const mode_t loose[] = {0640, 0604, 0620, 0602, 0677};
    struct veld_tls t = make(), back;
    struct veld_diag diag = {""};
    char remedy[80];
    snprintf(remedy, sizeof remedy, "chmod 600 %s", key_path);
    put(cert_path, t.cert_pem);
    put(key_path, t.key_pem);
    cr_assert_eq(chmod(cert_path, 0644), 0, "which is no secret");
    for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
        cr_assert_eq(chmod(key_path, loose[i]), 0);
        cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_PERM);
        cr_assert(strstr(diag.text, remedy), "%s", diag.text);
        cr_assert_null(back.key_pem);
    }
    cr_assert_eq(chmod(key_path, 0400), 0);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), 0, "%s", diag.text);
    veld_tls_clear(&back);
    veld_tls_clear(&t);
}

Test(coord_tls, wrong_files_are_told_by_name)
{
    struct veld_tls t = make(), other = make(), back;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_NOENT);
    cr_assert(strstr(diag.text, cert_path), "%s", diag.text);
    put(cert_path, t.cert_pem);
    put(key_path, other.key_pem);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_KEY);
    cr_assert(strstr(diag.text, cert_path) && strstr(diag.text, key_path), "%s", diag.text);
    put(key_path, "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n");
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_FORMAT);
    cr_assert(strstr(diag.text, key_path), "%s", diag.text);
    put(key_path, t.key_pem);
    put(cert_path, t.key_pem);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_FORMAT);
    put(cert_path, t.cert_pem);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S + 21ull * 365 * 86400, &diag),
                 VELD_E_RANGE);
    cr_assert(strstr(diag.text, "expired"), "%s", diag.text);
    cr_assert_null(back.key_pem);
    veld_tls_clear(&t);
    veld_tls_clear(&other);
}

Test(coord_tls, a_key_with_a_passphrase_is_refused_without_a_prompt)
{
    struct veld_tls t = make(), back;
    struct veld_diag diag = {""};
    BIO *in = BIO_new_mem_buf(t.key_pem, -1), *out = BIO_new_file(key_path, "w");
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    char pass[] = "secret";
    cr_assert(PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), pass, 6, NULL, NULL));
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(out);
    cr_assert_eq(chmod(key_path, 0600), 0);
    put(cert_path, t.cert_pem);
    cr_assert_eq(veld_tls_read(&back, cert_path, key_path, NOW_S, &diag), VELD_E_FORMAT);
    cr_assert(strstr(diag.text, "passphrase"), "%s", diag.text);
    veld_tls_clear(&t);
}

Test(coord_tls, a_fingerprint_is_as_ssh_shows_one)
{
    uint8_t zeros[32] = {0};
    char text[VELD_TLS_FINGERPRINT_STRLEN];
    cr_assert_str_eq(veld_tls_fingerprint(zeros, text),
                     "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    cr_assert_eq(strlen(text), sizeof text - 1);
}
