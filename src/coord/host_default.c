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
        [VELD_COORD_OFFLINE] = "offline",
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

/* What comes with every look at a network would bury the rest. */
static enum veld_log_level level_of(enum veld_coord_act act)
{
    switch (act) {
    case VELD_COORD_REGISTER:
    case VELD_COORD_WATCH:
    case VELD_COORD_SIGNAL:
    case VELD_COORD_OFFLINE: return VELD_LOG_DEBUG;
    default: return VELD_LOG_INFO;
    }
}

/* A field that does not apply is left out. */
static void audit(void *ctx, const struct veld_coord_deed *deed)
{
    enum veld_log_level level = level_of(deed->act);
    char caller[VELD_PUBKEY_STRLEN], member[VELD_PUBKEY_STRLEN], from[VELD_IP_STRLEN];
    struct veld_field fields[VELD_EVENT_FIELDS_MAX];
    size_t n = 0;
    if (!veld_log_is_on(level))
        return;
    fields[n++] = VELD_TEXT("act", veld_coord_act_name(deed->act));
    if (deed->network)
        fields[n++] = VELD_TEXT("network", deed->network->name);
    if (deed->member) {
        veld_pubkey_format(deed->member->member, member);
        if (deed->member->name[0])
            fields[n++] = VELD_TEXT("name", deed->member->name);
        fields[n++] = VELD_TEXT("member", member);
    }
    if (deed->caller) { /* else it is the server's own doing */
        veld_pubkey_format(deed->caller, caller);
        fields[n++] = VELD_TEXT("caller", caller);
        fields[n++] = VELD_TEXT("from", veld_ip_format(&deed->from, from));
    }
    fields[n++] = VELD_NUMBER("members", deed->members);
    veld_event_write(level, "audit", fields, n);
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
