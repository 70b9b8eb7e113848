#include "load/serve.h"

#include "base/clock.h"
#include "load/sockets.h"
#include "load/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BATCH     128
#define SLOT      (64 * 1024)
#define WAKE_MSEC 100 /* to look at the clock and at *stop */

struct receiver {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t (*slots)[SLOT];
};

static void prepare(struct receiver *r)
{
    r->slots = calloc(BATCH, SLOT);
    if (!r->slots)
        sockets_die("out of memory", NULL, 0);
    for (size_t i = 0; i < BATCH; i++) {
        r->pieces[i] = (struct iovec){.iov_base = r->slots[i], .iov_len = SLOT};
        r->messages[i].msg_hdr =
            (struct msghdr){.msg_iov = &r->pieces[i], .msg_iovlen = 1, .msg_name = &r->from[i]};
    }
}

static void answer(int fd, uint64_t key, const struct tally *t, const struct probe *p,
                   struct receiver *r, size_t i)
{
    uint8_t report[PROBE_REPORT_LEN];
    size_t size = r->messages[i].msg_len;
    uint8_t *out = r->slots[i];
    if (p->kind == PROBE_PING) {
        struct probe pong = *p;
        pong.kind = PROBE_PONG;
        probe_write(key, &pong, out, size);
    } else {
        /* The asked trial may have lost every datagram: then nothing came of it. */
        uint64_t counters[PROBE_COUNTERS] = {0};
        if (p->trial == tally_trial(t))
            tally_counters(t, counters);
        probe_write_report(key, p->trial, counters, report);
        out = report;
        size = sizeof report;
    }
    const struct msghdr *m = &r->messages[i].msg_hdr;
    /* One that cannot be sent is lost, as on any path: who asked asks again. */
    (void)sendto(fd, out, size, MSG_DONTWAIT, m->msg_name, m->msg_namelen);
}

static void take(int fd, uint64_t key, struct tally *t, struct receiver *r, size_t n,
                 struct serve_result *result)
{
    for (size_t i = 0; i < n; i++) {
        struct probe p;
        uint64_t before = tally_trial(t);
        int kind = tally_add(t, r->slots[i], r->messages[i].msg_len, &p);
        result->trials += tally_trial(t) != before;
        if (kind == PROBE_PING || kind == PROBE_ASK)
            answer(fd, key, t, &p, r, i);
        result->pings += kind == PROBE_PING;
    }
}

void serve(int fd, uint64_t key, double seconds, const volatile sig_atomic_t *stop,
           struct serve_result *result)
{
    static struct receiver r;
    struct tally *t = tally_new(key);
    const struct timeval wake = {.tv_usec = WAKE_MSEC * 1000};
    prepare(&r);
    if (!t || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wake, sizeof wake) < 0)
        sockets_die("cannot prepare to receive", NULL, errno);
    *result = (struct serve_result){0};
    uint64_t end = seconds > 0 ? veld_clock_mono_ns() + (uint64_t)(seconds * 1e9) : UINT64_MAX;
    while (!*stop && veld_clock_mono_ns() < end) {
        for (size_t i = 0; i < BATCH; i++)
            r.messages[i].msg_hdr.msg_namelen = sizeof r.from[i];
        int n = recvmmsg(fd, r.messages, BATCH, MSG_WAITFORONE, NULL);
        if (n > 0)
            take(fd, key, t, &r, (size_t)n, result);
        else if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
            sockets_die("cannot receive", NULL, errno);
    }
    tally_counters(t, result->last);
    tally_free(t);
    free(r.slots);
}
