/*
 * A host of its own: plans with so many networks and members, paid for by accounts that
 * are known by where they call from, a policy for subnets, and a ledger. All of it is
 * this table of functions; the server is the same.
 */
#include "../support/coord_asserts.h"

#include <unistd.h>

#define LEDGER_MAX 64

struct plan {
    uint64_t account; /* the third byte of the address */
    uint64_t networks, members;
};

struct ledger {
    struct plan plans[2];
    uint64_t owned[256];
    struct {
        enum veld_coord_act act;
        uint8_t caller[32], member[32];
        char network[VELD_LABEL_MAX + 1];
        uint64_t account, members;
        bool has_caller, has_member;
    } line[LEDGER_MAX];
    size_t n;
    const char *refuse;  /* any act that is named so */
    int open;            /* starts less stops */
    const char *network; /* what is asked is about it */
    bool is_bankrupt;
};

static struct coord_rig r;
static struct ledger ledger;

static uint64_t account_of(void *ctx, const uint8_t caller[32], struct veld_ip from)
{
    return from.b[2];
}

static int allow(void *ctx, const struct veld_coord_deed *d, struct veld_diag *diag)
{
    struct ledger *l = ctx;
    cr_assert_str_eq(d->network->name, l->network);
    if (l->refuse && strcmp(veld_coord_act_name(d->act), l->refuse) == 0)
        return VELD_E_PERM;
    for (size_t i = 0; i < VELD_ARRAY_LEN(l->plans); i++) {
        const struct plan *p = &l->plans[i];
        if (p->account != d->account)
            continue;
        if (d->act == VELD_COORD_CREATE_NETWORK && l->owned[d->account] >= p->networks)
            return veld_fail(diag, VELD_E_LIMIT, "your plan has %d networks; upgrade at ...",
                             (int)p->networks);
        if (d->act == VELD_COORD_JOIN && d->members >= p->members)
            return veld_fail(diag, VELD_E_LIMIT, "your plan has %d machines; upgrade at ...",
                             (int)p->members);
        return 0;
    }
    return veld_fail(diag, VELD_E_PERM, "no account pays for this address");
}

static bool route_allowed(void *ctx, const struct veld_network *network,
                          const struct veld_membership *member, const struct veld_prefix *route)
{
    return route->ip.family == 4 && route->ip.b[0] == 10;
}

static void audit(void *ctx, const struct veld_coord_deed *d)
{
    struct ledger *l = ctx;
    cr_assert_lt(l->n, LEDGER_MAX);
    l->line[l->n].act = d->act;
    l->line[l->n].account = d->account;
    l->line[l->n].members = d->members;
    if ((l->line[l->n].has_caller = d->caller != NULL))
        memcpy(l->line[l->n].caller, d->caller, 32);
    if ((l->line[l->n].has_member = d->member != NULL))
        memcpy(l->line[l->n].member, d->member->member, 32);
    strcpy(l->line[l->n].network, d->network->name);
    l->n++;
    if (d->act == VELD_COORD_CREATE_NETWORK)
        l->owned[d->account]++;
}

static int start_host(void *ctx, struct veld_diag *diag)
{
    struct ledger *l = ctx;
    if (l->is_bankrupt)
        return veld_fail(diag, VELD_E_STATE, "the ledger cannot be opened");
    l->open++;
    return 0;
}

static void stop_host(void *ctx)
{
    ((struct ledger *)ctx)->open--;
}

static const struct veld_coord_host host = {
    .ctx = &ledger,
    .account_of = account_of,
    .allow = allow,
    .route_allowed = route_allowed,
    .audit = audit,
    .start = start_host,
    .stop = stop_host,
};

static void start(void)
{
    struct veld_service_config cfg = {.host = &host};
    ledger = (struct ledger){.network = "mynet",
                             .plans = {{.account = 2, .networks = 1, .members = 3},
                                       {.account = 7, .networks = 0, .members = 0}}};
    coord_open(&r, &cfg); /* calls come from 192.0.2.1: account 2 */
}

static void stop(void)
{
    coord_close(&r);
}

TestSuite(coord_host, .init = start, .fini = stop);

static struct test_member join(unsigned n)
{
    char name[16];
    snprintf(name, sizeof name, "server%u", n);
    return test_trust_join(&r.trust, n, name, TEST_BY_OWNER);
}

