#include "cli/coord/enter.h"

#include "base/clock.h"
#include "cli/coord/enter_impl.h"
#include "cli/coord/wish.h"
#include "crypto/primitives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NETWORK_RANGE "10.100.0.0/16" /* of a network made here */

uint64_t veld_enter_now_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

void veld_entry_clear(struct veld_entry *e)
{
    veld_rpc_close(e->client);
    veld_profile_coord_clear(&e->coord);
    *e = (struct veld_entry){0};
}

struct veld_rpc_key veld_enter_key(const struct veld_entry *e)
{
    return (struct veld_rpc_key){.seed = e->machine->id->seed, .pub = e->machine->id->pub};
}

static bool lacks_routes(const struct veld_entry *e)
{
    return !veld_routes_are_within(e->settings.routes, e->settings.n_routes,
                                   e->membership.routes, e->membership.n_routes);
}

static bool lacks_relay(const struct veld_entry *e)
{
    return e->settings.relay && !(e->membership.flags & VELD_MEMBER_RELAY);
}

bool veld_entry_is_allowed(const struct veld_entry *e)
{
    return !lacks_routes(e) && !lacks_relay(e);
}

static void print_options(const struct veld_entry *e, size_t n_routes, const char *relay,
                          char out[VELD_ENTRY_GRANTS_STRLEN])
{
    char *routes = veld_routes_format(e->settings.routes, n_routes, ",");
    bool offers = n_routes > 0 && routes;
    snprintf(out, VELD_ENTRY_GRANTS_STRLEN, "%s%s%s", offers ? " --routes " : "",
             offers ? routes : "", relay);
    free(routes);
}

const char *veld_entry_grants(const struct veld_entry *e, char out[VELD_ENTRY_GRANTS_STRLEN])
{
    print_options(e, e->settings.n_routes, e->settings.relay ? " --relay" : "", out);
    return out;
}

const char *veld_entry_lacks(const struct veld_entry *e, char out[VELD_ENTRY_GRANTS_STRLEN])
{
    print_options(e, lacks_routes(e) ? e->settings.n_routes : 0,
                  lacks_relay(e) ? " --relay yes" : "", out);
    return out;
}

/* ---- Which network ---- */

static int check_fingerprint(const struct veld_entry *e, const uint8_t id[32],
                             struct veld_diag *diag)
{
    char text[VELD_NETWORK_TEXT_STRLEN];
    if (!e->fingerprint || strcasecmp(e->fingerprint, veld_network_text(id, text)) == 0)
        return 0;
    return veld_fail(diag, VELD_E_AUTH,
                     "%s says that network %s is %s, not %.60s as --fingerprint says; compare "
                     "with what veld showed on the machine that made it",
                     e->coord.address, e->network_name, text, e->fingerprint);
}

/* Pin what the server answered, if it is what is meant. */
static int take_network(struct veld_entry *e, const struct veld_blob *answer, const uint8_t *id,
                        struct veld_diag *diag)
{
    struct veld_network n;
    int rc = veld_network_read(answer->p, answer->len, &n);
    if (rc == 0)
        rc = check_fingerprint(e, n.id, diag);
    else
        rc = veld_fail(diag, rc, "what %s says of network %s is not signed by its owner",
                       e->coord.address, e->network_name);
    if (rc == 0 && id && !veld_equal(id, n.id, sizeof n.id))
        rc = veld_fail(diag, VELD_E_AUTH,
                       "%s has another network under the name %s than the token is for; ask "
                       "who made the token",
                       e->coord.address, e->network_name);
    if (rc == 0)
        rc = veld_profile_network_pin(e->machine->state_dir, e->network_name, answer,
                                      &e->network, diag);
    return rc;
}

/* ---- In ---- */

static int fail_lease(const struct veld_entry *e, struct veld_diag *diag)
{
    char ip[VELD_IP_STRLEN], range[VELD_PREFIX_STRLEN];
    return veld_fail(diag, VELD_E_AUTH,
                     "%s leases this machine %s, which is no address that members of %s may "
                     "have (%s); ask whoever runs the coord server",
                     e->coord.address, veld_ip_format(&e->ipv4, ip), e->network_name,
                     veld_prefix_format(&e->network.ipv4, range));
}

