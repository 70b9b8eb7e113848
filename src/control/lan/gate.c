#include "control/lan/gate.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/lan/message.h"

#include <stdlib.h>
#include <sys/socket.h>

struct AvahiWatch {
    AvahiWatch *inner;
    bool is_udp;
    uint64_t second_ns; /* when the second began, in which so many came */
    unsigned in_second;
    AvahiWatchCallback callback;
    void *ctx;
};

static const AvahiPoll *behind;

static bool is_within_rate(AvahiWatch *w, uint64_t now_ns)
{
    if (now_ns - w->second_ns >= VELD_NS_PER_S) {
        w->second_ns = now_ns;
        w->in_second = 0;
    }
    return w->in_second++ < VELD_LAN_MESSAGES_PER_S;
}

/* True: the next message may go on. Else it is gone. */
static bool pass(AvahiWatch *w, int fd)
{
    static uint8_t message[VELD_LAN_MESSAGE_MAX];
    uint64_t now_ns = veld_clock_mono_ns();
    ssize_t len = recv(fd, message, sizeof message, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
    if (len < 0)
        return true; /* an error, which is Avahi's to see */
    const char *why = !is_within_rate(w, now_ns) ? "one too many"
                      : !veld_lan_message_is_plain(message, (size_t)len)
                          ? "malformed or an alias"
                          : NULL;
    if (!why)
        return true;
    VELD_LOG_LIMITED(VELD_LOG_INFO, now_ns, "mDNS: a message is not looked at: %s", why);
    (void)!recv(fd, message, sizeof message, MSG_DONTWAIT);
    return false;
}

static void on_watch(AvahiWatch *inner, int fd, AvahiWatchEvent event, void *ctx)
{
    AvahiWatch *w = ctx;
    if (!w->is_udp || !(event & AVAHI_WATCH_IN) || pass(w, fd))
        w->callback(w, fd, event, w->ctx);
}

static AvahiWatch *watch_new(const AvahiPoll *api, int fd, AvahiWatchEvent event,
                             AvahiWatchCallback callback, void *ctx)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    AvahiWatch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->callback = callback;
    w->ctx = ctx;
    w->is_udp = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
                (domain == AF_INET || domain == AF_INET6);
    w->inner = behind->watch_new(behind, fd, event, on_watch, w);
    if (w->inner)
        return w;
    free(w);
    return NULL;
}

static void watch_update(AvahiWatch *w, AvahiWatchEvent event)
{
    behind->watch_update(w->inner, event);
}

static AvahiWatchEvent watch_get_events(AvahiWatch *w)
{
    return behind->watch_get_events(w->inner);
}

static void watch_free(AvahiWatch *w)
{
    behind->watch_free(w->inner);
    free(w);
}

static AvahiTimeout *timeout_new(const AvahiPoll *api, const struct timeval *at,
                                 AvahiTimeoutCallback callback, void *ctx)
{
    return behind->timeout_new(behind, at, callback, ctx);
}

const AvahiPoll *veld_lan_gate(const AvahiPoll *inner)
{
    static AvahiPoll gate = {.watch_new = watch_new,
                             .watch_update = watch_update,
                             .watch_get_events = watch_get_events,
                             .watch_free = watch_free,
                             .timeout_new = timeout_new};
    behind = inner;
    gate.timeout_update = inner->timeout_update;
    gate.timeout_free = inner->timeout_free;
    return &gate;
}
