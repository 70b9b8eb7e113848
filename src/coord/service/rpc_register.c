#include "coord/service/methods.h"

#include "base/bytes.h"
#include "coord/registry/ipv4.h"
#include "coord/service/watch.h"
#include "trust/record.h"

#include <inttypes.h>
#include <veld/coord/v1/coord.pb-c.h>
#include <veld/coord/v1/inside.pb-c.h>

typedef Veld__Coord__Inside__RegisterRequest pb_register;

/* What is asked for, proved, and what is there. */
struct registration {
    const pb_register *request;
    struct veld_member *member; /* NULL: not yet */
    struct veld_membership membership;
    struct veld_record record; /* when has_record */
    bool has_record;
    bool is_same_chain;    /* as registered */
    struct veld_blob peer; /* an encoded PeerRecord, when has_record; owned */
    uint32_t wanted, ipv4; /* host order; 0: none */
};

/* ---- what is proved ---- */

static void join_peer(struct registration *g)
{
    Veld__Coord__Inside__PeerRecord peer = VELD__COORD__INSIDE__PEER_RECORD__INIT;
    peer.record = g->request->record;
    peer.chain = g->request->chain;
    g->peer.len = veld__coord__inside__peer_record__get_packed_size(&peer);
    g->peer.p = g_malloc(g->peer.len + 1);
    veld__coord__inside__peer_record__pack(&peer, g->peer.p);
}

/* The chain, and with it the record: a chain that was proved when it was registered need not be again. */
static int prove(struct veld_coord_call *c, struct registration *g)
{
    const struct veld_revocations *revoked = c->net->revocations;
    struct veld_membership known;
    if (!g->has_record)
        return veld_membership_read(g->request->chain.data, g->request->chain.len, c->net->id,
                                    revoked, veld_call_now_s(c), &g->membership);
    join_peer(g);
    if (g->member)
        veld_member_membership(g->member, &known);
    int rc = veld_record_read_known(g->peer.p, g->peer.len, &c->net->descriptor,
                                    g->member ? &known : NULL, revoked, veld_call_now_s(c),
                                    &g->record);
    if (rc == 0)
        g->membership = g->record.membership;
    return rc;
}

/* A token that was revoked is no reason for another key: another token is enough. */
static bool is_of_revoked_token(const struct veld_coord_call *c, const struct registration *g)
{
    struct veld_membership m;
    return !veld_revoked(c->net->revocations, c->caller) &&
           veld_membership_read(g->request->chain.data, g->request->chain.len, c->net->id, NULL,
                                0, &m) == 0 &&
           m.by_token;
}

static bool routes_are_allowed(struct veld_coord_call *c, const struct registration *g)
{
    const struct veld_coord_host *h = c->s->cfg.host;
    char text[VELD_PREFIX_STRLEN];
    for (size_t i = 0; g->has_record && i < g->record.n_routes; i++) {
        if (h->route_allowed(h->ctx, &c->net->descriptor, &g->membership, &g->record.routes[i]))
            continue;
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "the host of this server does not allow the route %s; offer it no more",
                       veld_prefix_format(&g->record.routes[i], text));
        return false;
    }
    return true;
}

static bool read_request(struct veld_coord_call *c, struct registration *g)
{
    uint8_t wanted[4];
    if (g->request->want_ipv4.len != 0 && !veld_pb_take(&g->request->want_ipv4, wanted, 4)) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "want_ipv4 has 4 bytes, or none");
        return false;
    }
    if (g->request->want_ipv4.len != 0)
        g->wanted = veld_load_be32(wanted);
    g->member = veld_member_by_key(c->net, c->caller);
    g->has_record = g->request->record.len != 0;
    int rc = prove(c, g);
    if (rc == 0 && memcmp(g->membership.member, c->caller, sizeof c->caller) != 0)
        rc = VELD_E_AUTH;
    if (rc == VELD_E_PERM && is_of_revoked_token(c, g))
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "this join token was revoked; ask for a new one (veld token create)");
    else if (rc < 0)
        veld_call_fail_membership(c, rc);
    return rc == 0 && routes_are_allowed(c, g);
}

