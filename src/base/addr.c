#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct veld_ip ip_from_in6(const void *in6)
{
    struct veld_ip ip = {.family = 6};
    memcpy(ip.b, in6, 16);
    if (memcmp(ip.b, v4_mapped, sizeof v4_mapped) == 0) {
        struct veld_ip v4 = {.family = 4};
        memcpy(v4.b, ip.b + 12, 4);
        return v4;
    }
    return ip;
}

int veld_ip_parse(const char *text, struct veld_ip *out)
{
    struct veld_ip ip = {.family = 4};
    if (inet_pton(AF_INET, text, ip.b) == 1) {
        *out = ip;
        return 0;
    }
    struct in6_addr in6;
    if (inet_pton(AF_INET6, text, &in6) != 1)
        return VELD_E_FORMAT;
    *out = ip_from_in6(&in6);
    return 0;
}

/* A decimal number of 1..max_digits digits and nothing else, at most `max`. */
static int parse_number(const char *text, size_t max_digits, unsigned max, unsigned *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > max_digits || strspn(text, "0123456789") != len)
        return VELD_E_FORMAT;
    unsigned long v = strtoul(text, NULL, 10);
    if (v > max)
        return VELD_E_FORMAT;
    *out = (unsigned)v;
    return 0;
}

int veld_prefix_parse(const char *text, struct veld_prefix *out)
{
    const char *slash = strchr(text, '/');
    char addr[VELD_IP_STRLEN];
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n >= sizeof addr)
        return VELD_E_FORMAT;
    memcpy(addr, text, n);
    addr[n] = '\0';

    struct veld_prefix p;
    if (veld_ip_parse(addr, &p.ip) < 0)
        return VELD_E_FORMAT;
    unsigned len = veld_ip_bits(&p.ip);
    if (slash && parse_number(slash + 1, 3, len, &len) < 0)
        return VELD_E_FORMAT;
    p.len = (uint8_t)len;
    *out = p;
    return 0;
}

/* "[addr%scope]" inside brackets, already cut out of the text. */
static int parse_bracketed(char *host, struct veld_endpoint *e)
{
    char *percent = strchr(host, '%');
    if (percent) {
        *percent = '\0';
        e->scope = if_nametoindex(percent + 1);
        if (e->scope == 0)
            return VELD_E_FORMAT;
    }
    struct in6_addr in6;
    if (inet_pton(AF_INET6, host, &in6) != 1)
        return VELD_E_FORMAT;
    e->ip = ip_from_in6(&in6);
    return 0;
}

int veld_endpoint_parse(const char *text, struct veld_endpoint *out)
{
    char buf[VELD_ENDPOINT_STRLEN];
    size_t len = strlen(text);
    if (len >= sizeof buf)
        return VELD_E_FORMAT;
    memcpy(buf, text, len + 1);

    char *colon = strrchr(buf, ':');
    if (!colon || colon == buf)
        return VELD_E_FORMAT;
    *colon = '\0';

    struct veld_endpoint e = {0};
    unsigned port;
    if (parse_number(colon + 1, 5, 65535, &port) < 0 || port == 0)
        return VELD_E_FORMAT;
    e.port = (uint16_t)port;
    if (buf[0] == '[') {
        if (colon[-1] != ']')
            return VELD_E_FORMAT;
        colon[-1] = '\0';
        if (parse_bracketed(buf + 1, &e) < 0)
            return VELD_E_FORMAT;
    } else if (inet_pton(AF_INET, buf, e.ip.b) == 1) {
        e.ip.family = 4;
    } else {
        return VELD_E_FORMAT;
    }
    *out = e;
    return 0;
}

int veld_endpoint_parse_listen(const char *text, struct veld_endpoint *out)
{
    char both[VELD_ENDPOINT_STRLEN];
    bool any = text[0] == ':' && text[1] != ':';
    if (any)
        snprintf(both, sizeof both, "[::]%s", text);
    struct veld_endpoint e;
    if (veld_endpoint_parse(any ? both : text, &e) < 0)
        return VELD_E_FORMAT;
    if (e.ip.family == 4 ? e.ip.b[0] >= 224 : e.ip.b[0] == 0xff)
        return VELD_E_FORMAT;
    *out = e;
    return 0;
}

char *veld_ip_format(const struct veld_ip *ip, char out[VELD_IP_STRLEN])
{
    int af = ip->family == 4 ? AF_INET : AF_INET6;
    if ((ip->family != 4 && ip->family != 6) || !inet_ntop(af, ip->b, out, VELD_IP_STRLEN))
        strcpy(out, "-");
    return out;
}

char *veld_prefix_format(const struct veld_prefix *p, char out[VELD_PREFIX_STRLEN])
{
    char ip[VELD_IP_STRLEN];
    snprintf(out, VELD_PREFIX_STRLEN, "%s/%u", veld_ip_format(&p->ip, ip), p->len);
    return out;
}

