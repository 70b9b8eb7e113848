#include "rpc/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_ip(int family, const char *text)
{
    struct in6_addr any;
    return inet_pton(family, text, &any) == 1;
}

static int take_port(struct veld_rpc_address *a, const char *port)
{
    size_t len = strlen(port);
    if (len == 0 || len >= sizeof a->port || strspn(port, "0123456789") != len)
        return VELD_E_FORMAT;
    unsigned long number = strtoul(port, NULL, 10);
    if (number == 0 || number > 65535)
        return VELD_E_FORMAT;
    snprintf(a->port, sizeof a->port, "%lu", number);
    return 0;
}

static int take_host(struct veld_rpc_address *a, const char *host, size_t len)
{
    bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (bracketed) {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof a->host)
        return VELD_E_FORMAT;
    memcpy(a->host, host, len);
    a->host[len] = '\0';
    a->is_literal = is_ip(bracketed ? AF_INET6 : AF_INET, a->host);
    /* It becomes part of a URI and of a request's headers. */
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    bool named = !bracketed && strspn(a->host, letters) == len;
    return a->is_literal || named ? 0 : VELD_E_FORMAT;
}

int veld_rpc_address_parse(const char *text, struct veld_rpc_address *out,
                           struct veld_diag *diag)
{
    struct veld_rpc_address a = {.host = ""};
    const char *colon = strrchr(text, ':');
    if (!colon || strlen(text) >= VELD_COORD_TEXT_MAX || take_port(&a, colon + 1) < 0 ||
        take_host(&a, text, (size_t)(colon - text)) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "\"%.80s\" is no address of a coord server: write HOST:PORT, for "
                         "example coord.example.org:50051 or [2001:db8::1]:50051",
                         text);
    *out = a;
    return 0;
}