int veld_enter_finish(struct veld_entry *e, const struct veld_blob *chain,
                      struct veld_diag *diag)
{
    const struct veld_rpc_key key = veld_enter_key(e);
    const char *dir = e->machine->state_dir, *name = e->network_name;
    struct veld_ip want = {0};
    struct veld_membership m;
    int rc =
        veld_membership_read(chain->p, chain->len, e->network.id, NULL, veld_enter_now_s(), &m);
    if (rc == 0 && !veld_equal(m.member, key.pub, sizeof m.member))
        rc = VELD_E_KEY;
    if (rc < 0)
        return veld_fail(diag, rc,
                         "the membership of network %s that this machine got does not prove "
                         "(%s)%s",
                         name, veld_strerror(rc),
                         rc == VELD_E_RANGE ? "; see that this machine's clock is right" : "");
    rc = veld_profile_lease_load(dir, name, &want, diag);
    if (rc == 0)
        rc = VELD_ASKING(
            veld_coord_lease(e->client, &key, e->network.id, chain, &want, &e->ipv4, diag));
    if (rc == 0 && !veld_network_may_lease(&e->network, &e->ipv4))
        rc = fail_lease(e, diag);
    if (rc == VELD_E_EXIST && !strstr(diag->text, "--name"))
        strncat(diag->text, "; choose another with --name",
                sizeof diag->text - strlen(diag->text) - 1);
    if (rc == 0)
        rc = veld_profile_coord_save(dir, name, &e->coord, diag);
    if (rc == 0)
        rc = veld_settings_save(dir, name, &e->settings, diag);
    if (rc == 0)
        rc = veld_profile_lease_save(dir, name, &e->ipv4, diag);
    if (rc == 0)
        rc = veld_profile_write(dir, name, VELD_PROFILE_MEMBERSHIP, chain->p, chain->len, diag);
    if (rc == 0)
        rc = veld_profile_unlink(dir, name, VELD_PROFILE_REQUEST, diag);
    if (rc == 0)
        e->membership = m;
    return rc;
}

/*
 * Of the membership that is kept here, also of one that holds no more: the server takes
 * none that is not newer than what it was shown last, and two may be of one second.
 */
static uint64_t last_serial(const struct veld_entry *e)
{
    struct veld_blob chain = {0};
    struct veld_membership m;
    struct veld_diag ignored;
    uint64_t serial = e->membership.serial;
    if (veld_profile_read(e->machine->state_dir, e->network_name, VELD_PROFILE_MEMBERSHIP,
                          VELD_CHAIN_MAX, &chain, &ignored) == 0 &&
        veld_membership_read(chain.p, chain.len, e->network.id, NULL, 0, &m) == 0 &&
        veld_equal(m.member, e->machine->id->pub, sizeof m.member) && m.serial > serial)
        serial = m.serial;
    veld_blob_clear(&chain);
    return serial;
}

/* By the owner's key, in guarded memory. */
static int admit_self(struct veld_entry *e, const uint8_t seed[32], struct veld_diag *diag)
{
    struct veld_blob chain = {0};
    const struct veld_signer signer = {.seed = seed};
    uint64_t now_s = veld_enter_now_s();
    struct veld_membership m = {.flags = VELD_MEMBER_ADMIN | VELD_MEMBER_RELAY,
                                .not_before_s = now_s,
                                .n_routes = e->settings.n_routes};
    m.serial = veld_serial_after(last_serial(e), now_s);
    memcpy(m.network_id, e->network.id, sizeof m.network_id);
    memcpy(m.member, e->machine->id->pub, sizeof m.member);
    memcpy(m.routes, e->settings.routes, sizeof m.routes);
    strcpy(m.name, e->name);
    int rc = veld_membership_issue(&chain, &signer, &m);
    rc = rc < 0 ? veld_fail(diag, rc, "cannot sign this machine's membership: %s",
                            veld_strerror(rc))
                : veld_enter_finish(e, &chain, diag);
    veld_blob_clear(&chain);
    return rc;
}

/* ---- A network that is made here ---- */

/*
 * The owner's key and the network, on disk before anybody hears of them: one that
 * was stopped midway goes on with the same.
 */
static int make_network(struct veld_entry *e, uint8_t seed[32],
                        struct veld_blob *signed_network, struct veld_diag *diag)
{
    const char *dir = e->machine->state_dir, *name = e->network_name;
    struct veld_prefix range;
    if (veld_prefix_parse(NETWORK_RANGE, &range) < 0)
        return veld_fail(diag, VELD_E_INVAL, NETWORK_RANGE);
    veld_random(seed, 32);
    int rc = veld_network_make(signed_network, seed, name, &range, veld_enter_now_s());
    if (rc < 0)
        return veld_fail(diag, rc, "cannot sign the network: %s", veld_strerror(rc));
    rc = veld_profile_network_pin(dir, name, signed_network, &e->network, diag);
    if (rc == 0)
        rc = veld_profile_owner_save(dir, name, seed, diag);
    return rc;
}

static int announce(struct veld_entry *e, const uint8_t seed[32],
                    const struct veld_blob *signed_network, struct veld_diag *diag)
{
    const struct veld_rpc_key owner = {.seed = seed, .pub = e->network.owner};
    int rc = VELD_ASKING(veld_coord_create_network(e->client, &owner, signed_network, diag));
    e->created = rc == 0;
    return rc;
}

