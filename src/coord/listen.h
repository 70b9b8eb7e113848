/*
 * Where a server listens: "ADDR:PORT", "[V6]:PORT", "NAME:PORT", or ":PORT" for
 * every address of both families; over TCP or UDP.
 *
 * Thread: main.
 */
#ifndef VELD_COORD_LISTEN_H
#define VELD_COORD_LISTEN_H

#include "base/addr.h"
#include "base/err.h"

#define VELD_LISTEN_SOCKETS_MAX 8 /* a name may have several addresses */

enum veld_listen_transport { VELD_LISTEN_TCP, VELD_LISTEN_UDP };

struct veld_listen_address {
    enum veld_listen_transport transport; /* TCP unless the caller says otherwise */
    char host[256];                       /* empty: every address */
    uint16_t port;                        /* 0: whichever is free */
};
/* VELD_E_FORMAT. */
VELD_MUST_USE int veld_listen_parse(const char *text, struct veld_listen_address *out);

struct veld_listeners {
    int fds[VELD_LISTEN_SOCKETS_MAX];
    size_t n;
    struct veld_endpoint first; /* as bound */
};
/* Bound and (TCP) listening, non-blocking, closed on exec. VELD_E_IO, VELD_E_EXIST (in use), VELD_E_NOENT (no such host). */
VELD_MUST_USE int veld_listen_open(struct veld_listeners *out,
                                   const struct veld_listen_address *address,
                                   struct veld_diag *diag);
/* UDP sockets at the addresses and ports of these. */
VELD_MUST_USE int veld_listen_beside(struct veld_listeners *out,
                                     const struct veld_listeners *tcp, struct veld_diag *diag);
/* Tries for `ms` when it is in use: a predecessor that was killed may take a moment to be gone, its child after it. */
VELD_MUST_USE int veld_listen_wait(struct veld_listeners *out,
                                   const struct veld_listen_address *address, uint32_t ms,
                                   struct veld_diag *diag);
void veld_listen_close(struct veld_listeners *l);

#endif
