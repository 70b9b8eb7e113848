#include "base/host_port.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_CHARS 240 /* of a host: leaves room for brackets and port */

struct parts {
    char host[VELD_HOST_PORT_STRLEN]; /* without brackets */
    const char *port;                 /* in the text; NULL: none */
    bool v6;
};

/* Which part of the text is what; says nothing yet of their form. */
static int split(const char *text, struct parts *p)
{
    size_t len = strlen(text), host_len;
    const char *first = strchr(text, ':'), *last = strrchr(text, ':');
    p->port = NULL;
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return VELD_E_FORMAT;
        p->v6 = true;
        p->port = end[1] == ':' ? end + 2 : NULL;
        host_len = (size_t)(end - text) - 1;
        text++;
    } else if (first && first != last) { /* a bare IPv6 address: no port can follow */
        p->v6 = true;
        host_len = len;
    } else {
        p->v6 = false;
        p->port = first ? first + 1 : NULL;
        host_len = first ? (size_t)(first - text) : len;
    }
    if (host_len == 0 || host_len > NAME_MAX_CHARS)
        return VELD_E_FORMAT;
    memcpy(p->host, text, host_len);
    p->host[host_len] = '\0';
    return 0;
}

/* Labels of letters, digits and inner hyphens (and underscores, which some networks have). */
static bool is_name(const char *host)
{
    char before = '.';
    for (const char *c = host; *c; before = *c++) {
        bool plain = isascii((unsigned char)*c) && (isalnum((unsigned char)*c) || *c == '_');
        bool inner = *c == '-' && before != '.' && c[1] != '.' && c[1] != '\0';
        bool dot = *c == '.' && before != '.';
        if (!plain && !inner && !dot)
            return false;
    }
    return true;
}

/* All of digits and dots, but no address: a slip of the finger, and never a name. */
static bool is_numeric(const char *host)
{
    return host[strspn(host, "0123456789.")] == '\0';
}

static int check_host(struct parts *p)
{
    uint8_t address[16];
    if (p->v6)
        return inet_pton(AF_INET6, p->host, address) == 1 ? 0 : VELD_E_FORMAT;
    if (inet_pton(AF_INET, p->host, address) == 1)
        return 0;
    if (!is_name(p->host) || is_numeric(p->host))
        return VELD_E_FORMAT;
    for (char *c = p->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

/* 1..65535, as people write it. */
static int read_port(const char *text, uint16_t *port)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len || text[0] == '0')
        return VELD_E_FORMAT;
    unsigned long value = strtoul(text, NULL, 10);
    if (value > UINT16_MAX)
        return VELD_E_FORMAT;
    *port = (uint16_t)value;
    return 0;
}

int veld_host_port_parse(const char *text, uint16_t port, char out[VELD_HOST_PORT_STRLEN])
{
    struct parts p;
    out[0] = '\0';
    if (split(text, &p) < 0 || check_host(&p) < 0)
        return VELD_E_FORMAT;
    if (p.port ? read_port(p.port, &port) < 0 : port == 0)
        return VELD_E_FORMAT;
    snprintf(out, VELD_HOST_PORT_STRLEN, p.v6 ? "[%s]:%u" : "%s:%u", p.host, port);
    return 0;
}
