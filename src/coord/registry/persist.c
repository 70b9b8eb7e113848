#include "coord/registry/persist.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

#include <string.h>
#include <veld/coord/v1/inside.pb-c.h>

#define KEY_MAX (1 + 3 * 32)

static void append(uint8_t key[KEY_MAX], size_t *n, const void *p, size_t len)
{
    memcpy(key + *n, p, len);
    *n += len;
}

/* The parts of a key as arguments: what kind, which network, and up to two more. */
static size_t key_of(uint8_t key[KEY_MAX], char kind, const uint8_t net[32], const void *more,
                     size_t more_len)
{
    size_t n = 0;
    append(key, &n, &kind, 1);
    append(key, &n, net, 32);
    if (more_len)
        append(key, &n, more, more_len);
    return n;
}

static void put(struct veld_batch *b, const uint8_t *key, size_t key_len,
                const ProtobufCMessage *value)
{
    size_t len = protobuf_c_message_get_packed_size(value);
    uint8_t *bytes = g_malloc(len + 1); /* a value may be empty, but is never NULL */
    protobuf_c_message_pack(value, bytes);
    veld_batch_put(b, key, key_len, bytes, len);
    g_free(bytes);
}

static void put_one(struct veld_batch *b, char kind, const struct veld_net *net,
                    const void *more, size_t more_len, const ProtobufCMessage *value)
{
    uint8_t key[KEY_MAX];
    size_t n = key_of(key, kind, net->id, more, more_len);
    put(b, key, n, value);
}

static void drop_one(struct veld_batch *b, char kind, const struct veld_net *net,
                     const void *more, size_t more_len)
{
    uint8_t key[KEY_MAX];
    size_t n = key_of(key, kind, net->id, more, more_len);
    veld_batch_put(b, key, n, NULL, 0);
}

static ProtobufCBinaryData bytes(const void *p, size_t len)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)p, .len = len};
}

/* ---- networks ---- */

void veld_persist_network(struct veld_batch *b, const struct veld_net *net)
{
    Veld__Coord__Inside__StoredNetwork v = VELD__COORD__INSIDE__STORED_NETWORK__INIT;
    v.network = bytes(net->signed_descriptor.p, net->signed_descriptor.len);
    v.put = net->put_s;
    put_one(b, 'n', net, NULL, 0, &v.base);
}

void veld_persist_head(struct veld_batch *b, const struct veld_net *net)
{
    Veld__Coord__Inside__StoredHead v = VELD__COORD__INSIDE__STORED_HEAD__INIT;
    Veld__Coord__Inside__StoredGap room[VELD_GAPS_MAX + 1], *list[VELD_GAPS_MAX + 1];
    v.revision = net->revision;
    v.horizon = net->horizon;
    v.n_gaps = net->n_gaps;
    v.gaps = list;
    for (size_t i = 0; i < net->n_gaps; i++) {
        veld__coord__inside__stored_gap__init(list[i] = &room[i]);
        room[i].after = net->gaps[i].after;
        room[i].before = net->gaps[i].before;
    }
    put_one(b, 'h', net, NULL, 0, &v.base);
}

void veld_persist_revocations(struct veld_batch *b, const struct veld_net *net)
{
    uint8_t key[KEY_MAX];
    size_t n = key_of(key, 'r', net->id, NULL, 0);
    struct veld_blob list = veld_revocations_bytes(net->revocations);
    veld_batch_put(b, key, n, list.p, list.len);
}

void veld_persist_network_gone(struct veld_batch *b, const struct veld_net *net)
{
    drop_one(b, 'n', net, NULL, 0);
    drop_one(b, 'h', net, NULL, 0);
    drop_one(b, 'r', net, NULL, 0);
}

/* ---- members ---- */

/* A message for each route, which borrow from them; the caller frees it. */
static Veld__Coord__Inside__StoredPrefix **routes_of(const struct veld_facts *f)
{
    typedef Veld__Coord__Inside__StoredPrefix pb;
    size_t n = f->n_routes;
    pb **list = g_malloc(n * (sizeof *list + sizeof **list) + 1);
    pb *room = (pb *)(list + n);
    for (size_t i = 0; i < n; i++) {
        veld__coord__inside__stored_prefix__init(&room[i]);
        room[i].address = bytes(f->routes[i].ip.b, f->routes[i].ip.family == 4 ? 4 : 16);
        room[i].length = f->routes[i].len;
        list[i] = &room[i];
    }
    return list;
}