/* ---- against what is registered ---- */

/* An older membership or record than the one there is: somebody replays it, or a copy of the device runs. */
static bool is_newer(struct veld_coord_call *c, struct registration *g)
{
    const struct veld_facts *f = g->member ? g->member->facts : NULL;
    if (!f)
        return true;
    g->is_same_chain = memcmp(f->chain_digest, g->membership.chain_digest, 32) == 0;
    if (!g->is_same_chain && g->membership.serial <= f->serial) {
        veld_call_fail(c, VELD_CODE_FAILED_PRECONDITION,
                       "this membership (serial %" PRIu64 ") is not newer than the one that is "
                       "registered (serial %" PRIu64 ")",
                       g->membership.serial, f->serial);
        return false;
    }
    bool is_same_record = g->has_record && f->peer_len == g->peer.len &&
                          memcmp(f->peer, g->peer.p, g->peer.len) == 0;
    if (g->has_record && f->peer_len != 0 && !is_same_record &&
        g->record.sequence <= f->sequence) {
        veld_call_fail(c, VELD_CODE_FAILED_PRECONDITION,
                       "this record (sequence %" PRIu64 ") is not newer than the one that is "
                       "published (sequence %" PRIu64 ")",
                       g->record.sequence, f->sequence);
        return false;
    }
    return true;
}

/*
 * A network that this server had lost: its members come back as new ones, with
 * tokens that have expired since they were used. A membership by a token begins
 * within the token's time, so what is let in so was at least dated back by
 * somebody who had the token.
 */
static bool is_returning(const struct veld_coord_call *c)
{
    const struct veld_net *net = c->net;
    return net->put_s > net->descriptor.created_s + 3600 &&
           veld_call_now_s(c) < net->put_s + VELD_RETURN_S;
}

/* The token of the membership, when it is one and this member has not used it yet. */
static bool may_use_token(struct veld_coord_call *c, const struct registration *g)
{
    const struct veld_membership *m = &g->membership;
    if (!m->by_token || g->is_same_chain || veld_token_is_used_by(c->net, m->signer, c->caller))
        return true;
    if (m->token_expires_s != 0 && veld_call_now_s(c) > m->token_expires_s &&
        !is_returning(c)) {
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "the join token has expired; ask for a new one (veld token create)");
        return false;
    }
    uint32_t used = veld_token_uses(c->net, m->signer);
    if (m->token_uses != 0 && used >= m->token_uses) {
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "the join token is used up (%u of %u); ask for a new one (veld token "
                       "create)",
                       used, m->token_uses);
        return false;
    }
    return true;
}

static void use_token(struct veld_coord_call *c, const struct registration *g)
{
    const struct veld_membership *m = &g->membership;
    if (m->by_token && m->token_uses != 0 && !g->is_same_chain &&
        !veld_token_is_used_by(c->net, m->signer, c->caller))
        veld_token_use(c->s->registry, c->net, m->signer, c->caller, m->token_expires_s);
}

static bool there_is_room(struct veld_coord_call *c, const struct registration *g)
{
    uint32_t max = c->s->cfg.limits.members;
    if (g->member || max == 0 || g_hash_table_size(c->net->members) < max)
        return true;
    veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                   "the network %s has %u members, and no more fit on this server",
                   c->net->descriptor.name, max);
    return false;
}

static bool lease(struct veld_coord_call *c, struct registration *g)
{
    char text[VELD_PREFIX_STRLEN];
    g->ipv4 = g->member ? g->member->facts->ipv4
                        : veld_ipv4_pick(c->net, c->caller, g->wanted, veld_call_now_s(c));
    if (g->ipv4 == 0)
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "every IPv4 address of the network %s (%s) is leased; a member has to "
                       "leave or to be revoked first",
                       c->net->descriptor.name,
                       veld_prefix_format(&c->net->descriptor.ipv4, text));
    return g->ipv4 != 0;
}

