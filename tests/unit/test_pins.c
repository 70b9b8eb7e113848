#include "base/bytes.h"
#include "base/file.h"
#include "control/mesh/pins.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/veld-test-pins.XXXXXX";
static char path[64];
static const uint8_t network[VELD_NETWORK_ID_SIZE] = {0xab, 1, 2, 3};
static struct veld_pins *pins;
static struct veld_diag diag;

static void load(void)
{
    cr_assert_eq(veld_pins_load(&pins, path, network, &diag), 0, "%s", diag.text);
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/pins.json", dir);
    load();
}

static void cleanup(void)
{
    veld_pins_free(pins);
    unlink(path);
    rmdir(dir);
}

TestSuite(pins, .init = setup, .fini = cleanup);

/* What a member shows. NULL: no such address. */
static struct veld_pin shown(const char *name, uint8_t key, const char *ipv4, const char *ipv6)
{
    struct veld_pin pin = {.since_s = 1000};
    snprintf(pin.name, sizeof pin.name, "%s", name);
    memset(pin.pub, key, sizeof pin.pub);
    if (ipv4)
        cr_assert_eq(veld_ip_parse(ipv4, &pin.addrs[pin.n_addrs++]), 0);
    if (ipv6)
        cr_assert_eq(veld_ip_parse(ipv6, &pin.addrs[pin.n_addrs++]), 0);
    return pin;
}

static enum veld_pin_verdict check(const char *name, uint8_t key, const char *ipv4,
                                   const char *ipv6)
{
    struct veld_pin pin = shown(name, key, ipv4, ipv6);
    return veld_pins_check(pins, &pin, NULL);
}

static int add(const char *name, uint8_t key, const char *ipv4, const char *ipv6)
{
    struct veld_pin pin = shown(name, key, ipv4, ipv6);
    return veld_pins_add(pins, &pin);
}

static void reload(void)
{
    cr_assert_eq(veld_pins_save(pins, &diag), 0, "%s", diag.text);
    veld_pins_free(pins);
    load();
}

Test(pins, nothing_is_pinned_at_first)
{
    cr_assert_eq(veld_pins_count(pins), 0);
    cr_assert_not(veld_pins_unsaved(pins));
    cr_assert_eq(check("b", 1, "10.0.0.2", "fd00::2"), VELD_PIN_NEW);
}

Test(pins, a_name_and_an_address_belong_to_the_first_key)
{
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    cr_assert(veld_pins_unsaved(pins));
    for (int again = 0; again < 2; again++) {
        cr_expect_eq(check("b", 1, "10.0.0.2", "fd00::2"), VELD_PIN_OK);
        cr_expect_eq(check("b", 1, NULL, "fd00::2"), VELD_PIN_OK);
        cr_expect_eq(check("b", 2, "10.0.0.2", "fd00::2"), VELD_PIN_MISMATCH, "another key");
        cr_expect_eq(check("b", 2, "10.0.0.9", "fd00::9"), VELD_PIN_MISMATCH, "only the name");
        cr_expect_eq(check("c", 2, "10.0.0.2", "fd00::9"), VELD_PIN_MISMATCH, "only the IPv4");
        cr_expect_eq(check("c", 2, "10.0.0.9", "fd00::2"), VELD_PIN_MISMATCH, "only the IPv6");
        cr_expect_eq(check("c", 2, "10.0.0.9", "fd00::9"), VELD_PIN_NEW);
        reload();
        cr_assert_not(veld_pins_unsaved(pins));
    }
    cr_assert_eq(veld_pins_of(pins, "b")->since_s, 1000);
}

Test(pins, a_mismatch_names_what_is_pinned)
{
    const struct veld_pin *against = NULL;
    cr_assert_eq(add("b", 1, "10.0.0.2", NULL), 0);
    struct veld_pin c = shown("c", 2, "10.0.0.2", NULL);
    cr_assert_eq(veld_pins_check(pins, &c, &against), VELD_PIN_MISMATCH);
    cr_assert_str_eq(against->name, "b");
    cr_assert_eq(against->pub[0], 1);
}

