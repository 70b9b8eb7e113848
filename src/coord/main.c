/*
 * veld-coord: the coord server and the few commands beside it.
 */
#include "coord/options.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct veld_coord_options o;
    int rc = veld_coord_options_parse(&o, argc, argv);
    if (rc >= 0)
        return rc;
    veld_log_set_level(o.log_level);
    veld_event_log_start(o.log_format);
    struct veld_listeners l;
    struct veld_diag diag;
    if (veld_listen_open(&l, &o.listen, &diag) < 0) {
        fprintf(stderr, "veld-coord: %s\n", diag.text);
        return VELD_COORD_FAILED;
    }
    veld_listen_close(&l);
    return VELD_COORD_DONE;
}
