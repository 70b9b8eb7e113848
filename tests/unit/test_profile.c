#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"
#include "profile/profile.h"

#include "../support/state_dir.h"

#define NOW 1700000000u

static struct veld_diag diag;
static struct veld_profile profile;
static struct veld_identity *owner, *self;
static struct veld_network network;

static void put(const char *file, const struct veld_blob *b)
{
    cr_assert_eq(veld_profile_write(state_dir, "mynet", file, b->p, b->len, &diag), 0, "%s",
                 diag.text);
}

static void make_network(struct veld_blob *out, const struct veld_identity *by,
                         const char *name)
{
    struct veld_prefix range;
    cr_assert_eq(veld_prefix_parse("10.100.0.0/16", &range), 0);
    cr_assert_eq(veld_network_make(out, by->seed, name, &range, NOW), 0);
}

static void put_membership(const struct veld_identity *member, uint64_t not_after_s)
{
    struct veld_blob chain = {0};
    struct veld_membership m = {.name = "machine-a", .not_before_s = NOW, .serial = 1};
    const struct veld_signer signer = {.seed = owner->seed};
    memcpy(m.network_id, network.id, 32);
    memcpy(m.member, member->pub, 32);
    m.not_after_s = not_after_s;
    cr_assert_eq(veld_membership_issue(&chain, &signer, &m), 0);
    put(VELD_PROFILE_MEMBERSHIP, &chain);
    veld_blob_clear(&chain);
}

static void put_coord(void)
{
    struct veld_profile_coord c = {.address = "server:50051"};
    cr_assert_eq(veld_profile_coord_save(state_dir, "mynet", &c, &diag), 0, "%s", diag.text);
}

/* A machine that is a member of "mynet". */
static void init(void)
{
    struct veld_blob signed_network = {0};
    state_dir_make();
    cr_assert_eq(veld_crypto_init(), 0);
    owner = veld_identity_generate();
    self = veld_identity_generate();
    make_network(&signed_network, owner, "mynet");
    cr_assert_eq(veld_profile_network_pin(state_dir, "mynet", &signed_network, &network, &diag),
                 0, "%s", diag.text);
    veld_blob_clear(&signed_network);
    put_membership(self, 0);
    put_coord();
}

static void fini(void)
{
    veld_profile_clear(&profile);
    veld_identity_free(owner);
    veld_identity_free(self);
    state_dir_remove();
}

TestSuite(profile, .init = init, .fini = fini, .timeout = 20);

static int load(void)
{
    veld_profile_clear(&profile);
    diag.text[0] = '\0';
    return veld_profile_load(state_dir, "mynet", self->pub, NOW + 10, &profile, &diag);
}

static void refused(int code, const char *says)
{
    static const struct veld_profile zero;
    cr_expect_eq(load(), code, "%s", diag.text);
    cr_expect_not_null(strstr(diag.text, says), "%s\nshould say: %s", diag.text, says);
    cr_expect_arr_eq(&profile, &zero, sizeof zero);
}

Test(profile, loads_whole)
{
    struct veld_ip lease;
    cr_assert_eq(load(), 0, "%s", diag.text);
    cr_assert_str_eq(profile.network.name, "mynet");
    cr_assert_arr_eq(profile.network.id, network.id, 32);
    cr_assert_str_eq(profile.membership.name, "machine-a");
    cr_assert_eq(profile.ipv4.family, 0);
    cr_assert_null(profile.revocations);
    cr_assert_str_eq(profile.coord.address, "server:50051");
    cr_assert_gt(profile.chain.len, 0);
    cr_assert_eq(veld_ip_parse("10.100.0.7", &lease), 0);
    cr_assert_eq(veld_profile_lease_save(state_dir, "mynet", &lease, &diag), 0);
    cr_assert_eq(mode_of("networks/mynet/lease"), 0600);
    cr_assert_eq(load(), 0, "%s", diag.text);
    cr_assert(veld_ip_equal(&profile.ipv4, &lease));
}

Test(profile, what_is_missing_is_told_with_the_next_command)
{
    cr_assert_eq(veld_profile_load(state_dir, "other", self->pub, NOW, &profile, &diag),
                 VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "network other is not known"), "%s", diag.text);
    unlink(in_state_dir("networks/mynet/coord.json"));
    refused(VELD_E_NOENT, "veld login --coord HOST:PORT");
    put_coord();
    unlink(in_state_dir("networks/mynet/membership"));
    refused(VELD_E_NOENT, "veld up --network mynet");
}

Test(profile, a_broken_file_is_an_error_with_its_path_and_a_remedy)
{
    static const char *const files[] = {VELD_PROFILE_NETWORK, VELD_PROFILE_MEMBERSHIP,
                                        VELD_PROFILE_REVOCATIONS, VELD_PROFILE_LEASE,
                                        VELD_PROFILE_COORD};
    for (size_t i = 0; i < VELD_ARRAY_LEN(files); i++) {
        struct veld_blob good = {0};
        char path[64];
        (void)!veld_profile_read(state_dir, "mynet", files[i], VELD_CHAIN_MAX, &good, &diag);
        snprintf(path, sizeof path, "networks/mynet/%s", files[i]);
        write_text(path, "garbage", 0600);
        refused(VELD_E_FORMAT, in_state_dir(path));
        cr_expect_not_null(strstr(diag.text, "restore it from a backup"), "%s", diag.text);
        write_text(path, "", 0600);
        refused(VELD_E_FORMAT, in_state_dir(path));
        unlink(in_state_dir(path));
        if (good.len > 0)
            put(files[i], &good);
        veld_blob_clear(&good);
    }
    cr_assert_eq(load(), 0, "%s", diag.text);
}