Test(coord_host, plans)
{
    struct test_member m[5];
    struct test_trust other;
    struct veld_blob network = {0};
    struct veld_prefix range = test_prefix("10.0.0.0/16");
    test_trust_make_nth(&other, 1);
    test_trust_must(veld_network_make(&network, other.owner_seed, "second", &range, 1), "net");
    for (unsigned i = 0; i < 5; i++)
        m[i] = join(i);
    ok(coord_create(&r));
    ledger.network = "second";
    refused(coord_create_by(&r, other.owner_seed, &network, NULL), VELD_CODE_RESOURCE_EXHAUSTED,
            "your plan has 1 networks");
    ledger.network = "mynet";
    for (unsigned i = 0; i < 3; i++)
        ok(coord_register(&r, &m[i], 1));
    refused(coord_register(&r, &m[3], 1), VELD_CODE_RESOURCE_EXHAUSTED,
            "your plan has 3 machines");
    ok(coord_register(&r, &m[0], 2));
    r.from.b[2] = 7;
    ledger.network = "second";
    refused(coord_create_by(&r, other.owner_seed, &network, NULL), VELD_CODE_RESOURCE_EXHAUSTED,
            "your plan has 0 networks");
    r.from.b[2] = 9;
    ledger.network = "mynet";
    refused(coord_register(&r, &m[4], 1), VELD_CODE_PERMISSION_DENIED, "no account pays");
    for (unsigned i = 0; i < 5; i++)
        test_member_free(&m[i]);
    veld_blob_clear(&network);
    test_trust_free(&other);
}

Test(coord_host, subnets)
{
    struct test_member m = {.id = test_trust_identity(1)};
    struct veld_membership wish = test_membership(&r.trust, m.id->pub, "router");
    struct veld_signer owner = test_owner(&r.trust);
    wish.routes[0] = test_prefix("10.7.0.0/16");
    wish.routes[1] = test_prefix("192.168.0.0/16");
    wish.n_routes = 2;
    test_trust_must(veld_membership_issue(&m.chain, &owner, &wish), "router");
    test_member_read(&r.trust, &m);
    ok(coord_create(&r));
    ok(coord_lease(&r, &m));
    struct veld_record record = test_record(&m, 1);
    record.ipv4 = r.leased;
    record.n_routes = 2;
    memcpy(record.routes, wish.routes, sizeof record.routes);
    refused(coord_publish(&r, &m, &record), VELD_CODE_PERMISSION_DENIED,
            "the route 192.168.0.0/16");
    record.n_routes = 1;
    ok(coord_publish(&r, &m, &record));
    cr_assert(r.published);
    test_member_free(&m);
}

/* Told of what was done, when it is durable, and of nothing else. */
Test(coord_host, the_ledger)
{
    struct test_member a = join(1), b = join(2);
    struct coord_watch w = {0};
    r.hold = true;
    ok(coord_create(&r));
    cr_assert_eq(ledger.n, 0, "not before the commit");
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    cr_assert_eq(ledger.n, 0, "and not when it fails");
    r.hold = false;
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &b, 1));
    ok(coord_register(&r, &b, 1)); /* changes nothing */
    ok(coord_watch(&r, &w, &a));
    ok(coord_signal(&r, &b, a.id->pub, "x", 1));
    ok(coord_leave(&r, &b, false));
    ok(coord_leave(&r, &b, true));
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry e = {0};
    struct veld_blob list = {0};
    memcpy(e.key, a.id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &e, r.trust.now_s),
        "list");
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &list));
    static const enum veld_coord_act acts[] = {
        VELD_COORD_CREATE_NETWORK, VELD_COORD_JOIN,   VELD_COORD_REGISTER, VELD_COORD_JOIN,
        VELD_COORD_REGISTER,       VELD_COORD_WATCH,  VELD_COORD_SIGNAL,   VELD_COORD_OFFLINE,
        VELD_COORD_LEAVE,          VELD_COORD_REMOVE, VELD_COORD_REVOKE,
    };
    cr_assert_eq(ledger.n, VELD_ARRAY_LEN(acts), "%d", (int)ledger.n);
    for (size_t i = 0; i < ledger.n; i++) {
        cr_assert_eq(ledger.line[i].act, acts[i], "%d: %s", (int)i,
                     veld_coord_act_name(ledger.line[i].act));
        cr_assert_str_eq(ledger.line[i].network, "mynet");
        bool by_server = acts[i] == VELD_COORD_REMOVE;
        cr_assert_eq(ledger.line[i].has_caller, !by_server);
        cr_assert_eq(ledger.line[i].account, by_server ? 0 : 2);
    }
    cr_assert_arr_eq(ledger.line[3].member, b.id->pub, 32);
    cr_assert_arr_eq(ledger.line[3].caller, b.id->pub, 32);
    cr_assert_arr_eq(ledger.line[9].member, a.id->pub, 32);
    coord_watch_free(&r, &w);
    veld_blob_clear(&list);
    test_member_free(&a);
    test_member_free(&b);
}

