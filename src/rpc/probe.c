/*
 * A TLS handshake with a coord server, for its certificate. OpenSSL reads and
 * writes memory; the socket is ours, so that every wait has an end and a server
 * that hangs up is an error, not a signal.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "rpc/address.h"
#include "rpc/certificate.h"
#include "rpc/client.h"
#include "rpc/probe_lookup.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_NS (3 * VELD_NS_PER_S) /* for one address, so that the next has its turn */

struct probe {
    const char *text; /* HOST:PORT as given */
    struct veld_rpc_address address;
    int timeout_ms;
    uint64_t until_ns;
    int fd;
    SSL_CTX *context;
    SSL *ssl;
};

/* ---- The socket ---- */

/* 0: it is ready; or an errno. */
static int wait_for(int fd, short events, uint64_t until_ns)
{
    for (;;) {
        uint64_t now_ns = veld_clock_mono_ns();
        if (now_ns >= until_ns)
            return ETIMEDOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int rc = poll(&p, 1, (int)((until_ns - now_ns) / VELD_NS_PER_MS) + 1);
        if (rc > 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return errno;
    }
}

/* A connected socket, or an errno, negative. */
static int connect_one(const struct addrinfo *to, uint64_t until_ns)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? errno : 0;
    if (rc == EINPROGRESS) {
        socklen_t len = sizeof rc;
        int waited = wait_for(fd, POLLOUT, until_ns);
        if (waited != 0)
            rc = waited;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &len) < 0)
            rc = errno;
    }
    if (rc == 0)
        return fd;
    close(fd);
    return -rc;
}

static int connect_any(struct probe *p, struct veld_diag *diag)
{
    struct addrinfo *list;
    int rc = veld_rpc_lookup(&p->address, p->until_ns, &list, diag);
    if (rc < 0)
        return rc;
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *to = list; to && fd < 0; to = to->ai_next) {
        uint64_t until_ns = veld_clock_mono_ns() + CONNECT_NS;
        bool is_last = !to->ai_next || until_ns > p->until_ns;
        fd = connect_one(to, is_last ? p->until_ns : until_ns);
    }
    freeaddrinfo(list);
    if (fd < 0)
        return veld_fail(
            diag, VELD_E_IO,
            "the coord server at %s cannot be reached (%s): check the address, that "
            "veld-coord runs there, and that no firewall is in the way",
            p->text, strerror(-fd));
    p->fd = fd;
    return 0;
}

/* ---- TLS ---- */

static bool set_up(struct probe *p)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    p->ssl = SSL_new(p->context);
    if (!in || !out || !p->ssl) {
        BIO_free(in);
        BIO_free(out);
        return false;
    }
    SSL_set_bio(p->ssl, in, out); /* takes both */
    SSL_set_connect_state(p->ssl);
    SSL_set_verify(p->ssl, SSL_VERIFY_NONE, NULL); /* take_certificate looks at it */
    return SSL_set_min_proto_version(p->ssl, TLS1_2_VERSION) == 1 &&
           SSL_set_alpn_protos(p->ssl, alpn, sizeof alpn) == 0 &&
           (p->address.is_literal || SSL_set_tlsext_host_name(p->ssl, p->address.host) == 1);
}

static int make_tls(struct probe *p, struct veld_diag *diag)
{
    p->context = SSL_CTX_new(TLS_client_method());
    if (!p->context || !set_up(p))
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for TLS");
    return 0;
}

/* Send what OpenSSL has written. 0 or an errno. */
static int flush(struct probe *p)
{
    char *bytes;
    BIO *out = SSL_get_wbio(p->ssl);
    long len = BIO_get_mem_data(out, &bytes);
    while (len > 0) {
        ssize_t n = send(p->fd, bytes, (size_t)len, MSG_NOSIGNAL);
        int rc = n >= 0 ? 0 : errno == EAGAIN ? wait_for(p->fd, POLLOUT, p->until_ns) : errno;
        if (rc != 0 && rc != EINTR)
            return rc;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? n : 0;
    }
    (void)BIO_reset(out);
    return 0;
}

/* Give OpenSSL what has come. 0 or an errno. */
static int fill(struct probe *p)
{
    char bytes[4096];
    int rc = wait_for(p->fd, POLLIN, p->until_ns);
    if (rc != 0)
        return rc;
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno;
    if (n == 0)
        return ECONNRESET;
    return BIO_write(SSL_get_rbio(p->ssl), bytes, (int)n) == n ? 0 : ENOMEM;
}

/* What else speaks TLS, a web server say, is not to be trusted by mistake for a coord server. */
static int refuse_other(const struct probe *p, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_IO,
                     "what answers at %s speaks TLS but is no coord server (no HTTP/2): check "
                     "that it is veld-coord's port",
                     p->text);
}

