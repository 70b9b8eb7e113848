/* The first message: -> e, es, s, ss, {P, timestamp, lanes, features}. */
#include "control/engine/engine_impl.h"

#include "crypto/primitives.h"

#include <stdlib.h>

#define NOISE_SIZE (VELD_INITIATION_MAC1_OFFSET - VELD_NOISE_OFFSET)

/* What was computed for an earlier handshake with the peer that has this static key. */
static bool kept_shared(void *ctx, const uint8_t remote_static[32], uint8_t shared[32])
{
    const struct veld_engine *e = ctx;
    const struct veld_engine_peer *p = veld_peer_table_find_by_x(e->peers, remote_static);
    if (!p || !p->link || !p->link->has_shared)
        return false;
    memcpy(shared, p->link->shared, sizeof p->link->shared);
    return true;
}

static void keep_shared(struct veld_engine_link *l, const struct veld_noise *n)
{
    memcpy(l->shared, n->shared, sizeof l->shared);
    l->has_shared = true;
}

static void noise_init(struct veld_engine *e, struct veld_noise *n, enum veld_noise_role role,
                       const uint8_t responder[32], const uint8_t *remote_static)
{
    uint8_t prologue[6 + 32 + 32] = "veld/1";
    memcpy(prologue + 6, e->cfg.network_id, 32);
    memcpy(prologue + 38, responder, 32);
    const struct veld_noise_config cfg = {
        .pattern = VELD_NOISE_IKPSK2,
        .static_secret = e->cfg.identity->x_secret,
        .static_public = e->cfg.identity->x_pub,
        .remote_static = remote_static,
        .psk = e->cfg.psk,
        .prologue = prologue,
        .prologue_len = sizeof prologue,
        .kept_shared = kept_shared,
        .kept_ctx = e,
    };
    veld_noise_init(n, role, &cfg);
}

/* The message but for its macs; `h` keeps what its response will need. */
static int write_initiation(struct veld_step *s, struct veld_engine_peer *p,
                            struct veld_engine_handshake *h, uint64_t timestamp_ns,
                            uint8_t msg[VELD_INITIATION_SIZE])
{
    veld_header_write(msg,
                      &(struct veld_header){.type = VELD_INITIATION, .index = h->local_index});
    struct veld_initiation_payload offer = {.timestamp_ns = timestamp_ns,
                                            .lanes = s->e->cfg.lanes};
    memcpy(offer.identity, s->e->cfg.identity->pub, sizeof offer.identity);
    uint8_t payload[VELD_INITIATION_PAYLOAD_SIZE], ephemeral[32];
    veld_initiation_payload_write(payload, &offer);
    veld_step_random(s, ephemeral, sizeof ephemeral);
    noise_init(s->e, &h->noise, VELD_NOISE_INITIATOR, p->pub, p->x_pub);
    /* e, es, s, ss, payload */
    int rc = veld_noise_write_initiation(&h->noise, ephemeral, payload, sizeof payload,
                                         msg + VELD_NOISE_OFFSET);
    veld_wipe(ephemeral, sizeof ephemeral);
    if (rc == 0)
        keep_shared(p->link, &h->noise);
    return rc;
}

/* Every other time to the configured address: the one learned may be long dead. */
static const struct veld_endpoint *where_to(const struct veld_engine_peer *p)
{
    bool fallback = p->link->attempts % 2 == 0 && p->configured.ip.family != 0;
    return fallback ? &p->configured : &p->endpoint;
}

/*
 * With candidates: everywhere, unless a session is alive. The same datagram: the
 * peer takes the first to arrive, and what comes after is a replay.
 */
static size_t all_targets(const struct veld_step *s, const struct veld_engine_peer *p,
                          struct veld_endpoint to[VELD_TARGETS_MAX])
{
    const struct veld_engine_link *l = p->link;
    bool alive = veld_slot_used(&l->current) && !l->seeking &&
                 veld_ns_since(s->now.mono_ns, l->heard_ns) < VELD_SILENCE_S * VELD_NS_PER_S;
    if (p->n_candidates && !alive)
        return veld_path_targets(p, to);
    to[0] = *where_to(p);
    return 1;
}

