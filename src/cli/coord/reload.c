#include "cli/coord/reload.h"

#include <stdbool.h>
#include <string.h>

const char *veld_status_network(const json_t *status)
{
    return json_string_value(json_object_get(json_object_get(status, "network"), "name"));
}

enum veld_reload veld_reload_daemon(const char *socket, const char *network)
{
    struct veld_diag ignored;
    json_t *status, *answer;
    if (veld_client_call(socket, "/v1/status", NULL, &status, &ignored) < 0)
        return VELD_RELOAD_NONE;
    const char *runs = veld_status_network(status);
    bool ours = runs && strcmp(runs, network) == 0;
    json_decref(status);
    if (!ours)
        return VELD_RELOAD_NONE;
    if (veld_client_call(socket, "/v1/network/reload", "{}", &answer, &ignored) < 0)
        return VELD_RELOAD_RESTART;
    json_decref(answer);
    return VELD_RELOAD_DONE;
}
