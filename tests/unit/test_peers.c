/*
 * A control whose peers come and go while it runs, in a network namespace of the
 * test's own. The other machine is a process of its own, whose configuration names
 * this one; both are on the loopback interface.
 *
 *     this process, veld-a 10.0.0.1  --- 127.0.0.1:41001, :41002 ---  veld-b 10.0.1.2, a child
 *
 * What the control does to the dataplane's routes and answers to its API is seen on
 * the way (--wrap).
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "control/control_impl.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 10000

static char dir[] = "/tmp/veld-test-peers.XXXXXX";
static struct veld_identity *id_a, *id_b, *id_third; /* the third is nowhere */
static struct veld_control *c;
static struct veld_config *config;
static struct veld_state *state;
static struct veld_diag diag;
static pid_t child;
static bool made_dir;

/* ---- Seen on the way ---- */

static unsigned published;
static size_t routes_published;
static unsigned replies, reply_status;
static json_t *reply_body;
static char asked; /* its address is a request */

int __real_veld_dataplane_routes_publish(struct veld_dataplane *dp, const struct veld_route *r,
                                         size_t n);
int __wrap_veld_dataplane_routes_publish(struct veld_dataplane *dp, const struct veld_route *r,
                                         size_t n);
int __wrap_veld_dataplane_routes_publish(struct veld_dataplane *dp, const struct veld_route *r,
                                         size_t n)
{
    published++;
    routes_published = n;
    return __real_veld_dataplane_routes_publish(dp, r, n);
}

void __wrap_veld_api_reply(struct veld_api_request *req, unsigned status, json_t *body);
void __wrap_veld_api_reply(struct veld_api_request *req, unsigned status, json_t *body)
{
    cr_assert_eq((void *)req, (void *)&asked);
    replies++;
    reply_status = status;
    json_decref(reply_body);
    reply_body = body;
}

/* Criterion has a thread of its own, and the test needs its rights. */
int __wrap_veld_privileges_drop(struct veld_diag *unused);
int __wrap_veld_privileges_drop(struct veld_diag *unused)
{
    return 0;
}

/* What the hooks of this process were told. */
static struct {
    bool refuse;
    unsigned may_use, used, wanted, messages;
    uint32_t last;
    uint64_t epoch;
} told;

static bool may_use(void *ctx, uint32_t id)
{
    told.may_use++;
    told.last = id;
    return !told.refuse;
}

static void on_use(void *ctx, uint32_t id)
{
    cr_assert_eq(id, told.last);
    told.used++;
}

static void on_wanted(void *ctx, uint32_t id)
{
    told.wanted++;
}

static void on_message(void *ctx, uint32_t id, const struct veld_message *m)
{
    cr_assert_eq(m->type, VELD_MSG_REVOKED_EPOCH);
    told.messages++;
    told.epoch = m->epoch;
}

/* ---- Controls ---- */

static struct veld_control *open_control(const char *name, const struct veld_identity *identity,
                                         const char *text, bool has_network)
{
    static const struct veld_control_network network = {.name = "mynet"};
    char path[128], socket_path[128];
    struct veld_control *opened = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(socket_path, sizeof socket_path, "%s/%s.sock", dir, name);
    cr_assert_eq(veld_config_parse("test.toml", text, strlen(text), &config, &diag), 0, "%s",
                 diag.text);
    cr_assert_eq(veld_state_open(&state, path, &diag), 0, "%s", diag.text);
    struct veld_control_options options = {.config = config,
                                           .state = state,
                                           .identity = identity,
                                           .socket_path = socket_path,
                                           .network = has_network ? &network : NULL};
    cr_assert_eq(veld_control_open(&opened, &options, &diag), 0, "%s", diag.text);
    return opened;
}

static void close_control(void)
{
    veld_control_close(c);
    veld_state_close(state);
    veld_config_free(config);
    c = NULL;
}

