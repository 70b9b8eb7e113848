/*
 * veld-coord: the coord server and the few commands beside it.
 */
#include "coord/commands.h"
#include "coord/options.h"
#include "coord/serve.h"
#include "coord/supervisor.h"

#include <signal.h>
#include <stdio.h>

struct program {
    const struct veld_coord_options *options;
    const struct veld_listeners *listeners;
};

static void is_ready(void *ctx)
{
    veld_child_ready(ctx);
}

static int run_child(void *ctx, struct veld_child *child)
{
    const struct program *p = ctx;
    struct veld_serve what = {.options = p->options,
                              .listeners = p->listeners,
                              .announce = veld_child_crashes(child) == 0,
                              .ready = is_ready,
                              .ctx = child};
    return veld_serve(&what);
}

static int run_alone(const struct program *p)
{
    sigset_t set;
    struct veld_serve what = {
        .options = p->options, .listeners = p->listeners, .announce = true};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return veld_serve(&what);
}

static int serve(const struct veld_coord_options *o)
{
    struct veld_listeners l;
    struct veld_diag diag;
    if (veld_listen_wait(&l, &o->listen, VELD_COORD_PATIENCE_MS, &diag) < 0) {
        fprintf(stderr, "veld-coord: %s\n", diag.text);
        return VELD_COORD_FAILED;
    }
    struct program p = {o, &l};
    int rc = o->supervise ? veld_supervise(run_child, &p) : run_alone(&p);
    veld_listen_close(&l);
    return rc;
}

int main(int argc, char **argv)
{
    struct veld_coord_options o;
    int rc = veld_coord_options_parse(&o, argc, argv);
    if (rc >= 0)
        return rc;
    veld_log_set_level(o.log_level);
    veld_event_log_start(o.log_format);
    return o.command == VELD_COORD_SERVE ? serve(&o) : veld_coord_command(&o);
}
