#include "rpc/certificate.h"

#include "crypto/primitives.h"
#include "../support/test_certificate.h"

#include <criterion/criterion.h>
#include <string.h>

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(certificate, .init = setup);

Test(certificate, formats_as_ssh_does)
{
    /* echo -n abc | openssl dgst -sha256 -binary | base64 */
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                    0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                    0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    char text[VELD_CERTIFICATE_STRLEN];
    uint8_t back[32];
    cr_expect_str_eq(veld_certificate_format(abc, text),
                     "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
    cr_assert_eq(veld_certificate_parse(text, back), 0);
    cr_expect_arr_eq(back, abc, 32);
    memset(back, 0, sizeof back);
    cr_assert_eq(veld_certificate_parse(
                     "BA7816BF8F01CFEA414140de5dae2223b00361a396177a9cb410ff61f20015ad", back),
                 0);
    cr_expect_arr_eq(back, abc, 32);
}

Test(certificate, parses_nothing_else)
{
    static const char *const bad[] = {
        "",
        "SHA256:",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
        "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
        "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa",
        "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1", /* bits that are left over */
        "SHA256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        "ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };
    uint8_t out[32];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(veld_certificate_parse(bad[i], out), VELD_E_FORMAT, "%s", bad[i]);
}

Test(certificate, is_known_by_its_hash)
{
    struct test_certificate a, b;
    char both[2 * sizeof a.pem + 32];
    uint8_t out[32];
    test_certificate_make(&a, "DNS:a", NULL, NULL, 0);
    test_certificate_make(&b, "DNS:b", NULL, NULL, 0);
    snprintf(both, sizeof both, "a line before it\n%s%s", b.pem, a.pem);
    cr_assert_eq(veld_certificate_of_pem(a.pem, out), 0);
    cr_expect_arr_eq(out, a.sha256, 32);
    cr_assert_eq(veld_certificate_of_pem(both, out), 0);
    cr_expect_arr_eq(out, b.sha256, 32, "the first");
    a.pem[strlen(a.pem) / 2] = '*';
    cr_expect_eq(veld_certificate_of_pem(a.pem, out), VELD_E_FORMAT);
    cr_expect_eq(veld_certificate_of_pem("", out), VELD_E_FORMAT);
    cr_expect_eq(veld_certificate_of_pem(a.key, out), VELD_E_FORMAT);
    test_certificate_clear(&a);
    test_certificate_clear(&b);
}

/* ---- What a CA vouches for: [the certificate's names, the host, is it right?] ---- */

static const char *doubt_of(const struct test_certificate *c, const struct test_certificate *ca,
                            const char *host_and_port)
{
    struct veld_rpc_address host;
    cr_assert_eq(veld_rpc_address_parse(host_and_port, &host, NULL), 0, "%s", host_and_port);
    return veld_certificate_doubt(c->pem, ca->pem, &host);
}

Test(certificate, bears_the_hosts_name)
{
    static const struct {
        const char *names, *host;
        bool right;
    } cases[] = {
        {"DNS:coord.example.org", "coord.example.org:1", true},
        {"DNS:coord.example.org", "COORD.example.org:1", true},
        {"DNS:other.example,DNS:coord.example.org", "coord.example.org:1", true},
        {"DNS:*.example.org", "coord.example.org:1", true},
        {"DNS:*.example.org", "a.coord.example.org:1", false},
        {"DNS:c*.example.org", "coord.example.org:1", false},
        {"DNS:example.org", "coord.example.org:1", false},
        {"DNS:coord.example.org", "example.org:1", false},
        {"IP:192.0.2.1", "192.0.2.1:1", true},
        {"IP:192.0.2.1", "192.0.2.2:1", false},
        {"IP:2001:db8::1", "[2001:db8::1]:1", true},
        {"DNS:192.0.2.1", "192.0.2.1:1", false}, /* an address, but said as a name */
        {NULL, "veld-coord:1", false},           /* its common name, which counts no more */
    };
    struct test_certificate ca, c;
    test_certificate_make(&ca, NULL, NULL, "a CA", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_certificate_make(&c, cases[i].names, &ca, NULL, 0);
        const char *doubt = doubt_of(&c, &ca, cases[i].host);
        cr_expect_eq(doubt == NULL, cases[i].right, "%s for %s: %s", cases[i].names,
                     cases[i].host, doubt);
        test_certificate_clear(&c);
    }
    test_certificate_clear(&ca);
}

Test(certificate, doubts_what_cannot_be_read)
{
    struct test_certificate ca, c;
    struct veld_rpc_address host;
    test_certificate_make(&ca, NULL, NULL, "a CA", 0);
    test_certificate_make(&c, "DNS:a", &ca, NULL, 0);
    cr_assert_eq(veld_rpc_address_parse("a:1", &host, NULL), 0);
    cr_expect_null(veld_certificate_doubt(c.pem, ca.pem, &host));
    cr_expect_not_null(veld_certificate_doubt("", ca.pem, &host));
    cr_expect_not_null(veld_certificate_doubt(c.pem, "", &host));
    cr_expect_not_null(veld_certificate_doubt("garbage", "garbage", &host));
    test_certificate_clear(&ca);
    test_certificate_clear(&c);
}

Test(certificate, doubts_what_can_be_forged_or_is_no_servers)
{
    struct test_certificate ca, c;
    test_certificate_make(&ca, NULL, NULL, "a CA", 0);
    test_certificate_make(&c, "DNS:a", &ca, NULL, 0);
    cr_expect_null(doubt_of(&c, &ca, "a:1"));
    cr_assert_gt(X509_sign(c.x, ca.pkey, EVP_sha1()), 0);
    test_certificate_write(&c);
    cr_expect_not_null(doubt_of(&c, &ca, "a:1"), "SHA-1");
    test_certificate_extend(c.x, NID_ext_key_usage, "clientAuth");
    cr_assert_gt(X509_sign(c.x, ca.pkey, EVP_sha256()), 0);
    test_certificate_write(&c);
    cr_expect_not_null(doubt_of(&c, &ca, "a:1"), "a client's");
    test_certificate_clear(&ca);
    test_certificate_clear(&c);
}