void veld_persist_facts(struct veld_batch *b, const struct veld_member *m)
{
    const struct veld_facts *f = m->facts;
    Veld__Coord__Inside__StoredMember v = VELD__COORD__INSIDE__STORED_MEMBER__INIT;
    v.ipv4 = f->ipv4;
    v.chain = bytes(f->chain, f->chain_len);
    v.peer = bytes(f->peer, f->peer_len);
    v.sequence = f->sequence;
    v.name = (char *)(uintptr_t)f->name;
    v.flags = f->flags;
    v.not_before = f->not_before_s;
    v.not_after = f->not_after_s;
    v.serial = f->serial;
    v.signer = bytes(f->signer, 32);
    v.admin = bytes(f->admin, veld_is_zero(f->admin, 32) ? 0 : 32);
    v.by_token = f->by_token;
    v.token_expires = f->token_expires_s;
    v.token_uses = f->token_uses;
    v.begins = f->begins_s;
    v.ends = f->ends_s;
    v.chain_digest = bytes(f->chain_digest, 32);
    v.n_routes = f->n_routes;
    v.routes = routes_of(f);
    put_one(b, 'm', m->net, m->p, 32, &v.base);
    g_free(v.routes);
}

void veld_persist_state(struct veld_batch *b, const struct veld_member *m)
{
    Veld__Coord__Inside__StoredState v = VELD__COORD__INSIDE__STORED_STATE__INIT;
    v.revision = m->revision;
    v.online = m->online;
    v.last_seen = m->last_seen_s;
    v.told = m->facts_revision;
    put_one(b, 's', m->net, m->p, 32, &v.base);
}

void veld_persist_member_gone(struct veld_batch *b, const struct veld_member *m)
{
    drop_one(b, 'm', m->net, m->p, 32);
    drop_one(b, 's', m->net, m->p, 32);
}

void veld_persist_removal(struct veld_batch *b, const struct veld_net *net,
                          const struct veld_removal *r)
{
    Veld__Coord__Inside__StoredRemoval v = VELD__COORD__INSIDE__STORED_REMOVAL__INIT;
    uint8_t revision[8];
    veld_store_be64(revision, r->revision);
    v.member = bytes(r->p, 32);
    v.ipv4 = r->ipv4;
    put_one(b, 't', net, revision, sizeof revision, &v.base);
}

void veld_persist_removal_gone(struct veld_batch *b, const struct veld_net *net,
                               const struct veld_removal *r)
{
    uint8_t revision[8];
    veld_store_be64(revision, r->revision);
    drop_one(b, 't', net, revision, sizeof revision);
}

/* ---- tokens and joins ---- */

void veld_persist_token_use(struct veld_batch *b, const struct veld_net *net,
                            const struct veld_token_use *u)
{
    Veld__Coord__Inside__StoredTokenUse v = VELD__COORD__INSIDE__STORED_TOKEN_USE__INIT;
    v.expires = u->expires_s;
    put_one(b, 'u', net, u->pair, sizeof u->pair, &v.base);
}

void veld_persist_token_use_gone(struct veld_batch *b, const struct veld_net *net,
                                 const struct veld_token_use *u)
{
    drop_one(b, 'u', net, u->pair, sizeof u->pair);
}

void veld_persist_join(struct veld_batch *b, const struct veld_net *net,
                       const struct veld_join *j)
{
    Veld__Coord__Inside__StoredJoin v = VELD__COORD__INSIDE__STORED_JOIN__INIT;
    v.request = bytes(j->request, j->request_len);
    v.chain = bytes(j->chain, j->chain_len);
    v.state = j->state;
    v.filed = j->filed_s;
    v.from = bytes(j->from, sizeof j->from);
    put_one(b, 'j', net, j->p, 32, &v.base);
}

void veld_persist_join_gone(struct veld_batch *b, const struct veld_net *net,
                            const struct veld_join *j)
{
    drop_one(b, 'j', net, j->p, 32);
}
