/*
 * The volunteer in whatever order things happen: with random events (volunteer_play.h), and with
 * members that behave on a network that loses, repeats and reorders what they say.
 */
#include "../support/random.h"
#include "../support/volunteer_play.h"

#include <criterion/criterion.h>

#define SEEDS 300

TestSuite(volunteer_random, .timeout = 60);

Test(volunteer_random, whatever_happens_nothing_leaks_and_forwards_are_in_pairs)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_random r = {seed};
        uint8_t bytes[2000];
        test_random_fill(&r, bytes, sizeof bytes);
        cr_log_info("seed %lu", seed);
        play(bytes, sizeof bytes);
    }
}

/* ---- Members that behave ---- */

/*
 * As a member does: it asks each second until it is answered, when it is offered, and anew when
 * nothing came of it.
 */
struct end {
    bool asks, answered, ready;
    uint64_t asked_ns;
};

struct flying {
    uint64_t at_ns;
    bool to_relay;
    uint32_t member; /* who sent it, or gets it */
    struct veld_message m;
};

static struct net {
    struct test_random r;
    unsigned lost; /* of a thousand */
    struct flying list[1024];
    size_t n;
    struct end ends[2];
} net;

static void launch(bool to_relay, uint32_t member, const struct veld_message *m)
{
    for (unsigned copies = 1 + test_random_chance(&net.r, 100); copies > 0; copies--) {
        if (test_random_chance(&net.r, net.lost))
            continue;
        cr_assert_lt(net.n, VELD_ARRAY_LEN(net.list));
        uint64_t delay = test_random_below(&net.r, 300 * VELD_NS_PER_MS);
        net.list[net.n++] = (struct flying){rig.now_ns + delay, to_relay, member, *m};
    }
}

static void ask(uint32_t member)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = 50 + member};
    struct end *e = &net.ends[member];
    rig_pub(1 - member, m.pub);
    e->asks = true;
    e->asked_ns = rig.now_ns;
    launch(true, member, &m);
}

static void hear(uint32_t member, const struct veld_message *m)
{
    struct end *e = &net.ends[member];
    switch (m->type) {
    case VELD_MSG_CIRCUIT_OFFER:
        if (!e->ready)
            ask(member);
        break;
    case VELD_MSG_CIRCUIT_OPENED:
        e->answered = true;
        e->ready |= m->state;
        break;
    case VELD_MSG_CIRCUIT_CLOSE:
        *e = (struct end){0};
        if (member == 0)
            ask(member);
        break;
    default: cr_assert_fail("type %u", m->type);
    }
}

static void land(void)
{
    for (size_t i = net.n; i-- > 0;) {
        struct flying f = net.list[i];
        if (f.at_ns > rig.now_ns)
            continue;
        net.list[i] = net.list[--net.n];
        if (f.to_relay)
            rig_say(f.member, &f.m);
        else
            hear(f.member, &f.m);
    }
    for (size_t i = 0; i < rig.n_sent; i++)
        launch(false, rig.sent[i].to, &rig.sent[i].m);
    rig.n_sent = 0;
}

static bool both_are_ready(void)
{
    return net.ends[0].ready && net.ends[1].ready && rig.n_forwards == 2;
}

/* How long it took. */
static uint64_t open_one(uint64_t seed, unsigned lost)
{
    rig_open();
    net = (struct net){.r = {seed}, .lost = lost};
    uint64_t begun_ns = rig.now_ns;
    ask(0);
    for (unsigned step = 0; !both_are_ready(); step++) {
        cr_assert_lt(rig.now_ns - begun_ns, 120 * VELD_NS_PER_S, "seed %lu", seed);
        rig.now_ns += 10 * VELD_NS_PER_MS;
        for (uint32_t i = 0; i < 2; i++) {
            const struct end *e = &net.ends[i];
            uint64_t patience = (e->answered ? 30 : 1) * VELD_NS_PER_S;
            if (e->asks && !e->ready && rig.now_ns - e->asked_ns >= patience)
                ask(i);
        }
        if (step % 50 == 0)
            veld_volunteer_tick(rig.v, rig.now_ns);
        land();
        rig_check();
    }
    uint64_t took_ns = rig.now_ns - begun_ns;
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    rig_check();
    rig_close();
    return took_ns;
}

Test(volunteer_random, members_that_behave_get_their_circuit_whatever_is_lost)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        cr_assert_lt(open_one(seed, 0), 2 * VELD_NS_PER_S);
        open_one(seed, 300);
    }
}
