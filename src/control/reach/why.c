#include "control/reach/why.h"

#include "wire/message.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

enum veld_why veld_why(const struct veld_why_facts *f)
{
    bool common = (f->own_v4 && f->peer_v4) || (f->own_v6 && f->peer_v6);
    if (f->presence == VELD_WHY_IS_OFFLINE)
        return VELD_WHY_OFFLINE;
    if (!f->hears_udp && f->asked_stun)
        return VELD_WHY_UDP_BLOCKED;
    if (f->ready > 0) /* a path there is */
        return VELD_WHY_SILENT;
    if (f->refused > 0 && f->asked == 0)
        return VELD_WHY_RELAYS_REFUSE;
    if (f->relays)
        return VELD_WHY_RELAYS_FAIL;
    if (!f->peer_v4 && !f->peer_v6)
        return VELD_WHY_NO_ENDPOINT;
    if (!common)
        return VELD_WHY_NO_COMMON;
    return f->presence == VELD_WHY_IS_ONLINE ? VELD_WHY_NO_RELAY : VELD_WHY_SILENT;
}

const char *veld_why_name(enum veld_why why)
{
    static const char *const names[VELD_WHY_COUNT] = {
        [VELD_WHY_NONE] = "none",
        [VELD_WHY_OFFLINE] = "offline",
        [VELD_WHY_UDP_BLOCKED] = "udp_blocked",
        [VELD_WHY_RELAYS_REFUSE] = "relays_refuse",
        [VELD_WHY_RELAYS_FAIL] = "relays_fail",
        [VELD_WHY_NO_ENDPOINT] = "no_endpoint",
        [VELD_WHY_NO_COMMON] = "no_common_candidate",
        [VELD_WHY_NO_RELAY] = "no_relay",
        [VELD_WHY_SILENT] = "silent",
    };
    return names[why];
}

/* ---- In words ---- */

/* By the clock on the wall when that is enough, else the day. */
static void offline_text(const struct veld_why_facts *f, uint64_t now_s,
                         char out[VELD_WHY_TEXT_STRLEN])
{
    time_t then = (time_t)f->last_seen_s;
    struct tm tm;
    bool today = now_s < f->last_seen_s + DAY_S;
    strcpy(out, "peer offline");
    if (f->last_seen_s && localtime_r(&then, &tm))
        strftime(out, VELD_WHY_TEXT_STRLEN,
                 today ? "peer offline since %H:%M" : "peer offline since %Y-%m-%d", &tm);
}

static const char *refusal_text(uint8_t refusal)
{
    switch (refusal) {
    case VELD_CIRCUIT_FULL: return "relay refuses: it has as many circuits as it takes";
    case VELD_CIRCUIT_UNKNOWN: return "relay refuses: it does not know the peer";
    case VELD_CIRCUIT_INDIRECT: return "relay refuses: it does not reach both directly";
    default: return "relay refuses: it does not relay";
    }
}

const char *veld_why_text(enum veld_why why, const struct veld_why_facts *f, uint64_t now_s,
                          char out[VELD_WHY_TEXT_STRLEN])
{
    static const char *const texts[VELD_WHY_COUNT] = {
        [VELD_WHY_UDP_BLOCKED] = "UDP blocked",
        [VELD_WHY_RELAYS_FAIL] = "no relay leads to it",
        [VELD_WHY_NO_ENDPOINT] = "no known endpoint",
        [VELD_WHY_NO_COMMON] = "no common candidate",
        [VELD_WHY_NO_RELAY] = "no direct path, no relay in the network",
        [VELD_WHY_SILENT] = "peer does not answer",
    };
    if (why == VELD_WHY_OFFLINE)
        offline_text(f, now_s, out);
    else
        snprintf(out, VELD_WHY_TEXT_STRLEN, "%s",
                 why == VELD_WHY_RELAYS_REFUSE ? refusal_text(f->refusal)
                 : texts[why]                  ? texts[why]
                                               : "");
    return out;
}

/* ---- What to do ---- */

static void silent_next(const struct veld_why_facts *f, char out[VELD_WHY_NEXT_STRLEN])
{
    const char *config = f->is_member
                             ? ""
                             : ", and that its config names this machine's key (veld pubkey) "
                               "and the same network secret, if any";
    if (f->at_is_configured)
        snprintf(out, VELD_WHY_NEXT_STRLEN,
                 "see there that veld is up (veld status)%s, and that UDP port %u is open",
                 config, f->at.port);
    else
        snprintf(out, VELD_WHY_NEXT_STRLEN, "see there that veld is up (veld status)%s",
                 config);
}

/* What makes `who`, "a member", one that relays. */
static void relay_next(const struct veld_why_facts *f, const char *before, const char *who,
                       char out[VELD_WHY_NEXT_STRLEN])
{
    snprintf(out, VELD_WHY_NEXT_STRLEN,
             f->has_coord ? "%slet %s relay: veld set --relay yes, there"
                          : "%slet %s relay: relay = true in its config file, and in this "
                            "one's [[peers]] for it",
             before, who);
}

const char *veld_why_next(enum veld_why why, const struct veld_why_facts *f,
                          char out[VELD_WHY_NEXT_STRLEN])
{
    static const char *const nexts[VELD_WHY_COUNT] = {
        [VELD_WHY_OFFLINE] = "start it there: sudo veld up",
        [VELD_WHY_UDP_BLOCKED] =
            "see that the firewall lets UDP out and its answers in: veld netcheck",
        [VELD_WHY_RELAYS_FAIL] = "see on the relays and there: veld netcheck",
        [VELD_WHY_NO_ENDPOINT] =
            "it must call this machine first, or say where it is: give its "
            "endpoint in the config, or see there: veld netcheck",
    };
    switch (why) {
    case VELD_WHY_SILENT: silent_next(f, out); break;
    case VELD_WHY_RELAYS_REFUSE:
        relay_next(f, "", "another machine that both reach", out);
        break;
    case VELD_WHY_NO_COMMON:
        relay_next(f, "one has IPv4 alone and the other IPv6: ", "a machine with both", out);
        break;
    case VELD_WHY_NO_RELAY:
        relay_next(f, "see here and there: veld netcheck; or ", "a machine that both reach",
                   out);
        break;
    default: snprintf(out, VELD_WHY_NEXT_STRLEN, "%s", nexts[why] ? nexts[why] : "");
    }
    return out;
}
