#include "control/reach/own_circuits.h"

#include "base/bytes.h"
#include "control/reach/known.h"

#include <glib.h>
#include <string.h>

#define DOUBLINGS_MAX 5 /* of the time from one unanswered OPEN to the next */

/* What is relayed is nothing that the session with the relay sends: OPEN is what renews its keys. */
_Static_assert(VELD_OWN_CIRCUITS_REFRESH_NS + VELD_OWN_CIRCUITS_MUTE_NS <
                   (VELD_REJECT_AFTER_S - VELD_REKEY_AFTER_S) * VELD_NS_PER_S,
               "one is sent while keys are to be renewed, and before they end");

struct circuit {
    uint32_t peer, relay;
    uint8_t pub[32];
    uint32_t number;       /* 0: refused */
    uint32_t remote_index; /* of a ready one */
    bool ready;
    bool if_needed;        /* not asked for when the peer is reached directly by then */
    uint8_t refusal, asks; /* OPENs since the last answer that changed something */
    uint64_t since_ns;     /* when it was wanted, ceased to be ready, or was refused */
    uint64_t ask_at_ns;
    uint64_t unanswered_ns; /* the first OPEN that nothing answered; 0: none */
    uint64_t spare_ns;      /* since when it is not needed; 0: it is */
};

struct veld_own_circuits {
    struct veld_circuit_numbers *numbers;
    struct veld_own_circuits_ops ops;
    GHashTable *changed; /* peers whose ready circuits are others */
    size_t n;
    struct circuit circuits[VELD_OWN_CIRCUITS_MAX];
};

struct veld_own_circuits *veld_own_circuits_new(struct veld_circuit_numbers *numbers,
                                                const struct veld_own_circuits_ops *ops)
{
    struct veld_own_circuits *r = g_new0(struct veld_own_circuits, 1);
    r->numbers = numbers;
    r->ops = *ops;
    r->changed = g_hash_table_new(NULL, NULL);
    return r;
}

void veld_own_circuits_free(struct veld_own_circuits *r)
{
    if (!r)
        return;
    g_hash_table_unref(r->changed);
    g_free(r);
}

/* ---- The table ---- */

static size_t index_of(const struct veld_own_circuits *r, uint32_t peer, uint32_t relay)
{
    size_t i = 0;
    while (i < r->n && (r->circuits[i].peer != peer || r->circuits[i].relay != relay))
        i++;
    return i;
}

static struct circuit *find(struct veld_own_circuits *r, uint32_t peer, uint32_t relay)
{
    size_t i = index_of(r, peer, relay);
    return i < r->n ? &r->circuits[i] : NULL;
}

/* By what the relay calls it. */
static struct circuit *find_pub(struct veld_own_circuits *r, uint32_t relay,
                                const uint8_t pub[32])
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->circuits[i].relay == relay && memcmp(r->circuits[i].pub, pub, 32) == 0)
            return &r->circuits[i];
    }
    return NULL;
}

/* It is no path any more. */
static void shut(struct veld_own_circuits *r, struct circuit *c)
{
    if (!c->ready)
        return;
    c->ready = false;
    g_hash_table_add(r->changed, GUINT_TO_POINTER(c->peer));
    r->ops.circuit_remove(r->ops.ctx, c->number);
}

/* And may be one again. */
static void set_unready(struct veld_own_circuits *r, struct circuit *c, uint64_t now_ns)
{
    if (!c->ready)
        return;
    shut(r, c);
    c->since_ns = c->ask_at_ns = now_ns;
    c->asks = 0;
}

/* `c` is no circuit any more; its place may be another's. */
static void drop(struct veld_own_circuits *r, struct circuit *c)
{
    shut(r, c);
    if (c->number)
        veld_circuit_numbers_give(r->numbers, c->number);
    *c = r->circuits[--r->n];
}

static void close_and_drop(struct veld_own_circuits *r, struct circuit *c)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_CLOSE};
    memcpy(m.pub, c->pub, sizeof m.pub);
    if (c->unanswered_ns || c->remote_index)
        (void)r->ops.send(r->ops.ctx, c->relay, &m); /* lost, it ends there unused */
    drop(r, c);
}

/* ---- Wanted ---- */

/* One that did not become ready since it was asked for makes room. */
static bool make_room(struct veld_own_circuits *r, uint32_t peer, uint64_t now_ns)
{
    struct circuit *oldest = NULL;
    unsigned n = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct circuit *c = &r->circuits[i];
        if (c->peer != peer)
            continue;
        n++;
        if (!c->ready && veld_ns_since(now_ns, c->since_ns) >= VELD_OWN_CIRCUITS_MUTE_NS &&
            (!oldest || c->since_ns < oldest->since_ns))
            oldest = c;
    }
    if (n < VELD_KNOWN_CIRCUITS_MAX)
        return true;
    if (oldest)
        close_and_drop(r, oldest);
    return oldest;
}

