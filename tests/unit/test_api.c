#include "control/api/api.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- A daemon to talk about ---- */

static struct {
    int downs, pings, rekeys;
    int ping_result;
    bool reply_at_once;
    struct veld_api_request *waiting[64];
    char peer[80], rekey_peer[80];
} fake;

static json_t *fake_status(void *ctx)
{
    return json_pack("{s:i}", "version", 1);
}

static const char *fake_pubkey(void *ctx)
{
    return "the key";
}

static int fake_ping(void *ctx, const char *peer, struct veld_api_request *req,
                     struct veld_diag *diag)
{
    snprintf(fake.peer, sizeof fake.peer, "%s", peer);
    if (fake.ping_result < 0)
        return veld_fail(diag, fake.ping_result, "no peer is called %s", peer);
    fake.waiting[fake.pings++] = req;
    if (fake.reply_at_once)
        veld_api_reply(req, 200, json_pack("{s:i}", "rtt_us", 7));
    return 0;
}

static int fake_netcheck(void *ctx, struct veld_api_request *req, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_FULL, "a netcheck is under way");
}

static int fake_rekey(void *ctx, const char *peer, struct veld_api_request *req,
                      struct veld_diag *diag)
{
    snprintf(fake.rekey_peer, sizeof fake.rekey_peer, "%s", peer ? peer : "(all)");
    fake.rekeys++;
    if (fake.reply_at_once)
        veld_api_reply(req, 200, json_pack("{s:[]}", "peers"));
    return 0;
}

static void fake_down(void *ctx)
{
    fake.downs++;
}

static json_t *fake_answer(const char *what, const char *name)
{
    return json_pack("{s:s, s:s}", "did", what, "name", name);
}

static int fake_trust(void *ctx, json_t **out, struct veld_diag *diag)
{
    *out = json_pack("{s:[]}", "pins");
    return 0;
}

static int fake_accept(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    if (strcmp(name, "b") != 0)
        return veld_fail(diag, VELD_E_NOENT, "no member is called %s", name);
    *out = fake_answer("accept", name);
    return 0;
}

static int fake_forget(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    *out = fake_answer("forget", name);
    return 0;
}

static int fake_reload(void *ctx, json_t **out, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_STATE, "needs a restart");
}

static const struct veld_api_ops ops = {.trust = fake_trust,
                                        .trust_accept = fake_accept,
                                        .trust_forget = fake_forget,
                                        .network_reload = fake_reload,
                                        .status = fake_status,
                                        .pubkey = fake_pubkey,
                                        .ping = fake_ping,
                                        .rekey = fake_rekey,
                                        .netcheck = fake_netcheck,
                                        .down = fake_down};

/* ---- Routing, without HTTP ---- */

