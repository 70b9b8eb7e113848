#include "control/mesh/link_state.h"

#include "base/bytes.h"
#include "base/clock.h"

const char *veld_link_phase_name(enum veld_link_phase phase)
{
    static const char *const names[] = {
#define X(name, text) text,
        VELD_LINK_STATES(X)
#undef X
    };
    return names[phase];
}

void veld_link_state_init(struct veld_link_state *l)
{
    *l = (struct veld_link_state){.phase = VELD_LINK_STOPPED, .deadline_ns = UINT64_MAX};
}

static void enter(struct veld_link_state *l, enum veld_link_phase phase, uint64_t now_ns)
{
    if (veld_link_phase_name(phase) != veld_link_phase_name(l->phase))
        l->since_ns = now_ns;
    l->phase = phase;
}

/* 0.5 s, 1 s, 2 s, ... 60 s, and each from half of that to half as much again. */
static uint64_t pause_ns(unsigned failures, uint32_t random)
{
    unsigned doublings = VELD_MIN(failures > 0 ? failures - 1 : 0, 7u);
    uint64_t ms = VELD_MIN((uint64_t)VELD_LINK_PAUSE_MIN_MS << doublings,
                           (uint64_t)VELD_LINK_PAUSE_MAX_S * 1000);
    uint64_t ns = ms * VELD_NS_PER_MS;
    return ns / 2 + ns * (random % 1024) / 1024;
}

static unsigned call(struct veld_link_state *l, uint64_t now_ns)
{
    l->registering = true;
    l->changed = false;
    l->published_ns = now_ns;
    return VELD_LINK_DO_REGISTER;
}

static unsigned begin(struct veld_link_state *l, uint64_t now_ns)
{
    enter(l, VELD_LINK_REGISTERING, now_ns);
    l->deadline_ns = UINT64_MAX; /* calls have deadlines of their own */
    l->resigned = false;
    return call(l, now_ns);
}

/* Ends all that is under way; another try after a pause. */
static unsigned fail(struct veld_link_state *l, const struct veld_link_event *ev,
                     uint64_t now_ns)
{
    l->failures++;
    enter(l, VELD_LINK_RESTING, now_ns);
    l->deadline_ns = now_ns + pause_ns(l->failures, ev->random);
    unsigned act = l->watching ? VELD_LINK_DO_CANCEL : 0;
    return ev->err == VELD_E_AUTH ? act | VELD_LINK_DO_ASK_TIME : act;
}

static unsigned open_watch(struct veld_link_state *l, uint64_t now_ns)
{
    enter(l, VELD_LINK_OPENING, now_ns);
    l->watching = true;
    l->heard_ns = 0;
    l->deadline_ns = now_ns + VELD_LINK_ANSWER_S * VELD_NS_PER_S;
    return VELD_LINK_DO_WATCH;
}

/* When a changed record may be published; runs while nothing else is waited for. */
static void plan_publishing(struct veld_link_state *l)
{
    if (l->phase == VELD_LINK_WATCHING)
        l->deadline_ns = l->changed && !l->registering
                             ? l->published_ns + VELD_LINK_PUBLISH_GAP_S * VELD_NS_PER_S
                             : UINT64_MAX;
}

static unsigned on_registered(struct veld_link_state *l, const struct veld_link_event *ev,
                              uint64_t now_ns)
{
    bool beside = l->phase == VELD_LINK_WATCHING || l->phase == VELD_LINK_OPENING;
    l->registering = false;
    if (!beside && l->phase != VELD_LINK_REGISTERING)
        return 0; /* it failed meanwhile */
    if (ev->err == 0 && ev->unpublished && !l->resigned) {
        l->resigned = true;
        return call(l, now_ns);
    }
    if (ev->err == VELD_E_NOENT && !beside && !l->restored) {
        enter(l, VELD_LINK_RESTORING, now_ns);
        l->restored = l->registering = true;
        return VELD_LINK_DO_RESTORE;
    }
    if (ev->err < 0 && (!beside || ev->err == VELD_E_NOENT))
        return fail(l, ev, now_ns);
    l->changed |= ev->err < 0; /* to be tried again; the watch tells when the server is gone */
    plan_publishing(l);
    return beside ? 0 : open_watch(l, now_ns);
}

static unsigned on_restored(struct veld_link_state *l, const struct veld_link_event *ev,
                            uint64_t now_ns)
{
    l->registering = false;
    if (l->phase != VELD_LINK_RESTORING)
        return 0;
    return ev->err < 0 ? fail(l, ev, now_ns) : begin(l, now_ns);
}

static unsigned on_heard(struct veld_link_state *l, uint64_t now_ns)
{
    if (l->phase != VELD_LINK_OPENING)
        return 0;
    l->heard_ns = now_ns;
    l->restored = false;
    enter(l, VELD_LINK_WATCHING, now_ns);
    plan_publishing(l);
    return 0;
}

static unsigned on_ended(struct veld_link_state *l, const struct veld_link_event *ev,
                         uint64_t now_ns)
{
    l->watching = false;
    if (l->phase != VELD_LINK_OPENING && l->phase != VELD_LINK_WATCHING)
        return 0; /* we ended it, and are resting or stopped */
    if (l->heard_ns && now_ns - l->heard_ns >= VELD_LINK_STEADY_S * VELD_NS_PER_S)
        l->failures = 0;
    return fail(l, ev, now_ns);
}

static unsigned on_timer(struct veld_link_state *l, const struct veld_link_event *ev,
                         uint64_t now_ns)
{
    if (now_ns < l->deadline_ns)
        return 0;
    l->deadline_ns = UINT64_MAX;
    switch (l->phase) {
    case VELD_LINK_RESTING:
        /* Until what was under way has ended there is nothing to begin. */
        if (!l->watching && !l->registering)
            return begin(l, now_ns);
        l->deadline_ns = now_ns + VELD_NS_PER_S;
        return 0;
    case VELD_LINK_OPENING: return fail(l, ev, now_ns);
    case VELD_LINK_WATCHING: l->resigned = false; return call(l, now_ns);
    default: return 0;
    }
}

static unsigned on_renewed(struct veld_link_state *l, uint64_t now_ns)
{
    l->watching = l->registering = false;
    return l->phase == VELD_LINK_STOPPED ? 0 : begin(l, now_ns);
}

static unsigned stop(struct veld_link_state *l, uint64_t now_ns)
{
    enter(l, VELD_LINK_STOPPED, now_ns);
    l->deadline_ns = UINT64_MAX;
    return l->watching ? VELD_LINK_DO_CANCEL : 0;
}

unsigned veld_link_step(struct veld_link_state *l, const struct veld_link_event *ev,
                        uint64_t now_ns)
{
    switch (ev->type) {
    case VELD_LINK_EV_START: return l->phase == VELD_LINK_STOPPED ? begin(l, now_ns) : 0;
    case VELD_LINK_EV_TIMER: return on_timer(l, ev, now_ns);
    case VELD_LINK_EV_REGISTERED: return on_registered(l, ev, now_ns);
    case VELD_LINK_EV_RESTORED: return on_restored(l, ev, now_ns);
    case VELD_LINK_EV_HEARD: return on_heard(l, now_ns);
    case VELD_LINK_EV_ENDED: return on_ended(l, ev, now_ns);
    case VELD_LINK_EV_CHANGED:
        l->changed = true;
        plan_publishing(l);
        return 0;
    case VELD_LINK_EV_RENEWED: return on_renewed(l, now_ns);
    case VELD_LINK_EV_STOP: return stop(l, now_ns);
    }
    return 0;
}