static void open_a(void)
{
    static const struct veld_control_hooks hooks = {
        .may_use = may_use, .on_use = on_use, .on_wanted = on_wanted, .on_message = on_message};
    c = open_control("a", id_a,
                     "listen_addr = \"127.0.0.1:41001\"\n"
                     "vpn_ip = [\"10.0.0.1/24\", \"fd0a::1/64\"]\n"
                     "name = \"machine-a\"\ninterface = \"veld-a\"\nworkers = 1\n"
                     "[dns]\nmode = \"off\"\n",
                     true);
    veld_control_set_hooks(c, &hooks);
}

/* Machine b wants a circuit to the third, at once and again and again. */
static gboolean ask_for_circuit(gpointer b)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = 7};
    memcpy(m.pub, id_third->pub, sizeof m.pub);
    (void)!veld_control_peer_send(b, 0, &m);
    return G_SOURCE_CONTINUE;
}

static void say_epoch(void *ctx, uint32_t id)
{
    const struct veld_message m = {.type = VELD_MSG_REVOKED_EPOCH, .epoch = 42};
    (void)!veld_control_peer_send(ctx, id, &m);
    ask_for_circuit(ctx);
}

static _Noreturn void be_b(void)
{
    char text[1024], pub[VELD_PUBKEY_STRLEN];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    veld_pubkey_format(id_a->pub, pub);
    snprintf(text, sizeof text,
             "listen_addr = \"127.0.0.1:41002\"\nvpn_ip = \"10.0.1.2/24\"\n"
             "name = \"machine-b\"\ninterface = \"veld-b\"\nworkers = 1\n"
             "[dns]\nmode = \"off\"\n"
             "[[peers]]\nname = \"machine-a\"\npubkey = \"%s\"\nvpn_ip = \"10.0.0.1\"\n",
             pub);
    struct veld_control *b = open_control("b", id_b, text, false);
    veld_control_set_hooks(b, &(struct veld_control_hooks){.ctx = b, .on_use = say_epoch});
    g_timeout_add(100, ask_for_circuit, b);
    veld_control_run(b);
    veld_control_close(b);
    veld_state_close(state);
    _exit(0);
}

static void start_b(void)
{
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        be_b();
    for (int i = 0; i < 500 && !if_nametoindex("veld-b"); i++)
        usleep(10000);
    cr_assert_neq(if_nametoindex("veld-b"), 0);
}

static void own_namespace(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
        cr_skip("needs root: it makes network namespaces");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    close(fd);
    static const uint8_t seed[3][32] = {{1}, {2}, {3}};
    cr_assert_eq(veld_crypto_init(), 0);
    id_a = veld_identity_from_seed(seed[0]);
    id_b = veld_identity_from_seed(seed[1]);
    id_third = veld_identity_from_seed(seed[2]);
    cr_assert_not_null(mkdtemp(dir));
    made_dir = true;
}