/* The server knows no such network. */
static int create(struct veld_entry *e, uint8_t seed[32], struct veld_diag *diag)
{
    const char *dir = e->machine->state_dir, *name = e->network_name;
    struct veld_blob signed_network = {0};
    if (e->fingerprint)
        return veld_fail(
            diag, VELD_E_NOENT,
            "%s knows no network %s, and --fingerprint says that there is one; see "
            "that its name and the coord server are right",
            e->coord.address, name);
    int rc = veld_profile_network_load(dir, name, &e->network, diag);
    bool is_new = rc == VELD_E_NOENT;
    if (is_new) {
        rc = make_network(e, seed, &signed_network, diag);
    } else if (rc == 0) {
        rc = veld_profile_owner_load(dir, name, seed, diag);
        if (rc == VELD_E_NOENT)
            rc = veld_fail(diag, rc,
                           "%s does not know network %s any more; it is brought back when "
                           "any member of it comes up (veld up): try again then",
                           e->coord.address, name);
    }
    if (rc == 0 && !is_new)
        rc = veld_profile_read(dir, name, VELD_PROFILE_NETWORK, VELD_SIGNED_MAX,
                               &signed_network, diag);
    if (rc == 0)
        rc = announce(e, seed, &signed_network, diag);
    if (rc == VELD_E_EXIST && is_new) { /* another machine was faster: theirs it is */
        struct veld_diag ignored;
        (void)!veld_profile_remove(dir, name, &ignored);
    }
    veld_blob_clear(&signed_network);
    return rc < 0 ? rc : admit_self(e, seed, diag);
}

/* ---- Ways in ---- */

static int lookup(struct veld_entry *e, const uint8_t *id, struct veld_diag *diag)
{
    const struct veld_rpc_key key = veld_enter_key(e);
    struct veld_blob answer = {0};
    int rc =
        VELD_ASKING(veld_coord_lookup_network(e->client, &key, e->network_name, &answer, diag));
    if (rc == 0)
        rc = take_network(e, &answer, id, diag);
    veld_blob_clear(&answer);
    return rc;
}

static int by_name(struct veld_entry *e, uint8_t seed[32], struct veld_diag *diag)
{
    int rc = lookup(e, NULL, diag);
    if (rc == VELD_E_NOENT)
        return create(e, seed, diag);
    if (rc < 0)
        return rc;
    rc = veld_profile_owner_load(e->machine->state_dir, e->network_name, seed, diag);
    if (rc == VELD_E_NOENT)
        return veld_enter_by_request(e, diag);
    return rc < 0 ? rc : admit_self(e, seed, diag);
}

int veld_enter_by_name(struct veld_entry *e, struct veld_diag *diag)
{
    uint8_t *seed = veld_secure_alloc(32);
    if (!seed)
        return veld_fail(diag, VELD_E_NOMEM, "no guarded memory for the owner's key");
    int rc = veld_connect(&e->client, &e->coord, diag);
    if (rc == 0)
        rc = by_name(e, seed, diag);
    veld_secure_free(seed);
    return rc;
}

int veld_enter_for_more(struct veld_entry *e, struct veld_diag *diag)
{
    strcpy(e->name, e->membership.name);
    e->for_more = true;
    return veld_enter_by_name(e, diag);
}

static int by_token(struct veld_entry *e, const char *text, const struct veld_token *token,
                    struct veld_diag *diag)
{
    struct veld_blob chain = {0};
    int rc = veld_connect(&e->client, &e->coord, diag);
    if (rc == 0)
        rc = lookup(e, token->network_id, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "%s knows no network %s, which the token is for; ask who made "
                         "the token",
                         e->coord.address, e->network_name);
    if (rc < 0)
        return rc;
    rc = veld_token_admit(&chain, text, e->machine->id->pub, e->name, veld_enter_now_s(),
                          last_serial(e));
    rc = rc < 0 ? veld_fail(diag, rc, "the token lets nobody in (%s)", veld_strerror(rc))
                : veld_enter_finish(e, &chain, diag);
    veld_blob_clear(&chain);
    return rc;
}

/* One that lets nobody in leaves nothing behind that was not there before. */
int veld_enter_by_token(struct veld_entry *e, const char *text, const struct veld_token *token,
                        struct veld_diag *diag)
{
    const char *dir = e->machine->state_dir;
    struct veld_network known;
    struct veld_diag ignored;
    bool is_new =
        veld_profile_network_load(dir, e->network_name, &known, &ignored) == VELD_E_NOENT;
    int rc = by_token(e, text, token, diag);
    if (rc < 0 && is_new)
        (void)!veld_profile_remove(dir, e->network_name, &ignored);
    return rc;
}
