#include "coord/net.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "coord/call.h"
#include "crypto/primitives.h"
#include "rpc/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define UP_WITHIN_NS (20 * VELD_NS_PER_S) /* as gRPC's clients wait for a connection */
#define LOOK_NS      (100 * VELD_NS_PER_MS)
#define EVENTS_MAX   256
#define READ_MAX     16384
#define WINDOW       (4 << 20)

enum state { DOWN, CONNECTING, SHAKING, UP };

struct net {
    char address[VELD_COORD_TEXT_MAX];
    uint8_t certificate[32];
    struct sockaddr_storage to;
    socklen_t to_len;
    SSL_CTX *tls;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    int epoll;
    struct connection *rising; /* not up yet; linked by next_rising */
    uint64_t look_ns;
};

struct connection {
    struct net *net;
    enum state state;
    int fd; /* -1: DOWN */
    SSL *ssl;
    nghttp2_session *h2;
    uint64_t until_ns; /* while it is rising */
    struct connection *next_rising, **at_rising;
    struct call *calls;
    bool waits_to_write;
    const char *trouble; /* why it ends; NULL: it does not */
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench-coord: %s\n", what);
    exit(1);
}

/* ---- HTTP/2 tells ---- */

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    struct call *c = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    if (c)
        call_header(c, name, name_len, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *ctx)
{
    struct call *c = nghttp2_session_get_stream_user_data(h2, stream);
    if (c)
        call_data(c, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t error, void *ctx)
{
    struct call *c = nghttp2_session_get_stream_user_data(h2, stream);
    if (c)
        call_end(c, error ? "the stream was reset" : NULL);
    return 0;
}

/* ---- Life of a connection ---- */

static void leave_rising(struct connection *c)
{
    if (!c->at_rising)
        return;
    *c->at_rising = c->next_rising;
    if (c->next_rising)
        c->next_rising->at_rising = c->at_rising;
    c->at_rising = NULL;
    c->next_rising = NULL;
}

static void join_rising(struct connection *c)
{
    c->until_ns = veld_clock_mono_ns() + UP_WITHIN_NS;
    c->next_rising = c->net->rising;
    c->at_rising = &c->net->rising;
    if (c->next_rising)
        c->next_rising->at_rising = &c->next_rising;
    c->net->rising = c;
}

static void down(struct connection *c, const char *why)
{
    leave_rising(c);
    nghttp2_session_del(c->h2);
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    c->h2 = NULL;
    c->ssl = NULL;
    c->fd = -1;
    c->state = DOWN;
    c->trouble = NULL;
    struct call *calls = c->calls; /* those that they begin anew are not among them */
    c->calls = NULL;
    while (calls) {
        struct call *call = calls;
        calls = call->next;
        call->at = NULL;
        call_end(call, why);
    }
}

static void listen_for(struct connection *c, bool write)
{
    struct epoll_event ev = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = c};
    if (c->waits_to_write != write)
        (void)epoll_ctl(c->net->epoll, EPOLL_CTL_MOD, c->fd, &ev);
    c->waits_to_write = write;
}

