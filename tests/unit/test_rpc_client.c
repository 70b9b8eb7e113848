/* The client against a server in this process: what comes back, and what does not. */
#include "base/clock.h"
#include "crypto/primitives.h"
#include "../support/grpc_server.h"
#include "rpc/client.h"
#include "trust/rpc_auth.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct test_certificate own, other;
static struct grpc_test_server *server;
static struct veld_rpc_client *client;
static struct veld_diag diag;
static struct veld_blob reply;
static char address[64];

static void start_with(const struct test_certificate *certificate, int port)
{
    server = grpc_test_server_start(certificate, port, grpc_test_answer, NULL);
    cr_assert_not_null(server, "port %d", port);
    snprintf(address, sizeof address, "127.0.0.1:%d", grpc_test_server_port(server));
}

static void stop(void)
{
    if (server)
        grpc_test_server_stop(server, client == NULL);
    server = NULL;
}

static void open_to(const struct test_certificate *pinned)
{
    struct veld_rpc_server s = {.address = address};
    memcpy(s.certificate, pinned->sha256, 32);
    cr_assert_eq(veld_rpc_open(&client, &s, &diag), 0, "%s", diag.text);
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    test_certificate_make(&own, "DNS:veld-coord", NULL, NULL, 0);
    test_certificate_make(&other, "DNS:veld-coord", NULL, NULL, 0);
    start_with(&own, 0);
    open_to(&own);
}

static void teardown(void)
{
    veld_rpc_close(client);
    client = NULL;
    stop();
    veld_blob_clear(&reply);
    test_certificate_clear(&own);
    test_certificate_clear(&other);
}

TestSuite(rpc_client, .init = setup, .fini = teardown, .timeout = 60);

static int ask(const char *method, const void *body, size_t len, int timeout_ms)
{
    diag.text[0] = '\0';
    return veld_rpc_call_wait(client, NULL, method, body, len, timeout_ms, &reply, &diag);
}

static bool says(const char *what)
{
    return strstr(diag.text, what) != NULL;
}

/* ---- Calls ---- */

Test(rpc_client, brings_a_reply)
{
    cr_assert_eq(ask("Echo", "hello", 5, 5000), 0, "%s", diag.text);
    cr_expect(reply.len == 5 && memcmp(reply.p, "hello", 5) == 0);
    cr_expect_str_empty(diag.text);
    cr_assert_eq(ask("Empty", "", 0, 5000), 0, "%s", diag.text);
    cr_expect_eq(reply.len, 0);
    cr_expect_str_eq(veld_rpc_address(client), address);
}

Test(rpc_client, signs_what_it_sends)
{
    uint8_t seed[32] = {7}, pub[32];
    struct veld_rpc_key key = {seed, pub};
    struct veld_rpc_auth auth, again;
    veld_ed25519_keypair(seed, pub);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(veld_rpc_call_wait(client, &key, "Auth", "body", 4, 5000, &reply, &diag),
                     0);
        cr_assert_eq(veld_rpc_verify(reply.p, reply.len, "/veld.coord.v1.Coord/Auth",
                                     own.sha256, "body", 4, i ? &again : &auth),
                     0);
    }
    cr_expect_arr_eq(auth.key, pub, 32);
    cr_expect_neq(memcmp(auth.nonce, again.nonce, VELD_RPC_NONCE), 0);
    uint64_t now_ns = veld_clock_now().wall_ns;
    cr_expect(again.time_ns <= now_ns && now_ns - again.time_ns < 10 * VELD_NS_PER_S);
    cr_expect_lt(veld_rpc_verify(reply.p, reply.len, "/veld.coord.v1.Coord/Auth", other.sha256,
                                 "body", 4, &again),
                 0, "for another server");
    cr_assert_eq(ask("Auth", "body", 4, 5000), 0);
    cr_expect_eq(reply.len, 0, "no key, no signature");
}

