/* In place of uring.c and its parts in a build with -Dio_uring=disabled. */
#include "dataplane/uring.h"

#include <stddef.h>

int veld_uring_probe(struct veld_uring_features *out, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_UNSUPPORTED, "this build of Veld is without io_uring");
}

int veld_uring_open(struct veld_io **out, const struct veld_io_config *cfg,
                    const struct veld_uring_features *use, struct veld_diag *diag)
{
    return veld_uring_probe(NULL, diag);
}
