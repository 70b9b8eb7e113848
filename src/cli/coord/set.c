#include "base/clock.h"
#include "cli/cli.h"
#include "cli/coord/enter.h"
#include "cli/coord/reload.h"
#include "cli/coord/wish.h"
#include "trust/join_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_ROUTES,
    OPTION_ACCEPT_ROUTES,
    OPTION_LISTEN,
    OPTION_INTERFACE,
    OPTION_MTU,
    OPTION_RELAY,
    OPTION_RELAY_RATE,
    OPTION_MDNS,
    OPTION_PORT_MAPPING,
    OPTION_NETWORK,
    OPTION_STATE_DIR,
};

static bool has_asked(const struct veld_entry *e)
{
    struct veld_blob request = {0};
    struct veld_diag ignored;
    bool asked = veld_profile_read(e->machine->state_dir, e->network_name, VELD_PROFILE_REQUEST,
                                   VELD_SIGNED_MAX, &request, &ignored) == 0;
    veld_blob_clear(&request);
    return asked;
}

/* What others do not take from this machine yet. */
static void print_approval(const struct veld_entry *e)
{
    char code[VELD_JOIN_CODE_STRLEN], grants[VELD_ENTRY_GRANTS_STRLEN];
    if (veld_entry_is_allowed(e))
        return;
    veld_join_code(e->network.id, e->machine->id->pub, code);
    if (has_asked(e))
        printf("  %-14swaiting for approval %s; on the owner's machine or an admin's: veld "
               "approve %s%s\n",
               "", code, code, veld_entry_grants(e, grants));
    else
        printf("  %-14snot all allowed; ask with: veld set%s%s\n", "",
               veld_entry_lacks(e, grants), veld_machine_option(e->machine, e->network_name));
}

static void print_settings(const struct veld_entry *e)
{
    const struct veld_settings *s = &e->settings;
    char listen[VELD_ENDPOINT_STRLEN];
    char *routes = veld_routes_format(s->routes, s->n_routes, ",");
    printf("network %s\n", e->network_name);
    printf("  %-14s%s\n", "routes", routes ? routes : "-");
    printf("  %-14s%s\n", "accept-routes", s->accept_routes ? "yes" : "no");
    printf("  %-14s%s\n", "listen", veld_endpoint_format(&s->listen, listen));
    printf("  %-14s%s\n", "interface", s->interface);
    printf("  %-14s%u\n", "mtu", s->mtu);
    printf("  %-14s%s\n", "relay", s->relay ? "yes" : "no");
    printf("  %-14s%u Mbit/s\n", "relay-rate", s->relay_rate_mbit);
    printf("  %-14s%s\n", "mdns", s->mdns ? "yes" : "no");
    printf("  %-14s%s\n", "port-mapping", s->port_mapping ? "yes" : "no");
    print_approval(e);
    free(routes);
}

static int load(struct veld_entry *e, struct veld_diag *diag)
{
    struct veld_profile p;
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    const char *dir = e->machine->state_dir;
    int rc = veld_machine_identity(e->machine, diag);
    if (rc == 0)
        rc = veld_profile_load(dir, e->network_name, e->machine->id->pub, now_s, &p, diag);
    if (rc < 0)
        return rc;
    e->network = p.network;
    e->membership = p.membership;
    e->ipv4 = p.ipv4;
    rc = veld_profile_coord_copy(&e->coord, &p.coord, diag);
    veld_profile_clear(&p);
    return rc < 0 ? rc : veld_settings_load(dir, e->network_name, &e->settings, diag);
}

/* What was asked for is not wanted any more. The server forgets it by itself. */
static int withdraw(const struct veld_entry *e, struct veld_diag *diag)
{
    if (!has_asked(e))
        return 0;
    int rc =
        veld_profile_unlink(e->machine->state_dir, e->network_name, VELD_PROFILE_REQUEST, diag);
    if (rc == 0)
        puts("the request that waited is withdrawn; veld approve lists it for a day at most");
    return rc;
}

/* What the membership does not allow needs a new one. */
static int change(struct veld_entry *e, const struct veld_wish *w, struct veld_diag *diag)
{
    int rc = veld_wish_apply(w, &e->settings, diag);
    if (rc < 0)
        return rc;
    bool allowed = veld_entry_is_allowed(e);
    if ((w->routes || w->relay) && !allowed)
        return veld_enter_for_more(e, diag);
    rc = veld_settings_save(e->machine->state_dir, e->network_name, &e->settings, diag);
    return rc == 0 && allowed ? withdraw(e, diag) : rc;
}

static void tell_changed(const struct veld_cli *cli, const struct veld_entry *e)
{
    switch (veld_reload_daemon(cli->socket, e->network_name)) {
    case VELD_RELOAD_DONE: puts("in effect now"); break;
    case VELD_RELOAD_NONE: puts("in effect from the next start on"); break;
    case VELD_RELOAD_RESTART:
        printf(
            "in effect from the next start on: sudo veld down && sudo veld up --network %s\n",
            e->network_name);
        break;
    }
}

static int set(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_machine machine;
    struct veld_entry e = {.machine = &machine};
    const struct veld_wish wish = {.routes = cli->option[OPTION_ROUTES],
                                   .accept_routes = cli->option[OPTION_ACCEPT_ROUTES],
                                   .listen = cli->option[OPTION_LISTEN],
                                   .interface = cli->option[OPTION_INTERFACE],
                                   .mtu = cli->option[OPTION_MTU],
                                   .relay = cli->option[OPTION_RELAY],
                                   .relay_rate = cli->option[OPTION_RELAY_RATE],
                                   .mdns = cli->option[OPTION_MDNS],

                                   .port_mapping = cli->option[OPTION_PORT_MAPPING]};
    if (veld_wish_check(&wish, &diag) < 0)
        return veld_cli_fail_diag(&diag), VELD_CLI_USAGE;
    int rc = veld_machine_open(&machine, cli->option[OPTION_STATE_DIR], &diag);
    if (rc == 0)
        rc = veld_machine_network(&machine, cli->option[OPTION_NETWORK], cli->socket,
                                  e.network_name, &diag);
    if (rc == 0)
        rc = load(&e, &diag);
    if (rc == 0 && !veld_wish_is_empty(&wish))
        rc = change(&e, &wish, &diag);
    if (rc == 0) {
        print_settings(&e);
        if (!veld_wish_is_empty(&wish))
            tell_changed(cli, &e);
    }
    veld_entry_clear(&e);
    veld_machine_close(&machine);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_set = {
    .name = "set",
    .arguments = "",
    .summary = "see or change what this machine does in a network",
    .text =
        "Without options: shows the settings. Routes that the membership does not allow yet,\n"
        "and relaying, have to be approved (veld approve CODE --routes ... --relay), unless\n"
        "the owner's key is here.\n",
    .options = {{"routes", '\0', "NET,NET", "networks behind this machine, offered; or none"},
                {"accept-routes", '\0', "yes|no", "use what others offer"},
                {"listen", '\0', "ADDR:PORT", "where to listen"},
                {"interface", '\0', "IF", "the interface"},
                {"mtu", '\0', "N", "its MTU"},
                {"relay", '\0', "yes|no",
                 "forward for members that do not reach each other directly"},
                {"relay-rate", '\0', "N", "Mbit/s spent on that, all together"},
                {"mdns", '\0', "yes|no", "find members on the LAN, and be found"},
                {"port-mapping", '\0', "yes|no", "ask the router for a port mapping"},
                {"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .run = set,
};