Test(api, routes_and_refuses)
{
    static const struct {
        const char *method, *url, *body;
        unsigned status;
        const char *says;
    } cases[] = {
        {"GET", "/v1/status", "", 200, "{\"version\":1}"},
        {"GET", "/v1/version", "", 200, "{\"version\":\"" VELD_VERSION "\",\"protocol\":1}"},
        {"GET", "/v1/pubkey", "", 200, "{\"pubkey\":\"the key\"}"},
        {"POST", "/v1/down", "", 200, "{\"stopping\":true}"},
        {"POST", "/v1/status", "", 405, "error"},
        {"GET", "/v1/down", "", 405, "error"},
        {"GET", "/v1/ping", "", 405, "error"},
        {"DELETE", "/v1/status", "", 405, "error"},
        {"GET", "/", "", 404, "error"},
        {"GET", "/v1/status/", "", 404, "error"},
        {"GET", "/v2/status", "", 404, "error"},
        {"GET", "", "", 404, "error"},
        {"POST", "/v1/ping", "", 400, "error"},
        {"POST", "/v1/ping", "{}", 400, "error"},
        {"POST", "/v1/ping", "[\"b\"]", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": 1}", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"\"}", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"b\", \"x\": 1}", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"b\", \"peer\": \"c\"}", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"b\"} x", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"a\\u0000b\"}", 400, "error"},
        {"POST", "/v1/ping", "{\"peer\": \"\xff\"}", 400, "error"},
        {"POST", "/v1/ping",
         "{\"peer\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
         400, "error"},
        {"GET", "/v1/netcheck", "", 405, "error"},
        {"POST", "/v1/netcheck", "{}", 503, "error"},
        {"GET", "/v1/rekey", "", 405, "error"},
        {"POST", "/v1/rekey", "", 400, "error"},
        {"POST", "/v1/rekey", "[]", 400, "error"},
        {"POST", "/v1/rekey", "{\"peer\": \"\"}", 400, "error"},
        {"POST", "/v1/rekey", "{\"all\": true}", 400, "error"},
        {"POST", "/v1/rekey", "{}", 202, NULL},
        {"POST", "/v1/ping", "{\"peer\": \"b\"}", 202, NULL},
        {"GET", "/v1/trust", "", 200, "{\"pins\":[]}"},
        {"POST", "/v1/trust", "", 405, "error"},
        {"GET", "/v1/trust/accept", "", 405, "error"},
        {"POST", "/v1/trust/accept", "{\"name\": \"b\"}", 200,
         "{\"did\":\"accept\",\"name\":\"b\"}"},
        {"POST", "/v1/trust/accept", "{\"name\": \"c\"}", 404, "no member is called c"},
        {"POST", "/v1/trust/accept", "{\"peer\": \"b\"}", 400, "error"},
        {"POST", "/v1/trust/accept", "{\"name\": \"b\", \"x\": 1}", 400, "error"},
        {"POST", "/v1/trust/accept", "", 400, "error"},
        {"POST", "/v1/trust/forget", "{\"name\": \"b\"}", 200,
         "{\"did\":\"forget\",\"name\":\"b\"}"},
        {"POST", "/v1/trust/forget", "{\"name\": 1}", 400, "error"},
        {"POST", "/v1/network/reload", "{}", 409, "needs a restart"},
        {"GET", "/v1/network/reload", "", 405, "error"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        json_t *out;
        unsigned status = veld_api_handle(&ops, cases[i].method, cases[i].url, cases[i].body,
                                          strlen(cases[i].body), NULL, &out);
        cr_expect_eq(status, cases[i].status, "%s %s %s -> %u", cases[i].method, cases[i].url,
                     cases[i].body, status);
        if (!cases[i].says) {
            cr_expect_null(out);
            continue;
        }
        char *text = json_dumps(out, JSON_COMPACT);
        cr_expect_not_null(strstr(text, cases[i].says), "%s", text);
        free(text);
        json_decref(out);
    }
    cr_assert_eq(fake.pings, 1);
    cr_assert_eq(fake.rekeys, 1);
    cr_assert_str_eq(fake.peer, "b");
    cr_assert_str_eq(fake.rekey_peer, "(all)");
    cr_assert_eq(fake.downs, 1);
}

Test(api, errors_of_ping_become_http)
{
    static const struct {
        int err;
        unsigned status;
    } cases[] = {
        {VELD_E_NOENT, 404}, {VELD_E_STATE, 409}, {VELD_E_FULL, 503}, {VELD_E_IO, 500}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        json_t *out;
        fake.ping_result = cases[i].err;
        cr_assert_eq(
            veld_api_handle(&ops, "POST", "/v1/ping", "{\"peer\":\"x\"}", 12, NULL, &out),
            cases[i].status);
        cr_assert_str_eq(json_string_value(json_object_get(out, "error")),
                         "no peer is called x");
        json_decref(out);
    }
}

Test(api, long_bodies_are_refused)
{
    static char body[VELD_API_BODY_MAX + 1];
    json_t *out;
    memset(body, ' ', sizeof body);
    cr_assert_eq(veld_api_handle(&ops, "POST", "/v1/ping", body, sizeof body, NULL, &out), 413);
    json_decref(out);
    cr_assert_eq(veld_api_handle(&ops, "POST", "/v1/ping", body, sizeof body - 1, NULL, &out),
                 400);
    json_decref(out);
}

/* ---- Over a real socket ---- */

static char dir[] = "/tmp/veld-test-api.XXXXXX";
static char path[64];
static struct veld_api *api;

static void start(void)
{
    struct veld_diag diag;
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/run/veld.sock", dir);
    cr_assert_eq(veld_api_start(&api, path, &ops, &diag), 0, "%s", diag.text);
}

static void stop(void)
{
    char run[64];
    veld_api_stop(api);
    cr_assert_eq(access(path, F_OK), -1, "the socket was left behind");
    snprintf(run, sizeof run, "%s/run", dir);
    cr_assert_eq(rmdir(run), 0);
    cr_assert_eq(rmdir(dir), 0);
}

TestSuite(api_socket, .init = start, .fini = stop, .timeout = 60);

static struct sockaddr_un address(void)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path, path);
    return sun;
}

