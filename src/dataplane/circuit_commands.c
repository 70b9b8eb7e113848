/* The commands of dataplane.h about circuits and forwards. */
#include "dataplane/state.h"

/* The generation that has this number now. */
static int find_ref(const struct veld_dataplane *dp, uint32_t id, struct veld_peer_ref *out)
{
    const struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return VELD_E_NOENT;
    *out = peer->ref;
    return 0;
}

int veld_dataplane_circuit_set(struct veld_dataplane *dp, const struct veld_circuit *c)
{
    veld_dataplane_check(dp);
    struct veld_circuit_spec s = {
        .number = c->number, .remote_index = c->remote_index, .kind = VELD_CIRCUIT};
    int rc = find_ref(dp, c->relay, &s.to);
    s.from = s.to;
    return rc < 0 ? rc : veld_circuits_set(&dp->tables.circuits, &s);
}

void veld_dataplane_circuit_remove(struct veld_dataplane *dp, uint32_t number)
{
    veld_dataplane_check(dp);
    veld_circuits_remove(&dp->tables.circuits, VELD_CIRCUIT, number);
}

int veld_dataplane_forward_set(struct veld_dataplane *dp, const struct veld_forward *f)
{
    veld_dataplane_check(dp);
    struct veld_circuit_spec s = {.number = f->number,
                                  .remote_index = f->to_index,
                                  .kind = VELD_FORWARD,
                                  .bytes_per_s = f->bytes_per_s,
                                  .n_lines = dp->n_workers};
    if (f->from == f->to)
        return VELD_E_INVAL;
    int rc = find_ref(dp, f->from, &s.from);
    if (rc == 0)
        rc = find_ref(dp, f->to, &s.to);
    return rc < 0 ? rc : veld_circuits_set(&dp->tables.circuits, &s);
}

void veld_dataplane_forward_remove(struct veld_dataplane *dp, uint32_t number)
{
    veld_dataplane_check(dp);
    veld_circuits_remove(&dp->tables.circuits, VELD_FORWARD, number);
}

int veld_dataplane_forward_use(const struct veld_dataplane *dp, uint32_t number,
                               struct veld_forward_use *out)
{
    veld_dataplane_check(dp);
    const struct veld_circuit_entry *e = veld_circuits_find(&dp->tables.circuits, number);
    if (!e || e->kind != VELD_FORWARD)
        return VELD_E_NOENT;
    *out = (struct veld_forward_use){0};
    for (unsigned i = 0; i < e->n_lines; i++) {
        out->datagrams += veld_counter_get(&e->lines[i].datagrams);
        out->bytes += veld_counter_get(&e->lines[i].bytes);
        out->last_ns = VELD_MAX(out->last_ns, veld_counter_get(&e->lines[i].last_ns));
    }
    return 0;
}

void veld_dataplane_set_forward_rate(struct veld_dataplane *dp, uint64_t bytes_per_s)
{
    veld_dataplane_check(dp);
    veld_rate_set(dp->tables.circuits.rate, bytes_per_s);
}
