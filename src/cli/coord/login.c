#include "cli/coord/login.h"

#include "cli/cli.h"
#include "cli/coord/ask.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_COORD, OPTION_FINGERPRINT, OPTION_CA, OPTION_STATE_DIR };

/* ---- Which server ---- */

int veld_login_known(const struct veld_machine *m, const char *address,
                     struct veld_profile_coord *out, struct veld_diag *diag)
{
    char **names;
    size_t n;
    int rc = veld_profile_coord_load(m->state_dir, NULL, out, diag);
    if (rc == 0 && strcmp(out->address, address) == 0)
        return 0;
    veld_profile_coord_clear(out);
    if (rc < 0 && rc != VELD_E_NOENT)
        return rc;
    rc = veld_profile_networks(m->state_dir, &names, &n, diag);
    if (rc < 0)
        return rc;
    rc = VELD_E_NOENT;
    for (size_t i = 0; i < n && rc == VELD_E_NOENT; i++) {
        rc = veld_profile_coord_load(m->state_dir, names[i], out, diag);
        if (rc == 0 && strcmp(out->address, address) != 0) {
            veld_profile_coord_clear(out);
            rc = VELD_E_NOENT;
        }
    }
    veld_names_free(names, n);
    return rc;
}

static int fail_address(const char *text, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_FORMAT,
                     "\"%.100s\" is no address of a server; write HOST or HOST:PORT, as in "
                     "coord.example.org:%d or [2001:db8::1]:%d",
                     text, VELD_COORD_PORT, VELD_COORD_PORT);
}

static int choose_address(const struct veld_machine *m, const char *option,
                          char out[VELD_COORD_TEXT_MAX], struct veld_diag *diag)
{
    struct veld_profile_coord known;
    const char *wanted = option ? option : VELD_MANAGED_COORD;
    if (wanted[0]) {
        if (veld_host_port_parse(wanted, VELD_COORD_PORT, out) < 0)
            return fail_address(wanted, diag);
        if (!option)
            fprintf(stderr,
                    "using %s, the coord server of this build; pass another with "
                    "--coord HOST:PORT\n",
                    out);
        return 0;
    }
    int rc = veld_profile_coord_load(m->state_dir, NULL, &known, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "which coord server? Pass --coord HOST:PORT, with the address where "
                         "veld-coord runs; anybody can run one: veld-coord --db FILE");
    if (rc < 0)
        return rc;
    strcpy(out, known.address);
    veld_profile_coord_clear(&known);
    fprintf(stderr,
            "using %s, where this machine is logged in; pass another with --coord "
            "HOST:PORT\n",
            out);
    return 0;
}

/* ---- Whether to trust what it shows ---- */

static int fail_mismatch(const char *address, const uint8_t shown[32], const char *wanted,
                         struct veld_diag *diag)
{
    char text[VELD_CERTIFICATE_STRLEN];
    return veld_fail(diag, VELD_E_AUTH,
                     "%s shows another certificate than --fingerprint says: %s, not %s. "
                     "Somebody may be between you and the server; compare with what veld-coord "
                     "printed there",
                     address, veld_certificate_format(shown, text), wanted);
}

static int fail_changed(const char *address, const uint8_t shown[32],
                        const struct veld_profile_coord *known, struct veld_diag *diag)
{
    char now[VELD_CERTIFICATE_STRLEN], before[VELD_CERTIFICATE_STRLEN];
    veld_certificate_format(shown, now);
    veld_certificate_format(known->certificate, before);
    return veld_fail(diag, VELD_E_KEY,
                     "the certificate of %s has changed: it was %s, and is %s. Somebody may be "
                     "between you and the server. If it has a new one, as veld-coord prints "
                     "there, accept it with: veld login --coord %s --fingerprint %s",
                     address, before, now, address, now);
}