static int client(const char *text)
{
    struct sockaddr_un sun = address();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sun, sizeof sun), 0, "%s", strerror(errno));
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    return fd;
}

/* Turn the main loop for so long. */
static void turn(unsigned ms)
{
    uint64_t end = veld_clock_mono_ns() + ms * VELD_NS_PER_MS;
    while (veld_clock_mono_ns() < end) {
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(500);
    }
}

/* What the daemon says until it closes, or until `end` is in it. Closes `fd`. */
static const char *answer_until(int fd, const char *end, unsigned ms)
{
    static char text[65536];
    size_t n = 0;
    uint64_t deadline = veld_clock_mono_ns() + ms * VELD_NS_PER_MS;
    text[0] = '\0';
    while (!strstr(text, end) && veld_clock_mono_ns() < deadline) {
        turn(1);
        ssize_t r = recv(fd, text + n, sizeof text - 1 - n, MSG_DONTWAIT);
        if (r == 0 || (r < 0 && errno != EAGAIN))
            break;
        n += r > 0 ? (size_t)r : 0;
        text[n] = '\0';
    }
    close(fd);
    return text;
}

static const char *ask(const char *request)
{
    return answer_until(client(request), "}", 3000);
}

#define GET(url) "GET " url " HTTP/1.1\r\nHost: veld\r\n\r\n"
#define PING(len, body)                                                                        \
    "POST /v1/ping HTTP/1.1\r\nHost: veld\r\nContent-Length: " #len "\r\n\r\n" body
#define PING_B PING(12, "{\"peer\":\"b\"}")

static void expect(const char *answer, const char *status, const char *body)
{
    char line[64];
    snprintf(line, sizeof line, "HTTP/1.1 %s", status);
    cr_expect_eq(strncmp(answer, line, strlen(line)), 0, "%s\nexpected %s", answer, status);
    cr_expect_not_null(strstr(answer, "Content-Type: application/json\r\n"), "%s", answer);
    cr_expect_not_null(strstr(answer, body), "%s\nexpected %s", answer, body);
}

#define POST_NAME(what)                                                                        \
    "POST /v1/trust/" what " HTTP/1.1\r\nHost: veld\r\nContent-Length: 13\r\n\r\n{\"name\": "  \
    "\"b\"}"

Test(api_socket, serves)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0660);
    expect(ask(GET("/v1/status")), "200", "{\"version\":1}");
    expect(ask(GET("/v1/pubkey")), "200", "the key");
    expect(ask(GET("/v1/trust")), "200", "{\"pins\":[]}");
    expect(ask(POST_NAME("accept")), "200", "\"did\":\"accept\"");
    expect(ask(POST_NAME("forget")), "200", "\"did\":\"forget\"");
    expect(ask("POST /v1/network/reload HTTP/1.1\r\nHost: veld\r\nContent-Length: 2\r\n\r\n{}"),
           "409", "needs a restart");
    expect(ask(GET("/nothing")), "404", "error");
    expect(ask("DELETE /v1/status HTTP/1.1\r\nHost: veld\r\n\r\n"), "405", "error");
    expect(ask(PING(3, "{x}")), "400", "error");
}

Test(api_socket, down_is_told_after_the_answer)
{
    int fd = client("POST /v1/down HTTP/1.1\r\nHost: veld\r\nContent-Length: 0\r\n\r\n");
    expect(answer_until(fd, "}", 3000), "200", "{\"stopping\":true}");
    turn(50);
    cr_assert_eq(fake.downs, 1);
}

