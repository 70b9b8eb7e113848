/*
 * A parent that starts the serving process again when it crashes.
 *
 * gRPC 1.51 is known to abort on some of what strangers may send it. What was
 * acknowledged is in the database by then; the parent, which holds the
 * listening sockets so that connections wait meanwhile, starts a new child at
 * once, and after each further crash within a minute waits twice as long as
 * before, up to 5 s: a steady attack gets no more than one restart in 5 s.
 *
 * SIGTERM and SIGINT are passed on. A child that ends by itself, or crashes
 * before it ever served, ends the parent with its exit code.
 *
 * Thread: main, and no other may have been started.
 */
#ifndef VELD_COORD_SUPERVISOR_H
#define VELD_COORD_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

/* In the child; the exit code. SIGTERM and SIGINT are blocked. */
struct veld_child;
typedef int veld_child_fn(void *ctx, struct veld_child *child);
/* The child says that it serves. */
void veld_child_ready(struct veld_child *child);
/* How often a child has crashed before this one. */
uint32_t veld_child_crashes(const struct veld_child *child);

/* Returns the exit code. */
int veld_supervise(veld_child_fn *run, void *ctx);

/* How long to wait before the next start: `*wait_ms` is the last wait, 0 at first. Pure. */
uint32_t veld_supervisor_wait_ms(uint32_t last_wait_ms, uint64_t served_ns);

#endif
