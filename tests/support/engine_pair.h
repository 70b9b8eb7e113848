/*
 * Two engines and a clock, for tests that hand datagrams over themselves. `a`
 * has the smaller P. Each side's `out` holds the actions of its last step.
 */
#ifndef VELD_TESTS_ENGINE_PAIR_H
#define VELD_TESTS_ENGINE_PAIR_H

#include "control/engine/engine.h"
#include "crypto/primitives.h"
#include "random.h"

#include <criterion/criterion.h>
#include <string.h>

struct side {
    struct veld_identity *identity;
    struct veld_engine *engine;
    struct veld_endpoint address;
    uint32_t peer; /* its id of the other */
    struct veld_actions out;
    struct test_random random;
};

struct pair {
    struct side a, b;
    struct veld_now now;
};

static inline struct veld_endpoint ep(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0, "%s", text);
    return e;
}

static inline void engine_make(struct side *s, uint64_t floor_ns)
{
    const struct veld_engine_config cfg = {.identity = s->identity,
                                           .psk = {1, 2, 3},
                                           .lanes = 4,
                                           .max_peers = 8,
                                           .timestamp_floor_ns = floor_ns,
                                           .random = test_random_fn,
                                           .random_ctx = &s->random};
    s->engine = veld_engine_new(&cfg);
    cr_assert_not_null(s->engine);
}

static inline struct veld_engine_peer_config peer_config(const struct side *of)
{
    struct veld_engine_peer_config cfg = {.endpoint = of->address};
    memcpy(cfg.pub, of->identity->pub, 32);
    return cfg;
}

static inline void add_peer(struct side *s, const struct side *other, uint16_t keepalive_s)
{
    struct veld_engine_peer_config cfg = peer_config(other);
    cfg.keepalive_s = keepalive_s;
    cr_assert_eq(veld_engine_peer_add(s->engine, &cfg, &s->peer), 0);
}

/* Engines without peers. */
static inline void pair_make(struct pair *p)
{
    cr_assert_eq(veld_crypto_init(), 0);
    memset(p, 0, sizeof *p);
    uint8_t seed[2][32] = {{1}, {2}};
    p->a.identity = veld_identity_from_seed(seed[0]);
    p->b.identity = veld_identity_from_seed(seed[1]);
    if (memcmp(p->a.identity->pub, p->b.identity->pub, 32) > 0) {
        struct veld_identity *swap = p->a.identity;
        p->a.identity = p->b.identity;
        p->b.identity = swap;
    }
    p->a.address = ep("192.0.2.1:51820");
    p->b.address = ep("192.0.2.2:51820");
    p->a.random.state = 1;
    p->b.random.state = 2;
    p->now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                               .wall_ns = 1767225600ull * VELD_NS_PER_S};
    engine_make(&p->a, 0);
    engine_make(&p->b, 0);
}

/* Engines that know each other. */
static inline void pair_init(struct pair *p)
{
    pair_make(p);
    add_peer(&p->a, &p->b, 0);
    add_peer(&p->b, &p->a, 0);
}

static inline void pair_free(struct pair *p)
{
    veld_engine_free(p->a.engine);
    veld_engine_free(p->b.engine);
    veld_identity_free(p->a.identity);
    veld_identity_free(p->b.identity);
}

static inline void advance_ms(struct pair *p, uint64_t ms)
{
    p->now.mono_ns += ms * VELD_NS_PER_MS;
    p->now.wall_ns += ms * VELD_NS_PER_MS;
}

static inline int step(struct pair *p, struct side *s, const struct veld_event *ev)
{
    return veld_engine_step(s->engine, ev, &p->now, &s->out);
}

static inline int on_peer(struct pair *p, struct side *s, enum veld_event_type type)
{
    return step(p, s, &(struct veld_event){.type = type, .peer = s->peer});
}

/* The only action of a type; NULL when there is none. */
static inline const struct veld_action *action(const struct side *s, enum veld_action_type type)
{
    const struct veld_action *found = NULL;
    for (size_t i = 0; i < s->out.n; i++) {
        if (s->out.a[i].type == type) {
            cr_assert_null(found, "two actions of type %d", type);
            found = &s->out.a[i];
        }
    }
    return found;
}

static inline unsigned actions_of(const struct side *s, enum veld_action_type type)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->out.n; i++)
        n += s->out.a[i].type == type;
    return n;
}

