#include "portmap/answer.h"

#include "base/bytes.h"
#include "portmap/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 6

static const char *const results[] = {[VELD_PORTMAP_SILENT] = "silent",
                                      [VELD_PORTMAP_REFUSED] = "refused",
                                      [VELD_PORTMAP_NO_ADDRESS] = "no-address",
                                      [VELD_PORTMAP_MAPPED] = "mapped"};
static const char *const methods[] = {
    [VELD_PORTMAP_NATPMP] = "natpmp", [VELD_PORTMAP_UPNP] = "upnp"};

const char *veld_portmap_method_name(enum veld_portmap_method m)
{
    return methods[m];
}

int veld_portmap_method_parse(const char *text, enum veld_portmap_method *out)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(methods); i++) {
        if (strcmp(text, methods[i]) == 0) {
            *out = (enum veld_portmap_method)i;
            return 0;
        }
    }
    return VELD_E_FORMAT;
}

size_t veld_portmap_answer_format(const struct veld_portmap_answer *a,
                                  char out[VELD_PORTMAP_LINE_MAX + 1])
{
    char at[VELD_ENDPOINT_STRLEN];
    size_t size = VELD_PORTMAP_LINE_MAX + 1;
    int n;
    if (a->result != VELD_PORTMAP_MAPPED)
        n = snprintf(out, size, "%s\n", results[a->result]);
    else
        n = snprintf(out, size, "%s %s %s %" PRIu32 "%s%s%s%s\n", results[a->result],
                     methods[a->method], veld_endpoint_format(&a->mapped, at), a->lease_s,
                     a->url[0] ? " " : "", a->url, a->url[0] ? " " : "", a->service);
    return (size_t)n;
}

/* ---- Back ---- */

/* Words between single blanks; 0 when there are too many, or an empty one. */
static size_t split(char *line, char *word[WORDS_MAX])
{
    size_t n = 0;
    for (char *next = line; next;) {
        char *this = strsep(&next, " ");
        if (!*this || n == WORDS_MAX)
            return 0;
        word[n++] = this;
    }
    return n;
}

static bool read_lease(const char *text, uint32_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits])
        return false;
    *out = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

static int read_mapped(char *const word[], size_t n, const struct veld_ip *gateway,
                       struct veld_portmap_answer *a)
{
    if (n < 4 || veld_portmap_method_parse(word[1], &a->method) < 0 ||
        n != (a->method == VELD_PORTMAP_UPNP ? 6 : 4) ||
        veld_endpoint_parse(word[2], &a->mapped) < 0 || a->mapped.ip.family != 4 ||
        !read_lease(word[3], &a->lease_s))
        return VELD_E_FORMAT;
    if (a->method == VELD_PORTMAP_NATPMP)
        return a->lease_s ? 0 : VELD_E_FORMAT;
    if (!veld_portmap_url_is_at(word[4], gateway) || !veld_portmap_service_is_wan(word[5]))
        return VELD_E_FORMAT;
    strcpy(a->url, word[4]);
    strcpy(a->service, word[5]);
    return 0;
}

int veld_portmap_answer_parse(const char *text, size_t len, const struct veld_ip *gateway,
                              struct veld_portmap_answer *out)
{
    char line[VELD_PORTMAP_LINE_MAX + 1], *word[WORDS_MAX];
    struct veld_portmap_answer a = {0};
    *out = a;
    if (len < 2 || len > VELD_PORTMAP_LINE_MAX || text[len - 1] != '\n' ||
        memchr(text, '\0', len))
        return VELD_E_FORMAT;
    memcpy(line, text, len - 1);
    line[len - 1] = '\0';
    size_t n = split(line, word);
    if (n == 0)
        return VELD_E_FORMAT;
    for (size_t i = 0; i < VELD_ARRAY_LEN(results); i++) {
        if (strcmp(word[0], results[i]) != 0)
            continue;
        a.result = (enum veld_portmap_result)i;
        int rc = a.result == VELD_PORTMAP_MAPPED ? read_mapped(word, n, gateway, &a)
                 : n == 1                        ? 0
                                                 : VELD_E_FORMAT;
        if (rc == 0)
            *out = a;
        return rc;
    }
    return VELD_E_FORMAT;
}
