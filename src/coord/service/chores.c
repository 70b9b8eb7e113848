#include "coord/service/chores.h"

#include "base/bytes.h"
#include "coord/service/events.h"
#include "coord/service/watch.h"

/* Of a network: what has ended, found first and then ended, since that changes what is walked. */
static void end_memberships(struct veld_service *s, struct veld_net *net, uint64_t now_s)
{
    GPtrArray *ended = g_ptr_array_new();
    for (size_t i = 0; i < net->changed.n; i++) {
        struct veld_member *m = net->changed.at[i].what;
        if (m && veld_member_has_ended(m, now_s))
            g_ptr_array_add(ended, m);
    }
    for (guint i = 0; i < ended->len; i++)
        veld_watch_remove_member(s, ended->pdata[i], VELD_CODE_PERMISSION_DENIED,
                                 "this membership has ended");
    g_ptr_array_free(ended, TRUE);
}

static void end_joins(struct veld_service *s, struct veld_net *net, uint64_t now_s)
{
    GHashTableIter i;
    gpointer value;
    if (!net->joins)
        return;
    GPtrArray *ended = g_ptr_array_new();
    g_hash_table_iter_init(&i, net->joins);
    while (g_hash_table_iter_next(&i, NULL, &value))
        if (now_s > ((const struct veld_join *)value)->filed_s + VELD_JOIN_KEPT_S)
            g_ptr_array_add(ended, value);
    for (guint k = 0; k < ended->len; k++)
        veld_join_remove(s->registry, net, ((const struct veld_join *)ended->pdata[k])->p);
    g_ptr_array_free(ended, TRUE);
}

/* Without members, without a change for long, and nothing of this turn. */
static bool is_abandoned(const struct veld_net *net, uint64_t now_s)
{
    return g_hash_table_size(net->members) == 0 && !net->is_changed && !net->tell_waits &&
           now_s > net->revision / 1000000 + VELD_EMPTY_NETWORK_KEPT_S;
}

void veld_chores_do(struct veld_service *s)
{
    GHashTableIter i;
    gpointer value;
    uint64_t now_s = s->now.wall_ns / VELD_NS_PER_S;
    GPtrArray *abandoned = g_ptr_array_new();
    g_hash_table_iter_init(&i, s->registry->nets);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        struct veld_net *net = value;
        end_memberships(s, net, now_s);
        end_joins(s, net, now_s);
        veld_tokens_tidy(s->registry, net, now_s);
        if (is_abandoned(net, now_s))
            g_ptr_array_add(abandoned, net);
    }
    for (guint k = 0; k < abandoned->len; k++) {
        veld_events_forget_all(s->events, abandoned->pdata[k]);
        veld_net_remove(s->registry, abandoned->pdata[k]);
    }
    g_ptr_array_free(abandoned, TRUE);
}