Test(rpc_client, tells_each_status_as_an_error_of_ours)
{
    static const struct {
        char code;
        int err;
    } want[] = {{1, VELD_E_STATE},  {2, VELD_E_IO},     {3, VELD_E_INVAL},
                {4, VELD_E_IO},     {5, VELD_E_NOENT},  {6, VELD_E_EXIST},
                {7, VELD_E_PERM},   {8, VELD_E_LIMIT},  {9, VELD_E_STATE},
                {10, VELD_E_STATE}, {11, VELD_E_RANGE}, {12, VELD_E_UNSUPPORTED},
                {13, VELD_E_IO},    {14, VELD_E_IO},    {15, VELD_E_FORMAT},
                {16, VELD_E_AUTH},  {99, VELD_E_IO}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        char body[] = {want[i].code, 'w', 'h', 'y'};
        cr_expect_eq(ask("Fail", body, sizeof body, 5000), want[i].err, "%d: %s", body[0],
                     diag.text);
        cr_expect(says(address), "%d: %s", body[0], diag.text);
        bool is_ours = body[0] == 1 || body[0] == 4;
        cr_expect(is_ours || says("why"), "%d: %s", body[0], diag.text);
        cr_expect_null(reply.p);
    }
    cr_expect_eq(ask("Fail", "\5", 1, 5000), VELD_E_NOENT);
    cr_expect(says(veld_strerror(VELD_E_NOENT)), "%s", diag.text);
}

Test(rpc_client, cleans_what_the_server_says)
{
    static const char hostile[] = "\7\x1b[2J\x1b]0;owned\7\x1b[31mno\x07 \xe2\x80\xae\xff"
                                  "entry\r\nveld: all is well\xc2\x9b";
    cr_expect_eq(ask("Fail", hostile, sizeof hostile - 1, 5000), VELD_E_PERM);
    cr_expect(says(" says: no entry veld: all is well"), "%s", diag.text);
    for (const char *p = diag.text; *p; p++)
        cr_expect(*p >= ' ' && *p <= '~', "%02x in %s", *p & 0xff, diag.text);
    char wordy[1500];
    memset(wordy, 'w', sizeof wordy);
    wordy[0] = 7;
    cr_expect_eq(ask("Fail", wordy, sizeof wordy, 5000), VELD_E_PERM);
    cr_expect_eq(strlen(strstr(diag.text, "ww")), VELD_RPC_TEXT_MAX);
    char endless[6000];
    memset(endless, 'w', sizeof endless);
    endless[0] = 7;
    int rc = ask("Fail", endless, sizeof endless, 5000);
    cr_expect(rc < 0 && rc != VELD_E_PERM && !says("www"), "%d: %s", rc, diag.text);
}

Test(rpc_client, refuses_replies_that_are_none)
{
    uint32_t most = VELD_RPC_MESSAGE_MAX, more = VELD_RPC_MESSAGE_MAX + 1;
    cr_expect_eq(ask("Big", &most, sizeof most, 10000), 0, "%s", diag.text);
    cr_expect_eq(reply.len, VELD_RPC_MESSAGE_MAX);
    cr_expect_eq(ask("Big", &more, sizeof more, 10000), VELD_E_FORMAT);
    cr_expect(says("larger than the 1048576 bytes"), "%s", diag.text);
    cr_expect_lt(ask("Nothing", "", 0, 5000), 0, "OK, but no reply");
    cr_expect(says(address), "%s", diag.text);
    /* A megabyte in a kilobyte: it stays a kilobyte. */
    int rc = ask("Packed", "", 0, 5000);
    cr_expect(rc < 0 || reply.len < 1024, "%d, %zu bytes", rc, reply.len);
}

Test(rpc_client, refuses_requests_that_are_none)
{
    static uint8_t big[VELD_RPC_MESSAGE_MAX + 1];
    char method[200];
    memset(method, 'M', sizeof method);
    method[sizeof method - 1] = '\0';
    cr_expect_eq(ask("Echo", big, sizeof big, 5000), VELD_E_INVAL);
    cr_expect_eq(ask("Echo", big, 1, 0), VELD_E_INVAL);
    cr_expect_eq(ask(method, big, 1, 5000), VELD_E_INVAL);
    cr_expect_eq(ask("Echo", big, sizeof big - 1, 10000), 0, "%s", diag.text);
}

Test(rpc_client, waits_no_longer_than_told)
{
    uint64_t before_ns = veld_clock_mono_ns();
    cr_expect_eq(ask("Slow", "", 0, 150), VELD_E_IO);
    uint64_t took_ns = veld_clock_mono_ns() - before_ns;
    cr_expect(took_ns >= 140 * VELD_NS_PER_MS && took_ns < 5 * VELD_NS_PER_S);
    cr_expect(says("did not answer in time"), "%s", diag.text);
}

/* ---- Whom it talks to ---- */

