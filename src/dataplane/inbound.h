/*
 * The way in: receive -> datagrams -> session and lane -> replay check -> open
 * the batch -> commit -> in order by counter -> source check -> join neighbours ->
 * one TUN write each.
 *
 * Invariants:
 *  - nothing a datagram says changes anything before its tag was right: not the
 *    replay window, not the peer's address, no event but a handshake's;
 *  - only lane 0 tells where a peer is: another lane may leave by a port of its
 *    own, at which nobody listens;
 *  - a packet reaches the TUN only if its source address routes to the peer
 *    that sealed it;
 *  - a control message never reaches the TUN;
 *  - receive buffers and joins are reused only when every write and every
 *    forward (forward.h) out of them has been told;
 *  - every datagram given is delivered, told, or dropped and counted.
 *
 * Order of calls, each turn: begin, receive while has_room, flush.
 * The worker that owns it.
 */
#ifndef VELD_DATAPLANE_INBOUND_H
#define VELD_DATAPLANE_INBOUND_H

#include "dataplane/context.h"
#include "dataplane/forward.h"
#include "dataplane/gate.h"
#include "dataplane/reorder.h"
#include "dataplane/super.h"

#define VELD_JOINS_MAX VELD_AEAD_BATCH_MAX

/* A datagram on its way; the job of the same number holds its bytes. */
struct veld_incoming {
    struct veld_session *session;
    uint64_t counter;
    uint8_t flags, lane;
    uint8_t source;   /* which receive it came with */
    bool newest;      /* no higher counter was seen before on its lane */
    uint32_t circuit; /* its number; 0: it came directly */
};

struct veld_inbound {
    struct veld_context *ctx;
    unsigned udp_segments_max; /* what the TUN takes in one write (super.h) */
    unsigned n_jobs;
    struct veld_aead_job jobs[VELD_AEAD_BATCH_MAX];
    struct veld_incoming incoming[VELD_AEAD_BATCH_MAX];
    struct veld_reorder reorder; /* of what is delivered, among `incoming` */
    struct veld_lane *locked;    /* the lane whose lock we hold */
    /* Receives whose buffers are in use. */
    unsigned n_sources;
    struct veld_endpoint sources[VELD_IO_BUFFERS];
    uint16_t buffers[VELD_IO_BUFFERS];
    uint8_t ecn[VELD_IO_BUFFERS]; /* of their outer headers */
    /* The join being built: the last of `joins`, while `joining`. */
    bool joining;
    const struct veld_session *join_session;
    uint8_t join_lane;
    uint64_t join_next; /* counter that may continue it */
    /* The last source address that was found right, within this turn. */
    struct veld_ip good_source;
    struct veld_peer_ref good_peer;
    unsigned in_flight; /* writes and forwards not told yet */
    unsigned n_joins;
    struct veld_join joins[VELD_JOINS_MAX];
    struct veld_gate gate; /* before handshakes */
    struct veld_forwarder forwarder;
};

void veld_inbound_init(struct veld_inbound *in, struct veld_context *ctx,
                       unsigned udp_segments_max);

void veld_inbound_begin(struct veld_inbound *in);
/* True when any one receive finds room. */
bool veld_inbound_has_room(const struct veld_inbound *in);
/* Takes the buffer; it goes back to io when nothing needs it. */
void veld_inbound_receive(struct veld_inbound *in, const struct veld_udp_receive *r);
void veld_inbound_flush(struct veld_inbound *in);
/* The sink of the writes. */
void veld_inbound_written(struct veld_inbound *in, uint32_t token, int result);
/* The sink of the forwards. */
void veld_inbound_forwarded(struct veld_inbound *in, uint32_t token, int result);

#endif
