#include "coord/service/methods.h"

#include "base/bytes.h"
#include "trust/join_request.h"

#include <stdlib.h>
#include <veld/coord/v1/coord.pb-c.h>
#include <veld/coord/v1/inside.pb-c.h>

#define LIST_BYTES_MAX 1000000 /* a reply is at most 1 MiB */

/* What is too old to be waited for. */
static bool is_old(const struct veld_join *j, uint64_t now_s)
{
    return now_s > j->filed_s + VELD_JOIN_KEPT_S;
}

/* ---- RequestJoin ---- */

static void tell_state(struct veld_coord_call *c, enum veld_join_state state,
                       const uint8_t *chain, size_t chain_len)
{
    Veld__Coord__Inside__RequestJoinReply reply = VELD__COORD__INSIDE__REQUEST_JOIN_REPLY__INIT;
    _Static_assert((int)VELD_JOIN_IS_WAITING ==
                           VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING &&
                       (int)VELD_JOIN_IS_APPROVED ==
                           VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED &&
                       (int)VELD_JOIN_IS_REFUSED ==
                           VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_REFUSED,
                   "states are those of the API");
    reply.state = state;
    reply.chain = veld_pb_bytes(chain, chain_len);
    veld_call_reply(c, &reply);
}

/* It is a member already: its own chain. */
static void tell_member(struct veld_coord_call *c)
{
    const struct veld_facts *f = c->member->facts;
    Veld__Coord__Inside__PeerRecord *peer = NULL;
    struct veld_blob chain = {.p = (uint8_t *)(uintptr_t)f->chain, .len = f->chain_len};
    if (f->peer_len != 0) {
        peer = veld__coord__inside__peer_record__unpack(NULL, f->peer_len, f->peer);
        chain = veld_pb_blob(&peer->chain);
    }
    tell_state(c, VELD_JOIN_IS_APPROVED, chain.p, chain.len);
    veld_call_free(peer);
}

/*
 * Those on file, counted by the address that filed them. What was approved is counted
 * in all alone: it waits for its device, and nobody's flood pushes it out.
 */
struct tally {
    size_t in_all, n;
    struct {
        const struct veld_join *oldest;
        size_t joins;
    } of[VELD_JOINS_MAX]; /* `n` of them, each of another address */
};

static void count(struct tally *t, const struct veld_join *j)
{
    size_t i = 0;
    t->in_all++;
    if (j->state == VELD_JOIN_IS_APPROVED)
        return;
    while (i < t->n && memcmp(t->of[i].oldest->from, j->from, sizeof j->from) != 0)
        i++;
    if (i == VELD_JOINS_MAX)
        return;
    if (i == t->n)
        t->of[t->n++].oldest = j;
    t->of[i].joins++;
    if (j->filed_s < t->of[i].oldest->filed_s)
        t->of[i].oldest = j;
}

static void count_all(const struct veld_coord_call *c, struct tally *t)
{
    GHashTableIter i;
    gpointer value;
    if (!c->net->joins)
        return;
    g_hash_table_iter_init(&i, c->net->joins);
    while (g_hash_table_iter_next(&i, NULL, &value))
        if (!is_old(value, veld_call_now_s(c)))
            count(t, value);
}

/*
 * Room for one more of this address. Where there is none, `out` is what has to go: the
 * oldest of the address that has the most, so that a few addresses cannot keep all
 * others away; unless the newcomer's address would then have as many itself.
 */
static bool there_is_room(struct veld_coord_call *c, const uint8_t from[VELD_ADDRESS_KEY],
                          const struct veld_join **out)
{
    struct tally t = {0};
    size_t mine = 0, most = 0;
    *out = NULL;
    count_all(c, &t);
    for (size_t i = 0; i < t.n; i++) {
        if (memcmp(t.of[i].oldest->from, from, VELD_ADDRESS_KEY) == 0)
            mine = t.of[i].joins;
        if (t.of[i].joins > t.of[most].joins ||
            (t.of[i].joins == t.of[most].joins &&
             t.of[i].oldest->filed_s < t.of[most].oldest->filed_s))
            most = i;
    }
    if (mine < VELD_JOINS_PER_ADDRESS_MAX) {
        if (t.in_all < VELD_JOINS_MAX)
            return true;
        if (t.n > 0 && t.of[most].joins > mine + 1) {
            *out = t.of[most].oldest;
            return true;
        }
    }
    veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                   "too many requests to join the network %s wait; somebody has to answer them "
                   "(veld approve), or a day to pass",
                   c->net->descriptor.name);
    return false;
}

