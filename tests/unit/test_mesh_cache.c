#include "base/bytes.h"
#include "base/file.h"
#include "control/mesh/cache.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS 3000 /* more than one event holds */

static struct test_trust rig;
static char dir[] = "/tmp/veld-test-cache.XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void setup(void)
{
    test_trust_make(&rig);
    cr_assert_not_null(mkdtemp(dir));
}

static void cleanup(void)
{
    test_trust_free(&rig);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(mesh_cache, .init = setup, .fini = cleanup, .timeout = 60);

static void read_event(const uint8_t *p, size_t len, struct veld_watch_event *out)
{
    struct veld_event_known known = {.network = &rig.network, .now_s = rig.now_s};
    cr_assert_eq(veld_watch_event_read(p, len, &known, out), 0);
}

Test(mesh_cache, comes_back_in_order)
{
    struct test_member people[2] = {test_trust_join(&rig, 1, "a", TEST_BY_OWNER),
                                    test_trust_join(&rig, 2, "b", TEST_BY_TOKEN)};
    struct veld_member m[2] = {{.revision = 300, .last_seen_s = 1700000000, .online = true},
                               {.revision = 7}};
    const struct veld_member *list[2] = {&m[1], &m[0]};
    struct veld_blob cache;
    for (size_t i = 0; i < 2; i++) {
        struct veld_record r = test_record(&people[i], 1);
        m[i].record = test_peer_record(&people[i], &r);
    }
    cr_assert_eq(veld_cache_encode(&cache, list, 2, 0x123456789a), 0);

    size_t at = 0, len;
    const uint8_t *p;
    struct veld_watch_event e;
    cr_assert(veld_cache_next(&cache, &at, &p, &len));
    read_event(p, len, &e);
    cr_assert(e.reset && e.synced);
    cr_assert_eq(e.revision, 0x123456789a);
    cr_assert_eq(e.n_members, 2);
    cr_assert_str_eq(e.members[0].record.membership.name, "b");
    cr_assert_str_eq(e.members[1].record.membership.name, "a");
    cr_assert_eq(e.members[1].revision, 300);
    cr_assert_eq(e.members[1].last_seen_s, 1700000000);
    cr_assert(e.members[1].online && !e.members[0].online);
    cr_assert_eq(e.members[1].bytes.len, m[0].record.len);
    cr_assert_arr_eq(e.members[1].bytes.p, m[0].record.p, m[0].record.len);
    cr_assert_not(veld_cache_next(&cache, &at, &p, &len));
    veld_watch_event_clear(&e);
    veld_blob_clear(&cache);
    for (size_t i = 0; i < 2; i++) {
        veld_blob_clear(&m[i].record);
        test_member_free(&people[i]);
    }
}

Test(mesh_cache, many_members_take_several_events)
{
    struct test_member one = test_trust_join(&rig, 1, "a", TEST_BY_ADMINS_TOKEN);
    struct veld_record r = test_record(&one, 1);
    struct veld_member m = {.record = test_peer_record(&one, &r), .revision = UINT64_MAX};
    const struct veld_member **list = calloc(MEMBERS, sizeof *list);
    struct veld_blob cache;
    for (size_t i = 0; i < MEMBERS; i++)
        list[i] = &m;
    cr_assert_eq(veld_cache_encode(&cache, list, MEMBERS, 9), 0);
    size_t at = 0, len, events = 0, n = 0;
    const uint8_t *p;
    bool synced = false;
    while (veld_cache_next(&cache, &at, &p, &len)) {
        struct veld_watch_event e;
        cr_assert_leq(len, VELD_EVENT_MAX);
        cr_assert_not(synced, "only the last one");
        read_event(p, len, &e);
        cr_assert_eq(e.reset, events == 0);
        synced = e.synced;
        cr_assert_eq(e.revision, synced ? 9 : 0);
        n += e.n_members;
        events++;
        veld_watch_event_clear(&e);
    }
    cr_assert_eq(at, cache.len);
    cr_assert_eq(n, MEMBERS);
    cr_assert_gt(events, 2);
    cr_assert(synced);
    free(list);
    veld_blob_clear(&cache);
    veld_blob_clear(&m.record);
    test_member_free(&one);
}

Test(mesh_cache, what_is_broken_off_ends)
{
    struct veld_blob cache, cut = {0};
    cr_assert_eq(veld_cache_encode(&cache, NULL, 0, 5), 0);
    for (size_t n = 0; n < cache.len; n++) {
        size_t at = 0, len;
        const uint8_t *p;
        cr_assert_eq(veld_blob_set(&cut, cache.p, n), 0);
        cr_assert_not(veld_cache_next(&cut, &at, &p, &len), "%zu bytes", n);
        cr_assert_eq(at, 0);
    }
    size_t at = 0, len;
    const uint8_t *p;
    uint8_t huge[8];
    memset(huge, 0xff, sizeof huge);
    cr_assert_eq(veld_blob_set(&cut, huge, sizeof huge), 0);
    cr_assert_not(veld_cache_next(&cut, &at, &p, &len));
    uint8_t *long_one = calloc(1, VELD_EVENT_MAX + 5);
    veld_store_be32(long_one, VELD_EVENT_MAX + 1);
    cr_assert_eq(veld_blob_set(&cut, long_one, VELD_EVENT_MAX + 5), 0);
    cr_assert_not(veld_cache_next(&cut, &at, &p, &len), "longer than any event");
    free(long_one);
    veld_blob_clear(&cut);
    veld_blob_clear(&cache);
}

/* What is stored last is what is read, however fast one follows on the other. */
Test(mesh_cache, the_file_holds_what_was_stored_last)
{
    struct veld_cache *c = veld_cache_open(dir, "mynet");
    struct veld_blob bytes;
    veld_cache_load(c, &bytes);
    cr_assert_eq(bytes.len, 0);
    for (uint64_t i = 1; i <= 50; i++) {
        cr_assert_eq(veld_cache_encode(&bytes, NULL, 0, i), 0);
        veld_cache_store(c, &bytes);
        cr_assert_null(bytes.p, "it is the cache's now");
    }
    veld_cache_close(c);
    c = veld_cache_open(dir, "mynet");
    veld_cache_load(c, &bytes);
    size_t at = 0, len;
    const uint8_t *p;
    struct veld_watch_event e;
    cr_assert(veld_cache_next(&bytes, &at, &p, &len));
    read_event(p, len, &e);
    cr_assert_eq(e.revision, 50);
    veld_watch_event_clear(&e);
    veld_blob_clear(&bytes);
    veld_cache_close(c);
    veld_cache_close(NULL);
}
