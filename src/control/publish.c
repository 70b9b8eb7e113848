/*
 * What follows from who the peers are: the dataplane's routes, the kernel's, and
 * the names. All at once at the start, where a conflict is an error; later a while
 * after the first of many changes, where a conflict leaves a route out and is told
 * in the status.
 *
 * A publication costs some microseconds a peer. The next one waits ten times as
 * long as the last one took, so that a storm of changes leaves the control thread
 * free for others. The kernel's routes are changed a few at a time between.
 */
#include "control/control_impl.h"

#include "base/bytes.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define SHARE        10  /* of the time is spent publishing: at most one part */
#define FIT_CHANGES  250 /* of the kernel's routes, some 10 us each */
#define FIT_EVERY_MS 5
#define TRY_AGAIN_S  30 /* when a route could not be had */
#define DELAY_MAX_MS 5000

/* ---- What there is to publish ---- */

struct gathered {
    struct veld_route *routes; /* of the dataplane */
    size_t n;
    struct veld_prefix
        *kernel; /* what of it needs a route of the kernel's; sorted, each once */
    size_t n_kernel;
    size_t n_unusable; /* of families that this machine has no address of */
};

static void gathered_free(struct gathered *g)
{
    free(g->routes);
    free(g->kernel);
}

/* Has this machine, or a network behind it, an address of this family to speak from? */
static bool has_family(const struct veld_config *config, uint8_t family)
{
    bool has = false;
    for (size_t i = 0; i < config->n_addrs; i++)
        has |= config->addrs[i].ip.family == family;
    for (size_t i = 0; i < config->n_routes; i++)
        has |= config->routes[i].ip.family == family;
    return has;
}

static void take(const struct veld_control *c, struct gathered *g,
                 const struct veld_prefix *prefix, uint32_t id)
{
    g->routes[g->n++] = (struct veld_route){*prefix, id};
    if (!has_family(c->config, prefix->ip.family))
        g->n_unusable++;
    else if (!veld_netif_leads_to(c->netif, prefix))
        g->kernel[g->n_kernel++] = *prefix;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct veld_prefix)); /* bytes only: no padding */
}

static void sort_kernel(struct gathered *g)
{
    size_t kept = 0;
    if (g->n_kernel)
        qsort(g->kernel, g->n_kernel, sizeof g->kernel[0], compare);
    for (size_t i = 0; i < g->n_kernel; i++)
        if (i == 0 || compare(&g->kernel[i], &g->kernel[kept - 1]) != 0)
            g->kernel[kept++] = g->kernel[i];
    g->n_kernel = kept;
}

static bool is_published(const struct control_peer *p)
{
    return !p->blocked && !p->unproven;
}

/* Each peer's addresses and accepted routes: what is sent to it, and what it may send. */
static int gather(const struct veld_control *c, struct gathered *g)
{
    const struct control_peer *p;
    size_t total = 0;
    *g = (struct gathered){0};
    for (uint32_t id = 0; (p = veld_peer_list_next(&c->peers, &id)); id++)
        total += p->about->n_addrs + p->about->n_routes;
    g->routes = calloc(total + 1, sizeof *g->routes);
    g->kernel = calloc(total + 1, sizeof *g->kernel);
    if (!g->routes || !g->kernel) {
        gathered_free(g);
        return VELD_E_NOMEM;
    }
    for (uint32_t id = 0; (p = veld_peer_list_next(&c->peers, &id)); id++) {
        for (size_t i = 0; is_published(p) && i < p->about->n_addrs; i++) {
            struct veld_prefix host = veld_prefix_host(&p->about->addrs[i]);
            take(c, g, &host, id);
        }
        size_t n_routes = c->config->accept_routes ? p->about->n_routes : 0;
        for (size_t i = 0; is_published(p) && i < n_routes; i++)
            take(c, g, &p->about->routes[i], id);
    }
    sort_kernel(g);
    return 0;
}

static void tell_unusable(struct veld_control *c, const struct gathered *g)
{
    if (g->n_unusable > c->publish.n_unusable)
        veld_warn("%zu of %zu addresses and routes of peers are left out: this machine has no "
                  "vpn_ip of their family to speak from",
                  g->n_unusable, g->n);
    c->publish.n_unusable = g->n_unusable;
}

/* ---- Names ---- */

static void add_record(GArray *records, const char *name, const struct veld_ip *ip)
{
    struct veld_dns_record record = {.name = name, .ip = *ip};
    if (name[0])
        g_array_append_val(records, record);
}

struct veld_dns_table *veld_publish_names(const struct veld_control *c)
{
    GArray *records = g_array_new(FALSE, FALSE, sizeof(struct veld_dns_record));
    const struct control_peer *p;
    for (size_t i = 0; i < c->config->n_addrs; i++)
        add_record(records, c->config->name, &c->config->addrs[i].ip);
    for (uint32_t id = 0; (p = veld_peer_list_next(&c->peers, &id)); id++) {
        for (size_t i = 0; is_published(p) && i < p->about->n_addrs; i++)
            add_record(records, p->about->name, &p->about->addrs[i]);
    }
    struct veld_dns_table *table =
        veld_dns_table_new(c->peers.network[0] ? c->peers.network : NULL,
                           (struct veld_dns_record *)(void *)records->data, records->len);
    g_array_free(records, TRUE);
    return table;
}

static int publish_names(struct veld_control *c)
{
    if (!c->dns)
        return 0;
    struct veld_dns_table *table = veld_publish_names(c);
    if (!table)
        return VELD_E_NOMEM;
    veld_dns_server_set_table(c->dns, table);
    return 0;
}