int veld_initiation_send(struct veld_step *s, struct veld_engine_peer *p)
{
    int rc = veld_peer_table_prove(s->e->peers, p);
    if (rc < 0)
        return rc;
    struct veld_engine_handshake *h = calloc(1, sizeof *h);
    if (!h)
        return VELD_E_NOMEM;
    uint32_t random;
    veld_step_random(s, &random, sizeof random);
    rc = veld_index_table_alloc(s->e->indices, p->id, random, &h->local_index);
    if (rc < 0) {
        veld_engine_handshake_free(h);
        return rc;
    }
    p->link->handshake = h;
    struct veld_endpoint to[VELD_TARGETS_MAX];
    size_t n = all_targets(s, p, to);
    h->to = to[0];
    h->to_others = n > 1;
    h->sent_ns = s->now.mono_ns;

    uint64_t timestamp_ns;
    bool persist = veld_timestamp_next(&s->e->timestamp, s->now.wall_ns, &timestamp_ns);
    uint8_t msg[VELD_INITIATION_SIZE];
    rc = write_initiation(s, p, h, timestamp_ns, msg);
    if (rc < 0) {
        veld_attempt_forget(s->e, p);
        return rc;
    }
    veld_cookie_sign(&p->link->jar, msg, sizeof msg, s->now.mono_ns);
    if (persist)
        veld_step_act(s, VELD_ACT_PERSIST_TIMESTAMP, p->id)->timestamp_floor_ns =
            s->e->timestamp.floor_ns;
    for (size_t i = 0; i < n; i++)
        veld_step_send(s, p->id, &to[i], msg, sizeof msg);
    s->e->stats.initiations_sent++;
    return 0;
}

/* Decrypt, and find who it is from. Changes nothing of the peer. */
static int read_initiation(struct veld_step *s, const struct veld_event *ev,
                           struct veld_noise *n, struct veld_initiation_payload *offer,
                           struct veld_engine_peer **peer)
{
    noise_init(s->e, n, VELD_NOISE_RESPONDER, s->e->cfg.identity->pub, NULL);
    uint8_t payload[VELD_INITIATION_PAYLOAD_SIZE];
    /* e, es, s, ss, payload */
    if (veld_noise_read_initiation(n, ev->data + VELD_NOISE_OFFSET, NOISE_SIZE, payload) < 0 ||
        veld_initiation_payload_parse(payload, offer) < 0)
        return veld_step_drop(s, VELD_DROP_HANDSHAKE);
    /* P, whole, is the peer's name: -P has the same s. Whoever sent this knows the secret of s. */
    struct veld_engine_peer *p = veld_peer_table_find(s->e->peers, offer->identity);
    if (!p || p->blocked || veld_peer_table_prove(s->e->peers, p) < 0 ||
        !veld_equal(p->x_pub, n->rs, sizeof p->x_pub))
        return veld_step_drop(s, VELD_DROP_UNKNOWN_PEER);
    *peer = p;
    return 0;
}

static int check_fresh(struct veld_step *s, const struct veld_engine_peer *p,
                       uint64_t timestamp_ns)
{
    if (timestamp_ns <= p->last_timestamp_ns)
        return veld_step_drop(s, VELD_DROP_STALE);
    if (p->last_accepted_ns &&
        veld_ns_since(s->now.mono_ns, p->last_accepted_ns) < VELD_INITIATION_GAP_NS)
        return veld_step_drop(s, VELD_DROP_RATE);
    return 0;
}

int veld_initiation_receive(struct veld_step *s, const struct veld_event *ev, uint32_t index)
{
    int rc = veld_cookie_filter(s, ev, index);
    if (rc != 0)
        return rc;
    struct veld_noise n;
    struct veld_initiation_payload offer;
    struct veld_engine_peer *p = NULL;
    rc = read_initiation(s, ev, &n, &offer, &p);
    if (rc == 0)
        rc = check_fresh(s, p, offer.timestamp_ns);
    if (rc == 0)
        rc = veld_step_touch(s, p);
    if (rc == 0) {
        keep_shared(p->link, &n);
        rc = veld_response_send(s, p, &n, ev, index, VELD_MIN(offer.lanes, s->e->cfg.lanes));
    }
    if (rc == 0) {
        p->last_timestamp_ns = offer.timestamp_ns;
        p->last_accepted_ns = s->now.mono_ns;
        s->e->stats.initiations_answered++;
    }
    veld_noise_wipe(&n);
    return rc;
}
