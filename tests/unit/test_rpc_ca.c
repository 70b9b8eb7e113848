/* Certificates that a CA vouches for, and the probe that asks for one. */
#include "crypto/primitives.h"
#include "../support/grpc_server.h"
#include "rpc/client.h"
#include "trust/rpc_auth.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct test_certificate ca, another_ca, impostor, middle, leaf, renewed, nameless;
static struct grpc_test_server *server;
static struct veld_diag diag;
static struct veld_blob reply;
static char address[64];

/* Takes calls that are signed for the certificate it has. */
static void answer(void *ctx, const struct grpc_test_call *call, struct grpc_test_answer *a)
{
    const struct test_certificate *shown = ctx;
    struct veld_rpc_auth auth;
    if (veld_rpc_verify(call->auth, call->auth_len, call->method, shown->sha256, call->body,
                        call->len, &auth) < 0) {
        a->code = GRPC_STATUS_UNAUTHENTICATED;
        strcpy(a->text, "signed for another server");
        return;
    }
    grpc_test_answer(NULL, call, a);
}

static void show(struct test_certificate *c)
{
    int port = 0;
    if (server) {
        port = grpc_test_server_port(server);
        grpc_test_server_stop(server, false);
    }
    server = grpc_test_server_start(c, port, answer, c);
    cr_assert_not_null(server);
    snprintf(address, sizeof address, "127.0.0.1:%d", grpc_test_server_port(server));
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    test_certificate_make(&ca, NULL, NULL, "a CA", 0);
    test_certificate_make(&another_ca, NULL, NULL, "another CA", 0);
    test_certificate_make(&impostor, NULL, NULL, "a CA", 0);
    test_certificate_make(&middle, NULL, &ca, "in the middle", 0);
    test_certificate_make(&leaf, "IP:127.0.0.1,DNS:localhost", &ca, NULL, 0);
    test_certificate_make(&renewed, "IP:127.0.0.1", &ca, NULL, 0);
    test_certificate_make(&nameless, "DNS:elsewhere.example,IP:127.0.0.2", &ca, NULL, 0);
    show(&leaf);
}

static void teardown(void)
{
    grpc_test_server_stop(server, true);
    veld_blob_clear(&reply);
    struct test_certificate *all[] = {&ca,   &another_ca, &impostor, &middle,
                                      &leaf, &renewed,    &nameless};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        test_certificate_clear(all[i]);
}

TestSuite(rpc_ca, .init = setup, .fini = teardown, .timeout = 60);

static struct veld_rpc_client *open_by(const char *pem, const struct test_certificate *seen)
{
    struct veld_rpc_server s = {.address = address, .ca = pem};
    struct veld_rpc_client *c;
    memcpy(s.certificate, seen->sha256, 32);
    cr_assert_eq(veld_rpc_open(&c, &s, &diag), 0, "%s", diag.text);
    return c;
}

static int echo(struct veld_rpc_client *c)
{
    uint8_t seed[32] = {7}, pub[32];
    veld_ed25519_keypair(seed, pub);
    return veld_rpc_call_wait(c, &(struct veld_rpc_key){seed, pub}, "Echo", "x", 1, 5000,
                              &reply, &diag);
}

/* ---- Calls ---- */

Test(rpc_ca, goes_by_the_ca)
{
    char both[2 * sizeof ca.pem];
    snprintf(both, sizeof both, "%s%s", another_ca.pem, ca.pem);
    struct veld_rpc_client *c = open_by(both, &leaf);
    cr_expect_eq(echo(c), 0, "%s", diag.text);
    veld_rpc_close(c);
    snprintf(address, sizeof address, "localhost:%d", grpc_test_server_port(server));
    c = open_by(ca.pem, &leaf);
    cr_expect_eq(echo(c), 0, "%s", diag.text);
    veld_rpc_close(c);
}

Test(rpc_ca, refuses_what_another_ca_signed)
{
    const char *wrong[] = {another_ca.pem, impostor.pem, nameless.pem};
    for (size_t i = 0; i < 3; i++) {
        struct veld_rpc_client *c = open_by(wrong[i], &leaf);
        cr_expect_eq(echo(c), VELD_E_AUTH, "%s", diag.text);
        cr_expect(strstr(diag.text, "does not vouch for"), "%s", diag.text);
        veld_rpc_close(c);
    }
}

