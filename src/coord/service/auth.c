#include "coord/service/auth.h"

#include "base/bytes.h"
#include "coord/service/impl.h"

#include <stdio.h>
#include <time.h>

#define SERVICE "/veld.coord.v1.Coord/"

void veld_auth_admit(struct veld_coord_call *c)
{
    uint8_t key[VELD_ADDRESS_KEY];
    veld_address_key(&c->request->from, key);
    if (!veld_rates_take(c->s->calls_by_address, key, sizeof key, c->now->mono_ns))
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "too many calls come from this address; try again in a while");
}

static void utc(uint64_t ns, char out[32])
{
    time_t s = (time_t)(ns / VELD_NS_PER_S);
    struct tm tm;
    if (ns / VELD_NS_PER_S > UINT32_MAX || !gmtime_r(&s, &tm))
        snprintf(out, 32, "%llu s", ns / VELD_NS_PER_S);
    else
        strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

static void check_time(struct veld_coord_call *c, uint64_t time_ns)
{
    uint64_t server = c->now->wall_ns;
    uint64_t apart = time_ns > server ? time_ns - server : server - time_ns;
    char theirs[32], ours[32];
    if (apart <= VELD_CALL_TIME_S * VELD_NS_PER_S)
        return;
    utc(time_ns, theirs);
    utc(server, ours);
    veld_call_fail(c, VELD_CODE_UNAUTHENTICATED,
                   "your clock says %s and the server's %s: yours is %llu s %s. Set the "
                   "one that is wrong (timedatectl set-ntp true)",
                   theirs, ours, apart / VELD_NS_PER_S, time_ns > server ? "ahead" : "behind");
}

static void check_nonce(struct veld_coord_call *c, const struct veld_rpc_auth *a)
{
    switch (veld_nonces_add(c->s->nonces, a, c->now->mono_ns)) {
    case 0: return;
    case VELD_E_REPLAY:
        veld_call_fail(c, VELD_CODE_UNAUTHENTICATED,
                       "this call was made before: each needs a nonce of its own");
        return;
    default:
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "the server has had too many calls; try again in some minutes");
    }
}

void veld_auth_prove(struct veld_coord_call *c)
{
    const struct veld_service_request *r = c->request;
    struct veld_rpc_auth a;
    char method[64];
    if (!r->auth) {
        veld_call_fail(c, VELD_CODE_UNAUTHENTICATED,
                       "this call needs a signature: the metadata veld-auth-bin is missing");
        return;
    }
    snprintf(method, sizeof method, SERVICE "%s", c->method->name);
    if (veld_rpc_verify(r->auth, r->auth_len, method, c->s->cfg.certificate, r->body, r->len,
                        &a) < 0) {
        c->s->stats.signatures_refused++;
        veld_call_fail(c, VELD_CODE_UNAUTHENTICATED,
                       "the signature over this call does not hold. If the server has a new "
                       "certificate, log in again (veld login)");
        return;
    }
    check_time(c, a.time_ns);
    if (veld_call_is_ok(c) &&
        !veld_rates_take(c->s->calls_by_key, a.key, sizeof a.key, c->now->mono_ns))
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "too many calls are made with this key; try again in a while");
    if (veld_call_is_ok(c))
        check_nonce(c, &a);
    if (veld_call_is_ok(c))
        memcpy(c->caller, a.key, sizeof c->caller);
}
