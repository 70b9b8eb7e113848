#include "cli/coord/up_network.h"

#include "base/clock.h"
#include "base/label.h"
#include "cli/coord/enter.h"
#include "cli/coord/login.h"
#include "trust/join_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void veld_up_tell_created(const struct veld_machine *m, const struct veld_network *network,
                          const struct veld_profile_coord *coord)
{
    char text[VELD_NETWORK_TEXT_STRLEN], pin[VELD_CERTIFICATE_STRLEN + 32] = "";
    char certificate[VELD_CERTIFICATE_STRLEN];
    veld_network_text(network->id, text);
    if (!coord->ca_path)
        snprintf(pin, sizeof pin, " --fingerprint %s",
                 veld_certificate_format(coord->certificate, certificate));
    const char *option = veld_machine_option(m, network->name);
    printf("network %s was made, and this machine owns it\n", network->name);
    printf("  %-13s%s\n", "fingerprint", text);
    printf("  %-13s%s/networks/%s/owner (keep a copy: veld owner export %s FILE)\n",
           "owner's key", m->state_dir, network->name, network->name);
    puts("to let the next machine in, by a token:");
    printf("  here:   veld token create%s\n", option);
    puts("  there:  sudo veld join TOKEN");
    puts("or without one:");
    printf("  there:  sudo veld login --coord %s%s &&\n", coord->address, pin);
    printf("          sudo veld up --network %s --fingerprint %s\n", network->name, text);
    printf("  here:   veld approve CODE%s     (it shows the code)\n", option);
}

/* What a command works with from machine to launch. */
struct joining {
    const struct veld_up_network *r;
    struct veld_machine machine;
    char network[VELD_LABEL_MAX + 1];
    struct veld_settings settings;
    struct veld_profile profile;
    struct veld_entry entry;
    bool is_member;
};

/* ---- Already a member ---- */

/* One whose time is over is asked for anew, under the same name. */
static bool has_ended(struct joining *j, const struct veld_blob *chain, uint64_t now_s)
{
    struct veld_network network;
    struct veld_membership m;
    struct veld_diag ignored;
    if (veld_profile_network_load(j->machine.state_dir, j->network, &network, &ignored) < 0 ||
        veld_membership_read(chain->p, chain->len, network.id, NULL, 0, &m) < 0 ||
        m.ends_s == 0 || m.ends_s >= now_s ||
        memcmp(m.member, j->machine.id->pub, sizeof m.member) != 0)
        return false;
    j->entry.membership = m;
    return true;
}

/* The membership's file decides; what else is missing then is an error. */
static int load_profile(struct joining *j, struct veld_diag *diag)
{
    struct veld_blob chain = {0};
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    int rc = veld_profile_read(j->machine.state_dir, j->network, VELD_PROFILE_MEMBERSHIP,
                               VELD_CHAIN_MAX, &chain, diag);
    bool is_there = rc == 0;
    if (is_there)
        rc = veld_profile_load(j->machine.state_dir, j->network, j->machine.id->pub, now_s,
                               &j->profile, diag);
    j->is_member = is_there && rc == 0;
    bool ended = is_there && rc == VELD_E_RANGE && has_ended(j, &chain, now_s);
    veld_blob_clear(&chain);
    return rc == VELD_E_NOENT && !is_there ? 0 : ended ? 0 : rc;
}

static int check_member(struct joining *j, struct veld_diag *diag)
{
    const struct veld_membership *m = &j->profile.membership;
    char text[VELD_NETWORK_TEXT_STRLEN];
    veld_network_text(j->profile.network.id, text);
    if (j->r->fingerprint && strcasecmp(text, j->r->fingerprint) != 0)
        return veld_fail(diag, VELD_E_AUTH, "network %s is %s, not %.60s as --fingerprint says",
                         j->network, text, j->r->fingerprint);
    if (j->r->name && strcasecmp(j->r->name, m->name) != 0)
        return veld_fail(diag, VELD_E_STATE,
                         "this machine is %s in network %s; to be called otherwise it has to "
                         "join anew: veld leave %s",
                         m->name, j->network, j->network);
    return 0;
}

/* What is asked for beyond what the membership allows needs a new one. */
static int widen(struct joining *j, struct veld_diag *diag)
{
    const struct veld_membership *m = &j->profile.membership;
    if (!j->r->wish.routes || veld_routes_are_within(j->settings.routes, j->settings.n_routes,
                                                     m->routes, m->n_routes))
        return veld_wish_is_empty(&j->r->wish)
                   ? 0
                   : veld_settings_save(j->machine.state_dir, j->network, &j->settings, diag);
    j->entry.membership = *m;
    return veld_enter_for_more(&j->entry, diag);
}

/* ---- Not yet a member ---- */

