#include "control/api/api.h"

#include "base/log.h"
#include "control/api/api_socket.h"

#include <glib.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX       16         /* requests that wait for their answer */
#define IDLE_TIMEOUT_S    10u        /* a connection that says nothing for so long is closed */
#define CONNECTION_MEMORY 16384      /* bytes: bounds the headers */
#define DISCARD_MAX       (1u << 20) /* bytes of an oversized body read before hanging up */
#define FLUSH_TURNS       8

/*
 * A request is MHD's from its first header to the completion callback. While
 * `owed`, control holds a pointer too: then the completion callback leaves it
 * to veld_api_reply to free.
 */
struct veld_api_request {
    struct veld_api *api;
    struct MHD_Connection *connection; /* NULL: the client's side is over */
    char body[VELD_API_BODY_MAX];
    size_t len, discarded;
    bool handled;   /* veld_api_handle was called */
    bool owed;      /* control will call veld_api_reply */
    bool suspended; /* MHD leaves the connection alone until it is resumed */
    bool down;      /* stop the daemon once this is answered */
    unsigned status;
    json_t *answer;
    struct veld_api_request *prev, *next; /* in api->waiting, while suspended */
};

struct veld_api {
    struct veld_api_ops ops;
    struct veld_api_socket socket;
    struct MHD_Daemon *http;
    GSource *source;
    gpointer epoll_tag;
    struct veld_api_request *waiting;
    unsigned n_waiting;
};

/* ---- Requests ---- */

static void request_free(struct veld_api_request *req)
{
    json_decref(req->answer);
    free(req);
}

static void suspend(struct veld_api_request *req)
{
    struct veld_api *a = req->api;
    req->suspended = true;
    req->prev = NULL;
    req->next = a->waiting;
    if (a->waiting)
        a->waiting->prev = req;
    a->waiting = req;
    a->n_waiting++;
    MHD_suspend_connection(req->connection);
}

static void resume(struct veld_api_request *req)
{
    struct veld_api *a = req->api;
    req->suspended = false;
    if (req->prev)
        req->prev->next = req->next;
    else
        a->waiting = req->next;
    if (req->next)
        req->next->prev = req->prev;
    a->n_waiting--;
    MHD_resume_connection(req->connection);
    g_source_set_ready_time(a->source, 0); /* MHD names no timeout for it (0.9.75) */
}

static enum MHD_Result send_answer(struct veld_api_request *req)
{
    char *text = req->answer ? json_dumps(req->answer, JSON_COMPACT) : NULL;
    if (!text)
        return MHD_NO; /* out of memory: hang up */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    enum MHD_Result rc =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    if (rc == MHD_YES)
        rc = MHD_queue_response(req->connection, req->status, response);
    MHD_destroy_response(response);
    return rc;
}

static void set_error(struct veld_api_request *req, unsigned status, const char *what)
{
    req->status = status;
    req->answer = json_pack("{s:s}", "error", what);
}

static enum MHD_Result refuse(struct veld_api_request *req, unsigned status, const char *what)
{
    req->handled = true;
    set_error(req, status, what);
    return send_answer(req);
}

/* Between routing and the daemon: what must wait until the answer has left, or may be refused. */
static void note_down(void *ctx)
{
    struct veld_api_request *req = ctx;
    req->down = true;
}

static json_t *pass_status(void *ctx)
{
    struct veld_api_request *req = ctx;
    return req->api->ops.status(req->api->ops.ctx);
}

static const char *pass_pubkey(void *ctx)
{
    struct veld_api_request *req = ctx;
    return req->api->ops.pubkey(req->api->ops.ctx);
}

static int owe(int (*op)(void *, const char *, struct veld_api_request *, struct veld_diag *),
               const char *peer, struct veld_api_request *req, struct veld_diag *diag)
{
    struct veld_api *a = req->api;
    if (a->n_waiting >= WAITING_MAX)
        return veld_fail(diag, VELD_E_FULL, "too many requests at once; try again in a second");
    req->owed = true; /* before the call: it may reply at once */
    int rc = op(a->ops.ctx, peer, req, diag);
    if (rc < 0)
        req->owed = false;
    return rc;
}