char *veld_endpoint_format(const struct veld_endpoint *e, char out[VELD_ENDPOINT_STRLEN])
{
    char ip[VELD_IP_STRLEN], scope[IF_NAMESIZE + 1] = "";
    if (veld_endpoint_is_circuit(e)) {
        snprintf(out, VELD_ENDPOINT_STRLEN, "circuit %08x", e->scope);
        return out;
    }
    veld_ip_format(&e->ip, ip);
    if (e->scope) {
        scope[0] = '%';
        if (!if_indextoname(e->scope, scope + 1))
            snprintf(scope + 1, IF_NAMESIZE, "%u", e->scope);
    }
    if (e->ip.family == 0)
        strcpy(out, "-");
    else if (e->ip.family == 4)
        snprintf(out, VELD_ENDPOINT_STRLEN, "%s:%u", ip, e->port);
    else
        snprintf(out, VELD_ENDPOINT_STRLEN, "[%s%s]:%u", ip, scope, e->port);
    return out;
}

bool veld_ip_equal(const struct veld_ip *a, const struct veld_ip *b)
{
    return a->family == b->family && memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool veld_endpoint_equal(const struct veld_endpoint *a, const struct veld_endpoint *b)
{
    return a->port == b->port && a->scope == b->scope && veld_ip_equal(&a->ip, &b->ip);
}

unsigned veld_ip_bits(const struct veld_ip *ip)
{
    return ip->family == 4 ? 32 : 128;
}

void veld_prefix_mask(struct veld_prefix *p)
{
    for (unsigned bit = p->len; bit < veld_ip_bits(&p->ip); bit++)
        p->ip.b[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

bool veld_prefix_contains(const struct veld_prefix *p, const struct veld_ip *ip)
{
    if (p->ip.family != ip->family)
        return false;
    unsigned whole = p->len / 8, rest = p->len % 8;
    if (memcmp(p->ip.b, ip->b, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((p->ip.b[whole] ^ ip->b[whole]) & mask) == 0;
}

bool veld_prefix_overlaps(const struct veld_prefix *a, const struct veld_prefix *b)
{
    return a->len <= b->len ? veld_prefix_contains(a, &b->ip) : veld_prefix_contains(b, &a->ip);
}

struct veld_prefix veld_prefix_host(const struct veld_ip *ip)
{
    return (struct veld_prefix){.ip = *ip, .len = (uint8_t)veld_ip_bits(ip)};
}

bool veld_ip_is_unicast(const struct veld_ip *ip)
{
    static const uint8_t zero[16];
    if (ip->family == 4)
        return ip->b[0] != 0 && ip->b[0] != 127 && ip->b[0] < 224;
    if (ip->family != 6 || ip->b[0] == 0xff || memcmp(ip->b, zero, 15) == 0)
        return false; /* multicast, ::, ::1 and the rest of ::/120 */
    return true;
}

int veld_endpoint_to_sockaddr(const struct veld_endpoint *e, int family,
                              struct sockaddr_storage *out, socklen_t *len)
{
    if (e->ip.family == 0)
        return VELD_E_INVAL;
    if (veld_endpoint_is_circuit(e))
        return VELD_E_UNSUPPORTED;
    if (family == AF_INET) {
        if (e->ip.family != 4)
            return VELD_E_UNSUPPORTED;
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(e->port)};
        memcpy(&sin.sin_addr, e->ip.b, 4);
        memcpy(out, &sin, sizeof sin);
        *len = sizeof sin;
        return 0;
    }
    struct sockaddr_in6 sin6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(e->port), .sin6_scope_id = e->scope};
    if (e->ip.family == 4) {
        memcpy(&sin6.sin6_addr, v4_mapped, 12);
        memcpy((uint8_t *)&sin6.sin6_addr + 12, e->ip.b, 4);
    } else {
        memcpy(&sin6.sin6_addr, e->ip.b, 16);
    }
    memcpy(out, &sin6, sizeof sin6);
    *len = sizeof sin6;
    return 0;
}

int veld_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len,
                                struct veld_endpoint *out)
{
    struct veld_endpoint e = {0};
    if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in sin;
        memcpy(&sin, sa, sizeof sin);
        e.ip.family = 4;
        memcpy(e.ip.b, &sin.sin_addr, 4);
        e.port = ntohs(sin.sin_port);
    } else if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 sin6;
        memcpy(&sin6, sa, sizeof sin6);
        e.ip = ip_from_in6(&sin6.sin6_addr);
        e.port = ntohs(sin6.sin6_port);
        e.scope = sin6.sin6_scope_id;
    } else {
        return VELD_E_FORMAT;
    }
    *out = e;
    return 0;
}
