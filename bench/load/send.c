#include "load/send.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "load/sockets.h"
#include "load/tally.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
/* Shorter sleeps would cost more than they smooth; what is due meanwhile leaves at once. */
#define SLEEP_NS (50 * VELD_NS_PER_US)
/* A sender that was held up makes up for so much, and lets the rest go: a burst of any
 * length would measure queues. */
#define CATCH_UP_NS  (2 * VELD_NS_PER_MS)
#define DRAIN_MSEC   30 /* a report that has not changed for so long is the last */
#define DRAINS_MAX   40
#define ANSWER_MSEC  100
#define ANSWER_TRIES 20

struct sender {
    uint64_t key, trial;
    unsigned flows;
    int fds[TALLY_FLOWS];
    uint64_t next[TALLY_FLOWS]; /* sequence number */
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    uint8_t slots[BATCH][PROBE_SIZE_MAX];
};

struct sender *sender_open(const char *address, const char *port, uint64_t key, unsigned flows)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s)
        sockets_die("out of memory", NULL, 0);
    s->key = key;
    s->flows = flows;
    for (unsigned i = 0; i < flows; i++)
        s->fds[i] = sockets_connect(address, port);
    for (size_t i = 0; i < BATCH; i++) {
        s->pieces[i].iov_base = s->slots[i];
        s->messages[i].msg_hdr = (struct msghdr){.msg_iov = &s->pieces[i], .msg_iovlen = 1};
    }
    /* Sleeps of tens of microseconds end in time. */
    (void)prctl(PR_SET_TIMERSLACK, 1000);
    return s;
}

void sender_close(struct sender *s)
{
    for (unsigned i = 0; i < s->flows; i++)
        close(s->fds[i]);
    free(s);
}

/* ---- questions ---- */

/* Asks what came of a trial until there is an answer, so many times. */
static bool ask(struct sender *s, uint64_t trial, unsigned tries,
                uint64_t counters[PROBE_COUNTERS])
{
    uint8_t question[PROBE_SIZE_MIN], answer[2048];
    probe_write(s->key, &(struct probe){.kind = PROBE_ASK, .trial = trial}, question,
                sizeof question);
    for (unsigned i = 0; i < tries; i++) {
        struct pollfd wait = {.fd = s->fds[0], .events = POLLIN};
        ssize_t n = send(s->fds[0], question, sizeof question, MSG_DONTWAIT);
        if (poll(&wait, 1, ANSWER_MSEC) <= 0)
            continue;
        while ((n = recv(s->fds[0], answer, sizeof answer, MSG_DONTWAIT)) >= 0)
            if (probe_read_report(s->key, trial, answer, (size_t)n, counters))
                return true;
        if (errno == ECONNREFUSED) /* nobody listens yet: do not ask in a hurry */
            poll(NULL, 0, ANSWER_MSEC);
    }
    return false;
}

bool sender_wait(struct sender *s, double seconds)
{
    uint64_t unused[PROBE_COUNTERS];
    return ask(s, 0, (unsigned)(seconds * 1000 / ANSWER_MSEC) + 1, unused);
}

/* Asks until nothing more arrives. */
static void collect(struct sender *s, struct sender_result *r)
{
    uint64_t before = UINT64_MAX;
    for (unsigned i = 0; i < DRAINS_MAX; i++) {
        if (!ask(s, r->trial, ANSWER_TRIES, r->counters))
            return;
        r->answered = true;
        uint64_t received = r->counters[COUNT_RECEIVED];
        if (received == r->sent || received == before)
            return;
        before = received;
        poll(NULL, 0, DRAIN_MSEC);
    }
}

/* ---- sending ---- */

/* Sends up to n datagrams of one flow; how many the kernel took. */
static unsigned burst(struct sender *s, unsigned flow, size_t size, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct probe p = {.kind = PROBE_DATA,
                                .flow = (uint8_t)flow,
                                .trial = s->trial,
                                .sequence = s->next[flow] + i};
        probe_write(s->key, &p, s->slots[i], size);
        s->pieces[i].iov_len = size;
    }
    int sent = sendmmsg(s->fds[flow], s->messages, n, 0);
    if (sent < 0) {
        if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
            sockets_die("cannot send", NULL, errno);
        return 0;
    }
    s->next[flow] += (unsigned)sent;
    return (unsigned)sent;
}

static void sleep_until(uint64_t when)
{
    const struct timespec t = {.tv_sec = (time_t)(when / VELD_NS_PER_S),
                               .tv_nsec = (long)(when % VELD_NS_PER_S)};
    (void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
}

/* Sends until the end of the plan; how long it took. */
static double pace(struct sender *s, const struct sender_plan *plan,
                   const volatile sig_atomic_t *stop, struct sender_result *r)
{
    const double gap_ns = plan->rate > 0 ? 1e9 / plan->rate : 0;
    const uint64_t start = veld_clock_mono_ns();
    const uint64_t end = start + (uint64_t)(plan->seconds * 1e9);
    double due = (double)start; /* when the next one is to leave */
    uint64_t now = start;
    for (unsigned flow = 0; now < end && !*stop; flow = (flow + 1) % s->flows) {
        if (due < (double)now - CATCH_UP_NS)
            due = (double)now - CATCH_UP_NS;
        unsigned n = BATCH;
        if (gap_ns > 0) {
            double owed = due <= (double)now ? ((double)now - due) / gap_ns + 1 : 0;
            n = (unsigned)VELD_MIN(owed, BATCH);
        }
        if (n > 0) {
            unsigned sent = burst(s, flow, plan->size, n);
            r->sent += sent;
            r->refused += n - sent;
            due += gap_ns * n;
        }
        now = veld_clock_mono_ns();
        if (due > (double)now) {
            sleep_until(VELD_MIN(VELD_MAX((uint64_t)due, now + SLEEP_NS), end));
            now = veld_clock_mono_ns();
        }
    }
    return (double)(now - start) / 1e9;
}

void sender_run(struct sender *s, const struct sender_plan *plan,
                const volatile sig_atomic_t *stop, struct sender_result *result)
{
    struct sender_result r = {.trial = veld_clock_mono_ns()};
    s->trial = r.trial;
    for (unsigned i = 0; i < s->flows; i++)
        s->next[i] = 0;
    r.seconds = pace(s, plan, stop, &r);
    collect(s, &r);
    *result = r;
}

double sender_loss(const struct sender_result *r)
{
    if (r->sent == 0 || !r->answered)
        return 1;
    uint64_t arrived = VELD_MIN(r->counters[COUNT_RECEIVED], r->sent);
    return 1 - (double)arrived / (double)r->sent;
}
