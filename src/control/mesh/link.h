/*
 * The session with the coord server: link_state.h decides, this carries out, by
 * rpc/client.h. What comes goes through the intake, so that signatures are
 * checked off the control thread and everything is told in its order.
 *
 * Invariants:
 *  - nothing here waits, but veld_link_stop, at most VELD_LINK_LEAVE_MS;
 *  - nothing that the server says is passed on unverified but its sentences, which
 *    are shown as what it said.
 *
 * Order of calls: open, start, any, veld_intake_stop (else the client's thread might
 * wait for room there, and stop for it), stop, close. Each result of the intake of kind
 * PLAIN goes to veld_link_on_plain, and each EVENT to veld_link_on_heard, which says
 * whether it is to be looked at.
 * Control thread.
 */
#ifndef VELD_CONTROL_MESH_LINK_H
#define VELD_CONTROL_MESH_LINK_H

#include "base/clock.h"
#include "control/mesh/intake.h"
#include "control/mesh/link_state.h"
#include "control/mesh/requests.h"
#include "crypto/identity.h"
#include "rpc/client.h"
#include "rpc/coord.h"

#define VELD_LINK_LEAVE_MS 1000
#define VELD_LINK_SKEW_S                                                                       \
    60 /* clocks that differ by more are told of; the server refuses 90 s */
#define VELD_LINK_CALLS_MAX 64 /* signals and lists under way at a time */

struct veld_link;

/* What the link asks of whoever knows the network. */
struct veld_link_ops {
    void *ctx;
    /* Our record as it is to be published, signed, and the address it would like to be leased. The link clears it. */
    int (*record)(void *ctx, struct veld_blob *signed_record, struct veld_ip *want_ipv4);
    /* A registration brought this. True when our record is another one for it. */
    bool (*registered)(void *ctx, const struct veld_registered *r);
    /* From where to watch on. */
    void (*resume)(void *ctx, uint64_t *revision, uint64_t *revocation_epoch);
    /* The server says that we are let in no more, and that this list says why. Not verified. */
    void (*refused)(void *ctx, const struct veld_blob *list);
    /* What became of our request to join. `chain` is set when it is approved. Not verified. */
    void (*answered)(void *ctx, enum veld_coord_join state, const struct veld_blob *chain);
    /* The state that is shown changed. */
    void (*changed)(void *ctx);
};

/* All that is pointed at outlives the link. */
struct veld_link_config {
    struct veld_rpc_server server;
    const struct veld_identity *identity;
    const uint8_t *network_id;
    const struct veld_blob *signed_network, *chain; /* encoded */
    struct veld_intake *intake;
    struct veld_link_ops ops;
};

void veld_link_open(struct veld_link **out, const struct veld_link_config *cfg);
/* Opens the client and connects; what keeps it from that is in the info. */
void veld_link_start(struct veld_link *l);
/* Tells the server that we go offline, if it listens. */
void veld_link_stop(struct veld_link *l);
void veld_link_close(struct veld_link *l); /* NULL is allowed */

void veld_link_on_plain(struct veld_link *l, const struct veld_intake_result *r);
/* False: of a watch that is over. */
VELD_MUST_USE bool veld_link_on_heard(struct veld_link *l, const struct veld_intake_result *r);
/* Our record is another one. */
void veld_link_on_record_changed(struct veld_link *l);

/* What came on the watch is not to be borne: end it for this reason, and begin anew after a pause. */
void veld_link_cut(struct veld_link *l, const char *why);

/*
 * This machine is somewhere else: what the connection was made from is gone, which TCP
 * would notice in a minute, or what kept it from connecting may be. Connect anew, at once.
 */
void veld_link_renew(struct veld_link *l);

/* How long does the server take? Told by the info; not asked while it is being asked. */
void veld_link_ask_time(struct veld_link *l);

bool veld_link_is_connected(const struct veld_link *l);
/* Sent if it can be, and not again. VELD_E_STATE (not connected), VELD_E_LIMIT, others of the client. */
VELD_MUST_USE int veld_link_send_signal(struct veld_link *l, const uint8_t to[32],
                                        const struct veld_blob *sealed);
VELD_MUST_USE int veld_link_send_revocations(struct veld_link *l, const struct veld_blob *list);
/* A signed JoinRequest: what becomes of it is told by `answered`. */
VELD_MUST_USE int veld_link_send_join(struct veld_link *l, const struct veld_blob *request);

/* Facts for status. Strings live until the next call of any function here. */
struct veld_link_info {
    enum veld_link_phase phase;
    const char *address;
    uint64_t since_mono_ns;
    const char *error; /* why it is not connected, or what the server refused; empty: nothing */
    int err;           /* the code that goes with it */
    int64_t skew_ns; /* of the server's clock against ours, when they differ too much; else 0 */
    uint64_t rtt_ns; /* of the last answer to veld_link_ask_time on this connection; 0: none */
    uint64_t connections; /* watches that said something */
};
void veld_link_get_info(const struct veld_link *l, struct veld_link_info *out);

#endif