/* ---- what is done ---- */

static bool is_published(const struct registration *g)
{
    return g->has_record && g->record.ipv4.family == 4 &&
           veld_load_be32(g->record.ipv4.b) == g->ipv4;
}

/* A name whose holder's membership has ended goes to who has a right to it. */
static void take_name(struct veld_coord_call *c, const struct registration *g)
{
    struct veld_member *other = veld_member_by_name(c->net, g->membership.name);
    if (other && other != g->member)
        veld_watch_remove_member(c->s, other, VELD_CODE_PERMISSION_DENIED,
                                 "this membership has ended");
}

/*
 * What is registered from now on, or NULL when nothing of that changes. A record
 * that is published stays so until another takes its place: a new membership without
 * one is proved, and waits for its record.
 */
static struct veld_facts *facts_of(const struct registration *g, const struct veld_blob *chain)
{
    static const struct veld_blob none;
    const struct veld_facts *f = g->member ? g->member->facts : NULL;
    if (is_published(g)) {
        if (f && f->peer_len == g->peer.len && memcmp(f->peer, g->peer.p, g->peer.len) == 0)
            return NULL;
        return veld_facts_new(&g->membership, g->ipv4, g->record.sequence, &none, &g->peer);
    }
    if (f && (f->peer_len != 0 || g->is_same_chain))
        return NULL;
    return veld_facts_new(&g->membership, g->ipv4, 0, chain, &none);
}

static void enroll(struct veld_coord_call *c, struct registration *g)
{
    struct veld_blob chain = veld_pb_blob(&g->request->chain);
    bool is_new = !g->member;
    struct veld_facts *facts = facts_of(g, &chain);
    use_token(c, g);
    if (!g->is_same_chain) /* else what it asks for still waits */
        veld_join_remove(c->s->registry, c->net, c->caller);
    if (facts) {
        take_name(c, g);
        g->member = veld_member_register(c->s->registry, c->net, c->caller, facts, c->now);
        veld_call_audit(c, is_new ? VELD_COORD_JOIN : VELD_COORD_REGISTER, &g->membership);
    }
    c->s->stats.registrations++;
}

static void reply(struct veld_coord_call *c, const struct registration *g)
{
    Veld__Coord__V1__RegisterReply r = VELD__COORD__V1__REGISTER_REPLY__INIT;
    const struct veld_ip *from = &c->request->from;
    uint8_t ipv4[4];
    veld_store_be32(ipv4, g->ipv4);
    r.ipv4 = veld_pb_bytes(ipv4, sizeof ipv4);
    r.published = is_published(g);
    r.revision = g->member->revision;
    r.seen_address = veld_pb_bytes(from->b, from->family == 4 ? 4 : from->family == 6 ? 16 : 0);
    veld_call_reply(c, &r);
}

static void register_member(struct veld_coord_call *c, struct registration *g)
{
    if (!read_request(c, g) || !is_newer(c, g) || !there_is_room(c, g) ||
        !veld_call_name_is_free(c, g->membership.name, c->caller) || !may_use_token(c, g) ||
        !veld_call_allow(c, g->member ? VELD_COORD_REGISTER : VELD_COORD_JOIN,
                         &g->membership) ||
        !lease(c, g))
        return;
    enroll(c, g);
    reply(c, g);
}

void veld_rpc_register_member(struct veld_coord_call *c)
{
    pb_register *request =
        veld_call_unpack(c, &veld__coord__inside__register_request__descriptor);
    struct registration g = {.request = request};
    if (request && veld_call_enter(c, &request->network_id))
        register_member(c, &g);
    g_free(g.peer.p);
    veld_call_free(request);
}
