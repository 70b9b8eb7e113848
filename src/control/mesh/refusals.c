#include "control/mesh/refusals.h"

#include "base/err.h"

static const struct {
    const char *name, *text;
} refusals[] = {
#define X(id, name, text) {name, text},
    VELD_REFUSALS(X)
#undef X
};

const char *veld_refusal_name(enum veld_refusal r)
{
    return refusals[r].name;
}

const char *veld_refusal_text(enum veld_refusal r)
{
    return refusals[r].text;
}

bool veld_refusal_is_lie(enum veld_refusal r)
{
    return r == VELD_REFUSAL_MALFORMED || r == VELD_REFUSAL_FORGED || r == VELD_REFUSAL_LEASE ||
           r == VELD_REFUSAL_REVOCATIONS;
}

enum veld_refusal veld_refusal_of(int err)
{
    switch (err) {
    case VELD_E_AUTH: return VELD_REFUSAL_FORGED;
    case VELD_E_PERM: return VELD_REFUSAL_REVOKED;
    case VELD_E_RANGE: return VELD_REFUSAL_EXPIRED;
    case VELD_E_REPLAY: return VELD_REFUSAL_REPLAYED;
    case VELD_E_KEY: return VELD_REFUSAL_KEY;
    case VELD_E_FULL: return VELD_REFUSAL_TOO_MANY;
    default: return VELD_REFUSAL_MALFORMED;
    }
}
