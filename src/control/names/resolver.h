/*
 * Putting the DNS stub in place in the system's resolver, and taking it out
 * again: systemd-resolved over D-Bus (this interface, ~veld only) where
 * resolv.conf points at it, else a line put first in resolv.conf through the
 * journal, the rest staying as it was. Where resolvconf makes resolv.conf, the
 * line goes into its head file too, so that it comes back whenever resolvconf
 * makes the file anew. (The stub is not handed to `resolvconf -a`: both
 * programs of that name drop all other servers behind a loopback address by
 * default, and the stub refuses what those would answer.)
 *
 * Invariant: after undo, or after the next start following a crash, the
 * resolver is as it was, unless somebody else changed it meanwhile.
 * Control thread.
 */
#ifndef VELD_CONTROL_NAMES_RESOLVER_H
#define VELD_CONTROL_NAMES_RESOLVER_H

#include "base/addr.h"
#include "base/err.h"
#include "control/config/config.h"
#include "control/host/journal.h"

struct veld_resolver;

struct veld_resolver_config {
    enum veld_dns_mode mode;
    unsigned ifindex;
    const char *interface;
    struct veld_ip server;
    struct veld_journal *journal; /* outlives the resolver, and undoes its lines */
    const char *etc;              /* NULL: "/etc". For tests */
};

/* `diag` says what was tried. Failure is no reason to stop the daemon: log it and go on. */
VELD_MUST_USE int veld_resolver_apply(struct veld_resolver **out,
                                      const struct veld_resolver_config *cfg,
                                      struct veld_diag *diag);
/* For status: "systemd-resolved", "resolvconf", "/etc/resolv.conf", "off". */
const char *veld_resolver_method(const struct veld_resolver *r);
/* Takes back what is in systemd-resolved and frees `r`; lines in files go when the journal is closed. */
void veld_resolver_undo(struct veld_resolver *r); /* NULL is allowed */

#endif
