/*
 * Requests over the local API for new session keys, while their handshakes are
 * under way: a bounded table. Each request is answered exactly once, when every
 * peer it is about has a new session or has failed, or by its time.
 *
 * Handshakes begin a few at a time, so that asking for all of ten thousand peers
 * leaves the control thread free for others.
 */
#include "control/control_impl.h"

#include "base/bytes.h"

#include <stdlib.h>

#define REKEYS_PER_TICK 20
#define TICK_MS         10

struct veld_rekey_item {
    uint32_t peer;
    uint64_t asked_ns; /* 0: not yet */
    uint64_t took_ns;  /* done: from asking to the new session's use */
    int result;        /* VELD_E_STATE: open; VELD_OK: done; else why not */
    json_t *told;      /* of a peer that is gone: its part of the answer; owned */
};

static int by_peer(const void *a, const void *b)
{
    uint32_t x = ((const struct veld_rekey_item *)a)->peer,
             y = ((const struct veld_rekey_item *)b)->peer;
    return (x > y) - (x < y);
}

/* ---- Answers ---- */

static json_t *why_not(const struct veld_control *c, const struct veld_rekey_item *item)
{
    struct veld_peer_info info;
    if (item->result == VELD_E_LIMIT)
        return json_sprintf("its session is less than %d ms old; try again a little later",
                            VELD_REKEY_GAP_MS);
    if (item->result != VELD_E_STATE)
        return json_string(veld_strerror(item->result));
    if (veld_engine_peer_get(c->engine, item->peer, &info) == 0 && !info.endpoint.ip.family)
        return json_string("it has no known endpoint yet; it must call this machine first, or "
                           "give its endpoint in the config");
    return json_sprintf("no answer within %d s", REKEY_TIMEOUT_S);
}

static json_t *describe(const struct veld_control *c, const struct veld_rekey_item *item)
{
    char name[64], ip[VELD_IP_STRLEN];
    const struct veld_config_peer *peer = veld_control_peer_about(c, item->peer);
    json_t *o = json_pack("{s:s, s:s}", "name", veld_control_peer_name(c, item->peer, name),
                          "ip", veld_ip_format(&peer->addrs[0], ip));
    if (item->result == VELD_OK)
        json_object_set_new(o, "took_us",
                            json_integer((json_int_t)(item->took_ns / VELD_NS_PER_US)));
    else
        json_object_set_new(o, "error", why_not(c, item));
    return o;
}

static void answer(struct veld_control *c, struct control_rekey *r)
{
    json_t *peers = json_array();
    for (size_t i = 0; i < r->n; i++) {
        json_t *told = r->items[i].told;
        json_array_append_new(peers, told ? told : describe(c, &r->items[i]));
    }
    struct veld_api_request *request = r->request;
    free(r->items);
    *r = (struct control_rekey){0};
    veld_api_reply(request, 200, json_pack("{s:o}", "peers", peers));
}

/* ---- Under way ---- */

static void settle(struct control_rekey *r, struct veld_rekey_item *item, int result)
{
    item->result = result;
    r->open--;
}

void veld_rekeys_on_use(struct veld_control *c, uint32_t peer)
{
    struct veld_rekey_item key = {.peer = peer}, *item;
    for (size_t i = 0; i < REKEYS_MAX; i++) {
        struct control_rekey *r = &c->rekeys[i];
        item = r->open ? bsearch(&key, r->items, r->n, sizeof key, by_peer) : NULL;
        if (!item || item->result != VELD_E_STATE || !item->asked_ns)
            continue;
        item->took_ns = veld_clock_mono_ns() - item->asked_ns;
        settle(r, item, VELD_OK);
    }
}

void veld_rekeys_fail(struct veld_control *c, uint32_t peer, const char *why)
{
    struct veld_rekey_item key = {.peer = peer}, *item;
    for (size_t i = 0; i < REKEYS_MAX; i++) {
        struct control_rekey *r = &c->rekeys[i];
        item = r->request ? bsearch(&key, r->items, r->n, sizeof key, by_peer) : NULL;
        if (!item || item->told)
            continue;
        if (item->result == VELD_E_STATE)
            settle(r, item, VELD_E_NOENT);
        item->told = describe(c, item);
        if (item->result != VELD_OK)
            json_object_set_new(item->told, "error", json_string(why));
    }
}

static void begin_some(struct veld_control *c, struct control_rekey *r)
{
    for (int i = 0; i < REKEYS_PER_TICK && r->begun < r->n; i++) {
        struct veld_rekey_item *item = &r->items[r->begun++];
        if (item->result != VELD_E_STATE)
            continue;
        item->asked_ns = veld_clock_mono_ns();
        int rc = veld_control_step(
            c, &(struct veld_event){.type = VELD_EV_REKEY, .peer = item->peer});
        if (rc < 0)
            settle(r, item, rc);
    }
}

static gboolean on_tick(gpointer data)
{
    struct veld_control *c = data;
    uint64_t now_ns = veld_clock_mono_ns();
    bool more = false;
    for (size_t i = 0; i < REKEYS_MAX; i++) {
        struct control_rekey *r = &c->rekeys[i];
        if (!r->request)
            continue;
        begin_some(c, r);
        if (r->open == 0 || now_ns >= r->deadline_ns)
            answer(c, r);
        else
            more = true;
    }
    if (!more)
        c->rekey_source = 0;
    return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

int veld_rekeys_add(struct veld_control *c, const uint32_t *peers, size_t n,
                    struct veld_api_request *req, struct veld_diag *diag)
{
    struct control_rekey *r = c->rekeys;
    while (r < c->rekeys + REKEYS_MAX && r->request)
        r++;
    if (r == c->rekeys + REKEYS_MAX)
        return veld_fail(diag, VELD_E_FULL, "%d rekeys are under way already; try again",
                         REKEYS_MAX);
    struct veld_rekey_item *items = calloc(n + 1, sizeof *items);
    if (!items)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        items[i] = (struct veld_rekey_item){.peer = peers[i], .result = VELD_E_STATE};
    qsort(items, n, sizeof *items, by_peer);
    *r = (struct control_rekey){
        .request = req,
        .deadline_ns = veld_clock_mono_ns() + REKEY_TIMEOUT_S * VELD_NS_PER_S,
        .items = items,
        .n = n,
        .open = n,
    };
    begin_some(c, r);
    if (!c->rekey_source)
        c->rekey_source = g_timeout_add(TICK_MS, on_tick, c);
    return 0;
}

void veld_rekeys_end(struct veld_control *c)
{
    if (c->rekey_source)
        g_source_remove(c->rekey_source);
    c->rekey_source = 0;
    for (size_t i = 0; i < REKEYS_MAX; i++) {
        if (c->rekeys[i].request)
            answer(c, &c->rekeys[i]);
    }
}
