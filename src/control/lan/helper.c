/*
 * veld-mdns LISTEN PUBKEY INTERFACE, with a socket as standard input: started by veld-daemon alone
 * (discovery.h). It announces this machine and reports others (report.h) until the daemon is gone.
 *
 * Everything that it reads is a stranger's, so it has no privileges.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "control/lan/announce.h"
#include "control/lan/browse.h"
#include "control/lan/gate.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <avahi-core/log.h>
#include <cap-ng.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAEMON_FD STDIN_FILENO

static void on_daemon(AvahiWatch *w, int fd, AvahiWatchEvent event, void *ctx)
{
    avahi_simple_poll_quit(ctx); /* it sends nothing, so it is gone */
}

/* Waits while the daemon has other things to do. */
static void on_report(void *ctx, const struct veld_lan_report *report)
{
    if (send(DAEMON_FD, report, sizeof *report, MSG_NOSIGNAL) != sizeof *report)
        avahi_simple_poll_quit(ctx);
}

/* Avahi warns of other mDNS stacks beside it, which are as they should be. */
static void on_log(AvahiLogLevel level, const char *text)
{
    if (level == AVAHI_LOG_ERROR)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "mDNS: %s", text);
    else
        veld_debug("mDNS: %s", text);
}

/* Root's own files are out of reach too, where the kernel can do that. */
static int confine(void)
{
    int rc = veld_confine_files();
    return rc == VELD_E_UNSUPPORTED ? 0 : rc;
}

static bool drop_privileges(void)
{
    struct rlimit none = {0, 0};
    capng_clear(CAPNG_SELECT_BOTH);
    return setrlimit(RLIMIT_CORE, &none) == 0 && capng_apply(CAPNG_SELECT_CAPS) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && confine() == 0;
}

static int run(AvahiSimplePoll *loop, const struct veld_endpoint *listen, const uint8_t pub[32],
               const char *without)
{
    const AvahiPoll *poll = veld_lan_gate(avahi_simple_poll_get(loop));
    const struct veld_browse_config browse = {
        .poll = poll, .without = without, .pub = pub, .on_report = on_report, .ctx = loop};
    int error;
    AvahiWatch *daemon = poll->watch_new(poll, DAEMON_FD, AVAHI_WATCH_IN, on_daemon, loop);
    struct veld_announce *a = veld_announce_start(poll, without, listen, pub, &error);
    struct veld_browse *b = a ? veld_browse_start(&browse, &error) : NULL;
    if (daemon && b)
        avahi_simple_poll_loop(loop);
    else
        veld_error("mDNS cannot be used: %s", avahi_strerror(error));
    int rc = daemon && b ? 0 : 1;
    veld_browse_stop(b);
    veld_announce_stop(a);
    return rc;
}

int main(int argc, char **argv)
{
    uint8_t pub[32];
    struct veld_endpoint listen;
    if (argc != 4 || veld_endpoint_parse_listen(argv[1], &listen) < 0 ||
        veld_crypto_init() < 0 || veld_pubkey_parse(argv[2], pub) < 0) {
        veld_error("veld-mdns is started by veld-daemon, with [mdns] enabled = true");
        return 2;
    }
    if (!drop_privileges()) {
        veld_error("mDNS: privileges cannot be dropped");
        return 1;
    }
    avahi_set_log_function(on_log);
    AvahiSimplePoll *loop = avahi_simple_poll_new();
    int rc = loop ? run(loop, &listen, pub, argv[3]) : 1;
    if (loop)
        avahi_simple_poll_free(loop);
    return rc;
}
