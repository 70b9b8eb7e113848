/*
 * systemd-resolved over D-Bus (org.freedesktop.resolve1, as of systemd 247;
 * resolved's "Link" calls): one interface's server, used for names under
 * "veld" alone.
 *
 * Invariant: nothing outlives the interface: resolved forgets a link's settings
 * when the link goes, so a crash leaves nothing behind.
 *
 * Control thread; every call on the bus waits at most 2 s, and the first that
 * fails ends the rest.
 */
#ifndef VELD_CONTROL_NAMES_RESOLVED_H
#define VELD_CONTROL_NAMES_RESOLVED_H

#include "base/addr.h"
#include "base/err.h"

/*
 * VELD_E_NOENT when there is no system bus or resolved is not on it (it is not
 * started for this); VELD_E_IO when a call failed: what was set is reverted.
 */
VELD_MUST_USE int veld_resolved_set(unsigned ifindex, const struct veld_ip *server,
                                    struct veld_diag *diag);
VELD_MUST_USE int veld_resolved_revert(unsigned ifindex, struct veld_diag *diag);

#endif