static int check_protocol(const struct probe *p, struct veld_diag *diag)
{
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(p->ssl, &chosen, &len);
    return len == 2 && memcmp(chosen, "h2", 2) == 0 ? 0 : refuse_other(p, diag);
}

/* OpenSSL gave up. */
static int handshake_failed(const struct probe *p, struct veld_diag *diag)
{
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
        return refuse_other(p, diag);
    return veld_fail(
        diag, VELD_E_IO,
        "what answers at %s does not speak TLS: check that it is veld-coord's port", p->text);
}

/* The socket did, by an errno. */
static int connection_failed(const struct probe *p, int error, struct veld_diag *diag)
{
    if (error == ETIMEDOUT)
        return veld_fail(diag, VELD_E_IO,
                         "what listens at %s did not answer in %g s: check that it is "
                         "veld-coord's port, and try again",
                         p->text, p->timeout_ms / 1000.0);
    return veld_fail(diag, VELD_E_IO,
                     "what answers at %s ended the TLS handshake (%s): check that it is "
                     "veld-coord's port",
                     p->text, strerror(error));
}

static int handshake(struct probe *p, struct veld_diag *diag)
{
    ERR_clear_error();
    for (;;) {
        int done = SSL_do_handshake(p->ssl);
        int why = SSL_get_error(p->ssl, done);
        int rc = flush(p);
        if (done == 1)
            return check_protocol(p, diag);
        if (why != SSL_ERROR_WANT_READ)
            return handshake_failed(p, diag);
        if (rc == 0)
            rc = fill(p);
        if (rc != 0)
            return connection_failed(p, rc, diag);
    }
}

/* ---- The certificate ---- */

static bool add_pem(BIO *out, X509 *x)
{
    return x && PEM_write_bio_X509(out, x) == 1;
}

/* The first certificate, or all that were shown, in PEM, on the heap. NULL: none. OpenSSL
 * takes at most 100 KB of them. */
static char *pem_of(const struct probe *p, bool all)
{
    char *bytes, *text = NULL;
    BIO *out = BIO_new(BIO_s_mem());
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(p->ssl); /* borrowed; the first is first */
    bool is = out && add_pem(out, sk_X509_value(chain, 0));
    for (int i = 1; is && all && i < sk_X509_num(chain); i++)
        is = add_pem(out, sk_X509_value(chain, i));
    long len = is ? BIO_get_mem_data(out, &bytes) : 0;
    if (len > 0)
        text = strndup(bytes, (size_t)len);
    BIO_free(out);
    return text;
}

static int check(const struct probe *p, const char *ca, struct veld_diag *diag)
{
    char *chain = pem_of(p, true);
    const char *doubt =
        chain ? veld_certificate_doubt(chain, ca, &p->address) : "it cannot be read";
    free(chain);
    if (!doubt)
        return 0;
    return veld_fail(
        diag, VELD_E_AUTH,
        "the CA does not vouch for the certificate that the server at %s shows: %s; "
        "check the address, the CA's file and the server",
        p->text, doubt);
}

static int take_certificate(const struct probe *p, const char *ca, uint8_t certificate[32],
                            char **pem, struct veld_diag *diag)
{
    uint8_t shown[32];
    char *text = pem_of(p, false);
    int rc = 0;
    if (!text || veld_certificate_of_pem(text, shown) < 0)
        rc =
            veld_fail(diag, VELD_E_IO, "the server at %s shows no certificate of use", p->text);
    else if (ca)
        rc = check(p, ca, diag);
    if (rc < 0) {
        free(text);
        return rc;
    }
    memcpy(certificate, shown, sizeof shown);
    *pem = text;
    return 0;
}

int veld_rpc_probe(const char *address, const char *ca, int timeout_ms, uint8_t certificate[32],
                   char **pem, struct veld_diag *diag)
{
    struct probe p = {.text = address, .timeout_ms = VELD_MAX(timeout_ms, 1), .fd = -1};
    uint8_t any[32];
    *pem = NULL;
    int rc = veld_rpc_address_parse(address, &p.address, diag);
    if (rc == 0 && ca && veld_certificate_of_pem(ca, any) < 0)
        rc = veld_fail(diag, VELD_E_FORMAT, "the CA's file holds no certificate in PEM");
    if (rc < 0)
        return rc;
    p.until_ns = veld_clock_mono_ns() + (uint64_t)p.timeout_ms * VELD_NS_PER_MS;
    rc = make_tls(&p, diag);
    if (rc == 0)
        rc = connect_any(&p, diag);
    if (rc == 0)
        rc = handshake(&p, diag);
    if (rc == 0)
        rc = take_certificate(&p, ca, certificate, pem, diag);
    SSL_free(p.ssl);
    SSL_CTX_free(p.context);
    ERR_clear_error();
    if (p.fd >= 0)
        close(p.fd);
    return rc;
}
