/*
 * a and b of packet_path.h, whose datagrams take their way through a relay r: each knows it as
 * peer RELAY, and it knows them as peers FROM_A and FROM_B.
 */
#ifndef VELD_TESTS_RELAYED_PATH_H
#define VELD_TESTS_RELAYED_PATH_H

#include "packet_path.h"

#define R_ENDPOINT "192.0.2.9:3000"
#define RELAY      8u /* at a and b */
#define FROM_A     1u /* at r */
#define FROM_B     2u
/* Numbers, as their readers gave them; each of a slot of its own. */
#define A_CIRCUIT 0xabcde001u /* what comes to a */
#define B_CIRCUIT 0xabcde002u
#define A_FORWARD 0x12345003u /* what comes to r from a */
#define B_FORWARD 0x12345004u

struct relayed {
    struct pair p;
    struct site *r;
};

static inline struct veld_peer_ref relayed_ref(struct site *s, uint32_t id)
{
    return veld_peers_get(&s->tables.peers, id)->ref;
}

/* NULL: nowhere. */
static inline void relayed_set_path(struct site *s, uint32_t id,
                                    const struct veld_endpoint *endpoint)
{
    struct veld_path *path = endpoint ? calloc(1, sizeof *path) : NULL;
    struct sockaddr_storage sa = {0};
    if (path) {
        path->endpoint = *endpoint;
        path->mtu = UINT16_MAX;
        if (veld_endpoint_is_circuit(endpoint))
            path->prefix = VELD_RELAYED_OVERHEAD;
        else
            cr_assert_eq(veld_endpoint_to_sockaddr(endpoint, AF_INET, &sa, &path->to_len), 0);
        memcpy(&path->to, &sa, path->to_len);
    }
    veld_peer_set_path(veld_peers_get(&s->tables.peers, id), path);
}

static inline struct veld_endpoint relayed_endpoint(const char *text)
{
    struct veld_endpoint ep;
    cr_assert_eq(veld_endpoint_parse(text, &ep), 0);
    return ep;
}

static inline void relayed_add_peer(struct site *s, uint32_t id, const char *endpoint)
{
    struct veld_endpoint ep = relayed_endpoint(endpoint);
    cr_assert_eq(veld_peers_add(&s->tables.peers, id), 0);
    relayed_set_path(s, id, &ep);
}

/* The member's end: `number` comes in, `index` goes out, the other member is behind it. */
static inline void relayed_set_circuit(struct site *s, uint32_t number, uint32_t index)
{
    struct veld_circuit_spec spec = {
        .number = number, .remote_index = index, .kind = VELD_CIRCUIT};
    spec.from = spec.to = relayed_ref(s, RELAY);
    cr_assert_eq(veld_circuits_set(&s->tables.circuits, &spec), 0);
    struct veld_endpoint ep = veld_endpoint_circuit(number);
    relayed_set_path(s, PEER, &ep);
}

static inline void relayed_set_forward(struct site *r, uint32_t number, uint32_t from,
                                       uint32_t to, uint32_t index, uint64_t bytes_per_s)
{
    struct veld_circuit_spec spec = {.number = number,
                                     .remote_index = index,
                                     .kind = VELD_FORWARD,
                                     .from = relayed_ref(r, from),
                                     .to = relayed_ref(r, to),
                                     .bytes_per_s = bytes_per_s,
                                     .n_lines = 1};
    cr_assert_eq(veld_circuits_set(&r->tables.circuits, &spec), 0);
}

static inline void relayed_make(struct relayed *x, uint8_t lanes)
{
    pair_make(&x->p, lanes);
    x->r = site_new(0);
    relayed_add_peer(x->p.a, RELAY, R_ENDPOINT);
    relayed_add_peer(x->p.b, RELAY, R_ENDPOINT);
    relayed_add_peer(x->r, FROM_A, A_ENDPOINT);
    relayed_add_peer(x->r, FROM_B, B_ENDPOINT);
    relayed_set_circuit(x->p.a, A_CIRCUIT, A_FORWARD);
    relayed_set_circuit(x->p.b, B_CIRCUIT, B_FORWARD);
    relayed_set_forward(x->r, A_FORWARD, FROM_A, FROM_B, B_CIRCUIT, 0);
    relayed_set_forward(x->r, B_FORWARD, FROM_B, FROM_A, A_CIRCUIT, 0);
}

static inline void relayed_free(struct relayed *x)
{
    pair_free(&x->p);
    site_free(x->r);
}

/* All that a sent, through r, to b; no write of b's is told yet. */
static inline void relayed_carry(struct relayed *x)
{
    complete_sends(x->p.a);
    carry(x->p.a, x->r, A_ENDPOINT);
    complete_sends(x->r);
    carry(x->r, x->p.b, R_ENDPOINT);
}

static inline void relayed_forget(struct relayed *x)
{
    complete_writes(x->p.b, 0);
    forget(x->p.a);
    forget(x->r);
    forget(x->p.b);
}

#endif
