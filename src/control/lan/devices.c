#include "control/lan/devices.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "wire/datagram.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_LOOK  (VELD_NS_PER_S / VELD_LAN_LOOKS_PER_S)
#define PUB_TEXT_LEN 44 /* base64 of 32 bytes */

struct sighting {
    bool used, described;
    uint16_t port;
    struct veld_lan_link link;
    uint64_t since_ns;
    uint8_t pub[32];
    size_t n;
    struct veld_ip ip[VELD_LAN_ADDRESSES_MAX]; /* IPv4 first */
    char name[VELD_LAN_NAME_MAX + 1];
};

struct device {
    bool used, changed;
    uint64_t empty_ns;           /* since when it has no address; 0: it has some */
    struct veld_lan_report told; /* n == 0: nobody knows of it */
};

struct veld_lan_devices {
    uint8_t own[32];
    uint64_t looks_ns; /* the time of as many looks as have been spent; see look() */
    size_t n_undescribed;
    size_t end; /* sightings from here on were never used */
    struct sighting sightings[VELD_LAN_SIGHTINGS_MAX];
    struct device devices[VELD_LAN_DEVICES_MAX];
};

struct veld_lan_devices *veld_lan_devices_new(const uint8_t own[32])
{
    struct veld_lan_devices *d = calloc(1, sizeof *d);
    if (d)
        memcpy(d->own, own, sizeof d->own);
    return d;
}

void veld_lan_devices_free(struct veld_lan_devices *d)
{
    free(d);
}

/* ---- Devices ---- */

static struct device *find_device(struct veld_lan_devices *d, const uint8_t pub[32])
{
    for (size_t i = 0; i < VELD_LAN_DEVICES_MAX; i++) {
        struct device *v = &d->devices[i];
        if (v->used && memcmp(v->told.pub, pub, sizeof v->told.pub) == 0)
            return v;
    }
    return NULL;
}

/* NULL: there is no room. */
static struct device *need_device(struct veld_lan_devices *d, const uint8_t pub[32])
{
    struct device *v = find_device(d, pub);
    for (size_t i = 0; i < VELD_LAN_DEVICES_MAX && !v; i++) {
        if (d->devices[i].used)
            continue;
        v = &d->devices[i];
        *v = (struct device){.used = true};
        memcpy(v->told.pub, pub, sizeof v->told.pub);
    }
    return v;
}

/* What a described sighting says is another. */
static void mark_changed(struct veld_lan_devices *d, const struct sighting *s)
{
    struct device *v = s->described ? find_device(d, s->pub) : NULL;
    if (v)
        v->changed = true;
}

/* ---- Sightings ---- */

/* A bucket of VELD_LAN_LOOKS_BURST, by the time it takes to fill what is missing. */
static bool look(struct veld_lan_devices *d, uint64_t now_ns)
{
    uint64_t full_ns = VELD_MAX(d->looks_ns, now_ns);
    if (full_ns + NS_PER_LOOK - now_ns > VELD_LAN_LOOKS_BURST * NS_PER_LOOK)
        return false;
    d->looks_ns = full_ns + NS_PER_LOOK;
    return true;
}

static bool is_of(const struct sighting *s, struct veld_lan_link link, const char *name)
{
    return s->used && s->link.interface == link.interface && s->link.family == link.family &&
           strcmp(s->name, name) == 0;
}

int veld_lan_devices_find(const struct veld_lan_devices *d, struct veld_lan_link link,
                          const char *name)
{
    for (size_t i = 0; i < d->end; i++) {
        if (is_of(&d->sightings[i], link, name))
            return (int)i;
    }
    return VELD_E_NOENT;
}