Test(rpc_ca, follows_a_chain)
{
    struct test_certificate end, chained;
    test_certificate_make(&end, "IP:127.0.0.1", &middle, NULL, 0);
    chained = end;
    strcat(chained.pem, middle.pem);
    for (int i = 0; i < 2; i++) { /* the middle is shown, or it is what was given */
        show(i ? &end : &chained);
        struct veld_rpc_client *c = open_by(i ? middle.pem : ca.pem, &end);
        cr_expect_eq(echo(c), 0, "%d: %s", i, diag.text);
        veld_rpc_close(c);
    }
    struct veld_rpc_client *c = open_by(ca.pem, &end);
    cr_expect_eq(echo(c), VELD_E_AUTH, "nobody shows the middle");
    veld_rpc_close(c);
    test_certificate_clear(&end);
}

Test(rpc_ca, refuses_what_is_over_or_for_another_purpose)
{
    struct test_certificate old, future, leaf_s;
    test_certificate_make(&old, "IP:127.0.0.1", &ca, NULL, -30 * 86400);
    test_certificate_make(&future, "IP:127.0.0.1", &ca, NULL, 30 * 86400);
    test_certificate_make(&leaf_s, "IP:127.0.0.1", &leaf, NULL, 0); /* a leaf is no CA */
    struct test_certificate chained = leaf_s, *bad[] = {&old, &future, &chained};
    strcat(chained.pem, leaf.pem);
    for (size_t i = 0; i < 3; i++) {
        show(bad[i]);
        struct veld_rpc_client *c = open_by(ca.pem, bad[i]);
        cr_expect_eq(echo(c), VELD_E_AUTH, "%zu: %s", i, diag.text);
        veld_rpc_close(c);
    }
    test_certificate_clear(&old);
    test_certificate_clear(&future);
    test_certificate_clear(&leaf_s);
}

Test(rpc_ca, refuses_a_certificate_of_another_host)
{
    show(&nameless);
    struct veld_rpc_client *c = open_by(ca.pem, &nameless);
    cr_expect_eq(echo(c), VELD_E_AUTH, "%s", diag.text);
    cr_expect(strstr(diag.text, "IP address mismatch"), "%s", diag.text);
    veld_rpc_close(c);
}

Test(rpc_ca, signs_for_a_renewed_certificate)
{
    struct veld_rpc_client *c = open_by(ca.pem, &renewed); /* as at login; leaf is shown now */
    cr_expect_eq(echo(c), 0, "%s", diag.text);
    show(&renewed);
    int rc = -1;
    for (int i = 0; i < 100 && rc != 0; i++, usleep(20000))
        if ((rc = echo(c)) == VELD_E_AUTH)
            break;
    cr_expect_eq(rc, 0, "%s", diag.text);
    veld_rpc_close(c);
}

Test(rpc_ca, needs_certificates_in_the_ca)
{
    struct veld_rpc_server s = {.address = address, .ca = "-----BEGIN NONSENSE-----\n"};
    struct veld_rpc_client *c;
    uint8_t certificate[32];
    char *pem;
    cr_expect_eq(veld_rpc_open(&c, &s, &diag), VELD_E_FORMAT);
    cr_expect(strstr(diag.text, "holds no certificate"), "%s", diag.text);
    cr_expect_eq(veld_rpc_probe(address, s.ca, 5000, certificate, &pem, &diag), VELD_E_FORMAT);
    cr_expect(strstr(diag.text, "holds no certificate"), "%s", diag.text);
}

/* ---- The probe ---- */

static int probe(const char *by, uint8_t certificate[32])
{
    char *pem;
    int rc = veld_rpc_probe(address, by, 5000, certificate, &pem, &diag);
    cr_expect_eq(rc == 0, pem != NULL);
    free(pem);
    return rc;
}

Test(rpc_ca, probes_for_the_certificate)
{
    uint8_t certificate[32] = {0};
    cr_expect_eq(probe(NULL, certificate), 0, "%s", diag.text);
    cr_expect_arr_eq(certificate, leaf.sha256, 32);
    memset(certificate, 0, sizeof certificate);
    cr_expect_eq(probe(ca.pem, certificate), 0, "%s", diag.text);
    cr_expect_arr_eq(certificate, leaf.sha256, 32);
    snprintf(address, sizeof address, "localhost:%d", grpc_test_server_port(server));
    cr_expect_eq(probe(ca.pem, certificate), 0, "%s", diag.text);
}

Test(rpc_ca, probe_refuses_what_the_ca_does_not_vouch_for)
{
    uint8_t certificate[32];
    cr_expect_eq(probe(another_ca.pem, certificate), VELD_E_AUTH);
    cr_expect(strstr(diag.text, "does not vouch for"), "%s", diag.text);
    show(&nameless);
    cr_expect_eq(probe(ca.pem, certificate), VELD_E_AUTH);
    cr_expect(strstr(diag.text, "IP address mismatch"), "%s", diag.text);
    cr_expect_eq(probe(NULL, certificate), 0, "anything is shown at a first look");
}

