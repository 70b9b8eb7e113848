#include "control/lan/pending.h"

#include "base/bytes.h"
#include "control/lan/derive.h"
#include "crypto/identity.h"

#include <string.h>
#include <strings.h>

#define DIGITS_MIN (4 * VELD_LAN_NAME_GROUPS) /* as many as a name has */

static size_t index_of(const struct veld_lan_pending *p, const uint8_t pub[32])
{
    size_t i = 0;
    while (i < p->n && memcmp(p->found[i].pub, pub, sizeof p->found[i].pub) != 0)
        i++;
    return i;
}

static void remove_at(struct veld_lan_pending *p, size_t i)
{
    p->n--;
    memmove(&p->found[i], &p->found[i + 1], (p->n - i) * sizeof p->found[0]);
}

void veld_lan_pending_put(struct veld_lan_pending *p, const uint8_t pub[32],
                          const struct veld_endpoint *list, size_t n, uint64_t now_s)
{
    size_t i = index_of(p, pub);
    if (i == VELD_LAN_PENDING_MAX) {
        remove_at(p, 0);
        p->dropped++;
        i = p->n;
    }
    struct veld_lan_found *f = &p->found[i];
    if (i == p->n) {
        *f = (struct veld_lan_found){.since_s = now_s};
        memcpy(f->pub, pub, sizeof f->pub);
        p->n++;
    }
    f->n = VELD_MIN(n, VELD_CANDIDATES_MAX);
    memcpy(f->list, list, f->n * sizeof *list);
}

void veld_lan_pending_remove(struct veld_lan_pending *p, const uint8_t pub[32])
{
    size_t i = index_of(p, pub);
    if (i < p->n)
        remove_at(p, i);
}

static bool is_called(const struct veld_lan_found *f, const char *text)
{
    char name[VELD_LAN_NAME_STRLEN], key[VELD_PUBKEY_STRLEN],
        fingerprint[VELD_FINGERPRINT_STRLEN];
    veld_pubkey_format(f->pub, key);
    veld_pubkey_fingerprint(f->pub, fingerprint);
    size_t len = strlen(text);
    return strcasecmp(text, veld_lan_name(f->pub, name)) == 0 || strcmp(text, key) == 0 ||
           (len >= DIGITS_MIN && len < sizeof fingerprint &&
            strncasecmp(text, fingerprint, len) == 0);
}

int veld_lan_pending_find(const struct veld_lan_pending *p, const char *text,
                          const struct veld_lan_found **out)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (!is_called(&p->found[i], text))
            continue;
        *out = &p->found[i];
        n++;
    }
    return n == 1 ? 0 : n ? VELD_E_STATE : VELD_E_NOENT;
}
