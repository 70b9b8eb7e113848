#include "base/clock.h"
#include "cli/coord/enter_impl.h"
#include "cli/coord/wish.h"
#include "trust/join_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_US 200000

/* ---- The request, the same one again while nothing of it changes ---- */

static bool is_same(const struct veld_join_request *a, const struct veld_entry *e)
{
    bool same = memcmp(a->network_id, e->network.id, sizeof a->network_id) == 0 &&
                memcmp(a->member, e->machine->id->pub, sizeof a->member) == 0 &&
                strcmp(a->name, e->name) == 0 && a->n_routes == e->settings.n_routes &&
                a->relay == e->settings.relay;
    for (size_t i = 0; same && i < a->n_routes; i++)
        same = a->routes[i].len == e->settings.routes[i].len &&
               veld_ip_equal(&a->routes[i].ip, &e->settings.routes[i].ip);
    return same;
}

/* The one that was filed before; a broken one is made anew: nothing is lost by it. */
static bool load_request(const struct veld_entry *e, struct veld_blob *out)
{
    struct veld_join_request r;
    struct veld_diag ignored;
    return veld_profile_read(e->machine->state_dir, e->network_name, VELD_PROFILE_REQUEST,
                             VELD_SIGNED_MAX, out, &ignored) == 0 &&
           veld_join_request_read(out->p, out->len, &r) == 0 && is_same(&r, e);
}

static int make_request(const struct veld_entry *e, struct veld_blob *out,
                        struct veld_diag *diag)
{
    struct veld_join_request r = {.n_routes = e->settings.n_routes,
                                  .relay = e->settings.relay,
                                  .created_s = veld_enter_now_s()};
    if (load_request(e, out))
        return 0;
    memcpy(r.network_id, e->network.id, sizeof r.network_id);
    memcpy(r.member, e->machine->id->pub, sizeof r.member);
    memcpy(r.routes, e->settings.routes, sizeof r.routes);
    strcpy(r.name, e->name);
    int rc = veld_join_request_sign(out, e->machine->id->seed, &r);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot sign the request: %s", veld_strerror(rc));
    return veld_profile_write(e->machine->state_dir, e->network_name, VELD_PROFILE_REQUEST,
                              out->p, out->len, diag);
}

/* ---- Waiting ---- */

static void tell_waiting(const struct veld_entry *e)
{
    char code[VELD_JOIN_CODE_STRLEN], text[VELD_NETWORK_TEXT_STRLEN];
    char grants[VELD_ENTRY_GRANTS_STRLEN];
    veld_join_code(e->network.id, e->machine->id->pub, code);
    char *routes = veld_routes_format(e->settings.routes, e->settings.n_routes, ",");
    bool offers = e->settings.n_routes > 0 && routes;
    if (e->for_more)
        printf("asked to %s%s%s%s in network %s as %s\n", offers ? "offer " : "",
               offers ? routes : "", offers && e->settings.relay ? ", and to " : "",
               e->settings.relay ? "relay for others" : "", e->network_name, e->name);
    else
        printf("asked to be let into network %s as %s\n", e->network_name, e->name);
    printf("  network's fingerprint  %s\n", veld_network_text(e->network.id, text));
    printf("approve with: veld approve %s%s\n", code, veld_entry_grants(e, grants));
    puts("on the machine that made the network, or an admin's; it shows the same "
         "fingerprint.");
    if (!e->for_more)
        puts("If nobody can approve it, the name is somebody else's: choose another one.");
    puts("Waiting. Ctrl-C is fine: the same command goes on with the same request.");
    fflush(stdout);
    free(routes);
}

/* Somebody is likely to look at both screens at first. */
static unsigned poll_s(uint64_t waited_s)
{
    return waited_s < 30 ? 1 : waited_s < 120 ? 2 : 5;
}

static void pause_for(struct veld_progress *p, unsigned seconds)
{
    uint64_t end = veld_clock_mono_ns() + seconds * VELD_NS_PER_S;
    while (veld_clock_mono_ns() < end) {
        veld_progress_tick(p);
        usleep(TICK_US);
    }
}

/* An answer to what was asked before this request is none to it. */
static bool is_old(const struct veld_entry *e, const struct veld_blob *chain)
{
    struct veld_membership m;
    return e->membership.serial > 0 &&
           veld_membership_read(chain->p, chain->len, e->network.id, NULL, 0, &m) == 0 &&
           m.serial <= e->membership.serial;
}

static int ask_once(struct veld_entry *e, const struct veld_blob *request,
                    enum veld_coord_join *state, struct veld_blob *chain,
                    struct veld_diag *diag)
{
    const struct veld_rpc_key key = veld_enter_key(e);
    *state = VELD_JOIN_WAITING;
    int rc = veld_coord_request_join(e->client, &key, request, state, chain, diag);
    if (rc == 0 && *state == VELD_JOIN_APPROVED && is_old(e, chain))
        *state = VELD_JOIN_WAITING;
    return rc;
}

/* A server that is away for a while is waited for, too. */
static int wait_for_answer(struct veld_entry *e, const struct veld_blob *request,
                           struct veld_blob *chain, struct veld_diag *diag)
{
    enum veld_coord_join state;
    int rc = VELD_ASKING(ask_once(e, request, &state, chain, diag));
    if (rc < 0)
        return rc;
    if (state == VELD_JOIN_WAITING)
        tell_waiting(e);
    struct veld_progress progress =
        veld_progress_begin(e->for_more ? "waiting for approval" : "waiting to be let in");
    const uint64_t start_ns = progress.start_ns;
    bool away = false;
    while ((rc == 0 && state == VELD_JOIN_WAITING) || rc == VELD_E_IO) {
        if (rc == VELD_E_IO && !away) {
            veld_progress_end(&progress);
            fprintf(stderr, "veld: %s; trying again\n", diag->text);
            progress = veld_progress_begin(progress.what);
        }
        away = rc == VELD_E_IO;
        uint64_t waited_s = (veld_clock_mono_ns() - start_ns) / VELD_NS_PER_S;
        pause_for(&progress, poll_s(waited_s));
        rc = ask_once(e, request, &state, chain, diag);
    }
    veld_progress_end(&progress);
    if (rc == 0 && state == VELD_JOIN_REFUSED)
        rc = veld_fail(diag, VELD_E_PERM,
                       "the request to %s network %s was refused; ask its owner, then try "
                       "again",
                       e->for_more ? "do more in" : "be let into", e->network_name);
    return rc;
}

int veld_enter_by_request(struct veld_entry *e, struct veld_diag *diag)
{
    struct veld_diag ignored;
    struct veld_blob request = {0}, chain = {0};
    /* Known from now on, so that the same command alone goes on. */
    int rc = veld_profile_coord_save(e->machine->state_dir, e->network_name, &e->coord, diag);
    if (rc == 0)
        rc = veld_settings_save(e->machine->state_dir, e->network_name, &e->settings, diag);
    if (rc == 0)
        rc = make_request(e, &request, diag);
    if (rc == 0)
        rc = wait_for_answer(e, &request, &chain, diag);
    if (rc == VELD_E_PERM) /* answered: the next one is a new one */
        (void)!veld_profile_unlink(e->machine->state_dir, e->network_name, VELD_PROFILE_REQUEST,
                                   &ignored);
    if (rc == 0)
        rc = veld_enter_finish(e, &chain, diag);
    veld_blob_clear(&request);
    veld_blob_clear(&chain);
    return rc;
}
