/*
 * This machine as a relay: the volunteer beside the peers, the sessions and the dataplane.
 */
#include "control/control_impl.h"

#include "base/log.h"

#define SOON_MS 20

static bool find(void *ctx, const uint8_t pub[32], uint32_t *peer)
{
    const struct veld_control *c = ctx;
    return veld_control_peer_find_pub(c, pub, peer) && !veld_control_peer_is_blocked(c, *peer);
}

static const uint8_t *pub(void *ctx, uint32_t peer)
{
    return veld_control_peer_about(ctx, peer)->pub;
}

static bool is_indirect(void *ctx, uint32_t peer)
{
    const struct veld_control *c = ctx;
    const struct control_peer *p = veld_peer_list_get(&c->peers, peer);
    return p && veld_endpoint_is_circuit(&p->endpoint);
}

static int send_message(void *ctx, uint32_t peer, const struct veld_message *m)
{
    char name[64];
    if (m->type == VELD_MSG_CIRCUIT_REFUSED)
        veld_debug("a circuit of %s is refused: reason %u",
                   veld_control_peer_name(ctx, peer, name), m->state);
    return veld_control_peer_send(ctx, peer, m);
}

static void call(void *ctx, uint32_t peer)
{
    (void)!veld_control_peer_call(ctx,
                                  peer); /* if it cannot be had, the circuit ends in time */
}

static gboolean on_soon(gpointer data)
{
    struct veld_control *c = data;
    c->relaying_source = 0;
    veld_relaying_tick(c);
    return G_SOURCE_REMOVE;
}

static void soon(void *ctx)
{
    struct veld_control *c = ctx;
    if (!c->relaying_source)
        c->relaying_source = g_timeout_add(SOON_MS, on_soon, c);
}

static int forward_set(void *ctx, const struct veld_forward *f)
{
    const struct veld_control *c = ctx;
    int rc = veld_dataplane_forward_set(c->dataplane, f);
    if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "cannot relay for a peer: %s",
                         veld_strerror(rc));
    return rc;
}

static void forward_remove(void *ctx, uint32_t number)
{
    const struct veld_control *c = ctx;
    veld_dataplane_forward_remove(c->dataplane, number);
}

static int forward_use(void *ctx, uint32_t number, struct veld_forward_use *out)
{
    const struct veld_control *c = ctx;
    return veld_dataplane_forward_use(c->dataplane, number, out);
}

static void set_forward_rate(void *ctx, uint64_t bytes_per_s)
{
    const struct veld_control *c = ctx;
    veld_dataplane_set_forward_rate(c->dataplane, bytes_per_s);
}

/* As the configuration is now: `veld set` may have changed it. */
static void follow_config(struct veld_control *c)
{
    const struct veld_volunteer_policy policy = {
        .relays = c->config->relay,
        .bytes_per_s = c->config->relay_rate_mbit * UINT64_C(1000000) / 8,
    };
    veld_volunteer_set(c->volunteer, &policy);
}

void veld_relaying_start(struct veld_control *c)
{
    const struct veld_volunteer_ops ops = {.ctx = c,
                                           .find = find,
                                           .pub = pub,
                                           .is_indirect = is_indirect,
                                           .send = send_message,
                                           .call = call,
                                           .soon = soon,
                                           .forward_set = forward_set,
                                           .forward_remove = forward_remove,
                                           .forward_use = forward_use,
                                           .set_forward_rate = set_forward_rate};
    c->circuit_numbers = veld_circuit_numbers_new();
    c->volunteer = veld_volunteer_new(c->circuit_numbers, &ops);
    follow_config(c); /* who is refused does not ask again soon */
}

/* Members look for another relay now, and not when they have noticed. */
void veld_relaying_stop(struct veld_control *c)
{
    if (c->relaying_source)
        g_source_remove(c->relaying_source);
    if (c->volunteer)
        veld_volunteer_set(c->volunteer, &(struct veld_volunteer_policy){.relays = false});
}

void veld_relaying_free(struct veld_control *c)
{
    veld_volunteer_free(c->volunteer);
    veld_circuit_numbers_free(c->circuit_numbers);
}

/*
 * What is relayed has to come from where the member is, as far as we know, and leaves for there. A
 * member of two addresses may see us move to the one while we see it move to the other: until both
 * agree its questions are not heard. It asks again in a moment.
 */
void veld_relaying_on_message(struct veld_control *c, uint32_t peer,
                              const struct veld_endpoint *from, const struct veld_message *m)
{
    if (m->type == VELD_MSG_CIRCUIT_OPEN && from->ip.family &&
        !veld_endpoint_equal(from, &c->peers.peers[peer].endpoint))
        return;
    veld_volunteer_on_message(c->volunteer, peer, m, veld_clock_mono_ns());
}

void veld_relaying_on_use(struct veld_control *c, uint32_t peer)
{
    veld_volunteer_on_use(c->volunteer, peer, veld_clock_mono_ns());
}

void veld_relaying_on_move(struct veld_control *c, uint32_t peer)
{
    veld_volunteer_peer_moved(c->volunteer, peer);
}

void veld_relaying_peer_left(struct veld_control *c, uint32_t peer)
{
    veld_volunteer_peer_left(c->volunteer, peer);
}

void veld_relaying_peer_gone(struct veld_control *c, uint32_t peer)
{
    veld_volunteer_peer_gone(c->volunteer, peer);
}

void veld_relaying_tick(struct veld_control *c)
{
    follow_config(c);
    veld_volunteer_tick(c->volunteer, veld_clock_mono_ns());
}