Test(rpc_client, talks_to_the_pinned_certificate_alone)
{
    char fingerprint[VELD_CERTIFICATE_STRLEN];
    stop();
    start_with(&other, atoi(strchr(address, ':') + 1)); /* it is replaced */
    cr_expect_eq(ask("Echo", "x", 1, 5000), VELD_E_AUTH);
    cr_expect(says("another certificate"), "%s", diag.text);
    cr_expect(says(veld_certificate_format(own.sha256, fingerprint)), "%s", diag.text);
    cr_expect(says(veld_certificate_format(other.sha256, fingerprint)), "%s", diag.text);
    cr_expect(says("veld login"), "%s", diag.text);
    cr_expect_eq(grpc_test_server_open_calls(server), 0);
    int port = grpc_test_server_port(server);
    stop();
    start_with(&own, port); /* and back */
    int rc = -1;
    for (int i = 0; i < 100 && rc != 0; i++, usleep(20000))
        rc = ask("Echo", "x", 1, 5000);
    cr_expect_eq(rc, 0, "%s", diag.text);
}

Test(rpc_client, takes_no_certificate_that_the_pinned_one_signed)
{
    struct test_certificate ca, leaf;
    test_certificate_make(&ca, "DNS:veld-coord", NULL, "a CA", 0);
    test_certificate_make(&leaf, "DNS:veld-coord,IP:127.0.0.1", &ca, NULL, 0);
    veld_rpc_close(client);
    stop();
    start_with(&leaf, 0);
    open_to(&ca);
    cr_expect_eq(ask("Echo", "x", 1, 5000), VELD_E_AUTH);
    cr_expect(says("another certificate"), "%s", diag.text);
    test_certificate_clear(&ca);
    test_certificate_clear(&leaf);
}

Test(rpc_client, takes_any_certificate_that_is_pinned)
{
    struct test_certificate ca, odd[3];
    test_certificate_make(&ca, NULL, NULL, "a CA", 0);
    test_certificate_make(&odd[0], NULL, NULL, NULL, 0);                       /* no name */
    test_certificate_make(&odd[1], "DNS:elsewhere.example", &ca, NULL, 0);     /* a CA's */
    test_certificate_make(&odd[2], "DNS:veld-coord", NULL, NULL, -30 * 86400); /* over */
    for (size_t i = 0; i < 3; i++) {
        veld_rpc_close(client);
        stop();
        start_with(&odd[i], 0);
        open_to(&odd[i]);
        cr_expect_eq(ask("Echo", "x", 1, 5000), 0, "%zu: %s", i, diag.text);
        test_certificate_clear(&odd[i]);
    }
    test_certificate_clear(&ca);
}

Test(rpc_client, says_who_cannot_be_reached)
{
    static const struct {
        const char *address, *says;
    } bad[] = {{"127.0.0.1", "HOST:PORT"}, {"127.0.0.1:0", "HOST:PORT"}, {":1", "HOST:PORT"}};
    struct veld_rpc_server s = {.address = address};
    struct veld_rpc_client *c;
    stop();
    cr_expect_eq(ask("Echo", "x", 1, 5000), VELD_E_IO);
    cr_expect(says(address) && says("(the connection is refused): check the address"), "%s",
              diag.text);
    cr_expect(!says("ipv4:"), "%s", diag.text);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s.address = bad[i].address;
        cr_expect_eq(veld_rpc_open(&c, &s, &diag), VELD_E_FORMAT);
        cr_expect(says(bad[i].says), "%s", diag.text);
        cr_expect_null(c);
    }
}

Test(rpc_client, comes_back_with_the_server)
{
    int port = grpc_test_server_port(server);
    cr_expect_eq(ask("Echo", "x", 1, 5000), 0, "%s", diag.text);
    stop();
    cr_expect_eq(ask("Echo", "x", 1, 5000), VELD_E_IO);
    start_with(&own, port);
    int rc = -1;
    for (int i = 0; i < 100 && rc != 0; i++, usleep(20000))
        rc = ask("Echo", "x", 1, 5000);
    cr_expect_eq(rc, 0, "%s", diag.text);
}

