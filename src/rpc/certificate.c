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

int veld_certificate_names(const char *pem, const struct veld_rpc_address *host)
{
    X509 *x = read_pem(pem);
    if (!x)
        return VELD_E_AUTH;
    int is = host->is_literal ? X509_check_ip_asc(x, host->host, 0)
                              : X509_check_host(x, host->host, 0,
                                                X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                                                NULL);
    X509_free(x);
    ERR_clear_error();
    return is == 1 ? 0 : VELD_E_AUTH;
}
