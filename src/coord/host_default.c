#include "coord/host.h"

#include "base/bytes.h"
#include "coord/log.h"
#include "crypto/identity.h"

const char *veld_coord_act_name(enum veld_coord_act act)
{
    static const char *const names[] = {
        [VELD_COORD_CREATE_NETWORK] = "create-network",
        [VELD_COORD_JOIN] = "join",
        [VELD_COORD_REGISTER] = "register",
        [VELD_COORD_WATCH] = "watch",
        [VELD_COORD_SIGNAL] = "signal",
        [VELD_COORD_LEAVE] = "leave",
        [VELD_COORD_REQUEST_JOIN] = "request-join",
        [VELD_COORD_ANSWER_JOIN] = "answer-join",
        [VELD_COORD_REVOKE] = "revoke",
        [VELD_COORD_REMOVE] = "remove",
    };
    return (size_t)act < VELD_ARRAY_LEN(names) ? names[act] : "unknown";
}

static uint64_t account_of(void *ctx, const uint8_t caller[32], struct veld_ip from)
{
    return 0;
}

static int allow(void *ctx, const struct veld_coord_deed *deed, struct veld_diag *diag)
{
    return 0;
}

static bool route_allowed(void *ctx, const struct veld_network *network,
                          const struct veld_membership *member, const struct veld_prefix *route)
{
    return true;
}

static void audit(void *ctx, const struct veld_coord_deed *deed)
{
    /* What comes with every look at a network would bury the rest. */
    enum veld_log_level level = deed->act == VELD_COORD_WATCH ||
                                        deed->act == VELD_COORD_SIGNAL ||
                                        deed->act == VELD_COORD_REGISTER
                                    ? VELD_LOG_DEBUG
                                    : VELD_LOG_INFO;
    char caller[VELD_PUBKEY_STRLEN] = "-", member[VELD_PUBKEY_STRLEN] = "-";
    char from[VELD_IP_STRLEN];
    if (!veld_log_is_on(level))
        return;
    if (deed->caller)
        veld_pubkey_format(deed->caller, caller);
    if (deed->member)
        veld_pubkey_format(deed->member->member, member);
    veld_event(level, "audit", VELD_TEXT("act", veld_coord_act_name(deed->act)),
               VELD_TEXT("network", deed->network ? deed->network->name : "-"),
               VELD_TEXT("name", deed->member ? deed->member->name : "-"),
               VELD_TEXT("member", member), VELD_TEXT("caller", caller),
               VELD_TEXT("from", veld_ip_format(&deed->from, from)),
               VELD_NUMBER("members", deed->members));
}

static int start(void *ctx, struct veld_diag *diag)
{
    return 0;
}

static void stop(void *ctx)
{
}

const struct veld_coord_host veld_coord_host_default = {
    .account_of = account_of,
    .allow = allow,
    .route_allowed = route_allowed,
    .audit = audit,
    .start = start,
    .stop = stop,
};