Test(pins, nothing_but_the_user_changes_a_pin)
{
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    cr_assert_eq(add("b", 2, "10.0.0.9", NULL), VELD_E_EXIST);
    cr_assert_eq(add("c", 2, "10.0.0.2", NULL), VELD_E_EXIST);
    cr_assert_eq(check("b", 1, "10.0.0.2", "fd00::2"), VELD_PIN_OK);
    cr_assert_eq(veld_pins_count(pins), 1);
}

/* A list that revokes a key, and stands on `before` (NULL: none). */
static struct veld_revocations *revoke_by(const struct test_trust *rig,
                                          const struct veld_signer *signer, uint8_t key,
                                          const struct veld_revocations *before)
{
    struct veld_revoked_entry entry = {0};
    struct veld_blob list = {0};
    struct veld_revocations *r = NULL;
    memset(entry.key, key, sizeof entry.key);
    cr_assert_eq(
        veld_revocations_add(&list, signer, rig->network.id, before, &entry, rig->now_s), 0);
    cr_assert_eq(veld_revocations_read(list.p, list.len, rig->network.id, before, &r), 0);
    veld_blob_clear(&list);
    return r;
}

Test(pins, only_the_owners_revocation_of_the_key_itself_releases)
{
    struct test_trust rig;
    test_trust_make(&rig);
    struct veld_signer owner = test_owner(&rig), admin = test_admin(&rig);
    struct veld_revocations *other = revoke_by(&rig, &owner, 7, NULL);
    struct veld_revocations *admins = revoke_by(&rig, &admin, 1, other);
    struct veld_revocations *owners = revoke_by(&rig, &owner, 1, other);
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    const struct veld_revocations *const none[] = {NULL, other, admins};
    for (size_t i = 0; i < VELD_ARRAY_LEN(none); i++) {
        veld_pins_set_revoked(pins, none[i]);
        cr_expect_not(veld_pins_is_revoked(pins, veld_pins_of(pins, "b")), "list %zu", i);
        cr_expect_eq(check("b", 2, "10.0.0.2", "fd00::3"), VELD_PIN_MISMATCH, "list %zu", i);
        cr_expect_eq(add("b", 2, "10.0.0.2", "fd00::3"), VELD_E_EXIST, "list %zu", i);
    }
    veld_pins_set_revoked(pins, owners);
    cr_assert(veld_pins_is_revoked(pins, veld_pins_of(pins, "b")));
    cr_assert_eq(check("b", 2, "10.0.0.9", "fd00::3"), VELD_PIN_NEW, "the name");
    cr_assert_eq(check("c", 2, "10.0.0.2", "fd00::3"), VELD_PIN_NEW, "the address");
    veld_pins_set_revoked(pins, NULL);
    cr_assert_eq(check("b", 2, "10.0.0.2", "fd00::3"), VELD_PIN_MISMATCH, "until it is used");

    veld_pins_set_revoked(pins, owners);
    cr_assert_eq(add("b", 2, NULL, "fd00::3"), 0);
    cr_assert_eq(veld_pins_of(pins, "b")->pub[0], 2);
    cr_assert_eq(veld_pins_of(pins, "b")->n_addrs, 1, "the old one's address is not its");
    cr_assert_not(veld_pins_is_revoked(pins, veld_pins_of(pins, "b")));
    cr_assert_eq(check("b", 3, NULL, "fd00::4"), VELD_PIN_MISMATCH, "the next is pinned");
    cr_assert_eq(check("c", 3, "10.0.0.2", NULL), VELD_PIN_NEW);
    veld_pins_set_revoked(pins, NULL);
    veld_revocations_free(other);
    veld_revocations_free(admins);
    veld_revocations_free(owners);
    test_trust_free(&rig);
}