/* As asked for; else as before, or as in the request that waits; else by the host. */
static int choose_name(struct joining *j, char out[VELD_LABEL_MAX + 1], struct veld_diag *diag)
{
    struct veld_blob bytes = {0};
    struct veld_join_request request;
    struct veld_diag ignored;
    if (j->r->name)
        return veld_label_typed(j->r->name, "machine", out, diag);
    veld_label_of_machine(out);
    if (j->entry.membership.serial > 0)
        strcpy(out, j->entry.membership.name);
    if (veld_profile_read(j->machine.state_dir, j->network, VELD_PROFILE_REQUEST,
                          VELD_SIGNED_MAX, &bytes, &ignored) == 0 &&
        veld_join_request_read(bytes.p, bytes.len, &request) == 0)
        strcpy(out, request.name);
    veld_blob_clear(&bytes);
    return 0;
}

/* The network's own server, else the one logged in to. */
static int choose_coord(struct joining *j, struct veld_profile_coord *out,
                        struct veld_diag *diag)
{
    int rc = veld_profile_coord_load(j->machine.state_dir, j->network, out, diag);
    if (rc == VELD_E_NOENT)
        rc = veld_profile_coord_load(j->machine.state_dir, NULL, out, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "not logged in to a coord server, which is where network %s is looked "
                         "for: %sveld login --coord HOST:PORT",
                         j->network, geteuid() == 0 ? "sudo " : "");
    return rc;
}

static void tell_entered(const struct joining *j)
{
    const struct veld_entry *e = &j->entry;
    char v4[VELD_IP_STRLEN], v6[VELD_IP_STRLEN];
    struct veld_ip ipv6;
    veld_network_ipv6(e->network.id, e->membership.member, &ipv6);
    if (e->created)
        veld_up_tell_created(&j->machine, &e->network, &e->coord);
    printf("this machine is %s in network %s: %s, %s\n", e->membership.name, e->network.name,
           veld_ip_format(&e->ipv4, v4), veld_ip_format(&ipv6, v6));
}

/* ---- Both ---- */

static int prepare(struct joining *j, struct veld_diag *diag)
{
    struct veld_entry *e = &j->entry;
    int rc = veld_machine_open(&j->machine, j->r->up.state_dir, diag);
    if (rc == 0)
        rc = veld_machine_network(&j->machine, j->r->up.network, NULL, j->network, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "there is no config file, and no network is known on this machine%s; "
                         "join one with veld up --network NAME or veld join TOKEN, or name a "
                         "config file: veld up --config FILE",
                         veld_machine_hint(&j->machine));
    if (rc == 0)
        rc = veld_up_check_rights(diag);
    if (rc == 0)
        rc = veld_machine_identity(&j->machine, diag);
    if (rc == 0)
        rc = veld_settings_load(j->machine.state_dir, j->network, &j->settings, diag);
    if (rc == 0)
        rc = veld_wish_apply(&j->r->wish, &j->settings, diag);
    if (rc == 0)
        rc = load_profile(j, diag);
    if (rc == 0)
        rc = j->is_member ? veld_profile_coord_copy(&e->coord, &j->profile.coord, diag)
                          : choose_coord(j, &e->coord, diag);
    e->machine = &j->machine;
    e->fingerprint = j->r->fingerprint;
    e->settings = j->settings;
    strcpy(e->network_name, j->network);
    return rc;
}

static int enter(struct joining *j, struct veld_diag *diag)
{
    int rc = prepare(j, diag);
    if (rc == 0 && j->is_member) {
        rc = check_member(j, diag);
        return rc < 0 ? rc : widen(j, diag);
    }
    if (rc == 0)
        rc = choose_name(j, j->entry.name, diag);
    if (rc == 0)
        rc = veld_enter_by_name(&j->entry, diag);
    if (rc == 0)
        tell_entered(j);
    return rc;
}

int veld_up_network_check(const struct veld_up_network *r, struct veld_diag *diag)
{
    char name[VELD_LABEL_MAX + 1];
    int rc = r->up.network ? veld_label_typed(r->up.network, "network", name, diag) : 0;
    if (rc == 0 && r->name)
        rc = veld_label_typed(r->name, "machine", name, diag);
    if (rc == 0 && r->fingerprint)
        rc = veld_fingerprint_check(r->fingerprint, diag);
    return rc < 0 ? rc : veld_wish_check(&r->wish, diag);
}

int veld_up_network(const struct veld_up_network *r)
{
    struct veld_diag diag;
    struct joining j = {.r = r};
    int rc = enter(&j, &diag);
    int status = VELD_CLI_FAILED;
    if (rc < 0) {
        veld_cli_fail_diag(&diag);
    } else {
        struct veld_up up = r->up;
        up.network = j.network;
        /* Closed before: the connection's threads have nothing to do with the daemon. */
        veld_rpc_close(j.entry.client);
        j.entry.client = NULL;
        status = veld_up_start(&up);
    }
    veld_entry_clear(&j.entry);
    veld_profile_clear(&j.profile);
    veld_machine_close(&j.machine);
    return status;
}