static void up_or_down(struct connection *c)
{
    struct net *n = c->net;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    int one = 1;
    c->fd = socket(n->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(c->fd >= 0, "no more sockets: raise the limit of open files");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING;
    c->waits_to_write = true;
    join_rising(c);
    if (connect(c->fd, (struct sockaddr *)&n->to, n->to_len) < 0 && errno != EINPROGRESS)
        c->trouble = "cannot connect";
    must(epoll_ctl(n->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0, "epoll takes no more");
}

static void shake(struct connection *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
        c->trouble = "cannot connect";
        return;
    }
    c->ssl = SSL_new(c->net->tls);
    must(c->ssl && SSL_set_fd(c->ssl, c->fd) == 1, "out of memory");
    SSL_set_connect_state(c->ssl);
    c->state = SHAKING;
}

/* The pin is all that is verified, as the daemon does. */
static bool is_pinned(const struct connection *c)
{
    uint8_t digest[32];
    unsigned len = 0;
    X509 *x = SSL_get0_peer_certificate(c->ssl);
    return x && X509_digest(x, EVP_sha256(), digest, &len) == 1 && len == sizeof digest &&
           veld_equal(digest, c->net->certificate, sizeof digest);
}

static void come_up(struct connection *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    if (!is_pinned(c)) {
        c->trouble = "another certificate";
        return;
    }
    leave_rising(c);
    c->state = UP;
    must(nghttp2_session_client_new2(&c->h2, c->net->callbacks, c, c->net->options) == 0 &&
             nghttp2_submit_settings(c->h2, 0, settings, VELD_ARRAY_LEN(settings)) == 0 &&
             nghttp2_session_set_local_window_size(c->h2, 0, 0, WINDOW) == 0,
         "out of memory");
    for (struct call *call = c->calls; call; call = call->next)
        call_submit(call, c->h2, c->net->address);
}

/* What OpenSSL says of a call that did not do all: false, and it is to be tried later or in trouble. */
static bool went_on(struct connection *c, int rc, const char *trouble)
{
    int error = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);
    if (error == SSL_ERROR_WANT_WRITE)
        listen_for(c, true);
    else if (error == SSL_ERROR_WANT_READ)
        listen_for(c, false);
    else if (error != SSL_ERROR_NONE)
        c->trouble = trouble;
    return error == SSL_ERROR_NONE;
}

static void read_all(struct connection *c)
{
    uint8_t buffer[READ_MAX];
    for (;;) {
        int n = SSL_read(c->ssl, buffer, sizeof buffer);
        if (n <= 0) {
            (void)went_on(c, n, "the connection ended");
            return;
        }
        if (nghttp2_session_mem_recv(c->h2, buffer, (size_t)n) < 0) {
            c->trouble = "what came is no HTTP/2";
            return;
        }
    }
}

static void write_all(struct connection *c)
{
    const uint8_t *bytes;
    ssize_t n;
    while (!c->trouble && (n = nghttp2_session_mem_send(c->h2, &bytes)) > 0) {
        /* What we send is small: the socket takes it, or the server is not reading at all. */
        if (!went_on(c, SSL_write(c->ssl, bytes, (int)n), "the connection ended"))
            c->trouble = "the server does not read";
    }
}

static void turn(struct connection *c)
{
    if (!c->trouble && c->state == CONNECTING)
        shake(c);
    if (!c->trouble && c->state == SHAKING &&
        went_on(c, SSL_do_handshake(c->ssl), "TLS failed"))
        come_up(c);
    if (!c->trouble && c->state == UP) {
        listen_for(c, false);
        read_all(c);
        write_all(c);
        if (!c->trouble && !nghttp2_session_want_read(c->h2) &&
            !nghttp2_session_want_write(c->h2))
            c->trouble = "the server has said that it goes";
    }
    if (c->trouble)
        down(c, c->trouble);
}

static void give_up_late(struct net *n, uint64_t now_ns)
{
    struct connection *next;
    for (struct connection *c = n->rising; c; c = next) {
        next = c->next_rising;
        if (c->until_ns <= now_ns)
            down(c, "it took too long to connect");
    }
}

bool net_turn(struct net *n, int timeout_ms)
{
    struct epoll_event ev[EVENTS_MAX];
    int got = epoll_wait(n->epoll, ev, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < got; i++)
        turn(ev[i].data.ptr);
    uint64_t now_ns = veld_clock_mono_ns();
    if (now_ns >= n->look_ns) {
        n->look_ns = now_ns + LOOK_NS;
        give_up_late(n, now_ns);
    }
    return got > 0;
}

/* ---- Calls ---- */