/* The member itself, whose key is the same, may show another address or name. */
Test(pins, a_member_moves)
{
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    cr_assert_eq(check("b", 1, "10.0.0.3", "fd00::2"), VELD_PIN_NEW);
    cr_assert_eq(add("b", 1, "10.0.0.3", "fd00::2"), 0);
    cr_assert_eq(check("c", 2, "10.0.0.3", NULL), VELD_PIN_MISMATCH);
    cr_assert_eq(check("c", 2, "10.0.0.2", NULL), VELD_PIN_NEW, "it gave that one up");

    cr_assert_eq(add("b", 1, NULL, "fd00::22"), 0);
    cr_assert_eq(check("c", 2, "10.0.0.3", NULL), VELD_PIN_MISMATCH, "but not this one");
    struct veld_pin later = shown("b", 1, "10.0.0.3", "fd00::2");
    later.since_s = 5000;
    cr_assert_eq(veld_pins_add(pins, &later), 0);
    cr_assert_eq(veld_pins_of(pins, "b")->since_s, 1000, "it is still the same key");
    cr_assert_eq(veld_pins_of(pins, "b")->n_addrs, 2);

    cr_assert_eq(check("renamed", 1, "10.0.0.3", "fd00::2"), VELD_PIN_NEW);
    cr_assert_eq(add("renamed", 1, "10.0.0.3", "fd00::2"), 0);
    cr_assert_eq(check("renamed", 1, "10.0.0.3", "fd00::2"), VELD_PIN_OK);
    cr_assert_eq(check("b", 2, NULL, NULL), VELD_PIN_MISMATCH, "its old name is nobody else's");
    reload();
    cr_assert_eq(veld_pins_count(pins), 2);
}

Test(pins, accept_gives_all_of_it_to_the_new_key)
{
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    cr_assert_eq(add("c", 3, "10.0.0.3", "fd00::3"), 0);
    struct veld_pin now = shown("b", 2, "10.0.0.3", "fd00::22");
    now.since_s = 2000;
    cr_assert_eq(veld_pins_accept(pins, &now), 0);
    reload();
    cr_assert_eq(check("b", 2, "10.0.0.3", "fd00::22"), VELD_PIN_OK);
    cr_assert_eq(check("b", 1, NULL, NULL), VELD_PIN_MISMATCH);
    cr_assert_eq(veld_pins_of(pins, "b")->since_s, 2000);
    cr_assert_eq(check("x", 1, "10.0.0.2", "fd00::2"), VELD_PIN_NEW, "nobody's any more");
    cr_assert_eq(check("c", 3, NULL, "fd00::3"), VELD_PIN_OK);
    cr_assert_eq(check("c", 3, "10.0.0.3", "fd00::3"), VELD_PIN_MISMATCH);
}

Test(pins, forget)
{
    cr_assert_eq(add("b", 1, "10.0.0.2", "fd00::2"), 0);
    cr_assert_eq(veld_pins_save(pins, &diag), 0);
    cr_assert_eq(veld_pins_forget(pins, "c"), VELD_E_NOENT);
    cr_assert_not(veld_pins_unsaved(pins));
    cr_assert_eq(veld_pins_forget(pins, "b"), 0);
    cr_assert(veld_pins_unsaved(pins));
    reload();
    cr_assert_eq(veld_pins_count(pins), 0);
    cr_assert_eq(check("b", 2, "10.0.0.2", "fd00::2"), VELD_PIN_NEW);
}

Test(pins, the_list_is_sorted)
{
    cr_assert_eq(add("c", 3, NULL, NULL), 0);
    cr_assert_eq(add("a", 1, NULL, NULL), 0);
    cr_assert_eq(add("b", 2, NULL, NULL), 0);
    const struct veld_pin **list = veld_pins_list(pins);
    cr_assert_not_null(list);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(list[i]->name[0], "abc"[i]);
    free(list);
}

Test(pins, the_table_is_bounded)
{
    for (uint32_t i = 0; i < VELD_PINS_MAX; i++) {
        struct veld_pin pin = {.since_s = 1, .n_addrs = 1, .addrs[0].family = 4};
        snprintf(pin.name, sizeof pin.name, "m%u", i);
        memcpy(pin.pub, &i, sizeof i);
        memcpy(pin.addrs[0].b, &i, sizeof i);
        cr_assert_eq(veld_pins_add(pins, &pin), 0);
    }
    cr_assert_eq(add("one-more", 1, NULL, NULL), VELD_E_FULL);
    struct veld_pin more = shown("one-more", 1, NULL, NULL);
    cr_assert_eq(veld_pins_accept(pins, &more), VELD_E_FULL);
    reload();
    cr_assert_eq(veld_pins_count(pins), VELD_PINS_MAX);
    cr_assert_eq(veld_pins_forget(pins, "m7"), 0);
    cr_assert_eq(veld_pins_add(pins, &more), 0);
}