static void done(void)
{
    char command[128];
    if (c)
        close_control();
    if (child > 0) {
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    json_decref(reply_body);
    veld_identity_free(id_a);
    veld_identity_free(id_b);
    veld_identity_free(id_third);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (made_dir && system(command) != 0)
        cr_log_warn("%s is left", dir);
}

TestSuite(peers, .init = own_namespace, .fini = done, .timeout = 60);

/* ---- Helpers ---- */

static gboolean wake(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

/* The main loop goes on for so long; the longest turn in ns. */
static uint64_t run_for(uint64_t ms)
{
    guint ticks = g_timeout_add(1, wake, NULL);
    uint64_t longest = 0, end = veld_clock_mono_ns() + ms * VELD_NS_PER_MS, now;
    while ((now = veld_clock_mono_ns()) < end) {
        g_main_context_iteration(NULL, TRUE);
        longest = VELD_MAX(longest, veld_clock_mono_ns() - now);
    }
    g_source_remove(ticks);
    return longest;
}

#define EVENTUALLY(condition)                                                                  \
    do {                                                                                       \
        for (int tries = 0; tries < 1000 && !(condition); tries++)                             \
            run_for(10);                                                                       \
        cr_assert(condition);                                                                  \
    } while (0)

static struct veld_ip ip(const char *text)
{
    struct veld_ip v;
    cr_assert_eq(veld_ip_parse(text, &v), 0);
    return v;
}

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix v;
    cr_assert_eq(veld_prefix_parse(text, &v), 0);
    return v;
}

static struct veld_endpoint endpoint(const char *text)
{
    struct veld_endpoint v;
    cr_assert_eq(veld_endpoint_parse(text, &v), 0);
    return v;
}

/* Machine b, where it is. */
static struct veld_ip b_addrs[2];
static struct veld_prefix b_routes[2];
static struct veld_endpoint b_at[3]; /* the last one is right */
static struct veld_config_peer b_about;

static struct veld_control_peer_spec spec_b(void)
{
    b_addrs[0] = ip("10.0.0.2");
    b_addrs[1] = ip("fd0a::2");
    b_routes[0] = prefix("192.168.7.0/24");
    b_routes[1] = prefix("192.168.8.0/24");
    b_at[0] = endpoint("127.0.0.1:9");
    b_at[1] = endpoint("[2001:db8::1]:41002"); /* a socket for IPv4 cannot send there */
    b_at[2] = endpoint("127.0.0.1:41002");
    b_about = (struct veld_config_peer){
        .name = "machine-b", .addrs = b_addrs, .n_addrs = 2, .routes = b_routes};
    memcpy(b_about.pub, id_b->pub, sizeof b_about.pub);
    return (struct veld_control_peer_spec){
        .about = &b_about, .candidates = b_at, .n_candidates = VELD_ARRAY_LEN(b_at)};
}

static uint32_t add_b(void)
{
    uint32_t id = UINT32_MAX;
    struct veld_control_peer_spec spec = spec_b();
    cr_assert_eq(veld_control_peer_add(c, &spec, &id), 0);
    memset(b_addrs, 0, sizeof b_addrs); /* it was copied */
    return id;
}

/* The status of the only peer. */
static const char *state_text(void)
{
    static char text[64];
    json_t *status = veld_control_status(c);
    cr_assert_eq(json_array_size(json_object_get(status, "peers")), 1);
    const json_t *peer = json_array_get(json_object_get(status, "peers"), 0);
    snprintf(text, sizeof text, "%s", json_string_value(json_object_get(peer, "state")));
    json_decref(status);
    return text;
}

static bool health_has(const char *part)
{
    bool has = false;
    size_t i;
    json_t *status = veld_control_status(c), *line;
    json_array_foreach(json_object_get(status, "health"), i, line) has |=
        strstr(json_string_value(line), part) != NULL;
    json_decref(status);
    return has;
}

static bool kernel_routes(const char *prefix_text)
{
    char command[128];
    snprintf(command, sizeof command, "ip route show dev veld-a | grep -qF '%s'", prefix_text);
    return system(command) == 0;
}

static bool has_session(uint32_t id)
{
    struct veld_peer_info info;
    return veld_engine_peer_get(c->engine, id, &info) == 0 && info.current_index != 0;
}

/* ---- They come, and are talked to ---- */

Test(peers, one_that_comes_is_talked_to_and_one_that_goes_is_not)
{
    start_b();
    open_a();
    cr_assert_null(veld_control_peer_about(c, 0));
    uint32_t id = add_b();
    cr_assert_str_eq(veld_control_peer_about(c, id)->name, "machine-b");
    cr_assert_str_eq(state_text(), "idle");
    run_for(100);
    cr_assert_eq(told.may_use, 0, "nobody asked for it");
    const struct veld_message m = {.type = VELD_MSG_REVOKED_EPOCH, .epoch = 7};
    cr_assert_eq(veld_control_peer_send(c, id, &m), VELD_E_STATE);

    cr_assert_eq(veld_control_peer_call(c, id), 0);
    cr_assert_eq(told.wanted, 1);
    EVENTUALLY(told.used == 1 && told.messages == 1);
    unsigned looked_at = told.may_use;
    cr_assert_geq(looked_at, 1);
    cr_assert_eq(told.epoch, 42);
    cr_assert_str_eq(state_text(), "active");
    cr_assert_eq(veld_control_peer_send(c, id, &m), 0);
    const uint32_t *live;
    cr_assert_eq(veld_control_peers_live(c, &live), 1);
    cr_assert_eq(live[0], id);
    cr_assert_gt(veld_control_peers_max(c), MANY);

    struct veld_control_peer_spec spec = spec_b();
    uint32_t again;
    cr_assert_eq(veld_control_peer_add(c, &spec, &again), VELD_E_EXIST);
    snprintf(b_about.name, sizeof b_about.name, "machine-x");
    b_addrs[0] = ip("10.0.0.7");
    cr_assert_eq(veld_control_peer_change(c, id, &spec), 0);
    run_for(200);
    cr_assert(has_session(id), "it goes on");
    cr_assert_eq(told.may_use, looked_at);
    cr_assert(veld_control_peer_find(c, "machine-x.mynet.veld", &again) && again == id);
    cr_assert_not(veld_control_peer_find(c, "machine-b", &again));

    veld_control_peer_remove(c, id);
    cr_assert_not(has_session(id));
    cr_assert_eq(c->peers.n_live, 0);
    cr_assert_eq(c->peers.n, 0);
    cr_assert_eq(veld_control_peer_send(c, id, &m), VELD_E_NOENT);
    cr_assert_eq(veld_control_peer_call(c, id), VELD_E_NOENT);
    cr_assert_eq(veld_control_peer_change(c, id, &spec), VELD_E_NOENT);
    veld_control_peer_remove(c, id);
    run_for(200);
    cr_assert_eq(told.used, 1);

    id = add_b();
    cr_assert_eq(veld_control_peer_call(c, id), 0);
    EVENTUALLY(told.used == 2);
}

Test(peers, one_that_was_talked_to_before_a_restart_is_called_where_it_was)
{
    start_b();
    open_a();
    uint32_t id = add_b();
    cr_assert_eq(veld_control_peer_call(c, id), 0);
    EVENTUALLY(told.used == 1);
    close_control();
    open_a();
    struct veld_control_peer_spec spec = spec_b();
    spec.n_candidates = 0;
    cr_assert_eq(veld_control_peer_add(c, &spec, &id), 0);
    EVENTUALLY(told.used == 2);
    veld_control_peer_remove(c, id);
    cr_assert_eq(veld_control_peer_add(c, &spec, &id), 0);
    veld_control_peer_remove(c, id); /* before its turn comes */
    cr_assert_eq(c->calls.n, 0);
}

Test(peers, what_cannot_be_a_peer_is_refused)
{
    open_a();
    uint32_t id;
    struct veld_control_peer_spec spec = spec_b();
    struct veld_endpoint many[VELD_CANDIDATES_MAX + 1], nowhere = endpoint("0.0.0.0:1");
    for (size_t i = 0; i < VELD_ARRAY_LEN(many); i++)
        many[i] = b_at[2];
    struct {
        const char *what;
        int rc;
    } cases[] = {{"no address", VELD_E_INVAL},
                 {"too many addresses", VELD_E_INVAL},
                 {"too many routes", VELD_E_INVAL},
                 {"too many candidates", VELD_E_INVAL},
                 {"nowhere", VELD_E_INVAL},
                 {"ourselves", VELD_E_KEY},
                 {"no key", VELD_E_KEY}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        spec = spec_b();
        switch (i) {
        case 0: b_about.n_addrs = 0; break;
        case 1: b_about.n_addrs = VELD_CONFIG_ADDRS_MAX + 1; break;
        case 2: b_about.n_routes = VELD_CONFIG_ROUTES_MAX + 1; break;
        case 3:
            spec.candidates = many;
            spec.n_candidates = VELD_ARRAY_LEN(many);
            break;
        case 4: spec.candidates = &nowhere; break;
        case 5: memcpy(b_about.pub, id_a->pub, 32); break;
        default: memset(b_about.pub, 0xff, 32); break;
        }
        cr_assert_eq(veld_control_peer_add(c, &spec, &id), cases[i].rc, "%s", cases[i].what);
        cr_assert_eq(c->peers.n, 0);
    }
    id = add_b();
    spec = spec_b();
    b_about.pub[0] ^= 1;
    cr_assert_eq(veld_control_peer_change(c, id, &spec), VELD_E_INVAL, "another key");
}

/* ---- Blocked ---- */

Test(peers, one_that_may_not_be_used_is_blocked_before_anything_is_sent)
{
    start_b();
    open_a();
    uint32_t id = add_b();
    b_about.n_routes = 0;
    told.refuse = true;
    cr_assert_eq(veld_control_peer_call(c, id), 0);
    EVENTUALLY(told.may_use == 1);
    cr_assert(veld_control_peer_is_blocked(c, id));
    cr_assert_not(has_session(id));
    cr_assert_str_eq(state_text(), "blocked: key changed");
    cr_assert_eq(told.used, 0);
    cr_assert_eq(veld_control_peer_call(c, id), VELD_E_PERM);
    run_for(200);
    cr_assert_eq(told.messages, 0);
    cr_assert_eq(routes_published, 0, "nothing leads there");
    cr_assert_eq(veld_control_peer_block(c, id), 0, "it is so already");

    told.refuse = false;
    cr_assert_eq(veld_control_peer_unblock(c, id), 0);
    EVENTUALLY(routes_published == 2);
    cr_assert_eq(veld_control_peer_call(c, id), 0);
    EVENTUALLY(told.used == 1);
    cr_assert_eq(veld_control_peer_block(c, id), 0);
    cr_assert_not(has_session(id));
    cr_assert_eq(veld_control_peer_unblock(c, 77), VELD_E_NOENT);
}

/* ---- Relaying for them ---- */

static struct veld_volunteer_counts relayed(void)
{
    return veld_volunteer_count(c->volunteer);
}

static uint32_t add_third(void)
{
    uint32_t id = UINT32_MAX;
    struct veld_control_peer_spec spec = spec_b();
    memcpy(b_about.pub, id_third->pub, sizeof b_about.pub);
    b_addrs[0] = ip("10.0.0.3");
    b_about.n_addrs = 1;
    b_about.n_routes = 0;
    spec.n_candidates = 0;
    cr_assert_eq(veld_control_peer_add(c, &spec, &id), 0);
    return id;
}

static void assert_none_is_left(void)
{
    cr_assert_eq(relayed().half_open, 0);
    cr_assert_eq(veld_circuit_numbers_taken(c->circuit_numbers), 0);
}

Test(peers, one_that_asks_is_relayed_for_while_both_are_in_good_standing)
{
    start_b();
    open_a();
    uint32_t b = add_b(), third = add_third();
    cr_assert_eq(veld_control_peer_call(c, b), 0);
    EVENTUALLY(relayed().refused > 0); /* it does not relay */

    config->relay = true;
    EVENTUALLY(relayed().half_open == 1);
    cr_assert_eq(veld_circuit_numbers_taken(c->circuit_numbers), 2);
    cr_assert_eq(veld_control_peer_block(c, third), 0);
    assert_none_is_left();
    uint64_t refused = relayed().refused;
    EVENTUALLY(relayed().refused > refused);

    cr_assert_eq(veld_control_peer_unblock(c, third), 0);
    EVENTUALLY(relayed().half_open == 1);
    veld_control_peer_remove(c, third);
    assert_none_is_left();
    refused = relayed().refused;
    EVENTUALLY(relayed().refused > refused);

    third = add_third();
    EVENTUALLY(relayed().half_open == 1);
    c->peers.peers[third].endpoint = veld_endpoint_circuit(7);
    veld_relaying_on_move(c, third);
    assert_none_is_left();
    c->peers.peers[third].endpoint = (struct veld_endpoint){0};

    EVENTUALLY(relayed().half_open == 1);
    cr_assert_eq(veld_control_peer_block(c, b), 0);
    assert_none_is_left();
    cr_assert_eq(veld_control_peer_unblock(c, b), 0);
    cr_assert_eq(veld_control_peer_call(c, b), 0);
    EVENTUALLY(relayed().half_open == 1);
    kill(child, SIGTERM); /* it says goodbye */
    EVENTUALLY(!has_session(b));
    assert_none_is_left();
}

Test(peers, one_that_may_not_be_used_is_not_relayed_for)
{
    start_b();
    open_a();
    uint32_t b = add_b();
    add_third();
    config->relay = true;
    told.refuse = true;
    cr_assert_eq(veld_control_peer_call(c, b), 0);
    EVENTUALLY(veld_control_peer_is_blocked(c, b));
    run_for(200);
    cr_assert_eq(relayed().half_open + relayed().refused, 0);
}

/* ---- Whoever waits ---- */

/* Numbers are dense, and used again. */
Test(peers, what_was_known_of_one_that_went_is_not_of_the_next)
{
    const struct veld_endpoint at = endpoint("192.0.2.3:7");
    struct veld_message list = {.type = VELD_MSG_CANDIDATES, .sequence = 5};
    struct veld_endpoint known[VELD_CANDIDATES_MAX];
    open_a();
    uint32_t id = add_third();
    cr_assert_geq(veld_control_peer_known(c, id, VELD_KNOWN_SESSION, &at, 1), 0);
    cr_assert_eq(veld_known_compose(c->known, id, known), 1);
    cr_assert_eq(veld_candidates_accept(c->candidates, id, &list, VELD_NS_PER_S), 0);
    veld_control_peer_remove(c, id);
    cr_assert_eq(add_third(), id);
    cr_assert_eq(veld_known_compose(c->known, id, known), 0);
    list.sequence = 1;
    cr_assert_eq(veld_candidates_accept(c->candidates, id, &list, VELD_NS_PER_S), 0);
}

Test(peers, who_waits_for_one_that_goes_is_told)
{
    open_a();
    struct veld_api_request *req = (void *)&asked;
    uint32_t id = add_b();
    cr_assert_eq(veld_pings_add(c, id, req, &diag), 0);
    veld_control_peer_remove(c, id);
    cr_assert_eq(replies, 1);
    cr_assert_eq(reply_status, 409);
    cr_assert_str_eq(json_string_value(json_object_get(reply_body, "error")),
                     "machine-b: it was removed");

    id = add_b();
    cr_assert_eq(veld_rekeys_add(c, &id, 1, req, &diag), 0);
    veld_control_peer_remove(c, id);
    EVENTUALLY(replies == 2);
    const json_t *item = json_array_get(json_object_get(reply_body, "peers"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(item, "name")), "machine-b");
    cr_assert_str_eq(json_string_value(json_object_get(item, "ip")), "10.0.0.2");
    cr_assert_str_eq(json_string_value(json_object_get(item, "error")), "it was removed");

    id = add_b();
    cr_assert_eq(veld_pings_add(c, id, req, &diag), 0);
    cr_assert_eq(veld_control_peer_block(c, id), 0);
    cr_assert_eq(replies, 3);
}

/* ---- Routes and names ---- */

Test(peers, routes_of_the_kernel_come_and_go)
{
    open_a();
    struct veld_control_peer_spec spec = spec_b();
    uint32_t id;
    b_about.n_routes = 2;
    cr_assert_eq(system("ip route add 192.168.8.0/24 dev lo"), 0);
    cr_assert_eq(veld_control_peer_add(c, &spec, &id), 0);
    EVENTUALLY(kernel_routes("192.168.7.0/24"));
    cr_assert_not(kernel_routes("192.168.8.0/24"));
    cr_assert(health_has("192.168.8.0/24 is not routed through veld-a, as it is a route of lo "
                         "already; see: ip route show 192.168.8.0/24"));

    b_about.n_routes = 1;
    cr_assert_eq(veld_control_peer_change(c, id, &spec), 0);
    EVENTUALLY(!health_has("192.168.8.0/24"));
    cr_assert(kernel_routes("192.168.7.0/24"));
    cr_assert_eq(veld_control_peer_block(c, id), 0);
    EVENTUALLY(!kernel_routes("192.168.7.0/24"));
    cr_assert_eq(veld_control_peer_unblock(c, id), 0);
    EVENTUALLY(kernel_routes("192.168.7.0/24"));
    veld_control_peer_remove(c, id);
    EVENTUALLY(!kernel_routes("192.168.7.0/24"));
    cr_assert_eq(routes_published, 0);
}

static bool resolves(const char *label)
{
    uint8_t query[64] = {0, 1, 0, 0, 0, 1, [12] = (uint8_t)strlen(label)},
            out[VELD_DNS_MESSAGE_MAX];
    size_t len = 13 + strlen(label), out_len;
    static const uint8_t rest[] = {5,   'm', 'y', 'n', 'e', 't', 4, 'v',
                                   'e', 'l', 'd', 0,   0,   1,   0, 1};
    memcpy(query + 13, label, strlen(label));
    memcpy(query + len, rest, sizeof rest);
    struct veld_dns_table *table = veld_publish_names(c);
    cr_assert_eq(veld_dns_answer(table, VELD_DNS_UDP, query, len + sizeof rest, out, &out_len),
                 0);
    veld_dns_table_free(table);
    return (out[3] & 15) == 0 && out[7] == 1;
}

Test(peers, names_are_those_of_peers_that_are_not_blocked)
{
    open_a();
    uint32_t id = add_b();
    cr_assert(resolves("machine-a"));
    cr_assert(resolves("machine-b"));
    cr_assert_eq(veld_control_peer_block(c, id), 0);
    cr_assert_not(resolves("machine-b"));
}

/* ---- Many ---- */

static struct veld_config_peer *number(unsigned i, struct veld_ip addrs[2])
{
    static struct veld_config_peer about;
    static const uint8_t any[32] = {9};
    addrs[0] = (struct veld_ip){4, {10, 100, (uint8_t)(i >> 8), (uint8_t)i}};
    addrs[1] = (struct veld_ip){6, {0xfd, 1, (uint8_t)(i >> 8), (uint8_t)i, 7}};
    about = (struct veld_config_peer){.addrs = addrs, .n_addrs = 2};
    snprintf(about.name, sizeof about.name, "machine-%u", i);
    memcpy(about.pub, any, sizeof any); /* canonical; nobody proves it before it is talked to */
    veld_store_be32(about.pub + 20, i);
    return &about;
}

Test(peers, ten_thousand_at_once_are_published_once)
{
    static uint32_t ids[MANY];
    struct veld_ip addrs[2];
    open_a();
    run_for(100);
    published = 0;
    uint64_t began = veld_clock_mono_ns();
    for (unsigned i = 0; i < MANY; i++) {
        struct veld_control_peer_spec spec = {.about = number(i, addrs)};
        cr_assert_eq(veld_control_peer_add(c, &spec, &ids[i]), 0);
        if (i % 500 == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    uint64_t added = veld_clock_mono_ns() - began;
    uint64_t longest = run_for(500);
    EVENTUALLY(routes_published == 2 * MANY);
    /* One in VELD_PUBLISH_MS, however slow the machine is. */
    uint64_t most = 2 + added / (VELD_PUBLISH_MS * VELD_NS_PER_MS);
    cr_assert(published >= 1 && published <= most, "%u", published);
    cr_log_info("%d peers: added in %.1f ms, longest turn of the main loop %.1f ms", MANY,
                (double)added / 1e6, (double)longest / 1e6);

    began = veld_clock_mono_ns();
    for (unsigned i = 0; i < MANY; i++)
        veld_control_peer_remove(c, ids[i]);
    uint64_t removed = veld_clock_mono_ns() - began;
    longest = run_for(1000);
    EVENTUALLY(routes_published == 0);
    most += 1 + removed / (VELD_PUBLISH_MS * VELD_NS_PER_MS);
    cr_assert_leq(published, most, "%u", published);
    cr_log_info("removed in %.1f ms, longest turn %.1f ms", (double)removed / 1e6,
                (double)longest / 1e6);
}
