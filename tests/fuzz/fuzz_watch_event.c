/*
 * What a coord server sends, any bytes: an event of a watch (first byte 'e'), the
 * cache of them ('c'), or what it says to a registration ('r'). Nothing comes out
 * that was not verified, and members stay apart.
 */
#include "../support/trust_rig.h"
#include "control/mesh/cache.h"
#include "control/mesh/requests.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct test_trust rig;
static struct veld_pins *pins;

static void begin(void)
{
    struct veld_diag diag;
    test_trust_make(&rig);
    test_trust_must(veld_pins_load(&pins, "/nonexistent/pins", rig.network.id, &diag), "pins");
}

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void expect_apart(const struct veld_members *t)
{
    const struct veld_member **list = veld_members_list(t);
    size_t n = veld_members_count(t);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            expect(list[i]->standing != VELD_MEMBER_GOOD ||
                   list[k]->standing != VELD_MEMBER_GOOD ||
                   strcmp(list[i]->name, list[k]->name) != 0);
    free(list);
}

static void apply(struct veld_members *t, struct veld_watch_event *e)
{
    uint8_t pub[32];
    if (e->reset)
        veld_members_reset(t);
    for (size_t i = 0; i < e->n_members; i++) {
        struct veld_record again;
        const struct veld_blob *b = &e->members[i].bytes;
        expect(veld_record_read(b->p, b->len, &rig.network, e->revocations, rig.now_s,
                                &again) == 0);
        int rc = veld_members_apply(t, &e->members[i]);
        expect(rc == 0 || rc == VELD_E_REPLAY);
    }
    for (size_t i = 0; i < e->n_removed; i++)
        veld_members_unlist(t, e->removed[i]);
    if (e->synced)
        veld_members_synced(t);
    expect_apart(t);
    while (veld_members_next_change(t, pub))
        expect(veld_members_count(t) <= VELD_MEMBERS_MAX);
}

static void read_event(struct veld_members *t, const uint8_t *p, size_t len)
{
    struct veld_event_known known = {.network = &rig.network, .now_s = rig.now_s};
    struct veld_watch_event e;
    int rc = veld_watch_event_read(p, len, &known, &e);
    expect(rc == 0 || rc == VELD_E_FORMAT);
    expect(rc == 0 || (!e.members && !e.revocations && !e.removed && !e.signals));
    if (rc == 0)
        apply(t, &e);
    veld_watch_event_clear(&e);
}

static void read_cache(struct veld_members *t, const uint8_t *p, size_t len)
{
    struct veld_blob cache = {0};
    const uint8_t *event;
    size_t at = 0, n;
    test_trust_must(veld_blob_set(&cache, p, len), "memory");
    while (veld_cache_next(&cache, &at, &event, &n))
        read_event(t, event, n);
    expect(at <= len);
    veld_blob_clear(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct veld_registered r;
    if (!pins)
        begin();
    struct veld_members_self self = {.name = "self", .network = &rig.network, .pins = pins};
    struct veld_members *t = veld_members_new(&self);
    if (size > 0 && data[0] == 'e')
        read_event(t, data + 1, size - 1);
    else if (size > 0 && data[0] == 'c')
        read_cache(t, data + 1, size - 1);
    else if (size > 0 && data[0] == 'r' && veld_reply_registered(data + 1, size - 1, &r) == 0)
        expect(r.ipv4.family == 4 && veld_ip_is_unicast(&r.ipv4));
    veld_members_free(t);
    return 0;
}