Test(api_socket, ping_waits_for_its_reply)
{
    int fd = client(PING_B);
    turn(50);
    cr_assert_eq(fake.pings, 1);
    expect(ask(GET("/v1/status")), "200", "version"); /* meanwhile others are served */
    veld_api_reply(fake.waiting[0], 200, json_pack("{s:i}", "rtt_us", 1200));
    expect(answer_until(fd, "}", 3000), "200", "{\"rtt_us\":1200}");

    fake.reply_at_once = true;
    expect(ask(PING_B), "200", "{\"rtt_us\":7}");
    fake.ping_result = VELD_E_NOENT;
    expect(ask(PING_B), "404", "no peer is called b");
}

Test(api_socket, a_late_reply_needs_no_other_request_to_leave)
{
    int fd = client(PING_B);
    turn(200);
    cr_assert_eq(fake.pings, 1);
    veld_api_reply(fake.waiting[0], 200, json_pack("{s:i}", "rtt_us", 5));
    expect(answer_until(fd, "}", 2000), "200", "{\"rtt_us\":5}");
}

Test(api_socket, client_that_went_away_harms_nothing)
{
    for (int i = 0; i < 3; i++) {
        int fd = client(PING_B);
        turn(30);
        close(fd);
    }
    turn(30);
    cr_assert_eq(fake.pings, 3);
    for (int i = 0; i < 3; i++)
        veld_api_reply(fake.waiting[i], 200, json_object());
    expect(ask(GET("/v1/status")), "200", "version");
}

Test(api_socket, waiting_requests_are_bounded)
{
    int fds[16];
    for (int i = 0; i < 16; i++)
        fds[i] = client(PING_B);
    turn(100);
    cr_assert_eq(fake.pings, 16);
    expect(ask(PING_B), "503", "too many requests");
    cr_assert_eq(fake.pings, 16);
    for (int i = 0; i < 16; i++) {
        veld_api_reply(fake.waiting[i], 200, json_object());
        expect(answer_until(fds[i], "}", 3000), "200", "{}");
    }
    fake.reply_at_once = true;
    expect(ask(PING_B), "200", "rtt_us");
}

Test(api_socket, stop_answers_who_waits_and_a_late_reply_is_harmless)
{
    int fd = client(PING_B);
    turn(50);
    cr_assert_eq(fake.pings, 1);
    veld_api_stop(api);
    api = NULL;
    expect(answer_until(fd, "}", 1000), "503", "the daemon is stopping");
    veld_api_reply(fake.waiting[0], 200, json_object());
}

Test(api_socket, oversized_requests)
{
    expect(ask(PING(4097, "{")), "413", "too long");
    static char chunked[8192];
    int n = sprintf(chunked, "POST /v1/ping HTTP/1.1\r\nHost: veld\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n1388\r\n");
    memset(chunked + n, ' ', 0x1388);
    strcpy(chunked + n + 0x1388, "\r\n0\r\n\r\n");
    expect(ask(chunked), "413", "too long");

    static char header[40000];
    n = sprintf(header, "GET /v1/status HTTP/1.1\r\nHost: veld\r\nX: ");
    memset(header + n, 'x', sizeof header - (size_t)n - 1);
    cr_assert_null(strstr(answer_until(client(header), "version", 500), "200 OK"));
    expect(ask(GET("/v1/status")), "200", "version");
}

