#include "portmap/url.h"

#include "base/bytes.h"
#include "portmap/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So that no header can be smuggled into a request. */
static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

bool veld_portmap_url_is_at(const char *url, const struct veld_ip *gateway)
{
    char host[sizeof "http://" + VELD_IP_STRLEN], ip[VELD_IP_STRLEN];
    if (gateway->family != 4 || strlen(url) > VELD_PORTMAP_URL_MAX || !is_printable(url))
        return false;
    int n = snprintf(host, sizeof host, "http://%s", veld_ip_format(gateway, ip));
    if (strncmp(url, host, (size_t)n) != 0)
        return false;
    url += n;
    if (*url == ':') {
        size_t digits = strspn(url + 1, "0123456789");
        if (digits == 0 || digits > 5 || atoi(url + 1) == 0 || atoi(url + 1) > UINT16_MAX)
            return false;
        url += 1 + digits;
    }
    return *url == '/';
}

bool veld_portmap_service_is_wan(const char *type)
{
    static const char *const known[] = {"urn:schemas-upnp-org:service:WANIPConnection:",
                                        "urn:schemas-upnp-org:service:WANPPPConnection:"};
    if (strlen(type) > VELD_PORTMAP_SERVICE_MAX || !is_printable(type))
        return false;
    for (size_t i = 0; i < VELD_ARRAY_LEN(known); i++) {
        if (strncmp(type, known[i], strlen(known[i])) == 0)
            return true;
    }
    return false;
}
