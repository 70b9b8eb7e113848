/*
 * What an initiation must pass before any Diffie-Hellman is spent on it, and
 * the cookie reply that tells an honest sender how to pass under load.
 */
#include "control/engine/engine_impl.h"

int veld_cookie_filter(struct veld_step *s, const struct veld_event *ev, uint32_t index)
{
    struct veld_engine *e = s->e;
    if (!veld_endpoint_usable(&ev->from))
        return veld_step_drop(s, VELD_DROP_ADDRESS);
    if (!veld_cookie_check_mac1(&e->checker, ev->data, ev->len))
        return veld_step_drop(s, VELD_DROP_MAC1);
    if (!ev->under_load)
        return 0;
    if (!veld_cookie_check_mac2(&e->checker, ev->data, ev->len, &ev->from, s->now.mono_ns)) {
        uint8_t reply[VELD_COOKIE_REPLY_SIZE];
        veld_cookie_reply(&e->checker, ev->data, ev->len, index, &ev->from, s->now.mono_ns,
                          e->cfg.random, e->cfg.random_ctx, reply);
        veld_step_send(s, UINT32_MAX, &ev->from, reply, sizeof reply);
        e->stats.cookies_sent++;
        return veld_step_drop(s, VELD_DROP_MAC2);
    }
    /* Only now is the address its sender's, so that nobody can use up another's allowance. */
    if (!veld_ratelimit_allow(e->limiter, &ev->from, s->now.mono_ns))
        return veld_step_drop(s, VELD_DROP_RATE);
    return 0;
}

int veld_cookie_reply_receive(struct veld_step *s, const struct veld_event *ev, uint32_t index)
{
    uint32_t id;
    if (!veld_index_table_find(s->e->indices, index, &id))
        return veld_step_drop(s, VELD_DROP_COOKIE);
    struct veld_engine_peer *p = veld_peer_table_get(s->e->peers, id);
    if (!p->link->handshake || p->link->handshake->local_index != index ||
        veld_cookie_accept(&p->link->jar, ev->data, s->now.mono_ns) < 0)
        return veld_step_drop(s, VELD_DROP_COOKIE);
    s->e->stats.cookies_received++;
    int rc = veld_step_touch(s, p);
    return rc < 0 ? rc : veld_attempt_cookie(s, p);
}
