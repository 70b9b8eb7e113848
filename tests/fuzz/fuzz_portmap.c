/*
 * Any bytes as what veld-portmap says, and as the URL of a UPnP device: what is taken names the
 * gateway and nobody else, fits its fields, and is the same when it is written again.
 */
#include "portmap/answer.h"
#include "portmap/url.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct veld_ip gateway = {.family = 4, .b = {192, 168, 1, 1}};
    struct veld_portmap_answer a, again;
    char out[VELD_PORTMAP_LINE_MAX + 1], *url = strndup((const char *)data, size);
    if (veld_portmap_url_is_at(url, &gateway))
        REQUIRE(strncmp(url, "http://192.168.1.1", 18) == 0 &&
                (url[18] == '/' || url[18] == ':') && !strpbrk(url, " \r\n"));
    free(url);
    if (veld_portmap_answer_parse((const char *)data, size, &gateway, &a) < 0)
        return 0;
    REQUIRE(a.result != VELD_PORTMAP_MAPPED || (a.mapped.ip.family == 4 && a.mapped.port));
    REQUIRE(!a.url[0] || veld_portmap_url_is_at(a.url, &gateway));
    size_t len = veld_portmap_answer_format(&a, out);
    REQUIRE(len == strlen(out) && len <= VELD_PORTMAP_LINE_MAX);
    REQUIRE(veld_portmap_answer_parse(out, len, &gateway, &again) == 0);
    REQUIRE(memcmp(&a, &again, sizeof a) == 0);
    return 0;
}
