#include "control/reach/why.h"

#include "base/bytes.h"
#include "wire/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A member that is online, reachable as far as anybody knows, in a network without relays. */
static struct veld_why_facts facts(void)
{
    struct veld_why_facts f = {.is_member = true,
                               .has_coord = true,
                               .presence = VELD_WHY_IS_ONLINE,
                               .last_seen_s = 1000,
                               .hears_udp = true,
                               .asked_stun = true,
                               .own_v4 = true,
                               .peer_v4 = true};
    cr_assert_eq(veld_endpoint_parse("192.0.2.1:4500", &f.at), 0);
    return f;
}

static const char *text(const struct veld_why_facts *f, uint64_t now_s)
{
    static char out[VELD_WHY_TEXT_STRLEN];
    return veld_why_text(veld_why(f), f, now_s, out);
}

static const char *next(const struct veld_why_facts *f)
{
    static char out[VELD_WHY_NEXT_STRLEN];
    return veld_why_next(veld_why(f), f, out);
}

static void expect(const struct veld_why_facts *f, const char *name, const char *words,
                   const char *command)
{
    cr_expect_str_eq(veld_why_name(veld_why(f)), name);
    cr_expect_str_eq(text(f, 2000), words);
    cr_expect_not_null(strstr(next(f), command), "%s", next(f));
}

Test(why, offline_before_all_else)
{
    struct veld_why_facts f = facts();
    setenv("TZ", "UTC0", 1);
    tzset();
    f.presence = VELD_WHY_IS_OFFLINE;
    f.hears_udp = f.own_v4 = f.peer_v4 = false;
    f.relays = true;
    f.refused = 1;
    f.last_seen_s = 14 * 3600 + 3 * 60;
    cr_expect_str_eq(text(&f, f.last_seen_s + 60), "peer offline since 14:03");
    cr_expect_str_eq(text(&f, f.last_seen_s + 86400), "peer offline since 1970-01-01");
    f.last_seen_s = 0;
    expect(&f, "offline", "peer offline", "veld up");
}

Test(why, udp_blocked)
{
    struct veld_why_facts f = facts();
    f.hears_udp = false;
    f.relays = true;
    expect(&f, "udp_blocked", "UDP blocked", "veld netcheck");
    f.asked_stun = false; /* then nobody knows */
    cr_expect_neq(veld_why(&f), VELD_WHY_UDP_BLOCKED);
}

Test(why, relays)
{
    struct veld_why_facts f = facts();
    expect(&f, "no_relay", "no direct path, no relay in the network", "veld set --relay yes");
    cr_expect_null(strstr(next(&f), "port"), "it is a NAT's: %s", next(&f));
    f.relays = true;
    expect(&f, "relays_fail", "no relay leads to it", "veld netcheck");
    f.refused = 1;
    f.refusal = VELD_CIRCUIT_FULL;
    expect(&f, "relays_refuse", "relay refuses: it has as many circuits as it takes",
           "veld set --relay yes");
    f.refusal = VELD_CIRCUIT_INDIRECT;
    cr_expect_str_eq(text(&f, 0), "relay refuses: it does not reach both directly");
    f.refusal = VELD_CIRCUIT_UNKNOWN;
    cr_expect_str_eq(text(&f, 0), "relay refuses: it does not know the peer");
    f.refusal = VELD_CIRCUIT_NO;
    cr_expect_str_eq(text(&f, 0), "relay refuses: it does not relay");
    f.asked = 1; /* another one may still say yes */
    expect(&f, "relays_fail", "no relay leads to it", "veld netcheck");
    f.ready = 1;
    expect(&f, "silent", "peer does not answer", "veld status");
}

Test(why, candidates)
{
    struct veld_why_facts f = facts();
    f.peer_v4 = false;
    expect(&f, "no_endpoint", "no known endpoint", "veld netcheck");
    f.peer_v6 = true;
    expect(&f, "no_common_candidate", "no common candidate", "veld set --relay yes");
    f.own_v6 = true;
    cr_expect_neq(veld_why(&f), VELD_WHY_NO_COMMON);
    f.own_v6 = false;
    f.relays = true; /* with both families, maybe */
    expect(&f, "relays_fail", "no relay leads to it", "veld netcheck");
}

Test(why, the_rest)
{
    struct veld_why_facts f = facts();
    f.presence = VELD_WHY_UNKNOWN;
    expect(&f, "silent", "peer does not answer", "veld status");
    cr_expect_null(strstr(next(&f), "port"), "it may be a NAT's: %s", next(&f));
    cr_expect_null(strstr(next(&f), "veld pubkey"));
    f.is_member = false;
    cr_expect_not_null(strstr(next(&f), "veld pubkey"));
    f.at_is_configured = true;
    expect(&f, "silent", "peer does not answer", "UDP port 4500 is open");
}

/* Where no coord server is, a relay is made by config files. */
Test(why, how_a_relay_is_made)
{
    static const enum veld_why reasons[] = {VELD_WHY_RELAYS_REFUSE, VELD_WHY_NO_COMMON,
                                            VELD_WHY_NO_RELAY};
    struct veld_why_facts f = facts();
    for (size_t i = 0; i < VELD_ARRAY_LEN(reasons); i++) {
        char command[VELD_WHY_NEXT_STRLEN];
        f.has_coord = true;
        veld_why_next(reasons[i], &f, command);
        cr_expect_not_null(strstr(command, "relay: veld set --relay yes, there"), "%s",
                           command);
        f.has_coord = false;
        veld_why_next(reasons[i], &f, command);
        cr_expect_null(strstr(command, "veld set"), "%s", command);
        cr_expect_not_null(strstr(command, "[[peers]] for it"), "%s", command);
    }
}

/* Whatever is known: words that fit, a command, and a name of their own. */
Test(why, each_has_words)
{
    struct veld_why_facts f = facts();
    for (unsigned i = 0; i < VELD_WHY_COUNT; i++) {
        char words[VELD_WHY_TEXT_STRLEN], command[VELD_WHY_NEXT_STRLEN];
        veld_why_text(i, &f, 0, words);
        veld_why_next(i, &f, command);
        cr_expect_eq(words[0] == '\0', i == VELD_WHY_NONE);
        cr_expect_eq(strstr(command, "veld ") == NULL, i == VELD_WHY_NONE);
        cr_expect_lt(strlen(words), sizeof words - 1);
        cr_expect_lt(strlen(command), sizeof command - 1);
        for (unsigned k = 0; k < i; k++)
            cr_expect_neq(strcmp(veld_why_name(i), veld_why_name(k)), 0);
    }
}
