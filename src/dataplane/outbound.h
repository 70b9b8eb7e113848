/*
 * The way out: TUN read -> route -> peer's session -> segments, each sealed in
 * a datagram -> one send per run of equal datagrams.
 *
 * A run is up to 64 datagrams of one session behind one another in the arena,
 * all of one size but the last and of one ECN field; UDP_SEGMENT cuts it in the kernel. Packets for a
 * peer without a session wait (hold.h) until `look` finds one. On a circuit each
 * datagram has the relay's header before it, and the run goes to the relay.
 *
 * Invariants:
 *  - every counter sealed comes from veld_session_reserve, and the runs of one
 *    session that stand together in a batch have consecutive counters, so that
 *    VELD_FLAG_CONTINUES means what it says;
 *  - the arena is reused only when every send out of it has been told;
 *  - no datagram is larger than its path takes, once that is known: TCP is cut
 *    smaller, what may be fragmented is, and the sender of anything else is told
 *    (too_big.h);
 *  - every packet given is sent, held, or dropped and counted.
 *
 * Order of calls, each turn: begin, look when control changed something,
 * packet while has_room, flush. No system call of its own but through io.
 * The worker that owns it.
 */
#ifndef VELD_DATAPLANE_OUTBOUND_H
#define VELD_DATAPLANE_OUTBOUND_H

#include "dataplane/context.h"
#include "dataplane/hold.h"
#include "dataplane/send.h"
#include "dataplane/super.h"
#include "dataplane/too_big.h"

#define VELD_SEND_ARENA_SIZE (384u * 1024)
#define VELD_RUNS_MAX        256

struct veld_run {
    struct veld_send send;
    struct veld_session *session;
    const struct veld_path *path; /* both: within the turn only */
    struct veld_peer_ref peer;
    enum veld_io_socket from;
    uint8_t prefix; /* bytes of a relay's header before each datagram */
    bool closed;    /* a shorter datagram came */
};

struct veld_outbound {
    struct veld_context *ctx;
    /* UDP_SEGMENT works on this socket of ours. Written by the worker; control reads it too. */
    atomic_bool segment_offload[VELD_IO_SOCKETS];
    bool look_again; /* held packets could leave but for room */
    uint8_t *arena;
    uint32_t used;
    unsigned in_flight; /* sends not told yet */
    unsigned n_runs;
    unsigned first_run;  /* of the batch being filled */
    unsigned n_segments; /* in that batch */
    struct veld_run runs[VELD_RUNS_MAX];
    struct veld_aead_job jobs[VELD_AEAD_BATCH_MAX];
    struct veld_hold hold;
    struct veld_circuit_way circuit; /* of the packet in hand, when its path is a circuit */
    struct veld_too_big too_big;
    uint64_t refused_told_ns; /* when TOO_BIG was last told */
    uint32_t fragment_id;     /* of IPv6 fragments: the last used */
    uint8_t *whole;           /* VELD_MTU_MAX: a packet about to be fragmented */
};

/* `mtu` bounds what is held. */
VELD_MUST_USE int veld_outbound_init(struct veld_outbound *out, struct veld_context *ctx,
                                     unsigned mtu);
void veld_outbound_free(struct veld_outbound *out);
/* Before the start: whether the kernel knows UDP_SEGMENT at all. */
void veld_outbound_set_offload(struct veld_outbound *out, bool on);

void veld_outbound_begin(struct veld_outbound *out);
/* Send held packets whose peer has a session now; drop those nobody waits for any more. */
void veld_outbound_look(struct veld_outbound *out);
/* True when any one TUN read finds room. */
bool veld_outbound_has_room(const struct veld_outbound *out);
/* One TUN read, virtio header first. Its bytes are not needed afterwards. */
void veld_outbound_packet(struct veld_outbound *out, const uint8_t *data, size_t len);
void veld_outbound_flush(struct veld_outbound *out);
/* The sink of the sends. */
void veld_outbound_sent(struct veld_outbound *out, uint32_t token, int result);

#endif