Test(pins, the_file_is_its_owners_alone)
{
    struct stat st;
    cr_assert_eq(add("b", 1, NULL, NULL), 0);
    cr_assert_eq(veld_pins_save(pins, &diag), 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(pins, what_cannot_be_written_stays_unsaved)
{
    cr_assert_eq(add("b", 1, NULL, NULL), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_lt(veld_pins_save(pins, &diag), 0);
    cr_assert_not_null(strstr(diag.text, path), "%s", diag.text);
    cr_assert(veld_pins_unsaved(pins));
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(veld_pins_save(pins, &diag), 0);
    cr_assert_not(veld_pins_unsaved(pins));
}

#define KEY           "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define ID            "ab01020300000000000000000000000000000000000000000000000000000000"
#define FILE_OF(pins) "{\"version\": 1, \"network\": \"" ID "\", \"pins\": [" pins "]}"
#define PIN(name, key, addrs, since)                                                           \
    "{\"name\": \"" name "\", \"pubkey\": \"" key "\", \"addresses\": [" addrs                 \
    "], \"since\": " since "}"

/* A file that is broken in any way stops the daemon, and says where it is and what to do. */
Test(pins, a_broken_file_never_means_no_pins)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {FILE_OF(PIN("b", KEY, "\"10.0.0.2\"", "5")), 0},
        {FILE_OF(""), 0},
        {"", VELD_E_FORMAT},
        {"{", VELD_E_FORMAT},
        {"[]", VELD_E_FORMAT},
        {"{}", VELD_E_FORMAT},
        {"{\"version\": 1, \"pins\": []}", VELD_E_FORMAT},
        {"{\"version\": 1, \"network\": \"" ID "\"}", VELD_E_FORMAT},
        {"{\"version\": 0, \"network\": \"" ID "\", \"pins\": []}", VELD_E_FORMAT},
        {"{\"version\": \"1\", \"network\": \"" ID "\", \"pins\": []}", VELD_E_FORMAT},
        {"{\"version\": 2, \"new\": 1}", VELD_E_UNSUPPORTED},
        {"{\"version\": 1, \"network\": \"ab\", \"pins\": []}", VELD_E_FORMAT},
        {"{\"version\": 1, \"network\": \"" ID "\", \"pins\": [], \"pins\": []}",
         VELD_E_FORMAT},
        {"{\"version\": 1, \"network\": \"" ID "\", \"pins\": [], \"more\": 1}", VELD_E_FORMAT},
        {FILE_OF("3"), VELD_E_FORMAT},
        {FILE_OF("{}"), VELD_E_FORMAT},
        {FILE_OF(PIN("B", KEY, "", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("", KEY, "", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", "AQEB", "", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "\"10.0.0\"", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "7", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\"", "5")),
         VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "", "-1")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "", "\"5\"")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "", "5") "," PIN("b", KEY, "", "5")), VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "\"10.0.0.2\"", "5") "," PIN("c", KEY, "\"10.0.0.2\"", "5")),
         VELD_E_FORMAT},
        {FILE_OF(PIN("b", KEY, "\"10.0.0.2\", \"10.0.0.2\"", "5")), VELD_E_FORMAT},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        struct veld_pins *other = NULL;
        diag.text[0] = '\0';
        cr_assert_eq(veld_file_replace(path, cases[i].text, strlen(cases[i].text), 0600), 0);
        int rc = veld_pins_load(&other, path, network, &diag);
        cr_expect_eq(rc, cases[i].rc, "case %zu: %d %s", i, rc, diag.text);
        cr_expect_eq(other != NULL, cases[i].rc == 0, "case %zu", i);
        if (cases[i].rc < 0)
            cr_expect_not_null(strstr(diag.text, path), "case %zu: %s", i, diag.text);
        veld_pins_free(other);
    }
}

Test(pins, a_file_that_cannot_be_read_never_means_no_pins)
{
    struct veld_pins *other = NULL;
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_lt(veld_pins_load(&other, path, network, &diag), 0);
    cr_assert_not_null(strstr(diag.text, path), "%s", diag.text);
    cr_assert_null(other);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(symlink("pins.json", path), 0);
    cr_assert_lt(veld_pins_load(&other, path, network, &diag), 0, "a loop");
    cr_assert_null(other);
}
