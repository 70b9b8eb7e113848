#include "control/names/resolved.h"

#include "control/names/dns.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define CALL_TIMEOUT_MS 2000
#define SERVICE         "org.freedesktop.resolve1"
#define OBJECT          "/org/freedesktop/resolve1"
#define MANAGER         "org.freedesktop.resolve1.Manager"

/* ---- the bus ---- */

struct connecting {
    GDBusConnection *bus;
    GError *error;
    bool done;
};

static void on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
    struct connecting *c = data;
    c->bus = g_dbus_connection_new_for_address_finish(result, &c->error);
    c->done = true;
}

static gboolean on_timeout(gpointer data)
{
    g_cancellable_cancel(data);
    return G_SOURCE_REMOVE;
}

/* A connection of our own, in a bounded time even when the bus accepts and says nothing. NULL: `error`. */
static GDBusConnection *connect_bus(GError **error)
{
    char *address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, error);
    if (!address)
        return NULL;
    struct connecting c = {0};
    GMainContext *context = g_main_context_new();
    GCancellable *cancel = g_cancellable_new();
    GSource *timeout = g_timeout_source_new(CALL_TIMEOUT_MS);
    g_source_set_callback(timeout, on_timeout, cancel, NULL);
    g_source_attach(timeout, context);
    g_main_context_push_thread_default(context);
    g_dbus_connection_new_for_address(address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL, cancel, on_connected, &c);
    while (!c.done)
        g_main_context_iteration(context, TRUE);
    g_main_context_pop_thread_default(context);
    g_source_destroy(timeout);
    g_source_unref(timeout);
    g_object_unref(cancel);
    g_main_context_unref(context);
    g_free(address);
    if (!c.bus)
        g_propagate_error(error, c.error);
    return c.bus;
}

static void disconnect_bus(GDBusConnection *bus)
{
    g_dbus_connection_close_sync(bus, NULL, NULL);
    g_object_unref(bus);
}

/* Whether resolved has its name on the bus; it is not activated by asking. */
static bool is_there(GDBusConnection *bus, GError **error)
{
    gboolean has = FALSE;
    GVariant *reply = g_dbus_connection_call_sync(
        bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "NameHasOwner", g_variant_new("(s)", SERVICE), G_VARIANT_TYPE("(b)"),
        G_DBUS_CALL_FLAGS_NONE, CALL_TIMEOUT_MS, NULL, error);
    if (!reply)
        return false;
    g_variant_get(reply, "(b)", &has);
    g_variant_unref(reply);
    if (!has)
        g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER, "it is not running");
    return has;
}

static bool call(GDBusConnection *bus, const char *method, GVariant *arguments, GError **error)
{
    GVariant *reply = g_dbus_connection_call_sync(
        bus, SERVICE, OBJECT, MANAGER, method, arguments, NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START,
        CALL_TIMEOUT_MS, NULL, error);
    if (!reply)
        return false;
    g_variant_unref(reply);
    return true;
}

/* The same for a method that older versions of resolved lack. */
static bool call_if_known(GDBusConnection *bus, const char *method, GVariant *arguments,
                          GError **error)
{
    GError *own = NULL;
    if (call(bus, method, arguments, &own))
        return true;
    if (g_error_matches(own, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD)) {
        g_error_free(own);
        return true;
    }
    g_propagate_error(error, own);
    return false;
}

/* ---- the link ---- */

static GVariant *servers(unsigned ifindex, const struct veld_ip *server)
{
    size_t len = server->family == 4 ? 4 : 16;
    GVariant *bytes = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, server->b, len, 1);
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(iay)"));
    g_variant_builder_add(&list, "(i@ay)", server->family == 4 ? AF_INET : AF_INET6, bytes);
    return g_variant_new("(ia(iay))", (gint32)ifindex, &list);
}

/* Only names under "veld" go to the server: a routing domain, not a search domain. */
static GVariant *domains(unsigned ifindex)
{
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(sb)"));
    g_variant_builder_add(&list, "(sb)", VELD_DNS_DOMAIN, TRUE);
    return g_variant_new("(ia(sb))", (gint32)ifindex, &list);
}

static bool set_link(GDBusConnection *bus, unsigned ifindex, const struct veld_ip *server,
                     GError **error)
{
    gint32 i = (gint32)ifindex;
    /* the domain first: a server without one would be asked for everything meanwhile */
    return call(bus, "SetLinkDomains", domains(ifindex), error) &&
           call_if_known(bus, "SetLinkDefaultRoute", g_variant_new("(ib)", i, FALSE), error) &&
           /* the stub signs nothing and speaks no TLS, whatever the system's settings ask */
           call_if_known(bus, "SetLinkDNSSEC", g_variant_new("(is)", i, "no"), error) &&
           call_if_known(bus, "SetLinkDNSOverTLS", g_variant_new("(is)", i, "no"), error) &&
           call(bus, "SetLinkDNS", servers(ifindex, server), error);
}

static int failed(struct veld_diag *diag, int err, const char *what, GError *error)
{
    g_dbus_error_strip_remote_error(error);
    veld_fail(diag, err, "systemd-resolved: cannot %s: %s", what, error->message);
    g_error_free(error);
    return err;
}

int veld_resolved_set(unsigned ifindex, const struct veld_ip *server, struct veld_diag *diag)
{
    GError *error = NULL;
    GDBusConnection *bus = connect_bus(&error);
    if (!bus)
        return failed(diag, VELD_E_NOENT, "reach the system bus", error);
    int rc = 0;
    if (!is_there(bus, &error)) {
        rc = failed(diag, VELD_E_NOENT, "be used", error);
    } else if (!set_link(bus, ifindex, server, &error)) {
        rc = failed(diag, VELD_E_IO, "set the interface's server", error);
        call(bus, "RevertLink", g_variant_new("(i)", (gint32)ifindex), NULL);
    }
    disconnect_bus(bus);
    return rc;
}

int veld_resolved_revert(unsigned ifindex, struct veld_diag *diag)
{
    GError *error = NULL;
    GDBusConnection *bus = connect_bus(&error);
    if (!bus)
        return failed(diag, VELD_E_NOENT, "reach the system bus", error);
    bool ok = call(bus, "RevertLink", g_variant_new("(i)", (gint32)ifindex), &error);
    disconnect_bus(bus);
    return ok ? 0 : failed(diag, VELD_E_IO, "revert the interface's settings", error);
}
