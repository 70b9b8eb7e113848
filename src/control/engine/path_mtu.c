#include "control/engine/path_mtu.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "wire/path_size.h"

enum phase {
    OFF,
    FIRST, /* the full size, alone */
    ROUND, /* several sizes between `low` and `below` */
    CHECK, /* the size in use */
    REST,
};

/* Outer sizes that links and tunnels have, in ascending order. */
static const uint16_t usual[] = {576,  1000, 1200, 1280, 1300, 1340, 1360, 1380, 1400, 1420,
                                 1440, 1460, 1480, 1492, 1500, 2000, 4352, 4470, 8000, 9000};

static bool is_between(const struct veld_path_mtu *m, unsigned size)
{
    return size > m->low && size < m->below && size >= m->floor && size <= m->max;
}

/* The usual sizes between `low` and `below`, that in use, and the full one; ascending. */
static unsigned usual_between(const struct veld_path_mtu *m, uint16_t *all)
{
    unsigned n = 0;
    for (size_t i = 0; i <= VELD_ARRAY_LEN(usual); i++) {
        unsigned size = i == VELD_ARRAY_LEN(usual) ? UINT16_MAX : usual[i];
        size = size > m->overhead ? size - m->overhead : 0;
        unsigned before = n ? all[n - 1] : 0;
        if (m->mtu > before && m->mtu < size && is_between(m, m->mtu))
            all[n++] = m->mtu;
        if (is_between(m, size) && size != m->max)
            all[n++] = (uint16_t)size;
    }
    if (m->mtu != m->max && is_between(m, m->max))
        all[n++] = m->max;
    return n;
}

/* The sizes to ask for between `low` and `below`; none when there is nothing to gain. */
static void pick(struct veld_path_mtu *m)
{
    uint16_t all[VELD_ARRAY_LEN(usual) + 2];
    unsigned n = usual_between(m, all);
    unsigned gap = (unsigned)(m->below - m->low);
    for (unsigned i = 1; n < i && i < 4 && m->low && gap > VELD_MTU_PRECISION; i++)
        all[n++] = (uint16_t)(m->low + gap * i / 4);
    m->n_asked = (uint8_t)VELD_MIN(n, VELD_PROBES_AT_ONCE);
    for (unsigned i = 0; i < m->n_asked; i++) /* evenly of all, the last one among them */
        m->asked[i] = all[(i + 1) * n / m->n_asked - 1];
}

static void ask(struct veld_path_mtu *m, uint64_t now_ns, uint64_t wait_ns,
                struct veld_probes *out)
{
    m->tries++;
    m->due_ns = now_ns + wait_ns;
    out->n = m->n_asked;
    memcpy(out->size, m->asked, m->n_asked * sizeof m->asked[0]);
}

static void rest(struct veld_path_mtu *m)
{
    m->phase = REST;
    m->n_asked = 0;
    m->due_ns = m->raise_ns;
}

static void end_search(struct veld_path_mtu *m, uint64_t now_ns)
{
    bool absent = m->low == 0;
    m->known |= !absent;
    m->checked_ns = now_ns;
    m->raise_ns =
        m->mtu == m->max && !absent
            ? VELD_NEVER
            : now_ns + (absent ? VELD_MTU_ABSENT_S : VELD_MTU_RAISE_S) * VELD_NS_PER_S;
    rest(m);
}

static void next_round(struct veld_path_mtu *m, uint64_t now_ns, uint64_t wait_ns,
                       struct veld_probes *out)
{
    pick(m);
    if (m->n_asked == 0) {
        end_search(m, now_ns);
        return;
    }
    m->phase = ROUND;
    m->tries = 0;
    ask(m, now_ns, wait_ns, out);
}

/* From `low`, which is known to pass, or from nothing (0). */
static void search(struct veld_path_mtu *m, uint16_t low)
{
    m->id++;
    m->low = low;
    m->below = (uint16_t)(m->max + 1);
    m->n_asked = 0;
}

/* Ask for one size alone. */
static void ask_for(struct veld_path_mtu *m, enum phase phase, uint16_t size, uint64_t now_ns,
                    uint64_t wait_ns, struct veld_probes *out)
{
    m->phase = (uint8_t)phase;
    m->tries = 0;
    m->asked[0] = size;
    m->n_asked = 1;
    ask(m, now_ns, wait_ns, out);
}

void veld_path_mtu_start(struct veld_path_mtu *m, uint8_t family, uint16_t max, uint64_t now_ns,
                         uint64_t wait_ns, struct veld_probes *out)
{
    out->n = 0;
    *m = (struct veld_path_mtu){.id = m->id,
                                .overhead = veld_path_overhead(family),
                                .floor = veld_path_floor(family),
                                .base = veld_path_base(family),
                                .max = max};
    m->mtu = m->base;
    search(m, 0);
    ask_for(m, FIRST, m->max, now_ns, wait_ns, out);
}