/* The set is `p`'s from now on. */
static void keep_kernel(struct veld_publish *p, struct gathered *g)
{
    free(p->kernel);
    p->kernel = g->kernel;
    p->n_kernel = g->n_kernel;
    g->kernel = NULL;
}

/* ---- At the start ---- */

int veld_publish_start(struct veld_control *c, struct veld_diag *diag)
{
    struct gathered g;
    int rc = gather(c, &g);
    if (rc < 0)
        return veld_fail(diag, rc, "out of memory");
    tell_unusable(c, &g);
    rc = veld_dataplane_routes_publish(c->dataplane, g.routes, g.n);
    if (rc < 0)
        veld_fail(diag, rc, "cannot publish %zu routes: %s", g.n, veld_strerror(rc));
    else if ((rc = publish_names(c)) < 0)
        veld_fail(diag, rc, "out of memory");
    else
        rc = veld_netif_set_routes(c->netif, g.kernel, g.n_kernel, diag);
    keep_kernel(&c->publish, &g);
    gathered_free(&g);
    return rc;
}

/* ---- Later: the kernel's routes ---- */

static void fit_begin(struct veld_control *c);

static gboolean on_try_again(gpointer data)
{
    struct veld_control *c = data;
    c->publish.again_source = 0;
    fit_begin(c);
    return G_SOURCE_REMOVE;
}

static void fit_failed(struct veld_control *c, const struct veld_diag *why, size_t others)
{
    struct veld_publish *p = &c->publish;
    struct veld_diag before = p->problem;
    if (others)
        veld_fail(&p->problem, 0, "%s (and %zu more)", why->text, others);
    else
        p->problem = *why;
    if (strcmp(before.text, p->problem.text) != 0)
        veld_warn("%s", p->problem.text);
    if (!p->again_source)
        p->again_source = g_timeout_add_seconds(TRY_AGAIN_S, on_try_again, c);
}

static void fit_end(struct veld_publish *p)
{
    veld_netif_fit_end(p->fit);
    p->fit = NULL;
    if (p->fit_source)
        g_source_remove(p->fit_source);
    if (p->again_source)
        g_source_remove(p->again_source);
    p->fit_source = p->again_source = 0;
}

/* True while there is more to do. */
static bool fit_some(struct veld_control *c)
{
    struct veld_publish *p = &c->publish;
    struct veld_diag why;
    if (veld_netif_fit_some(p->fit, FIT_CHANGES))
        return true;
    size_t left_out = veld_netif_fit_left_out(p->fit, &why);
    veld_netif_fit_end(p->fit);
    p->fit = NULL;
    if (left_out)
        fit_failed(c, &why, left_out - 1);
    else
        p->problem.text[0] = '\0';
    return false;
}

static gboolean on_fit(gpointer data)
{
    struct veld_control *c = data;
    if (fit_some(c))
        return G_SOURCE_CONTINUE;
    c->publish.fit_source = 0;
    return G_SOURCE_REMOVE;
}

static void fit_begin(struct veld_control *c)
{
    struct veld_publish *p = &c->publish;
    struct veld_diag why;
    fit_end(p);
    if (veld_netif_fit_begin(c->netif, p->kernel, p->n_kernel, &p->fit, &why) < 0)
        fit_failed(c, &why, 0);
    else if (fit_some(c))
        p->fit_source = g_timeout_add(FIT_EVERY_MS, on_fit, c);
}

void veld_publish_kernel_again(struct veld_control *c)
{
    if (c->publish.n_kernel)
        fit_begin(c);
}

/* Keeps the set of `g`. To read the kernel's routes costs by how many there are: only for news. */
static void publish_kernel(struct veld_control *c, struct gathered *g)
{
    struct veld_publish *p = &c->publish;
    bool same = p->n_kernel == g->n_kernel &&
                (g->n_kernel == 0 ||
                 memcmp(p->kernel, g->kernel, g->n_kernel * sizeof g->kernel[0]) == 0);
    if (same)
        return;
    keep_kernel(p, g);
    fit_begin(c);
}

/* ---- Later: all of it ---- */

static int publish_all(struct veld_control *c)
{
    struct gathered g;
    int rc = gather(c, &g);
    if (rc < 0)
        return rc;
    tell_unusable(c, &g);
    rc = veld_dataplane_routes_publish(c->dataplane, g.routes, g.n);
    if (rc == 0)
        rc = publish_names(c);
    if (rc == 0)
        publish_kernel(c, &g);
    gathered_free(&g);
    return rc;
}

static gboolean on_due(gpointer data)
{
    struct veld_control *c = data;
    uint64_t began_ns = veld_clock_mono_ns();
    c->publish.due_source = 0;
    int rc = publish_all(c);
    c->publish.cost_ns = veld_clock_mono_ns() - began_ns;
    veld_debug("peers, routes and names published in %llu us",
               (unsigned long long)(c->publish.cost_ns / VELD_NS_PER_US));
    if (rc < 0) {
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(),
                         "cannot publish routes and names: %s; trying again",
                         veld_strerror(rc));
        veld_publish_soon(c);
    }
    return G_SOURCE_REMOVE;
}

void veld_publish_soon(struct veld_control *c)
{
    struct veld_publish *p = &c->publish;
    if (p->due_source)
        return;
    uint64_t delay_ms = VELD_MAX(VELD_PUBLISH_MS, SHARE * p->cost_ns / VELD_NS_PER_MS);
    p->due_source = g_timeout_add((guint)VELD_MIN(delay_ms, DELAY_MAX_MS), on_due, c);
}

void veld_publish_stop(struct veld_control *c)
{
    struct veld_publish *p = &c->publish;
    fit_end(p);
    if (p->due_source)
        g_source_remove(p->due_source);
    free(p->kernel);
    *p = (struct veld_publish){0};
}
