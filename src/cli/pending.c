#include "cli/pending.h"

#include "cli/client.h"
#include "cli/format.h"

#include <time.h>

static int add(struct veld_table *t, const json_t *device)
{
    char age[VELD_FORMAT_SIZE], since[VELD_FORMAT_SIZE + 16];
    const char *at = json_string_value(json_array_get(json_object_get(device, "endpoints"), 0));
    json_int_t then = json_integer_value(json_object_get(device, "since"));
    time_t now = time(NULL);
    snprintf(since, sizeof since, "found %s ago",
             veld_format_age(now > then ? (uint64_t)(now - then) : 0, age));
    const struct veld_table_cell cells[] = {{veld_json_text(device, "name"), VELD_YELLOW},
                                            {veld_json_text(device, "pubkey"), VELD_PLAIN},
                                            {at ? at : "-", VELD_PLAIN},
                                            {since, VELD_DIM}};
    return veld_table_add(t, cells);
}

int veld_pending_print(const json_t *list, FILE *out)
{
    size_t i, n = json_array_size(list);
    json_t *device;
    if (n == 0)
        return 0;
    struct veld_table *t = veld_table_new(4);
    int rc = t ? 0 : VELD_E_NOMEM;
    json_array_foreach(list, i, device)
    {
        if (rc == 0)
            rc = add(t, device);
    }
    if (rc == 0) {
        fprintf(out, "found on this LAN, not trusted:\n");
        veld_table_print(t, out, veld_wants_colour(out));
        fputs("compare each key with what veld pubkey prints on that machine; then, on both: "
              "veld trust accept NAME\n",
              out);
    }
    veld_table_free(t);
    return rc;
}