/* As ssh asks for a host's key. */
static int ask_trust(const char *address, const uint8_t shown[32], struct veld_diag *diag)
{
    char text[VELD_CERTIFICATE_STRLEN], question[512];
    veld_certificate_format(shown, text);
    if (!veld_can_ask())
        return veld_fail(diag, VELD_E_STATE,
                         "%s is not known yet, and there is no terminal to ask at: pass "
                         "--fingerprint with what veld-coord printed there (the server shows "
                         "%s), or --ca FILE",
                         address, text);
    snprintf(question, sizeof question,
             "The certificate of %s is\n  %s\nCompare it with what veld-coord printed there. "
             "Trust it?",
             address, text);
    if (!veld_ask(question))
        return veld_fail(diag, VELD_E_PERM, "not logged in: the certificate was not trusted");
    return 0;
}

/* What was asked for at the command line, what is known, and what the server showed. */
struct login {
    struct veld_machine machine;
    const char *fingerprint;
    struct veld_profile_coord known; /* of this address; empty: not known */
    struct veld_profile_coord seen;
    bool again; /* known already, and the same */
};

static int fail_fingerprint(const char *text, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_FORMAT,
                     "\"%.100s\" is no fingerprint of a certificate; it is SHA256: and 43 "
                     "characters, as veld-coord prints it",
                     text);
}

static int check_forms(const struct veld_cli *cli, struct veld_diag *diag)
{
    const char *coord = cli->option[OPTION_COORD];
    const char *fingerprint = cli->option[OPTION_FINGERPRINT];
    char address[VELD_COORD_TEXT_MAX];
    uint8_t certificate[32];
    if (coord && veld_host_port_parse(coord, VELD_COORD_PORT, address) < 0)
        return fail_address(coord, diag);
    if (fingerprint && veld_certificate_parse(fingerprint, certificate) < 0)
        return fail_fingerprint(fingerprint, diag);
    return 0;
}

static int check_fingerprint(const struct login *l, struct veld_diag *diag)
{
    uint8_t wanted[32];
    if (veld_certificate_parse(l->fingerprint, wanted) < 0)
        return fail_fingerprint(l->fingerprint, diag);
    if (!veld_equal(wanted, l->seen.certificate, sizeof wanted))
        return fail_mismatch(l->seen.address, l->seen.certificate, l->fingerprint, diag);
    return 0;
}

static int decide(struct login *l, struct veld_diag *diag)
{
    const uint8_t *shown = l->seen.certificate;
    bool is_known = l->known.address[0];
    l->again = is_known && veld_equal(l->known.certificate, shown, 32);
    if (l->fingerprint)
        return check_fingerprint(l, diag);
    if (l->seen.ca_path || l->again)
        return 0;
    return is_known ? fail_changed(l->seen.address, shown, &l->known, diag)
                    : ask_trust(l->seen.address, shown, diag);
}

/* ---- Keeping it ---- */

/* Networks that use this server go by its new certificate too. */
static int update_networks(const struct login *l, struct veld_diag *diag)
{
    char **names;
    size_t n;
    int rc = veld_profile_networks(l->machine.state_dir, &names, &n, diag);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct veld_profile_coord c;
        rc = veld_profile_coord_load(l->machine.state_dir, names[i], &c, diag);
        if (rc == VELD_E_NOENT) {
            rc = 0;
            continue;
        }
        bool changed = rc == 0 && strcmp(c.address, l->seen.address) == 0 &&
                       !veld_equal(c.certificate, l->seen.certificate, 32);
        if (changed)
            rc = veld_profile_coord_save(l->machine.state_dir, names[i], &l->seen, diag);
        if (changed && rc == 0)
            printf("network %s goes by the new certificate from its next start on: %sveld down "
                   "&& %sveld up --network %s\n",
                   names[i], veld_machine_sudo(&l->machine), veld_machine_sudo(&l->machine),
                   names[i]);
        veld_profile_coord_clear(&c);
    }
    veld_names_free(names, n);
    return rc;
}