static bool has_room(const struct veld_own_circuits *r, uint32_t relay)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->circuits[i].relay == relay;
    return n < VELD_OWN_CIRCUITS_PER_RELAY_MAX && r->n < VELD_OWN_CIRCUITS_MAX;
}

static int want_again(struct veld_own_circuits *r, struct circuit *c, uint64_t now_ns)
{
    if (c->number == 0)
        return VELD_E_STATE;
    c->spare_ns = 0;
    if (c->ready && !c->unanswered_ns)
        c->ask_at_ns = now_ns; /* does the relay still have it? */
    return 0;
}

int veld_own_circuits_want(struct veld_own_circuits *r, uint32_t peer, const uint8_t pub[32],
                           uint32_t relay, uint64_t from_ns, uint64_t now_ns)
{
    struct circuit *c = find(r, peer, relay);
    if (c)
        return want_again(r, c, now_ns);
    if (!has_room(r, relay) || !make_room(r, peer, now_ns))
        return VELD_E_FULL;
    uint32_t number;
    int rc = veld_circuit_numbers_take(r->numbers, &number);
    if (rc < 0)
        return rc;
    c = &r->circuits[r->n++];
    *c = (struct circuit){.peer = peer,
                          .relay = relay,
                          .number = number,
                          .if_needed = from_ns > now_ns,
                          .since_ns = now_ns,
                          .ask_at_ns = from_ns};
    memcpy(c->pub, pub, sizeof c->pub);
    return 0;
}

/* ---- What relays say ---- */

void veld_own_circuits_on_session(struct veld_own_circuits *r, uint32_t relay, uint64_t now_ns)
{
    for (size_t i = 0; i < r->n; i++) {
        struct circuit *c = &r->circuits[i];
        if (c->relay == relay && c->asks > 0)
            c->ask_at_ns = now_ns;
    }
}

static void on_opened(struct veld_own_circuits *r, struct circuit *c,
                      const struct veld_message *m, uint64_t now_ns)
{
    struct veld_circuit way = {
        .number = c->number, .relay = c->relay, .remote_index = m->index};
    c->unanswered_ns = 0;
    c->remote_index = m->index;
    if (m->state != 1) { /* the other end has not asked, or the relay was restarted */
        set_unready(r, c, now_ns);
        return;
    }
    if (r->ops.circuit_set(r->ops.ctx, &way) < 0)
        return;
    if (!c->ready)
        g_hash_table_add(r->changed, GUINT_TO_POINTER(c->peer));
    c->ready = true;
    c->asks = 0;
    c->ask_at_ns = now_ns + VELD_OWN_CIRCUITS_REFRESH_NS;
}

static void on_refused(struct veld_own_circuits *r, struct circuit *c, uint8_t reason,
                       uint64_t now_ns)
{
    shut(r, c);
    veld_circuit_numbers_give(r->numbers, c->number);
    c->number = c->remote_index = 0;
    c->refusal = reason;
    c->since_ns = now_ns;
    c->ask_at_ns = UINT64_MAX;
}

void veld_own_circuits_on_message(struct veld_own_circuits *r, uint32_t relay,
                                  const struct veld_message *m, uint64_t now_ns)
{
    struct circuit *c = find_pub(r, relay, m->pub);
    if (!c || c->number == 0 || (c->asks == 0 && !c->ready))
        return; /* it was not asked */
    switch (m->type) {
    case VELD_MSG_CIRCUIT_OPENED: on_opened(r, c, m, now_ns); break;
    case VELD_MSG_CIRCUIT_REFUSED: on_refused(r, c, m->state, now_ns); break;
    case VELD_MSG_CIRCUIT_CLOSE: drop(r, c); break;
    default: break;
    }
}

void veld_own_circuits_peer_gone(struct veld_own_circuits *r, uint32_t peer)
{
    for (size_t i = r->n; i-- > 0;) {
        if (r->circuits[i].peer == peer || r->circuits[i].relay == peer)
            drop(r, &r->circuits[i]);
    }
    g_hash_table_remove(r->changed, GUINT_TO_POINTER(peer));
}

/* ---- What is due ---- */

static void ask(struct veld_own_circuits *r, struct circuit *c, uint64_t now_ns)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = c->number};
    memcpy(m.pub, c->pub, sizeof m.pub);
    unsigned doublings = VELD_MIN(c->asks, DOUBLINGS_MAX);
    c->ask_at_ns = now_ns + (VELD_OWN_CIRCUITS_RETRY_NS << doublings);
    c->if_needed = false;
    if (c->asks < UINT8_MAX)
        c->asks++;
    if (!r->ops.is_direct(r->ops.ctx, c->relay))
        r->ops.call(r->ops.ctx, c->relay); /* on_session follows */
    else if (r->ops.send(r->ops.ctx, c->relay, &m) == 0 && !c->unanswered_ns)
        c->unanswered_ns = now_ns;
}

