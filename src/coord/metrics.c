#include "coord/metrics.h"

#include "base/bytes.h"

#include <microhttpd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 8
#define TIMEOUT_S       10

struct veld_metrics {
    struct MHD_Daemon *daemon;
    struct veld_metrics_source source;
};

/* ---- The text ---- */

enum kind { GAUGE, COUNTER };
struct metric {
    const char *name; /* with labels, when it has any */
    enum kind kind;
    size_t offset; /* of a uint64_t in veld_metrics_numbers */
    const char *help;
};
#define AT(field) offsetof(struct veld_metrics_numbers, field)

/* Those of one name stand together. */
static const struct metric metrics[] = {
    {"veld_networks", GAUGE, AT(server.service.networks), "Networks known"},
    {"veld_members", GAUGE, AT(server.service.members), "Members of all networks"},
    {"veld_members_online", GAUGE, AT(server.service.online),
     "Members with a watch open or a lease"},
    {"veld_joins_waiting", GAUGE, AT(server.service.joins_waiting), "Requests to be let in"},
    {"veld_registrations_total", COUNTER, AT(server.service.registrations),
     "Registrations made"},
    {"veld_signals_total", COUNTER, AT(server.service.signals), "Signals handed on"},
    {"veld_events_sent_total", COUNTER, AT(server.service.events_sent),
     "Events given to watches"},
    {"veld_resyncs_total", COUNTER, AT(server.service.resyncs), "Watches told to begin anew"},
    {"veld_commits_total", COUNTER, AT(server.service.commits), "Batches made durable"},
    {"veld_commits_failed_total", COUNTER, AT(server.commits_failed), "Batches that were not"},
    {"veld_service_calls_total{result=\"ok\"}", COUNTER, AT(server.service.calls_ok),
     "Calls of the coord service by how they ended"},
    {"veld_service_calls_total{result=\"refused\"}", COUNTER, AT(server.service.calls_refused),
     NULL},
    {"veld_signatures_refused_total", COUNTER, AT(server.service.signatures_refused),
     "Calls whose signature, time or nonce did not hold"},
    {"veld_calls_total", COUNTER, AT(server.calls), "Calls that came, of every kind"},
    {"veld_calls_open", GAUGE, AT(server.calls_open), "Calls in flight, watches aside"},
    {"veld_calls_dropped_total{reason=\"late\"}", COUNTER, AT(server.calls_late),
     "Calls ended by the server's bounds"},
    {"veld_calls_dropped_total{reason=\"too_many\"}", COUNTER, AT(server.calls_refused), NULL},
    {"veld_watches_open", GAUGE, AT(server.watches_open), "Watches open"},
    {"veld_watches_slow_total", COUNTER, AT(server.watches_slow),
     "Watches ended for not reading"},
    {"veld_connections_open", GAUGE, AT(server.gate.open), "Connections open"},
    {"veld_connections_total", COUNTER, AT(server.gate.accepted), "Connections accepted"},
    {"veld_connections_refused_total{reason=\"full\"}", COUNTER, AT(server.gate.refused_full),
     "Connections closed unread"},
    {"veld_connections_refused_total{reason=\"address\"}", COUNTER,
     AT(server.gate.refused_address), NULL},
    {"veld_connections_refused_total{reason=\"rate\"}", COUNTER, AT(server.gate.refused_rate),
     NULL},
    {"veld_connections_cut_total", COUNTER, AT(server.gate.cut),
     "Connections cut for their calls"},
    {"veld_connections_broken_total{reason=\"preface\"}", COUNTER,
     AT(server.faults[VELD_HTTP2_PREFACE]), "Connections broken off for what they sent"},
    {"veld_connections_broken_total{reason=\"frame\"}", COUNTER,
     AT(server.faults[VELD_HTTP2_FRAME]), NULL},
    {"veld_connections_broken_total{reason=\"headers\"}", COUNTER,
     AT(server.faults[VELD_HTTP2_HEADERS]), NULL},
    {"veld_connections_broken_total{reason=\"data\"}", COUNTER,
     AT(server.faults[VELD_HTTP2_DATA]), NULL},
    {"veld_connections_broken_total{reason=\"too_many\"}", COUNTER,
     AT(server.faults[VELD_HTTP2_TOO_MANY]), NULL},
    {"veld_stun_requests_total{result=\"answered\"}", COUNTER, AT(stun.answered),
     "STUN requests by what became of them"},
    {"veld_stun_requests_total{result=\"dropped\"}", COUNTER, AT(stun.dropped), NULL},
    {"veld_stun_requests_total{result=\"limited\"}", COUNTER, AT(stun.limited), NULL},
    {"veld_turns_total", COUNTER, AT(server.turns), "Turns of the server's loop"},
};

char *veld_metrics_text(const struct veld_metrics_numbers *s, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    if (!f)
        return NULL;
    for (size_t i = 0; i < VELD_ARRAY_LEN(metrics); i++) {
        const struct metric *m = &metrics[i];
        uint64_t value;
        memcpy(&value, (const char *)s + m->offset, sizeof value);
        int name = (int)strcspn(m->name, "{");
        if (m->help)
            fprintf(f, "# HELP %.*s %s.\n# TYPE %.*s %s\n", name, m->name, m->help, name,
                    m->name, m->kind == GAUGE ? "gauge" : "counter");
        fprintf(f, "%s %llu\n", m->name, (unsigned long long)value);
    }
    fprintf(f, "# HELP veld_build_info The version.\n# TYPE veld_build_info gauge\n"
               "veld_build_info{version=\"" VELD_VERSION "\"} 1\n");
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- HTTP ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              const char *text, size_t len)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *upload_data, size_t *upload_data_size,
                                  void **request_ctx)
{
    struct veld_metrics *m = ctx;
    static const char nothing[] = "there is /metrics\n", wrong[] = "GET only\n";
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", wrong, strlen(wrong));
    if (strcmp(url, "/metrics") != 0)
        return answer(c, MHD_HTTP_NOT_FOUND, "text/plain", nothing, strlen(nothing));
    struct veld_metrics_numbers stats = {.stun = {0}};
    size_t len;
    veld_server_get_stats(m->source.server, &stats.server);
    if (m->source.stun)
        veld_stun_server_get_stats(m->source.stun, &stats.stun);
    char *text = veld_metrics_text(&stats, &len);
    if (!text)
        return MHD_NO;
    enum MHD_Result result =
        answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, len);
    free(text);
    return result;
}

int veld_metrics_open(struct veld_metrics **out, struct veld_listeners *listeners,
                      const struct veld_metrics_source *source, struct veld_diag *diag)
{
    struct veld_listeners l = *listeners;
    listeners->n = 0;
    struct veld_metrics *m = malloc(sizeof *m);
    if (!m) {
        veld_listen_close(&l);
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    }
    m->source = *source;
    /* The library closes the socket; of a name with several addresses the first is served. */
    for (size_t i = 1; i < l.n; i++)
        close(l.fds[i]);
    m->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL,
                         on_request, m, MHD_OPTION_LISTEN_SOCKET, l.fds[0],
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    if (!m->daemon) {
        close(l.fds[0]);
        free(m);
        return veld_fail(diag, VELD_E_IO, "cannot serve metrics on port %u", l.first.port);
    }
    *out = m;
    return 0;
}

void veld_metrics_close(struct veld_metrics *m)
{
    if (!m)
        return;
    MHD_stop_daemon(m->daemon);
    free(m);
}
