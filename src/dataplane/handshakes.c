#include "dataplane/handshakes.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

#include <stdlib.h>

int veld_handshakes_init(struct veld_handshakes *h)
{
    atomic_init(&h->cookies, NULL);
    h->awaited = calloc(VELD_SESSIONS_MAX, sizeof *h->awaited);
    return h->awaited ? 0 : VELD_E_NOMEM;
}

static void cookies_free(struct veld_cookies *c)
{
    if (!c)
        return;
    veld_wipe(c, sizeof *c);
    free(c);
}

void veld_handshakes_free(struct veld_handshakes *h)
{
    cookies_free(atomic_load_explicit(&h->cookies, memory_order_relaxed));
    free(h->awaited);
    h->awaited = NULL;
}

static void reclaim(struct veld_rcu *rcu)
{
    cookies_free(VELD_CONTAINER_OF(rcu, struct veld_cookies, rcu));
}

int veld_handshakes_set_cookies(struct veld_handshakes *h, const struct veld_cookie_checker *c)
{
    struct veld_cookies *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return VELD_E_NOMEM;
    fresh->checker = *c;
    struct veld_cookies *old = atomic_load_explicit(&h->cookies, memory_order_relaxed);
    atomic_store_explicit(&h->cookies, fresh, memory_order_release);
    if (old)
        veld_rcu_retire(&old->rcu, reclaim);
    return 0;
}