static int greet(struct login *l, struct veld_diag *diag)
{
    struct veld_rpc_client *client;
    struct veld_coord_hello hello;
    char text[VELD_CERTIFICATE_STRLEN];
    int rc = veld_connect(&client, &l->seen, diag);
    if (rc == 0)
        rc = veld_connect_hello(client, &hello, diag);
    veld_rpc_close(client);
    if (rc == 0)
        rc = veld_profile_coord_save(l->machine.state_dir, NULL, &l->seen, diag);
    if (rc < 0)
        return rc;
    printf("%s %s (veld-coord %s)\n", l->again ? "already logged in to" : "logged in to",
           l->seen.address, hello.version);
    printf("  certificate %s%s\n", veld_certificate_format(l->seen.certificate, text),
           l->seen.ca_path ? " (by its CA)" : " (pinned)");
    return update_networks(l, diag);
}

/* By the CA that is named now, else the one that was before, unless a fingerprint says more. */
static int choose_ca(struct login *l, const char *path, struct veld_diag *diag)
{
    if (!path && !l->fingerprint)
        path = l->known.ca_path;
    if (!path)
        return 0;
    l->seen.ca_path = realpath(path, NULL);
    return l->seen.ca_path ? 0
                           : veld_fail(diag, VELD_E_NOENT, "cannot read the CA file %s: %s",
                                       path, strerror(errno));
}

static int log_in(struct login *l, const struct veld_cli *cli, struct veld_diag *diag)
{
    int rc = veld_machine_open(&l->machine, cli->option[OPTION_STATE_DIR], diag);
    if (rc == 0)
        rc = choose_address(&l->machine, cli->option[OPTION_COORD], l->seen.address, diag);
    if (rc < 0)
        return rc;
    rc = veld_login_known(&l->machine, l->seen.address, &l->known, diag);
    if (rc == 0 || rc == VELD_E_NOENT)
        rc = choose_ca(l, cli->option[OPTION_CA], diag);
    if (rc == 0)
        rc = veld_connect_probe(l->seen.address, l->seen.ca_path, l->seen.certificate, diag);
    if (rc == 0)
        rc = decide(l, diag);
    return rc < 0 ? rc : greet(l, diag);
}

static int login(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct login l = {.fingerprint = cli->option[OPTION_FINGERPRINT]};
    if (check_forms(cli, &diag) < 0)
        return veld_cli_fail_diag(&diag), VELD_CLI_USAGE;
    int rc = log_in(&l, cli, &diag);
    if (rc == 0 && geteuid() != 0 && !l.machine.named)
        printf(
            "This is kept for you as a user, in %s. The machine's own login, which sudo veld "
            "up goes by, is made with: sudo veld login --coord %s\n",
            l.machine.state_dir, l.seen.address);
    else if (rc == 0)
        puts("next: veld up --network NAME");
    veld_profile_coord_clear(&l.known);
    veld_profile_coord_clear(&l.seen);
    veld_machine_close(&l.machine);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_login = {
    .name = "login",
    .arguments = "",
    .summary = "trust a coord server, by which networks are found",
    .text =
        "Shows the fingerprint of the server's certificate and asks once, as ssh does; the\n"
        "certificate is then pinned. veld-coord prints its fingerprint when it starts. A\n"
        "join token (veld join) carries it: no login is needed before.\n"
        "Without --coord: the server of this build, if it has one, else the one logged in\n"
        "to before.\n",
    .options = {{"coord", '\0', "HOST[:PORT]", "the server (port 50051 when none is given)"},
                {"fingerprint", '\0', "SHA256:...",
                 "trust this certificate and no other; does not ask"},
                {"ca", '\0', "FILE",
                 "go by these CAs (PEM) and the host's name instead of a pin"},
                {"state-dir", '\0', "DIR", "where it is kept"}},
    .run = login,
};