static int pass_ping(void *ctx, const char *peer, struct veld_api_request *req,
                     struct veld_diag *diag)
{
    return owe(req->api->ops.ping, peer, req, diag);
}

static int pass_rekey(void *ctx, const char *peer, struct veld_api_request *req,
                      struct veld_diag *diag)
{
    return owe(req->api->ops.rekey, peer, req, diag);
}

static int netcheck(void *ctx, const char *none, struct veld_api_request *req,
                    struct veld_diag *diag)
{
    return req->api->ops.netcheck(ctx, req, diag);
}

static int pass_netcheck(void *ctx, struct veld_api_request *req, struct veld_diag *diag)
{
    return owe(netcheck, NULL, req, diag);
}

static int pass_trust(void *ctx, json_t **out, struct veld_diag *diag)
{
    const struct veld_api_ops *ops = &((struct veld_api_request *)ctx)->api->ops;
    return ops->trust(ops->ctx, out, diag);
}

static int pass_accept(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    const struct veld_api_ops *ops = &((struct veld_api_request *)ctx)->api->ops;
    return ops->trust_accept(ops->ctx, name, out, diag);
}

static int pass_forget(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    const struct veld_api_ops *ops = &((struct veld_api_request *)ctx)->api->ops;
    return ops->trust_forget(ops->ctx, name, out, diag);
}

static int pass_reload(void *ctx, json_t **out, struct veld_diag *diag)
{
    const struct veld_api_ops *ops = &((struct veld_api_request *)ctx)->api->ops;
    return ops->network_reload(ops->ctx, out, diag);
}

static enum MHD_Result handle(struct veld_api_request *req, const char *method, const char *url)
{
    const struct veld_api_ops ops = {.ctx = req,
                                     .status = pass_status,
                                     .pubkey = pass_pubkey,
                                     .ping = pass_ping,
                                     .rekey = pass_rekey,
                                     .netcheck = pass_netcheck,
                                     .trust = pass_trust,
                                     .trust_accept = pass_accept,
                                     .trust_forget = pass_forget,
                                     .network_reload = pass_reload,
                                     .down = note_down};
    json_t *out;
    req->handled = true;
    unsigned status = veld_api_handle(&ops, method, url, req->body, req->len, req, &out);
    if (status != MHD_HTTP_ACCEPTED) {
        req->status = status;
        req->answer = out;
        return send_answer(req);
    }
    if (!req->owed) /* replied already */
        return send_answer(req);
    suspend(req);
    return MHD_YES;
}

void veld_api_reply(struct veld_api_request *req, unsigned http_status, json_t *body)
{
    req->owed = false;
    if (!req->connection) { /* the API was stopped meanwhile */
        json_decref(body);
        request_free(req);
        return;
    }
    req->status = http_status;
    req->answer = body;
    if (req->suspended)
        resume(req);
}

/* ---- What MHD calls ---- */

static enum MHD_Result begin(struct veld_api *a, struct MHD_Connection *connection,
                             void **con_cls)
{
    struct veld_api_request *req = calloc(1, sizeof *req);
    if (!req)
        return MHD_NO;
    req->api = a;
    req->connection = connection;
    *con_cls = req;

    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info || !veld_api_socket_allows(&a->socket, info->connect_fd))
        return refuse(req, MHD_HTTP_FORBIDDEN,
                      "permission denied: only root, the daemon's user and members of group "
                      "\"" VELD_API_GROUP "\"");
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length && strtoull(length, NULL, 10) > VELD_API_BODY_MAX)
        return refuse(req, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
    return MHD_YES;
}

