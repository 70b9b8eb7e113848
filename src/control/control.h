/*
 * The control thread: it owns the engine, the dataplane, the interface, names
 * and the local API, and runs them from one GLib main loop.
 *
 * Order of calls: open (everything is up when it returns), run (until SIGTERM,
 * SIGINT or `veld down`), close (everything is as before open).
 */
#ifndef VELD_CONTROL_CONTROL_H
#define VELD_CONTROL_CONTROL_H

#include "base/err.h"
#include "control/config/config.h"
#include "control/state.h"

struct veld_control;
struct veld_mesh;     /* mesh/mesh.h */
struct veld_lan_mode; /* lan/mode.h */

/* The network whose members are to be peers (peers.h). */
struct veld_control_network {
    uint8_t id[32];
    const char *name; /* one label; borrowed for the call */
};

struct veld_control_options {
    const struct veld_config *config;     /* outlives the control */
    struct veld_state *state;             /* outlives the control */
    const struct veld_identity *identity; /* outlives the control */
    const char *socket_path;
    const struct veld_control_network *network; /* NULL: peers are the configuration's alone */
    struct veld_mesh
        *mesh; /* brings the network, outlives the control; NULL: others do, or none */
    struct veld_lan_mode *lan_mode; /* outlives the control; NULL: not by LAN mode */
};

VELD_MUST_USE int veld_control_open(struct veld_control **out,
                                    const struct veld_control_options *options,
                                    struct veld_diag *diag);
/* One paragraph for the person who started it: interface, addresses, what to try next. The caller frees. */
char *veld_control_describe(const struct veld_control *c);
void veld_control_run(struct veld_control *c);
void veld_control_close(struct veld_control *c); /* NULL is allowed */

#endif