/* One connection that gets `bytes` and is then left open or closed. */
struct odd {
    int listener;
    const char *bytes;
    size_t len;
    bool hangs_up;
    int alpn; /* TLS, as a web server has it: what it makes of the protocols offered */
    bool speaks_tls;
};

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                  const unsigned char *in, unsigned in_len, void *ctx)
{
    return ((const struct odd *)ctx)->alpn;
}

static void shake_hands(struct odd *o, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    cr_assert(SSL_CTX_use_certificate(context, leaf.x) == 1 &&
              SSL_CTX_use_PrivateKey(context, leaf.pkey) == 1);
    SSL_CTX_set_alpn_select_cb(context, choose, o);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    signal(SIGPIPE, SIG_IGN); /* the probe hangs up as soon as it knows */
    (void)SSL_accept(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void *be_odd(void *ctx)
{
    struct odd *o = ctx;
    int fd = accept(o->listener, NULL, NULL);
    char gone[4096];
    if (o->speaks_tls)
        shake_hands(o, fd);
    else if (recv(fd, gone, sizeof gone, 0) > 0 && o->len)
        (void)!send(fd, o->bytes, o->len, MSG_NOSIGNAL);
    if (!o->hangs_up)
        while (recv(fd, gone, sizeof gone, 0) > 0)
            ;
    close(fd);
    return NULL;
}

static int probe_odd(struct odd *o, int timeout_ms)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    uint8_t certificate[32];
    pthread_t thread;
    char *pem, text[64];
    o->listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(o->listener, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(o->listener, 1), 0);
    cr_assert_eq(getsockname(o->listener, (struct sockaddr *)&at, &len), 0);
    cr_assert_eq(pthread_create(&thread, NULL, be_odd, o), 0);
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(at.sin_port));
    int rc = veld_rpc_probe(text, NULL, timeout_ms, certificate, &pem, &diag);
    cr_expect_null(pem);
    pthread_join(thread, NULL);
    close(o->listener);
    return rc;
}

Test(rpc_ca, probe_says_what_answers)
{
    struct odd web = {.bytes = "HTTP/1.1 400 Bad Request\r\n\r\n", .len = 28, .hangs_up = true};
    struct odd gone = {.hangs_up = true}, silent = {.hangs_up = false};
    cr_expect_eq(probe_odd(&web, 5000), VELD_E_IO);
    cr_expect(strstr(diag.text, "does not speak TLS"), "%s", diag.text);
    cr_expect_eq(probe_odd(&gone, 5000), VELD_E_IO);
    cr_expect(strstr(diag.text, "ended the TLS handshake"), "%s", diag.text);
    cr_expect_eq(probe_odd(&silent, 100), VELD_E_IO);
    cr_expect(strstr(diag.text, "did not answer in 0.1 s"), "%s", diag.text);
}

/* Before anybody is asked to trust its certificate. */
Test(rpc_ca, probe_refuses_what_speaks_tls_but_no_http2)
{
    static const int alpn[] = {SSL_TLSEXT_ERR_NOACK, SSL_TLSEXT_ERR_ALERT_FATAL};
    for (size_t i = 0; i < sizeof alpn / sizeof alpn[0]; i++) {
        struct odd web = {.speaks_tls = true, .alpn = alpn[i]};
        cr_expect_eq(probe_odd(&web, 5000), VELD_E_IO);
        cr_expect(strstr(diag.text, "speaks TLS but is no coord server (no HTTP/2)"), "%zu: %s",
                  i, diag.text);
    }
}

Test(rpc_ca, probe_says_who_cannot_be_reached)
{
    uint8_t certificate[32];
    char *pem;
    cr_expect_eq(veld_rpc_probe("127.0.0.1:1", NULL, 5000, certificate, &pem, &diag),
                 VELD_E_IO);
    cr_expect(strstr(diag.text, "127.0.0.1:1") && strstr(diag.text, "refused"), "%s",
              diag.text);
    cr_expect_eq(veld_rpc_probe("name.invalid:1", NULL, 5000, certificate, &pem, &diag),
                 VELD_E_IO);
    cr_expect(strstr(diag.text, "name.invalid"), "%s", diag.text);
    cr_expect_eq(veld_rpc_probe("127.0.0.1", NULL, 5000, certificate, &pem, &diag),
                 VELD_E_FORMAT);
}