static inline struct veld_action must(const struct side *s, enum veld_action_type type)
{
    const struct veld_action *a = action(s, type);
    cr_assert_not_null(a, "no action of type %d", type);
    return *a;
}

static inline bool goes_to(const struct side *s, enum veld_action_type type,
                           const struct veld_endpoint *to)
{
    struct veld_action a = must(s, type);
    return veld_endpoint_equal(&a.to, to);
}

static inline int deliver_from(struct pair *p, struct side *to, const struct veld_action *sent,
                               const struct veld_endpoint *from, bool under_load)
{
    return step(p, to,
                &(struct veld_event){.type = VELD_EV_DATAGRAM,
                                     .from = *from,
                                     .data = sent->bytes,
                                     .len = sent->len,
                                     .under_load = under_load});
}

static inline int deliver(struct pair *p, struct side *from, struct side *to,
                          const struct veld_action *sent)
{
    return deliver_from(p, to, sent, &from->address, false);
}

static inline int on_session(struct pair *p, struct side *s, enum veld_event_type type,
                             uint32_t index, const struct veld_endpoint *from)
{
    return step(p, s, &(struct veld_event){.type = type, .index = index, .from = *from});
}

static inline int message(struct pair *p, struct side *s, uint32_t index,
                          const struct veld_endpoint *from, const void *bytes, size_t len)
{
    return step(
        p, s,
        &(struct veld_event){
            .type = VELD_EV_MESSAGE, .index = index, .from = *from, .data = bytes, .len = len});
}

/* The session both have afterwards. */
struct made {
    uint32_t initiator_index, responder_index;
};

/* Up to the response: the initiator uses it, the responder has it as next. */
static inline struct made half_handshake(struct pair *p, struct side *from, struct side *to)
{
    cr_assert_eq(on_peer(p, from, VELD_EV_NEED_SESSION), 0);
    struct veld_action initiation = must(from, VELD_ACT_SEND);
    advance_ms(p, 10);
    cr_assert_eq(deliver(p, from, to, &initiation), 0);
    struct veld_action response = must(to, VELD_ACT_SEND);
    struct made m = {.responder_index = must(to, VELD_ACT_INSTALL).index};
    advance_ms(p, 10);
    cr_assert_eq(deliver(p, to, from, &response), 0);
    m.initiator_index = must(from, VELD_ACT_USE).index;
    return m;
}

/* All of it, and both have heard the other on the session. */
static inline struct made handshake(struct pair *p, struct side *from, struct side *to)
{
    struct made m = half_handshake(p, from, to);
    advance_ms(p, 10);
    cr_assert_eq(on_session(p, to, VELD_EV_CONFIRMED, m.responder_index, &from->address), 0);
    cr_assert_eq(must(to, VELD_ACT_USE).index, m.responder_index);
    advance_ms(p, 10);
    cr_assert_eq(on_session(p, from, VELD_EV_CONFIRMED, m.initiator_index, &to->address), 0);
    return m;
}

/* Run the timers of one side up to `ms` from now; the time of the first SEND, or 0. */
static inline uint64_t run_timers(struct pair *p, struct side *s, uint64_t ms)
{
    uint64_t end = p->now.mono_ns + ms * VELD_NS_PER_MS;
    while (veld_engine_deadline(s->engine) <= end) {
        uint64_t at = veld_engine_deadline(s->engine);
        if (at > p->now.mono_ns) {
            p->now.wall_ns += at - p->now.mono_ns;
            p->now.mono_ns = at;
        }
        cr_assert_eq(step(p, s, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
        if (actions_of(s, VELD_ACT_SEND))
            return p->now.mono_ns;
    }
    p->now.wall_ns += end - p->now.mono_ns;
    p->now.mono_ns = end;
    s->out.n = 0;
    return 0;
}

static inline uint32_t current(const struct side *s)
{
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(s->engine, s->peer, &info), 0);
    return info.current_index;
}

static inline enum veld_peer_state state(const struct side *s)
{
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(s->engine, s->peer, &info), 0);
    return info.state;
}

static inline bool endpoint_is(const struct side *s, const struct veld_endpoint *e)
{
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(s->engine, s->peer, &info), 0);
    return veld_endpoint_equal(&info.endpoint, e);
}

static inline uint64_t drops(const struct side *s, enum veld_drop reason)
{
    struct veld_engine_stats stats;
    veld_engine_get_stats(s->engine, &stats);
    return stats.drops[reason];
}

#define DROPPED(reason) (1 + VELD_DROP_##reason)

#endif