/* A chunked body announces no length: what is too much is counted and thrown away. */
static enum MHD_Result take_body(struct veld_api_request *req, const char *data, size_t *size)
{
    size_t room = sizeof req->body - req->len;
    if (*size <= room && req->discarded == 0) {
        memcpy(req->body + req->len, data, *size);
        req->len += *size;
    } else {
        req->discarded += *size;
    }
    *size = 0;
    return req->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls)
{
    struct veld_api_request *req = *con_cls;
    if (!req)
        return begin(cls, connection, con_cls);
    if (*size > 0)
        return take_body(req, data, size);
    if (req->handled) /* resumed: the answer has come */
        return send_answer(req);
    if (req->discarded > 0)
        return refuse(req, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
    return handle(req, method, url);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode toe)
{
    struct veld_api *a = cls;
    struct veld_api_request *req = *con_cls;
    if (!req)
        return;
    *con_cls = NULL;
    bool down = req->down;
    if (req->owed)
        req->connection = NULL;
    else
        request_free(req);
    if (down)
        a->ops.down(a->ops.ctx);
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
    char line[256];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    veld_debug("local API: %s", line);
}

/* ---- MHD's epoll descriptor and timeouts in the GLib main loop ---- */

struct api_source {
    GSource base;
    struct veld_api *api;
};

static int timeout_ms(struct veld_api *a)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(a->http, &ms) != MHD_YES)
        return -1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    *timeout = timeout_ms(((struct api_source *)source)->api);
    return *timeout == 0;
}

static gboolean source_check(GSource *source)
{
    struct veld_api *a = ((struct api_source *)source)->api;
    return g_source_query_unix_fd(source, a->epoll_tag) != 0 || timeout_ms(a) == 0;
}

static unsigned connections(struct veld_api *a)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(a->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

/*
 * libmicrohttpd (0.9.75) stops listening at its connection limit and listens
 * again only at the start of a turn; when the turn before freed the places, it
 * names no timeout. So the turn that frees them is followed by one more.
 */
static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct veld_api *a = ((struct api_source *)source)->api;
    bool full = connections(a) >= VELD_API_CONNECTIONS_MAX;
    g_source_set_ready_time(source, -1);
    MHD_run(a->http);
    if (full && connections(a) < VELD_API_CONNECTIONS_MAX)
        MHD_run(a->http);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare, .check = source_check, .dispatch = source_dispatch};

static int attach(struct veld_api *a, struct veld_diag *diag)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->http, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED, "libmicrohttpd was built without epoll");
    a->source = g_source_new(&source_funcs, sizeof(struct api_source));
    ((struct api_source *)a->source)->api = a;
    a->epoll_tag = g_source_add_unix_fd(a->source, info->epoll_fd, G_IO_IN);
    g_source_attach(a->source, NULL);
    return 0;
}

/* ---- Start and stop ---- */

int veld_api_start(struct veld_api **out, const char *path, const struct veld_api_ops *ops,
                   struct veld_diag *diag)
{
    struct veld_api *a = calloc(1, sizeof *a);
    if (!a)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    a->ops = *ops;
    int rc = veld_api_socket_open(&a->socket, path, diag);
    if (rc < 0) {
        free(a);
        return rc;
    }
    a->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        a, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, a->socket.fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, a, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)VELD_API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (a->http) {
        a->socket.fd = -1; /* MHD closes it */
        rc = attach(a, diag);
    } else {
        rc = veld_fail(diag, VELD_E_IO, "cannot start the local API on %s", path);
    }
    if (rc < 0) {
        veld_api_stop(a);
        return rc;
    }
    *out = a;
    return 0;
}

void veld_api_stop(struct veld_api *a)
{
    if (!a)
        return;
    while (a->waiting) {
        set_error(a->waiting, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is stopping");
        resume(a->waiting);
    }
    if (a->source) {
        g_source_destroy(a->source);
        g_source_unref(a->source);
    }
    if (a->http) {
        for (int i = 0; i < FLUSH_TURNS; i++) /* let what was answered leave */
            MHD_run(a->http);
        MHD_stop_daemon(a->http);
    }
    veld_api_socket_close(&a->socket);
    free(a);
}
