/*
 * Relaying for others: relayed datagrams that came together leave together, out of the
 * buffer they came in, with another index and to another address; nothing is decrypted.
 *
 * Invariants:
 *  - only what comes from where the member is leaves, only to where the other
 *    one is, and neither of them by a circuit;
 *  - one datagram leaves for one that came, of the same size;
 *  - nothing that is relayed is relayed again;
 *  - all workers together keep the direction's rate and that of all forwards;
 *  - every datagram given is sent, or dropped and counted.
 *
 * Order of calls, each turn: begin when no send is in flight, take while
 * has_room; sent for each send queued. The worker that owns it.
 */
#ifndef VELD_DATAPLANE_FORWARD_H
#define VELD_DATAPLANE_FORWARD_H

#include "dataplane/context.h"
#include "dataplane/send.h"

#define VELD_FORWARDS_MAX 192 /* sends not told yet */

/* Marks the tokens of its sends; no others have this bit. */
#define VELD_FORWARD_TOKEN (1u << 31)

struct veld_forwarder {
    struct veld_context *ctx;
    bool segment_offload; /* UDP_SEGMENT works where it sends */
    unsigned n_sends;
    struct veld_send sends[VELD_FORWARDS_MAX];
};

/* What is left of one receive: datagrams of `segment` bytes, but the last. */
struct veld_forward_arrival {
    uint8_t *data;
    uint32_t len, segment;
    const struct veld_endpoint *from;
    uint8_t ecn;
};

void veld_forwarder_init(struct veld_forwarder *f, struct veld_context *ctx);
void veld_forwarder_begin(struct veld_forwarder *f);
/* True when any one receive finds room. */
static inline bool veld_forwarder_has_room(const struct veld_forwarder *f)
{
    return VELD_FORWARDS_MAX - f->n_sends >= VELD_RUN_SEGMENTS;
}

enum veld_forward_result { VELD_FORWARD_DONE, VELD_FORWARD_QUEUED };
/*
 * Take the datagrams at the front of `a` that are of forward `e`, the first of which has a right
 * header; `n` receives how many. QUEUED: a send of them will be told, until then their bytes stay.
 */
VELD_MUST_USE enum veld_forward_result veld_forwarder_take(struct veld_forwarder *f,
                                                           struct veld_circuit_entry *e,
                                                           const struct veld_forward_arrival *a,
                                                           unsigned *n);
/* The sink of its sends. */
void veld_forwarder_sent(struct veld_forwarder *f, uint32_t token, int result);

#endif