Test(api_socket, stalled_clients_hold_nobody_up_for_long)
{
    int fds[VELD_API_CONNECTIONS_MAX];
    int one = client("GET /v1/sta");
    expect(ask(GET("/v1/status")), "200", "version");
    for (size_t i = 0; i < VELD_ARRAY_LEN(fds); i++)
        fds[i] = client("GET /v1/sta");
    turn(100);
    /* All places are taken now: the next is served once the stalled ones have timed out. */
    expect(answer_until(client(GET("/v1/status")), "}", 20000), "200", "version");
    char byte;
    cr_assert_eq(recv(one, &byte, 1, MSG_DONTWAIT), 0, "the stalled connection is still open");
    for (size_t i = 0; i < VELD_ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(one);
}

/* A child with other credentials asks for the status; its exit status is the HTTP status / 100. */
static pid_t ask_as(uid_t uid, gid_t gid, gid_t supplementary)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct sockaddr_un sun = address();
    char text[512] = "";
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (setgroups(1, &supplementary) < 0 || setgid(gid) < 0 || setuid(uid) < 0 ||
        connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
        _exit(99);
    if (send(fd, GET("/v1/status"), strlen(GET("/v1/status")), 0) < 0 ||
        recv(fd, text, sizeof text - 1, 0) < 0)
        _exit(98);
    _exit(strncmp(text, "HTTP/1.1 ", 9) == 0 ? text[9] - '0' : 97);
}

static int result_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        turn(5);
    return WEXITSTATUS(status);
}

Test(api_socket, strangers_are_refused)
{
    if (geteuid() != 0)
        cr_skip_test("needs root");
    char run[64];
    snprintf(run, sizeof run, "%s/run", dir);
    cr_assert_eq(chmod(dir, 0755), 0);
    cr_assert_eq(result_of(ask_as(65534, 65534, 65534)), 99, "the file's mode lets them in");
    /* Were the mode wrong, the credentials would still keep them out. */
    cr_assert_eq(chmod(path, 0666), 0);
    cr_assert_eq(result_of(ask_as(65534, 65534, 65534)), 4);
    cr_assert_eq(result_of(ask_as(0, 65534, 65534)), 2);
    struct group *group = getgrnam("veld");
    if (group) {
        cr_assert_eq(result_of(ask_as(65534, group->gr_gid, 65534)), 2);
        cr_assert_eq(result_of(ask_as(65534, 65534, group->gr_gid)), 2);
    } else {
        cr_assert_eq(result_of(ask_as(65534, 0, 0)), 4, "without a group there are no members");
    }
}

Test(api_socket, its_mode_is_exact_whatever_the_umask)
{
    struct stat st;
    struct veld_diag diag;
    veld_api_stop(api);
    for (mode_t mask = 0; mask <= 0777; mask += 0777) {
        umask(mask);
        cr_assert_eq(veld_api_start(&api, path, &ops, &diag), 0, "%s", diag.text);
        cr_assert_eq(umask(mask), mask, "the umask is put back");
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0660);
        veld_api_stop(api);
    }
    umask(022);
    cr_assert_eq(veld_api_start(&api, path, &ops, &diag), 0, "%s", diag.text);
}

Test(api_socket, a_path_below_a_file_is_refused)
{
    char below[sizeof path + 8];
    struct veld_api *second = NULL;
    struct veld_diag diag;
    snprintf(below, sizeof below, "%s/x", path);
    cr_assert_lt(veld_api_start(&second, below, &ops, &diag), 0);
    cr_assert_not_null(strstr(diag.text, "Not a directory"), "%s", diag.text);
}

Test(api_socket, a_live_daemon_is_not_displaced)
{
    struct veld_api *second = NULL;
    struct veld_diag diag;
    cr_assert_eq(veld_api_start(&second, path, &ops, &diag), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "another veld-daemon is running"), "%s", diag.text);
    expect(ask(GET("/v1/status")), "200", "version");
}

Test(api_socket, only_what_is_ours_is_removed)
{
    struct sockaddr_un sun = address();
    struct veld_diag diag;
    veld_api_stop(api);

    /* a leftover of the dead is replaced */
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(dead, (struct sockaddr *)&sun, sizeof sun), 0);
    close(dead);
    cr_assert_eq(veld_api_start(&api, path, &ops, &diag), 0, "%s", diag.text);
    expect(ask(GET("/v1/status")), "200", "version");

    /* what somebody else put there stays */
    cr_assert_eq(unlink(path), 0);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    veld_api_stop(api);
    api = NULL;
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(veld_api_start(&api, path, &ops, &diag), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "is not a socket"), "%s", diag.text);
    cr_assert_eq(access(path, F_OK), 0);
    close(fd);
    unlink(path);

    char huge[200];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    cr_assert_eq(veld_api_start(&api, huge, &ops, &diag), VELD_E_RANGE);
}