Test(profile, a_lease_is_one_ipv4_address)
{
    static const char *const bad[] = {"10.100.0.7", "10.100.0.7\n\n", "10.100.0.7 \n", "::1\n",
                                      "\n",         "10.100.0\n"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_text("networks/mynet/lease", bad[i], 0600);
        refused(VELD_E_FORMAT, "networks/mynet/lease");
    }
    struct veld_ip v6;
    cr_assert_eq(veld_ip_parse("fd00::1", &v6), 0);
    cr_assert_eq(veld_profile_lease_save(state_dir, "mynet", &v6, &diag), VELD_E_INVAL);
}

Test(profile, a_membership_of_another_identity_is_none)
{
    struct veld_identity *other = veld_identity_generate();
    put_membership(other, 0);
    refused(VELD_E_KEY, "veld leave mynet");
    veld_identity_free(other);
}

Test(profile, a_membership_that_has_ended_is_none)
{
    put_membership(self, NOW + 5);
    refused(VELD_E_RANGE, "clock");
    put_membership(self, NOW + 500);
    cr_assert_eq(load(), 0, "%s", diag.text);
}

Test(profile, a_membership_that_was_revoked_is_none)
{
    struct veld_blob list = {0};
    struct veld_revoked_entry entry = {.n_kept = 0};
    const struct veld_signer signer = {.seed = owner->seed};
    memcpy(entry.key, self->pub, 32);
    cr_assert_eq(veld_revocations_add(&list, &signer, network.id, NULL, &entry, NOW), 0);
    put(VELD_PROFILE_REVOCATIONS, &list);
    veld_blob_clear(&list);
    refused(VELD_E_PERM, "revoked");
}

Test(profile, a_membership_of_another_network_is_none)
{
    struct veld_blob other = {0};
    struct veld_identity *stranger = veld_identity_generate();
    make_network(&other, stranger, "mynet");
    put(VELD_PROFILE_NETWORK, &other); /* as if somebody had put it there */
    veld_blob_clear(&other);
    refused(VELD_E_AUTH, "networks/mynet/membership");
    make_network(&other, owner, "another");
    put(VELD_PROFILE_NETWORK, &other);
    veld_blob_clear(&other);
    refused(VELD_E_FORMAT, "networks/mynet/network");
    veld_identity_free(stranger);
}

/* A name means the network it meant before, whatever a server says. */
Test(profile, a_name_is_pinned_on_first_use)
{
    struct veld_blob again = {0}, other = {0};
    struct veld_network out;
    struct veld_identity *stranger = veld_identity_generate();
    make_network(&again, owner, "mynet");
    cr_assert_eq(veld_profile_network_pin(state_dir, "mynet", &again, &out, &diag), 0);
    cr_assert_arr_eq(out.id, network.id, 32);
    make_network(&other, stranger, "mynet");
    cr_assert_eq(veld_profile_network_pin(state_dir, "mynet", &other, &out, &diag), VELD_E_KEY);
    char text[VELD_NETWORK_TEXT_STRLEN];
    cr_assert_not_null(strstr(diag.text, veld_network_text(network.id, text)), "%s", diag.text);
    cr_assert_not_null(strstr(diag.text, "veld leave mynet"), "%s", diag.text);
    cr_assert_eq(load(), 0, "%s", diag.text);
    cr_assert_arr_eq(profile.network.id, network.id, 32);

    cr_assert_eq(veld_profile_network_pin(state_dir, "new", &other, &out, &diag), VELD_E_AUTH,
                 "it bears another name");
    other.p[other.len - 1] ^= 1;
    cr_assert_lt(veld_profile_network_pin(state_dir, "mynet2", &other, &out, &diag), 0);
    cr_assert_eq(access(in_state_dir("networks/new"), F_OK), -1);
    veld_blob_clear(&again);
    veld_blob_clear(&other);
    veld_identity_free(stranger);
}

Test(profile, the_owners_key)
{
    static const uint8_t zero[32];
    uint8_t seed[32];
    struct veld_identity *stranger = veld_identity_generate();
    cr_assert_eq(veld_profile_owner_load(state_dir, "mynet", seed, &diag), VELD_E_NOENT);
    cr_assert_eq(veld_profile_owner_save(state_dir, "mynet", owner->seed, &diag), 0, "%s",
                 diag.text);
    cr_assert_eq(mode_of("networks/mynet/owner"), 0600);
    cr_assert_eq(veld_profile_owner_load(state_dir, "mynet", seed, &diag), 0, "%s", diag.text);
    cr_assert_arr_eq(seed, owner->seed, 32);
    cr_assert_eq(veld_profile_owner_save(state_dir, "mynet", stranger->seed, &diag),
                 VELD_E_EXIST);
    cr_assert_eq(veld_profile_owner_load(state_dir, "mynet", seed, &diag), 0, "overwritten");
    cr_assert_arr_eq(seed, owner->seed, 32);

    cr_assert_eq(chmod(in_state_dir("networks/mynet/owner"), 0640), 0);
    cr_assert_eq(veld_profile_owner_load(state_dir, "mynet", seed, &diag), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "chmod 600"), "%s", diag.text);
    cr_assert_arr_eq(seed, zero, 32);
    unlink(in_state_dir("networks/mynet/owner"));
    cr_assert_eq(veld_profile_owner_save(state_dir, "mynet", stranger->seed, &diag), 0);
    cr_assert_eq(veld_profile_owner_load(state_dir, "mynet", seed, &diag), VELD_E_KEY);
    cr_assert_not_null(strstr(diag.text, "veld owner import"), "%s", diag.text);
    cr_assert_arr_eq(seed, zero, 32);
    veld_identity_free(stranger);
}