/* ---- Streams and endings ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned messages, dones;
    size_t bytes;
    int status, err;
    char text[512];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_message(void *ctx, const uint8_t *message, size_t len)
{
    pthread_mutex_lock(&seen.lock);
    seen.messages++;
    seen.bytes += len;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void on_done(void *ctx, const struct veld_rpc_result *r)
{
    pthread_mutex_lock(&seen.lock);
    seen.dones++;
    seen.status = r->status;
    seen.err = r->err;
    snprintf(seen.text, sizeof seen.text, "%s", r->text);
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void wait_for(unsigned messages, unsigned dones)
{
    pthread_mutex_lock(&seen.lock);
    while (seen.messages < messages || seen.dones < dones)
        pthread_cond_wait(&seen.changed, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
}

static uint64_t stream(const char *method, const char *body)
{
    uint64_t id = 0;
    cr_assert_eq(veld_rpc_stream(client, NULL, method, body, strlen(body), on_message, on_done,
                                 NULL, &id),
                 0);
    cr_assert_neq(id, 0);
    return id;
}

Test(rpc_client, streams_until_the_server_ends_it)
{
    stream("Three", "abcd");
    wait_for(3, 1);
    cr_expect(seen.messages == 3 && seen.bytes == 12 && seen.err == 0, "%s", seen.text);
    stream("Broken", "ab");
    wait_for(5, 2);
    cr_expect(seen.messages == 5 && seen.err == VELD_E_STATE);
    cr_expect(strstr(seen.text, "says: no more"), "%s", seen.text);
}

Test(rpc_client, streams_until_it_is_cancelled)
{
    uint64_t first = stream("Endless", "");
    wait_for(10, 0);
    veld_rpc_stream_cancel(client, first);
    wait_for(10, 1);
    cr_expect(seen.err == VELD_E_STATE && seen.dones == 1, "%s", seen.text);
    veld_rpc_stream_cancel(client, first); /* it is over */
    uint64_t second = stream("Slow", "");
    veld_rpc_stream_cancel(client, first); /* another's */
    cr_expect_neq(first, second);
    cr_expect_eq(ask("Echo", "x", 1, 5000), 0);
    cr_expect_eq(seen.dones, 1);
    veld_rpc_stream_cancel(client, second);
    wait_for(10, 2);
}

Test(rpc_client, ends_streams_with_the_server)
{
    stream("Endless", "");
    wait_for(1, 0);
    stop();
    wait_for(1, 1);
    cr_expect_lt(seen.err, 0);
}

Test(rpc_client, close_ends_all_and_waits_for_it)
{
    for (int i = 0; i < 5; i++) {
        stream(i % 2 ? "Endless" : "Slow", "");
        cr_assert_eq(veld_rpc_call(client, NULL, "Slow", "", 0, 60000, on_done, NULL), 0);
    }
    wait_for(4, 0);
    veld_rpc_close(client);
    client = NULL;
    cr_expect_eq(seen.dones, 10);
    cr_expect_eq(seen.err, VELD_E_STATE);
}

Test(rpc_client, has_a_bound_of_calls)
{
    unsigned n = 0;
    int rc;
    while ((rc = veld_rpc_call(client, NULL, "Slow", "", 0, 60000, on_done, NULL)) == 0)
        n++;
    cr_expect(rc == VELD_E_FULL && n == 256, "%d after %u", rc, n);
}

static struct {
    int rc_call, rc_wait;
    bool done;
} nested;

static void call_again(void *ctx, const struct veld_rpc_result *r)
{
    struct veld_blob none = {0};
    nested.rc_wait = veld_rpc_call_wait(client, NULL, "Echo", "", 0, 100, &none, NULL);
    nested.rc_call = veld_rpc_call(client, NULL, "Echo", "", 0, 5000, on_done, NULL);
}

Test(rpc_client, calls_from_callbacks)
{
    cr_assert_eq(veld_rpc_call(client, NULL, "Echo", "", 0, 5000, call_again, NULL), 0);
    wait_for(0, 1);
    cr_expect_eq(nested.rc_call, 0);
    cr_expect_eq(nested.rc_wait, VELD_E_STATE, "it would wait for itself");
    /* None begins while it closes. */
    cr_assert_eq(veld_rpc_call(client, NULL, "Slow", "", 0, 5000, call_again, NULL), 0);
    veld_rpc_close(client);
    cr_expect_eq(nested.rc_call, VELD_E_STATE);
    client = NULL;
}

/* ---- Without a server, which would keep gRPC alive in this process ---- */

static unsigned threads(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* . and .. */
}

