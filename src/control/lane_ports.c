/*
 * Lanes that leave by their worker's own port: asks the peers that data is sent
 * to (lane_proof.h), tells the dataplane what they answered, and shows them on
 * lane 0 where we are while all traffic is on others (docs/PROTOCOL.md, Endpoints).
 * Any doubt makes it the main port again: another endpoint, another address of
 * ours, no session, no answer; and for good, answers that come to the port itself,
 * as they do behind a relay that sends to whoever spoke last.
 */
#include "control/control_impl.h"
#include "control/lane_proof.h"

#include "base/log.h"

#define BUSY_NS  (2 * VELD_NS_PER_S)
#define LANE0_NS (750 * VELD_NS_PER_MS) /* checked each half second: at least one a second */

#define STRAYS_PER_TICK 64

static void publish(struct veld_control *c, uint32_t peer, uint64_t workers)
{
    int rc = veld_dataplane_peer_set_lane_ports(c->dataplane, peer, workers);
    if (rc < 0 && rc != VELD_E_NOENT)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                         "cannot change the ports of a peer's lanes: %s", veld_strerror(rc));
}

static void ask(struct veld_control *c, uint32_t peer, const struct veld_lane_proof *proof,
                uint64_t workers)
{
    uint8_t bytes[VELD_MESSAGE_MAX];
    for (unsigned w = 1; w < VELD_WORKERS_MAX; w++) {
        if (!(workers >> w & 1))
            continue;
        struct veld_message ping = veld_lane_proof_ping(proof, w);
        size_t len = veld_message_write(bytes, &ping);
        int rc = veld_dataplane_send_on_lane(c->dataplane, peer, w, bytes, len);
        if (rc < 0)
            veld_debug("peer %u: no ping from the port of worker %u: %s", peer, w,
                       veld_strerror(rc));
    }
}

static void look(struct veld_control *c, uint32_t peer, uint64_t now_ns)
{
    struct veld_lane_use use;
    if (veld_dataplane_peer_lane_use(c->dataplane, peer, now_ns - BUSY_NS, &use) < 0)
        return;
    if (use.busy && now_ns - use.lane0_ns >= LANE0_NS)
        (void)!veld_dataplane_send_on_lane(c->dataplane, peer, 0, NULL, 0);
    struct veld_lane_proof *proof = g_hash_table_lookup(c->lane_proofs, GUINT_TO_POINTER(peer));
    uint64_t busy = use.busy & use.have_port;
    if (!proof && !busy)
        return;
    if (!proof) {
        proof = g_new0(struct veld_lane_proof, 1);
        g_hash_table_insert(c->lane_proofs, GUINT_TO_POINTER(peer), proof);
    }
    ask(c, peer, proof, veld_lane_proof_step(proof, busy, now_ns));
    if (proof->proved != use.in_use)
        publish(c, peer, proof->proved);
    if (veld_lane_proof_idle(proof))
        g_hash_table_remove(c->lane_proofs, GUINT_TO_POINTER(peer));
}

static void take_stray(struct veld_control *c, uint32_t peer, unsigned worker)
{
    char name[64];
    struct veld_lane_proof *proof = g_hash_table_lookup(c->lane_proofs, GUINT_TO_POINTER(peer));
    if (!proof || proof->barred >> worker & 1)
        return;
    veld_lane_proof_bar(proof, worker);
    publish(c, peer, proof->proved);
    VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(),
                     "%s: what stands between sends its datagrams to a wrong port of ours; "
                     "all leave from one port from now on",
                     veld_control_peer_name(c, peer, name));
}

void veld_lane_ports_tick(struct veld_control *c)
{
    uint64_t now_ns = veld_clock_mono_ns();
    uint32_t peer;
    for (unsigned i = 0, worker;
         i < STRAYS_PER_TICK && veld_dataplane_next_stray(c->dataplane, &peer, &worker); i++)
        take_stray(c, peer, worker);
    for (size_t i = 0; i < c->peers.n_live; i++)
        look(c, c->peers.live[i], now_ns);
}

void veld_lane_ports_on_message(struct veld_control *c, const struct veld_dataplane_event *ev)
{
    struct veld_message m;
    struct veld_lane_proof *proof =
        g_hash_table_lookup(c->lane_proofs, GUINT_TO_POINTER(ev->peer));
    if (proof && veld_message_parse(ev->bytes, ev->len, &m) == 0 && m.type == VELD_MSG_PONG &&
        veld_lane_proof_pong(proof, &m))
        publish(c, ev->peer, proof->proved);
}

void veld_lane_ports_forget(struct veld_control *c, uint32_t peer)
{
    if (g_hash_table_remove(c->lane_proofs, GUINT_TO_POINTER(peer)))
        publish(c, peer, 0);
}

void veld_lane_ports_forget_all(struct veld_control *c)
{
    GHashTableIter all;
    gpointer peer;
    g_hash_table_iter_init(&all, c->lane_proofs);
    while (g_hash_table_iter_next(&all, &peer, NULL)) {
        publish(c, GPOINTER_TO_UINT(peer), 0);
        g_hash_table_iter_remove(&all);
    }
}