/* Is `r` a newer wish of the same device than the one on file, and not yet granted? */
static bool replaces(const struct veld_coord_call *c, const struct veld_join *j,
                     const struct veld_join_request *r)
{
    struct veld_join_request old;
    struct veld_membership granted;
    if (veld_join_request_read(j->request, j->request_len, &old) < 0 ||
        r->created_s <= old.created_s)
        return false;
    return j->state != VELD_JOIN_IS_APPROVED ||
           veld_membership_read(j->chain, j->chain_len, c->net->id, c->net->revocations,
                                veld_call_now_s(c), &granted) < 0 ||
           strcmp(granted.name, r->name) != 0;
}

static void file(struct veld_coord_call *c, const struct veld_join_request *r,
                 const struct veld_blob *request)
{
    struct veld_join like = {.state = VELD_JOIN_IS_WAITING, .filed_s = veld_call_now_s(c)};
    struct veld_membership wish = {0};
    const struct veld_join *j = veld_join_of(c->net, c->caller), *out = NULL;
    veld_address_key(&c->request->from, like.from);
    memcpy(like.p, c->caller, sizeof like.p);
    memcpy(wish.network_id, c->net->id, sizeof wish.network_id);
    memcpy(wish.member, c->caller, sizeof wish.member);
    strcpy(wish.name, r->name);
    if ((!j || is_old(j, like.filed_s)) && !there_is_room(c, like.from, &out))
        return;
    if (!veld_call_name_is_free(c, r->name, c->caller) ||
        !veld_call_allow(c, VELD_COORD_REQUEST_JOIN, &wish))
        return;
    if (!veld_rates_take(c->s->joins_by_address, like.from, sizeof like.from,
                         c->now->mono_ns)) {
        veld_call_fail(
            c, VELD_CODE_RESOURCE_EXHAUSTED,
            "too many requests to join come from this address; try again in a while");
        return;
    }
    if (out)
        veld_join_remove(c->s->registry, c->net, out->p);
    veld_join_set(c->s->registry, c->net, &like, request, NULL);
    veld_call_audit(c, VELD_COORD_REQUEST_JOIN, &wish);
    tell_state(c, VELD_JOIN_IS_WAITING, NULL, 0);
}

/* A member asks again when it would like to do more than its membership allows. */
static bool is_content(const struct veld_coord_call *c, const struct veld_join_request *r)
{
    const struct veld_facts *f = c->member->facts;
    return veld_routes_are_within(r->routes, r->n_routes, f->routes, f->n_routes) &&
           (!r->relay || (f->flags & VELD_MEMBER_RELAY));
}

static void request_join(struct veld_coord_call *c, const struct veld_join_request *r,
                         const struct veld_blob *request)
{
    if (veld_revoked(c->net->revocations, c->caller)) {
        veld_call_fail_membership(c, VELD_E_PERM);
        return;
    }
    if (c->member && is_content(c, r)) {
        tell_member(c);
        return;
    }
    const struct veld_join *j = veld_join_of(c->net, c->caller);
    if (j && !is_old(j, veld_call_now_s(c)) && !replaces(c, j, r))
        tell_state(c, j->state, j->chain, j->chain_len);
    else
        file(c, r, request);
}

void veld_rpc_request_join(struct veld_coord_call *c)
{
    Veld__Coord__Inside__RequestJoinRequest *request =
        veld_call_unpack(c, &veld__coord__inside__request_join_request__descriptor);
    struct veld_join_request r;
    if (!request)
        return;
    struct veld_blob signed_request = veld_pb_blob(&request->request);
    ProtobufCBinaryData id;
    if (veld_join_request_read(signed_request.p, signed_request.len, &r) < 0) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT,
                       "the join request is malformed, or not signed by its device");
    } else if (memcmp(r.member, c->caller, sizeof r.member) != 0) {
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "a device asks to join for itself alone");
    } else {
        id = veld_pb_bytes(r.network_id, sizeof r.network_id);
        if (veld_call_enter(c, &id))
            request_join(c, &r, &signed_request);
    }
    veld_call_free(request);
}

/* ---- ListJoins ---- */