/* A host that refuses a kind of deed: it is not done, and the caller is told so. */
Test(coord_host, each_deed_can_be_refused)
{
    struct test_member a = join(1), b = join(2);
    struct coord_watch w = {0};
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry e = {0};
    struct veld_blob list = {0};
    ledger.refuse = "create-network";
    refused(coord_create(&r), VELD_CODE_PERMISSION_DENIED, "the host of this server refuses");
    ledger.refuse = "join";
    ok(coord_create(&r));
    refused(coord_lease(&r, &a), VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = "register";
    ok(coord_lease(&r, &a));
    refused(coord_lease(&r, &a), VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = "watch";
    refused(coord_watch(&r, &w, &a), VELD_CODE_PERMISSION_DENIED, "the host");
    cr_assert_null(w.w);
    ledger.refuse = "signal";
    ok(coord_watch(&r, &w, &a));
    refused(coord_signal(&r, &a, a.id->pub, "x", 1), VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = "offline";
    refused(coord_leave(&r, &a, false), VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = "leave";
    refused(coord_leave(&r, &a, true), VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = "revoke";
    memcpy(e.key, b.id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &e, r.trust.now_s),
        "list");
    refused(coord_publish_revocations(&r, r.trust.owner_seed, &list),
            VELD_CODE_PERMISSION_DENIED, "the host");
    ledger.refuse = NULL;
    ok(coord_lease(&r, &b));
    coord_watch_free(&r, &w);
    veld_blob_clear(&list);
    test_member_free(&a);
    test_member_free(&b);
}

Test(coord_host, starts_and_stops_with_the_server)
{
    struct veld_service *other = NULL;
    struct veld_diag diag;
    cr_assert_eq(ledger.open, 1);
    coord_reopen(&r);
    cr_assert_eq(ledger.open, 1);
    ledger.is_bankrupt = true;
    cr_assert_eq(veld_service_open(&other, &r.cfg, &r.now, &diag), VELD_E_STATE);
    cr_assert_str_eq(diag.text, "the ledger cannot be opened");
    cr_assert_null(other);
    veld_service_close(r.service);
    r.service = NULL;
    cr_assert_eq(ledger.open, 0);
}

Test(coord_host, acts_have_names)
{
    for (enum veld_coord_act a = VELD_COORD_CREATE_NETWORK; a <= VELD_COORD_REMOVE; a++)
        cr_assert_str_neq(veld_coord_act_name(a), "unknown");
    cr_assert_str_eq(veld_coord_act_name(VELD_COORD_REMOVE + 1), "unknown");
}

/* The default: nothing refused, routes as memberships allow. */
Test(coord_host, the_default_is_complete)
{
    const struct veld_coord_host *h = &veld_coord_host_default;
    struct veld_coord_deed d = {.act = VELD_COORD_JOIN, .members = UINT64_MAX};
    struct veld_prefix route = test_prefix("192.168.0.0/16");
    struct veld_diag diag;
    uint8_t key[32] = {0};
    cr_assert_eq(h->account_of(h->ctx, key, r.from), 0);
    cr_assert_eq(h->allow(h->ctx, &d, &diag), 0);
    cr_assert(h->route_allowed(h->ctx, NULL, NULL, &route));
    cr_assert_eq(h->start(h->ctx, &diag), 0);
    h->stop(h->ctx);
}

/* One line a deed, for people or for machines; what comes with every look at a network only when asked for. */
Test(coord_host, the_default_audits_to_the_log)
{
    const struct veld_coord_host *h = &veld_coord_host_default;
    struct test_member a = join(1);
    struct veld_coord_deed d = {.act = VELD_COORD_JOIN,
                                .caller = a.id->pub,
                                .from = r.from,
                                .network = &r.trust.network,
                                .member = &a.membership,
                                .members = 7};
    char text[4096] = "", key[VELD_PUBKEY_STRLEN];
    int fds[2], old = dup(STDERR_FILENO);
    cr_assert_eq(pipe(fds), 0);
    veld_pubkey_format(a.id->pub, key);
    veld_log_set_level(VELD_LOG_INFO);
    dup2(fds[1], STDERR_FILENO);
    h->audit(h->ctx, &d);
    d.act = VELD_COORD_WATCH;
    h->audit(h->ctx, &d);
    d.act = VELD_COORD_OFFLINE; /* of a daemon that stops before the machine leaves */
    h->audit(h->ctx, &d);
    d = (struct veld_coord_deed){.act = VELD_COORD_REMOVE, .network = &r.trust.network};
    h->audit(h->ctx, &d);
    dup2(old, STDERR_FILENO);
    close(fds[1]);
    ssize_t len = read(fds[0], text, sizeof text - 1);
    cr_assert_gt(len, 0);
    cr_assert_not_null(strstr(text, "event=audit act=join network=mynet name=server1"), "%s",
                       text);
    cr_assert_not_null(strstr(text, key), "%s", text);
    cr_assert_not_null(strstr(text, "from=192.0.2.1 members=7\n"), "%s", text);
    cr_assert_not_null(strstr(text, "event=audit act=remove network=mynet members=0\n"), "%s",
                       text);
    cr_assert_null(strstr(text, "act=watch"), "%s", text);
    cr_assert_null(strstr(text, "act=offline"), "%s", text);
    close(fds[0]);
    close(old);
    test_member_free(&a);
}