static void begin(struct connection *c, const struct bench_member *who, const char *method,
                  const struct veld_blob *body, const struct call_handler *handler)
{
    struct call *call = call_new(who, c->net->certificate, method, body, handler);
    must(call != NULL, "out of memory");
    /* A server says that it will close what was idle for long, and takes no more on it. */
    if (c->state == UP && !c->calls && !nghttp2_session_check_request_allowed(c->h2))
        down(c, "");
    call_link(call, &c->calls);
    if (c->state == DOWN)
        up_or_down(c);
    else if (c->state == UP) {
        call_submit(call, c->h2, c->net->address);
        write_all(c); /* trouble is seen to in the next turn, as the socket says so too */
    }
}

void net_call(struct connection *c, const struct bench_member *who, const char *method,
              const void *body, size_t len, net_done_fn *done, void *ctx)
{
    const struct veld_blob b = {.p = (uint8_t *)(uintptr_t)body, .len = len};
    begin(c, who, method, &b, &(struct call_handler){.done = done, .ctx = ctx});
}

void net_watch(struct connection *c, const struct bench_member *who, const void *body,
               size_t len, net_event_fn *event, net_done_fn *done, void *ctx)
{
    const struct veld_blob b = {.p = (uint8_t *)(uintptr_t)body, .len = len};
    begin(c, who, "Watch", &b,
          &(struct call_handler){.event = event, .done = done, .ctx = ctx});
}

/* ---- Open and close ---- */

static void resolve(struct net *n)
{
    char host[VELD_COORD_TEXT_MAX];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    snprintf(host, sizeof host, "%s", n->address);
    char *port = strrchr(host, ':');
    must(port != NULL, "the address has no port");
    *port++ = '\0';
    must(getaddrinfo(host, port, &hints, &found) == 0, "the address is not known");
    memcpy(&n->to, found->ai_addr, found->ai_addrlen);
    n->to_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static void make_tls(struct net *n)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    n->tls = SSL_CTX_new(TLS_client_method());
    must(n->tls != NULL, "out of memory");
    SSL_CTX_set_min_proto_version(n->tls, TLS1_2_VERSION);
    SSL_CTX_set_mode(n->tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(n->tls, SSL_SESS_CACHE_OFF); /* a machine of its own each */
    SSL_CTX_set_verify(n->tls, SSL_VERIFY_NONE, NULL);          /* but by is_pinned */
    must(SSL_CTX_set_alpn_protos(n->tls, h2, sizeof h2) == 0, "out of memory");
}

struct net *net_open(const char *address)
{
    struct veld_diag diag;
    struct net *n = calloc(1, sizeof *n);
    must(n != NULL, "out of memory");
    snprintf(n->address, sizeof n->address, "%s", address);
    char *pem = NULL;
    int rc = veld_rpc_probe(address, NULL, 5000, n->certificate, &pem, &diag);
    must(rc == 0, diag.text);
    free(pem);
    resolve(n);
    make_tls(n);
    n->epoll = epoll_create1(EPOLL_CLOEXEC);
    must(n->epoll >= 0 && nghttp2_session_callbacks_new(&n->callbacks) == 0 &&
             nghttp2_option_new(&n->options) == 0,
         "out of memory");
    nghttp2_session_callbacks_set_on_header_callback(n->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(n->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(n->callbacks, on_stream_close);
    nghttp2_option_set_no_closed_streams(n->options, 1);
    return n;
}

void net_close(struct net *n)
{
    nghttp2_option_del(n->options);
    nghttp2_session_callbacks_del(n->callbacks);
    SSL_CTX_free(n->tls);
    close(n->epoll);
    free(n);
}

struct connection *net_connect(struct net *n)
{
    struct connection *c = calloc(1, sizeof *c);
    must(c != NULL, "out of memory");
    c->net = n;
    c->fd = -1;
    return c;
}

void net_disconnect(struct connection *c)
{
    down(c, "disconnected");
    free(c);
}
