#include "load/ping.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "load/probe.h"
#include "load/sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define SAMPLES_MAX 2000000u
#define LOST_MSEC   1000

/* Waits for this ping's answer; nanoseconds since `start`, 0 when it is lost. */
static uint64_t await(int fd, uint64_t key, const struct probe *ping, uint64_t start)
{
    static uint8_t in[PROBE_SIZE_MAX];
    for (;;) {
        uint64_t waited = (veld_clock_mono_ns() - start) / VELD_NS_PER_MS;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (waited >= LOST_MSEC || poll(&wait, 1, (int)(LOST_MSEC - waited)) == 0)
            return 0;
        ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
        uint64_t now = veld_clock_mono_ns();
        struct probe pong;
        if (n < 0 && errno == EINTR)
            return 0;
        if (n > 0 && probe_parse(in, (size_t)n, &pong) && pong.kind == PROBE_PONG &&
            pong.trial == ping->trial && pong.sequence == ping->sequence &&
            probe_intact(key, &pong, in, (size_t)n))
            return now - start;
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* `samples` in nanoseconds; sorts them. */
static void summarize(uint32_t *samples, size_t n, struct ping_result *r)
{
    if (n == 0)
        return;
    double sum = 0;
    qsort(samples, n, sizeof samples[0], compare);
    for (size_t i = 0; i < n; i++)
        sum += samples[i];
    r->min_us = samples[0] / 1e3;
    r->mean_us = sum / (double)n / 1e3;
    r->p50_us = samples[n / 2] / 1e3;
    r->p99_us = samples[n * 99 / 100] / 1e3;
    r->p999_us = samples[n * 999 / 1000] / 1e3;
    r->max_us = samples[n - 1] / 1e3;
}

static void sleep_ns(uint64_t ns)
{
    const struct timespec t = {.tv_sec = (time_t)(ns / VELD_NS_PER_S),
                               .tv_nsec = (long)(ns % VELD_NS_PER_S)};
    (void)nanosleep(&t, NULL);
}

void ping_run(int fd, uint64_t key, const struct ping_plan *plan,
              const volatile sig_atomic_t *stop, struct ping_result *result)
{
    static uint8_t out[PROBE_SIZE_MAX];
    uint32_t *samples = calloc(SAMPLES_MAX, sizeof *samples);
    if (!samples)
        sockets_die("out of memory", NULL, 0);
    (void)prctl(PR_SET_TIMERSLACK, 1000);
    struct ping_result r = {0};
    size_t n = 0;
    struct probe ping = {.kind = PROBE_PING, .trial = veld_clock_mono_ns()};
    const uint64_t end = ping.trial + (uint64_t)(plan->seconds * 1e9);
    for (uint64_t start; !*stop && n < SAMPLES_MAX; ping.sequence++) {
        probe_write(key, &ping, out, plan->size);
        if ((start = veld_clock_mono_ns()) >= end)
            break;
        uint64_t took = send(fd, out, plan->size, 0) < 0 ? 0 : await(fd, key, &ping, start);
        r.sent++;
        if (took)
            samples[n++] = (uint32_t)VELD_MIN(took, UINT32_MAX);
        else
            r.lost++;
        uint64_t pause = (uint64_t)(plan->interval_us * 1e3), now = veld_clock_mono_ns();
        if (now < start + pause)
            sleep_ns(start + pause - now);
    }
    summarize(samples, n, &r);
    free(samples);
    *result = r;
}