/* Is it kept for nobody, for too long? */
static bool is_spare(struct circuit *c, enum veld_reached reached, uint64_t now_ns)
{
    if (reached != VELD_REACHED_DIRECT && reached != VELD_REACHED_UNUSED)
        c->spare_ns = 0;
    else if (!c->spare_ns)
        c->spare_ns = now_ns;
    return c->spare_ns && veld_ns_since(now_ns, c->spare_ns) >= VELD_OWN_CIRCUITS_SPARE_NS;
}

static bool is_over(struct veld_own_circuits *r, struct circuit *c, uint64_t now_ns)
{
    uint64_t age_ns = veld_ns_since(now_ns, c->since_ns);
    if (!r->ops.is_relay(r->ops.ctx, c->relay))
        return true;
    if (c->number == 0)
        return age_ns >= VELD_OWN_CIRCUITS_REFUSED_NS;
    enum veld_reached reached = r->ops.reached(r->ops.ctx, c->peer);
    bool needless = c->if_needed && reached == VELD_REACHED_DIRECT && now_ns >= c->ask_at_ns;
    return needless || (!c->ready && age_ns >= VELD_OWN_CIRCUITS_PENDING_NS) ||
           is_spare(c, reached, now_ns);
}

static void run_one(struct veld_own_circuits *r, struct circuit *c, uint64_t now_ns)
{
    if (is_over(r, c, now_ns)) {
        close_and_drop(r, c);
        return;
    }
    bool mute = c->unanswered_ns &&
                veld_ns_since(now_ns, c->unanswered_ns) >= VELD_OWN_CIRCUITS_MUTE_NS;
    if (c->ready && (mute || !r->ops.is_direct(r->ops.ctx, c->relay)))
        set_unready(r, c, now_ns);
    if (now_ns >= c->ask_at_ns)
        ask(r, c, now_ns);
}

static void tell_ready(struct veld_own_circuits *r, uint32_t peer)
{
    struct veld_endpoint list[VELD_KNOWN_CIRCUITS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < r->n && n < VELD_KNOWN_CIRCUITS_MAX; i++) {
        if (r->circuits[i].peer == peer && r->circuits[i].ready)
            list[n++] = veld_endpoint_circuit(r->circuits[i].number);
    }
    r->ops.on_ready(r->ops.ctx, peer, list, n);
}

void veld_own_circuits_run(struct veld_own_circuits *r, uint64_t now_ns)
{
    GHashTableIter iter;
    gpointer peer;
    for (size_t i = r->n; i-- > 0;) {
        if (i < r->n) /* calling a relay may change the table */
            run_one(r, &r->circuits[i], now_ns);
    }
    for (;;) { /* and so may what is told */
        g_hash_table_iter_init(&iter, r->changed);
        if (!g_hash_table_iter_next(&iter, &peer, NULL))
            break;
        g_hash_table_iter_remove(&iter);
        tell_ready(r, GPOINTER_TO_UINT(peer));
    }
}

uint64_t veld_own_circuits_deadline(const struct veld_own_circuits *r)
{
    uint64_t at_ns = UINT64_MAX;
    for (size_t i = 0; i < r->n; i++)
        at_ns = VELD_MIN(at_ns, r->circuits[i].ask_at_ns);
    return at_ns;
}

/* ---- To look at ---- */

bool veld_own_circuits_relay(const struct veld_own_circuits *r, uint32_t number,
                             uint32_t *relay)
{
    for (size_t i = 0; i < r->n; i++) {
        if (number && r->circuits[i].number == number) {
            *relay = r->circuits[i].relay;
            return true;
        }
    }
    return false;
}

bool veld_own_circuits_is_refused(const struct veld_own_circuits *r, uint32_t peer,
                                  uint32_t relay)
{
    size_t i = index_of(r, peer, relay);
    return i < r->n && r->circuits[i].number == 0;
}

struct veld_own_circuits_counts veld_own_circuits_count(const struct veld_own_circuits *r,
                                                        uint32_t peer)
{
    struct veld_own_circuits_counts n = {0};
    for (size_t i = 0; i < r->n; i++) {
        const struct circuit *c = &r->circuits[i];
        if (c->peer != peer)
            continue;
        if (c->number == 0) {
            n.refused++;
            n.refusal = c->refusal;
        } else if (c->ready) {
            n.ready++;
        } else if (c->asks > 0) {
            n.asked++;
        }
    }
    return n;
}

size_t veld_own_circuits_total(const struct veld_own_circuits *r)
{
    return r->n;
}
