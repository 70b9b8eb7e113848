#include "control/engine/preference.h"

#include "base/bytes.h"

/* Where an address means a machine on a network that both ends are in. */
static const struct veld_prefix local[] = {
    {{4, {10}}, 8},   {{4, {172, 16}}, 12},    {{4, {192, 168}}, 16}, {{4, {169, 254}}, 16},
    {{6, {0xfc}}, 7}, {{6, {0xfe, 0x80}}, 10}, {{4, {127}}, 8},
};

enum veld_path_class veld_path_class(const struct veld_endpoint *e)
{
    if (veld_endpoint_is_circuit(e))
        return VELD_PATH_CIRCUIT;
    for (size_t i = 0; i < VELD_ARRAY_LEN(local); i++) {
        if (veld_prefix_contains(&local[i], &e->ip))
            return VELD_PATH_LOCAL;
    }
    return VELD_PATH_PUBLIC;
}