int veld_lan_devices_see(struct veld_lan_devices *d, struct veld_lan_link link,
                         const char *name, uint64_t now_ns)
{
    size_t len = strnlen(name, VELD_LAN_NAME_MAX + 1), at = 0;
    if (len == 0 || len > VELD_LAN_NAME_MAX)
        return VELD_E_FORMAT;
    if (veld_lan_devices_find(d, link, name) >= 0)
        return VELD_E_EXIST;
    if (!look(d, now_ns))
        return VELD_E_LIMIT;
    while (at < d->end && d->sightings[at].used)
        at++;
    if (at == VELD_LAN_SIGHTINGS_MAX || d->n_undescribed == VELD_LAN_UNDESCRIBED_MAX)
        return VELD_E_FULL;
    struct sighting *s = &d->sightings[at];
    *s = (struct sighting){.used = true, .link = link, .since_ns = now_ns};
    memcpy(s->name, name, len);
    d->n_undescribed++;
    d->end = VELD_MAX(d->end, at + 1);
    return (int)at;
}

void veld_lan_devices_forget(struct veld_lan_devices *d, int sighting)
{
    struct sighting *s = &d->sightings[sighting];
    if (!s->used)
        return;
    mark_changed(d, s);
    d->n_undescribed -= !s->described;
    s->used = false;
}

int veld_lan_devices_late(const struct veld_lan_devices *d, uint64_t now_ns)
{
    for (size_t i = 0; i < d->end && d->n_undescribed; i++) {
        const struct sighting *s = &d->sightings[i];
        if (s->used && !s->described &&
            now_ns - s->since_ns >= VELD_LAN_DESCRIBE_MS * VELD_NS_PER_MS)
            return (int)i;
    }
    return VELD_E_NOENT;
}

/* ---- The TXT record ---- */

/* Keys are of any case, and of two the first counts. */
static const struct veld_bytes *find_key(const struct veld_bytes *txt, size_t n,
                                         const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < VELD_MIN(n, VELD_LAN_TXT_MAX); i++) {
        if (txt[i].len >= len && strncasecmp(txt[i].p, key, len) == 0)
            return &txt[i];
    }
    return NULL;
}

static bool read_txt(const struct veld_bytes *txt, size_t n, uint8_t pub[32])
{
    const struct veld_bytes *version = find_key(txt, n, "v="),
                            *p = find_key(txt, n, VELD_LAN_TXT_PUB);
    return version && version->len == strlen(VELD_LAN_TXT_VERSION) &&
           strncasecmp(version->p, VELD_LAN_TXT_VERSION, version->len) == 0 && p &&
           p->len == 2 + PUB_TEXT_LEN &&
           veld_base64_decode(pub, 32, (const char *)p->p + 2, PUB_TEXT_LEN) == 0 &&
           veld_ed25519_is_canonical(pub);
}

int veld_lan_devices_describe(struct veld_lan_devices *d, int sighting, uint16_t port,
                              const struct veld_bytes *txt, size_t n)
{
    _Static_assert(VELD_PROTOCOL_VERSION == 1, "VELD_LAN_TXT_VERSION");
    struct sighting *s = &d->sightings[sighting];
    uint8_t pub[32];
    if (port == 0 || !read_txt(txt, n, pub) || memcmp(pub, d->own, sizeof pub) == 0)
        return VELD_E_FORMAT;
    if (!need_device(d, pub))
        return VELD_E_FULL;
    mark_changed(d, s); /* of the P it had */
    d->n_undescribed -= !s->described;
    s->described = true;
    s->port = port;
    s->n = 0;
    memcpy(s->pub, pub, sizeof s->pub);
    mark_changed(d, s);
    return 0;
}

/* ---- Addresses ---- */

static size_t find_address(const struct sighting *s, const struct veld_ip *ip)
{
    size_t i = 0;
    while (i < s->n && !veld_ip_equal(&s->ip[i], ip))
        i++;
    return i;
}

void veld_lan_devices_add(struct veld_lan_devices *d, int sighting, const struct veld_ip *ip)
{
    struct sighting *s = &d->sightings[sighting];
    if (!s->used || !s->described || s->n == VELD_LAN_ADDRESSES_MAX ||
        !veld_ip_is_unicast(ip) || find_address(s, ip) < s->n)
        return;
    size_t at = s->n++;
    for (; ip->family == 4 && at > 0 && s->ip[at - 1].family == 6; at--)
        s->ip[at] = s->ip[at - 1];
    s->ip[at] = *ip;
    mark_changed(d, s);
}

