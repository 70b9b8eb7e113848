#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_NS (10 * VELD_NS_PER_S)
#define LIMIT_LINES     5

static const struct {
    const char *name;
    int syslog_priority;
} levels[] = {{"error", 3}, {"warn", 4}, {"info", 6}, {"debug", 7}};

/* Written once before threads start. */
static enum veld_log_level threshold = VELD_LOG_INFO;
static veld_log_sink_fn *sink_fn;

void veld_log_set_level(enum veld_log_level level)
{
    threshold = level;
}

void veld_log_set_sink(veld_log_sink_fn *sink)
{
    sink_fn = sink;
}

bool veld_log_is_on(enum veld_log_level level)
{
    return level <= threshold;
}

const char *veld_log_level_name(enum veld_log_level level)
{
    return levels[level].name;
}

int veld_log_level_parse(const char *text, enum veld_log_level *out)
{
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *out = (enum veld_log_level)i;
            return 0;
        }
    }
    return VELD_E_FORMAT;
}

static int write_prefix(char *line, size_t size, enum veld_log_level level)
{
    if (getenv("JOURNAL_STREAM"))
        return snprintf(line, size, "<%d>", levels[level].syslog_priority);
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return (int)n + snprintf(line + n, size - n, ".%03ldZ %-5s ", ts.tv_nsec / 1000000,
                             levels[level].name);
}

void veld_log(enum veld_log_level level, const char *fmt, ...)
{
    if (level > threshold)
        return;
    char line[1024];
    int n = sink_fn ? 0 : write_prefix(line, sizeof line, level);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    if (sink_fn) {
        sink_fn(level, line);
        return;
    }
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored; /* nowhere left to report it */
}

/*
 * The three fields are updated without a lock: a race lets a few lines more or
 * less through, which a limit on log lines can afford. Relaxed throughout: no
 * other data is published by them.
 */
bool veld_log_allow(struct veld_log_limit *limit, uint64_t now_ns, uint32_t *left_out)
{
    *left_out = 0;
    uint64_t start = atomic_load_explicit(&limit->window_start_ns, memory_order_relaxed);
    if (start == 0 || now_ns - start >= LIMIT_WINDOW_NS) {
        atomic_store_explicit(&limit->window_start_ns, now_ns, memory_order_relaxed);
        atomic_store_explicit(&limit->in_window, 0, memory_order_relaxed);
        *left_out = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&limit->in_window, 1, memory_order_relaxed) < LIMIT_LINES)
        return true;
    atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
    return false;
}
