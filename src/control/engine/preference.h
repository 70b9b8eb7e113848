/*
 * Which of two paths that both work is the better one, by their endpoints alone: a local
 * address (RFC 1918, RFC 4193, link-local) before any other, and any address before a circuit.
 * Endpoints of one class are equally good, so that a path in use is not left for another
 * like it, and paths do not flap.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_ENGINE_PREFERENCE_H
#define VELD_CONTROL_ENGINE_PREFERENCE_H

#include "base/addr.h"

enum veld_path_class { VELD_PATH_CIRCUIT, VELD_PATH_PUBLIC, VELD_PATH_LOCAL };

enum veld_path_class veld_path_class(const struct veld_endpoint *e);

static inline bool veld_path_is_better(const struct veld_endpoint *a,
                                       const struct veld_endpoint *than)
{
    return veld_path_class(a) > veld_path_class(than);
}

#endif
