/* Against a resolved of the test's own, on a bus of the test's own. */
#include "base/clock.h"
#include "control/names/resolved.h"

#include <criterion/criterion.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char interface_xml[] =
    "<node><interface name='org.freedesktop.resolve1.Manager'>"
    "<method name='SetLinkDNS'><arg type='i' direction='in'/><arg type='a(iay)' "
    "direction='in'/>"
    "</method>"
    "<method name='SetLinkDomains'><arg type='i' direction='in'/>"
    "<arg type='a(sb)' direction='in'/></method>"
    "<method name='SetLinkDefaultRoute'><arg type='i' direction='in'/>"
    "<arg type='b' direction='in'/></method>"
    "<method name='SetLinkDNSSEC'><arg type='i' direction='in'/><arg type='s' direction='in'/>"
    "</method>"
    "<method name='SetLinkDNSOverTLS'><arg type='i' direction='in'/>"
    "<arg type='s' direction='in'/></method>"
    "<method name='RevertLink'><arg type='i' direction='in'/></method>"
    "</interface></node>";

static GTestDBus *bus;
static struct veld_diag diag;
static const struct veld_ip server = {.family = 4, .b = {127, 0, 86, 1}};

/* The mock runs in a thread; it is told what to do before the code under test calls it. */
static GString *calls; /* "Method arguments;" each */
static const char *refuses, *lacks, *ignores;
static GMainLoop *mock_loop;
static GThread *mock_thread;
static gint mock_ready;

static void on_call(GDBusConnection *c, const gchar *sender, const gchar *path,
                    const gchar *interface, const gchar *method, GVariant *arguments,
                    GDBusMethodInvocation *call, gpointer data)
{
    char *text = g_variant_print(arguments, FALSE);
    g_string_append_printf(calls, "%s %s;", method, text);
    g_free(text);
    if (refuses && strcmp(method, refuses) == 0)
        g_dbus_method_invocation_return_error(call, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                                              "mock says no");
    else if (lacks && strcmp(method, lacks) == 0)
        g_dbus_method_invocation_return_error(call, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD,
                                              "mock is old");
    else if (!ignores || strcmp(method, ignores) != 0)
        g_dbus_method_invocation_return_value(call, NULL);
}

static gpointer run_mock(gpointer data)
{
    static const GDBusInterfaceVTable vtable = {.method_call = on_call};
    GMainContext *context = g_main_context_new();
    g_main_context_push_thread_default(context);
    GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(interface_xml, NULL);
    GDBusConnection *c = g_dbus_connection_new_for_address_sync(
        g_test_dbus_get_bus_address(bus),
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, NULL);
    g_dbus_connection_register_object(c, "/org/freedesktop/resolve1", node->interfaces[0],
                                      &vtable, NULL, NULL, NULL);
    GVariant *reply = g_dbus_connection_call_sync(
        c, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "RequestName", g_variant_new("(su)", "org.freedesktop.resolve1", 0), NULL,
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
    g_variant_unref(reply);
    mock_loop = g_main_loop_new(context, FALSE);
    g_atomic_int_set(&mock_ready, 1);
    g_main_loop_run(mock_loop);
    g_dbus_connection_close_sync(c, NULL, NULL);
    g_object_unref(c);
    g_dbus_node_info_unref(node);
    g_main_loop_unref(mock_loop);
    g_main_context_pop_thread_default(context);
    g_main_context_unref(context);
    return NULL;
}

static void start_bus(void)
{
    char *program = g_find_program_in_path("dbus-daemon");
    if (!program)
        cr_skip("needs dbus-daemon");
    g_free(program);
    bus = g_test_dbus_new(G_TEST_DBUS_NONE);
    g_test_dbus_up(bus);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", g_test_dbus_get_bus_address(bus), 1);
    calls = g_string_new(NULL);
}

static void start_mock(void)
{
    mock_thread = g_thread_new("mock", run_mock, NULL);
    while (!g_atomic_int_get(&mock_ready))
        g_usleep(1000);
}

static void stop_all(void)
{
    if (mock_thread) {
        g_main_loop_quit(mock_loop);
        g_thread_join(mock_thread);
    }
    if (!bus)
        return;
    g_test_dbus_stop(bus);
    g_object_unref(bus);
    g_string_free(calls, TRUE);
}

TestSuite(resolved, .init = start_bus, .fini = stop_all, .timeout = 60);

#define BEFORE_SERVER                                                                          \
    "SetLinkDomains (7, [('veld', true)]);SetLinkDefaultRoute (7, false);"                     \
    "SetLinkDNSSEC (7, 'no');SetLinkDNSOverTLS (7, 'no');"

Test(resolved, set_and_revert)
{
    start_mock();
    cr_assert_eq(veld_resolved_set(7, &server, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(calls->str,
                     BEFORE_SERVER "SetLinkDNS (7, [(2, [0x7f, 0x00, 0x56, 0x01])]);");
    g_string_truncate(calls, 0);
    cr_assert_eq(veld_resolved_revert(7, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(calls->str, "RevertLink (7,);");
}

Test(resolved, older_versions_lack_methods)
{
    lacks = "SetLinkDefaultRoute";
    start_mock();
    cr_assert_eq(veld_resolved_set(7, &server, &diag), 0, "%s", diag.text);
    cr_assert_not_null(strstr(calls->str, "SetLinkDNS (7,"));
}

Test(resolved, a_refusal_is_told_and_reverted)
{
    refuses = "SetLinkDNS";
    start_mock();
    cr_assert_eq(veld_resolved_set(7, &server, &diag), VELD_E_IO);
    cr_assert_not_null(strstr(diag.text, "mock says no"));
    cr_assert_not_null(strstr(calls->str, "RevertLink (7,);"));
}

Test(resolved, not_on_the_bus)
{
    cr_assert_eq(veld_resolved_set(7, &server, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "not running"));
}

Test(resolved, silence_is_bounded)
{
    ignores = "SetLinkDomains";
    start_mock();
    uint64_t began = veld_clock_mono_ns();
    cr_assert_eq(veld_resolved_set(7, &server, &diag), VELD_E_IO);
    cr_assert_lt(veld_clock_mono_ns() - began, 4 * VELD_NS_PER_S);
}

/* A bus that accepts and then says nothing. */
Test(resolved, a_dead_bus_is_bounded)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path + 1, "veld-test-resolved-dead");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(sun.sun_path + 1));
    cr_assert_eq(bind(fd, (struct sockaddr *)&sun, len), 0);
    cr_assert_eq(listen(fd, 1), 0);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:abstract=veld-test-resolved-dead", 1);
    uint64_t began = veld_clock_mono_ns();
    cr_assert_eq(veld_resolved_set(7, &server, &diag), VELD_E_NOENT);
    cr_assert_lt(veld_clock_mono_ns() - began, 4 * VELD_NS_PER_S);
    close(fd);
}