void veld_lan_devices_remove(struct veld_lan_devices *d, int sighting, const struct veld_ip *ip)
{
    struct sighting *s = &d->sightings[sighting];
    size_t at = s->used ? find_address(s, ip) : s->n;
    if (at == s->n)
        return;
    memmove(&s->ip[at], &s->ip[at + 1], (--s->n - at) * sizeof s->ip[0]);
    mark_changed(d, s);
}

/* ---- What is told ---- */

static bool is_link_local(const struct veld_ip *ip)
{
    return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static void put(struct veld_lan_report *r, const struct sighting *s, size_t i)
{
    struct veld_endpoint e = {.ip = s->ip[i], .port = s->port};
    if (is_link_local(&e.ip))
        e.scope = s->link.interface;
    for (size_t k = 0; k < r->n; k++) {
        if (veld_endpoint_equal(&r->at[k], &e))
            return;
    }
    if (r->n < VELD_LAN_ADDRESSES_MAX)
        r->at[r->n++] = e;
}

static void put_ipv4_first(struct veld_lan_report *r)
{
    struct veld_lan_report sorted = {.n = 0};
    for (uint8_t family = 4; family <= 6; family += 2) {
        for (size_t i = 0; i < r->n; i++) {
            if (r->at[i].ip.family == family)
                sorted.at[sorted.n++] = r->at[i];
        }
    }
    memcpy(r->at, sorted.at, sizeof r->at);
}

static void compose(const struct veld_lan_devices *d, const uint8_t pub[32],
                    struct veld_lan_report *out)
{
    *out = (struct veld_lan_report){.n = 0};
    memcpy(out->pub, pub, sizeof out->pub);
    for (size_t i = 0; i < VELD_LAN_ADDRESSES_MAX; i++) {
        for (size_t k = 0; k < d->end; k++) {
            const struct sighting *s = &d->sightings[k];
            if (s->used && s->described && i < s->n && memcmp(s->pub, pub, sizeof s->pub) == 0)
                put(out, s, i);
        }
    }
    put_ipv4_first(out);
}

static bool is_same(const struct veld_lan_report *a, const struct veld_lan_report *b)
{
    for (size_t i = 0; i < a->n && a->n == b->n; i++) {
        if (!veld_endpoint_equal(&a->at[i], &b->at[i]))
            return false;
    }
    return a->n == b->n;
}

static bool is_sighted(const struct veld_lan_devices *d, const uint8_t pub[32])
{
    for (size_t i = 0; i < d->end; i++) {
        const struct sighting *s = &d->sightings[i];
        if (s->used && s->described && memcmp(s->pub, pub, sizeof s->pub) == 0)
            return true;
    }
    return false;
}

/* Has it had no address for long enough? */
static bool is_gone(struct device *v, uint64_t now_ns)
{
    if (!v->empty_ns)
        v->empty_ns = now_ns;
    return now_ns - v->empty_ns >= VELD_LAN_GONE_MS * VELD_NS_PER_MS;
}

/* True: `out` is news. */
static bool tell(const struct veld_lan_devices *d, struct device *v, uint64_t now_ns,
                 struct veld_lan_report *out)
{
    compose(d, v->told.pub, out);
    if (out->n == 0 && v->told.n > 0 && !is_gone(v, now_ns))
        return false; /* it stays to be looked at again */
    bool news = !is_same(out, &v->told);
    v->changed = false;
    v->empty_ns = 0;
    v->told = *out;
    v->used = out->n > 0 || is_sighted(d, out->pub);
    return news;
}

bool veld_lan_devices_next(struct veld_lan_devices *d, uint64_t now_ns,
                           struct veld_lan_report *out)
{
    for (size_t i = 0; i < VELD_LAN_DEVICES_MAX; i++) {
        struct device *v = &d->devices[i];
        if (v->used && v->changed && tell(d, v, now_ns, out))
            return true;
    }
    return false;
}

bool veld_lan_devices_wait(const struct veld_lan_devices *d)
{
    bool waits = d->n_undescribed > 0;
    for (size_t i = 0; i < VELD_LAN_DEVICES_MAX && !waits; i++)
        waits = d->devices[i].used && d->devices[i].changed;
    return waits;
}