void veld_path_mtu_stop(struct veld_path_mtu *m)
{
    m->phase = OFF;
    m->due_ns = VELD_NEVER;
}

/* Forget what was asked and is answered by `low`, or refused by `below`. */
static void forget_asked(struct veld_path_mtu *m)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < m->n_asked; i++) {
        if (m->asked[i] > m->low && m->asked[i] < m->below)
            m->asked[kept++] = m->asked[i];
    }
    m->n_asked = (uint8_t)kept;
}

void veld_path_mtu_answered(struct veld_path_mtu *m, uint32_t id, uint16_t size,
                            uint64_t now_ns, uint64_t wait_ns, struct veld_probes *out)
{
    out->n = 0;
    if (m->phase == OFF || id != m->id || size < m->floor || size > m->max)
        return;
    m->mtu = VELD_MAX(m->mtu, size);
    m->low = VELD_MAX(m->low, size);
    if (m->phase == REST)
        return;             /* late, but as true */
    if (m->low >= m->below) /* given up too early */
        m->below = (uint16_t)(m->max + 1);
    forget_asked(m);
    if (m->n_asked > 0)
        return;
    if (m->phase == CHECK) {
        m->checked_ns = now_ns;
        rest(m);
    } else {
        next_round(m, now_ns, wait_ns, out);
    }
}

/* A round's wait is over. */
static void round_due(struct veld_path_mtu *m, uint64_t now_ns, uint64_t wait_ns,
                      struct veld_probes *out)
{
    /* Smaller ones come through and that in use has not, twice: data must not wait for the rest. */
    if (m->tries > 1 && m->low && m->low < m->mtu) {
        m->mtu = m->low;
        m->known = true;
    }
    if (m->tries < VELD_PROBES_MAX) {
        ask(m, now_ns, wait_ns, out);
    } else if (m->low == 0) {
        end_search(m, now_ns);
    } else {
        m->below = m->asked[0];
        m->known = true;
        next_round(m, now_ns, wait_ns, out);
    }
}

void veld_path_mtu_due(struct veld_path_mtu *m, uint64_t now_ns, uint64_t wait_ns,
                       struct veld_probes *out)
{
    out->n = 0;
    switch (m->phase) {
    case FIRST: next_round(m, now_ns, wait_ns, out); break;
    case ROUND: round_due(m, now_ns, wait_ns, out); break;
    case CHECK:
        if (m->tries < VELD_PROBES_MAX) {
            ask(m, now_ns, wait_ns, out);
        } else {
            search(m, 0);
            next_round(m, now_ns, wait_ns, out);
        }
        break;
    case REST:
        search(m, m->low ? m->mtu : 0);
        ask_for(m, FIRST, m->max, now_ns, wait_ns, out);
        break;
    default: m->due_ns = VELD_NEVER;
    }
}

void veld_path_mtu_traffic(struct veld_path_mtu *m, uint64_t sent_ns, uint64_t silent_ns,
                           uint64_t now_ns, uint64_t wait_ns, struct veld_probes *out)
{
    out->n = 0;
    bool silent = silent_ns >= VELD_MTU_SILENCE_MS * VELD_NS_PER_MS;
    uint64_t every_ns = (silent ? VELD_MTU_SUSPICION_S : VELD_MTU_CHECK_S) * VELD_NS_PER_S;
    if (m->phase != REST || m->low == 0 || m->mtu == m->floor || sent_ns <= m->checked_ns ||
        now_ns < m->checked_ns + every_ns)
        return;
    search(m, 0);
    ask_for(m, CHECK, m->mtu, now_ns, wait_ns, out);
}

void veld_path_mtu_refused(struct veld_path_mtu *m, uint16_t size, uint64_t now_ns,
                           uint64_t wait_ns, struct veld_probes *out)
{
    out->n = 0;
    bool searching = m->phase == FIRST || m->phase == ROUND;
    if (m->phase == OFF || size <= m->floor || (!searching && size > m->mtu))
        return;
    if (!searching)
        search(m, 0);
    m->below = VELD_MIN(m->below, size);
    if (m->low >= m->below)
        m->low = 0;
    if (m->mtu >= m->below) {
        m->mtu = m->base < m->below ? m->base : m->floor;
        m->known = false;
    }
    forget_asked(m);
    if (m->n_asked == 0)
        next_round(m, now_ns, wait_ns, out);
}
