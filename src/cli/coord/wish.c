#include "cli/coord/wish.h"

#include "base/bytes.h"
#include "trust/network.h"

#include <ctype.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPAN_MAX_S (10ull * 366 * 86400)

bool veld_wish_is_empty(const struct veld_wish *w)
{
    return !w->routes && !w->accept_routes && !w->listen && !w->interface && !w->mtu &&
           !w->relay && !w->relay_rate && !w->mdns && !w->port_mapping;
}

static int apply_yes(const char *text, bool *out, struct veld_diag *diag)
{
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0)
        return veld_fail(diag, VELD_E_FORMAT, "\"%.40s\" is neither yes nor no", text);
    *out = yes;
    return 0;
}

static int apply_rate(const char *text, struct veld_settings *s, struct veld_diag *diag)
{
    uint32_t mbit;
    if (veld_count_parse(text, UINT32_MAX, NULL, &mbit) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "\"%.40s\" is not a number of Mbit/s; use 1 to %d, or --relay no",
                         text, VELD_SETTINGS_RELAY_RATE_MAX);
    return veld_settings_set_relay_rate(s, mbit, diag);
}

static int apply_mtu(const char *text, struct veld_settings *s, struct veld_diag *diag)
{
    uint32_t mtu;
    if (veld_count_parse(text, UINT32_MAX, NULL, &mtu) < 0)
        return veld_fail(diag, VELD_E_FORMAT, "\"%.40s\" is not a number; use %d to %d", text,
                         VELD_SETTINGS_MTU_MIN, VELD_SETTINGS_MTU_LIMIT);
    return veld_settings_set_mtu(s, mtu, diag);
}

int veld_wish_apply(const struct veld_wish *w, struct veld_settings *s, struct veld_diag *diag)
{
    struct veld_settings changed = *s;
    struct veld_diag why;
    const char *option = "";
    int rc = 0;
    if (w->routes && rc == 0)
        option = "routes", rc = veld_settings_set_routes(&changed, w->routes, &why);
    if (w->accept_routes && rc == 0)
        option = "accept-routes",
        rc = apply_yes(w->accept_routes, &changed.accept_routes, &why);
    if (w->listen && rc == 0)
        option = "listen", rc = veld_settings_set_listen(&changed, w->listen, &why);
    if (w->interface && rc == 0)
        option = "interface", rc = veld_settings_set_interface(&changed, w->interface, &why);
    if (w->mtu && rc == 0)
        option = "mtu", rc = apply_mtu(w->mtu, &changed, &why);
    if (w->relay && rc == 0)
        option = "relay", rc = apply_yes(w->relay, &changed.relay, &why);
    if (w->relay_rate && rc == 0)
        option = "relay-rate", rc = apply_rate(w->relay_rate, &changed, &why);
    if (w->mdns && rc == 0)
        option = "mdns", rc = apply_yes(w->mdns, &changed.mdns, &why);
    if (w->port_mapping && rc == 0)
        option = "port-mapping", rc = apply_yes(w->port_mapping, &changed.port_mapping, &why);
    if (rc < 0)
        return veld_fail(diag, rc, "--%s: %.600s", option, why.text);
    *s = changed;
    return 0;
}

/* Only a TUN device can be a left-over of ours. */
static int check_interface(const char *name, struct veld_diag *diag)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (void *)&driver};
    if (if_nametoindex(name) == 0)
        return 0;
    strcpy(request.ifr_name, name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_tun =
        fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "tun") == 0;
    if (fd >= 0)
        close(fd);
    return is_tun ? 0
                  : veld_fail(diag, VELD_E_FORMAT,
                              "--interface: %s is another interface of this machine; give a "
                              "name that is free, as in veld0",
                              name);
}

int veld_wish_check(const struct veld_wish *w, struct veld_diag *diag)
{
    struct veld_settings s;
    veld_settings_default(&s);
    int rc = veld_wish_apply(w, &s, diag);
    return rc == 0 && w->interface ? check_interface(s.interface, diag) : rc;
}

int veld_fingerprint_check(const char *text, struct veld_diag *diag)
{
    bool right = strlen(text) == VELD_NETWORK_TEXT_STRLEN - 1;
    for (size_t i = 0; right && text[i]; i++)
        right = i % 5 == 4 ? text[i] == '-' : isxdigit((unsigned char)text[i]);
    return right ? 0
                 : veld_fail(diag, VELD_E_FORMAT,
                             "--fingerprint: \"%.60s\" is not that of a network; it is eight "
                             "groups of four hexadecimal digits with hyphens between, as veld "
                             "showed it on the machine that made the network",
                             text);
}

int veld_span_parse(const char *text, uint64_t *seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    if (strcmp(text, "never") == 0) {
        *seconds = 0;
        return 0;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || strlen(text) != digits + 1)
        return VELD_E_FORMAT;
    uint64_t n = strtoull(text, NULL, 10);
    for (size_t i = 0; i < VELD_ARRAY_LEN(units); i++) {
        bool fits = n > 0 && n <= SPAN_MAX_S / units[i].seconds;
        if (text[digits] != units[i].unit || !fits)
            continue;
        *seconds = n * units[i].seconds;
        return 0;
    }
    return VELD_E_FORMAT;
}

int veld_count_parse(const char *text, uint32_t max, const char *unlimited, uint32_t *out)
{
    if (unlimited && strcmp(text, unlimited) == 0) {
        *out = 0;
        return 0;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 10 || text[digits])
        return VELD_E_FORMAT;
    uint64_t n = strtoull(text, NULL, 10);
    if (n == 0 || n > max)
        return VELD_E_FORMAT;
    *out = (uint32_t)n;
    return 0;
}

char *veld_routes_format(const struct veld_prefix *routes, size_t n, const char *separator)
{
    char *out = NULL, text[VELD_PREFIX_STRLEN];
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%s", i ? separator : "", veld_prefix_format(&routes[i], text));
    if (n == 0)
        fputs("none", f);
    fclose(f);
    return out;
}