/* A port that takes connections and says nothing, or (`refuses`) takes none. */
static int listen_silently(bool refuses)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (!refuses)
        cr_assert_eq(listen(fd, 8), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

Test(rpc_alone, leaves_no_thread_behind, .timeout = 60)
{
    cr_assert_eq(veld_crypto_init(), 0);
    unsigned before = threads();
    for (int i = 0; i < 4; i++) {
        int fd = listen_silently(i < 2);
        struct veld_rpc_server s = {.address = address};
        cr_assert_eq(veld_rpc_open(&client, &s, &diag), 0, "%s", diag.text);
        cr_expect_gt(threads(), before);
        if (i % 2) {
            cr_expect_eq(ask("Echo", "", 0, 200), VELD_E_IO);
            cr_expect(says(address), "%s", diag.text);
        }
        cr_assert_eq(veld_rpc_call(client, NULL, "Echo", "", 0, 60000, on_done, NULL), 0);
        uint64_t before_ns = veld_clock_mono_ns();
        veld_rpc_close(client);
        cr_expect_not(grpc_is_initialized(), "%d: a process that exits now may crash", i);
        cr_expect_lt(veld_clock_mono_ns() - before_ns, VELD_NS_PER_S, "%d", i);
        cr_expect_eq(seen.dones, (unsigned)i + 1);
        for (int ms = 0; threads() > before && ms < 200; ms++)
            usleep(1000); /* some are at their last instruction */
        cr_expect_eq(threads(), before, "%d: %u", i, threads());
        close(fd);
    }
}

Test(rpc_alone, waits_for_no_attempt_when_it_closes, .timeout = 60)
{
    uint64_t least_ns = UINT64_MAX; /* of some, since others may be busy here */
    int fd = listen_silently(true);
    struct veld_rpc_server s = {.address = address};
    cr_assert_eq(veld_crypto_init(), 0);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(veld_rpc_open(&client, &s, &diag), 0, "%s", diag.text);
        cr_expect_eq(ask("Echo", "", 0, 5000), VELD_E_IO); /* the next is half a second away */
        uint64_t before_ns = veld_clock_mono_ns();
        veld_rpc_close(client);
        uint64_t took_ns = veld_clock_mono_ns() - before_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    cr_expect_lt(least_ns, 200 * VELD_NS_PER_MS);
    close(fd);
}

Test(rpc_alone, leaves_signals_to_the_program, .timeout = 60)
{
    cr_assert_eq(veld_crypto_init(), 0);
    int fd = listen_silently(true);
    struct veld_rpc_server s = {.address = address};
    cr_assert_eq(veld_rpc_open(&client, &s, &diag), 0, "%s", diag.text);
    cr_expect_eq(ask("Echo", "", 0, 5000), VELD_E_IO);
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char path[300], line[128];
        unsigned long blocked = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = atoi(e->d_name) == getpid() || e->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "SigBlk: %lx", &blocked) == 1)
                n += (blocked & (1ul << (SIGTERM - 1))) != 0;
        if (f)
            fclose(f);
        cr_expect(!f || blocked & (1ul << (SIGTERM - 1)), "%s", e->d_name);
    }
    closedir(d);
    cr_expect_geq(n, 2);
    veld_rpc_close(client);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    cr_expect_not(sigismember(&now, SIGTERM));
    close(fd);
}

Test(rpc_alone, takes_no_proxy_from_the_environment, .timeout = 60)
{
    cr_assert_eq(veld_crypto_init(), 0);
    int fd = listen_silently(false), proxy;
    char from[80];
    strcpy(from, address);
    proxy = listen_silently(false);
    char text[80];
    snprintf(text, sizeof text, "http://%s", address);
    setenv("http_proxy", text, 1);
    setenv("https_proxy", text, 1);
    setenv("grpc_proxy", text, 1);
    struct veld_rpc_server s = {.address = from};
    cr_assert_eq(veld_rpc_open(&client, &s, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_rpc_call(client, NULL, "Echo", "", 0, 60000, on_done, NULL), 0);
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = proxy, .events = POLLIN}};
    cr_assert_gt(poll(p, 2, 10000), 0);
    cr_expect_eq(p[1].revents, 0, "it went to the proxy");
    int one = accept(fd, NULL, NULL);
    cr_expect_geq(one, 0);
    veld_rpc_close(client);
    close(one);
    close(fd);
    close(proxy);
}