static int by_age(gconstpointer a, gconstpointer b)
{
    const struct veld_join *x = *(struct veld_join *const *)a,
                           *y = *(struct veld_join *const *)b;
    if (x->filed_s != y->filed_s)
        return x->filed_s < y->filed_s ? -1 : 1;
    return memcmp(x->p, y->p, sizeof x->p);
}

static GPtrArray *waiting(const struct veld_coord_call *c)
{
    GHashTableIter i;
    gpointer value;
    GPtrArray *all = g_ptr_array_new();
    if (!c->net->joins)
        return all;
    g_hash_table_iter_init(&i, c->net->joins);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        const struct veld_join *j = value;
        if (j->state == VELD_JOIN_IS_WAITING && !is_old(j, veld_call_now_s(c)))
            g_ptr_array_add(all, value);
    }
    g_ptr_array_sort(all, by_age);
    return all;
}

static void list(struct veld_coord_call *c)
{
    Veld__Coord__Inside__ListJoinsReply reply = VELD__COORD__INSIDE__LIST_JOINS_REPLY__INIT;
    ProtobufCBinaryData requests[VELD_JOINS_MAX];
    GPtrArray *all = waiting(c);
    size_t bytes = 0;
    reply.requests = requests;
    for (guint i = 0; i < all->len && reply.n_requests < VELD_JOINS_MAX; i++) {
        const struct veld_join *j = all->pdata[i];
        bytes += j->request_len + 8;
        if (bytes > LIST_BYTES_MAX)
            break;
        requests[reply.n_requests++] = veld_pb_bytes(j->request, j->request_len);
    }
    veld_call_reply(c, &reply);
    g_ptr_array_free(all, TRUE);
}

void veld_rpc_list_joins(struct veld_coord_call *c)
{
    Veld__Coord__V1__ListJoinsRequest *request =
        veld_call_unpack(c, &veld__coord__v1__list_joins_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        list(c);
    veld_call_free(request);
}

/* ---- AnswerJoin ---- */

typedef Veld__Coord__Inside__AnswerJoinRequest pb_answer;

static bool answer_holds(struct veld_coord_call *c, const pb_answer *request,
                         struct veld_membership *m)
{
    int rc = veld_membership_read(request->chain.data, request->chain.len, c->net->id,
                                  c->net->revocations, veld_call_now_s(c), m);
    if (rc == 0 && memcmp(m->member, request->member.data, sizeof m->member) != 0)
        rc = VELD_E_AUTH;
    if (rc < 0)
        veld_call_fail_membership(c, rc);
    return rc == 0 && veld_call_name_is_free(c, m->name, m->member);
}

static void answer(struct veld_coord_call *c, const pb_answer *request)
{
    Veld__Coord__V1__AnswerJoinReply reply = VELD__COORD__V1__ANSWER_JOIN_REPLY__INIT;
    struct veld_membership m = {0};
    struct veld_blob chain = veld_pb_blob(&request->chain);
    const struct veld_join *j =
        request->member.len == 32 ? veld_join_of(c->net, request->member.data) : NULL;
    if (!j || is_old(j, veld_call_now_s(c))) {
        veld_call_fail(
            c, VELD_CODE_NOT_FOUND,
            "no request to join of that device is here; it has to ask again (veld up)");
        return;
    }
    memcpy(m.network_id, c->net->id, sizeof m.network_id);
    memcpy(m.member, j->p, sizeof m.member);
    if ((chain.len != 0 && !answer_holds(c, request, &m)) ||
        !veld_call_allow(c, VELD_COORD_ANSWER_JOIN, &m))
        return;
    struct veld_join like = {.state = chain.len ? VELD_JOIN_IS_APPROVED : VELD_JOIN_IS_REFUSED,
                             .filed_s = veld_call_now_s(c)};
    memcpy(like.p, j->p, sizeof like.p);
    memcpy(like.from, j->from, sizeof like.from);
    veld_join_set(
        c->s->registry, c->net, &like,
        &(struct veld_blob){.p = (uint8_t *)(uintptr_t)j->request, .len = j->request_len},
        chain.len ? &chain : NULL);
    veld_call_audit(c, VELD_COORD_ANSWER_JOIN, &m);
    veld_call_reply(c, &reply);
}

void veld_rpc_answer_join(struct veld_coord_call *c)
{
    pb_answer *request =
        veld_call_unpack(c, &veld__coord__inside__answer_join_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        answer(c, request);
    veld_call_free(request);
}
