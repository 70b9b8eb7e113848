/*
 * The serving process: database, certificate, service and network, brought up in
 * order and taken down again.
 *
 * Thread: main.
 */
#ifndef VELD_COORD_SERVE_H
#define VELD_COORD_SERVE_H

#include "coord/options.h"

#include <stdbool.h>

/*
 * Serves until SIGTERM or SIGINT, which must be blocked before. `announce`: say on standard output what to do next.
 * `ready` (NULL: nobody) is told once it serves. An exit code, all having been said.
 */
struct veld_serve {
    const struct veld_coord_options *options;
    const struct veld_listeners *listeners;
    bool announce;
    void (*ready)(void *ctx);
    void *ctx;
};
int veld_serve(const struct veld_serve *what);

#endif
