/*
 * Logging: one line an event, to standard error, levels as in syslog, with
 * systemd's "<N>" prefixes when standard error is the journal.
 *
 * Invariant: a line is one write(2), so lines of different threads never mix.
 * A call site inside a loop uses VELD_LOG_LIMITED, which lets at most 5 lines
 * pass in 10 s from that site and then says how many it left out.
 *
 * Never log key material or inner packet contents. Any thread.
 */
#ifndef VELD_BASE_LOG_H
#define VELD_BASE_LOG_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum veld_log_level { VELD_LOG_ERROR, VELD_LOG_WARN, VELD_LOG_INFO, VELD_LOG_DEBUG };

/* Before threads start. Default: VELD_LOG_INFO. */
void veld_log_set_level(enum veld_log_level level);
/* "error", "warn", "info", "debug". VELD_E_FORMAT when it is none of them. */
VELD_MUST_USE int veld_log_level_parse(const char *text, enum veld_log_level *out);
/* "error", ... Static. */
const char *veld_log_level_name(enum veld_log_level level);
/* Would a line of this level be written? */
bool veld_log_is_on(enum veld_log_level level);

/*
 * For a program whose lines have a form of their own: each line that passes the level goes
 * there instead, without its newline. Before threads start; called by any of them.
 */
typedef void veld_log_sink_fn(enum veld_log_level level, const char *text);
void veld_log_set_sink(veld_log_sink_fn *sink);

void veld_log(enum veld_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* One call site's allowance; static, zero-initialised. Any thread updates it. */
struct veld_log_limit {
    _Atomic uint64_t window_start_ns;
    _Atomic uint32_t in_window;
    _Atomic uint32_t left_out;
};

/* True when the site may speak now; `left_out` receives how many were suppressed since it last did. */
bool veld_log_allow(struct veld_log_limit *limit, uint64_t now_ns, uint32_t *left_out);

#define veld_error(...) veld_log(VELD_LOG_ERROR, __VA_ARGS__)
#define veld_warn(...)  veld_log(VELD_LOG_WARN, __VA_ARGS__)
#define veld_info(...)  veld_log(VELD_LOG_INFO, __VA_ARGS__)
#define veld_debug(...) veld_log(VELD_LOG_DEBUG, __VA_ARGS__)

#define VELD_LOG_LIMITED(level, now_ns, fmt, ...)                                              \
    do {                                                                                       \
        static struct veld_log_limit limit_;                                                   \
        uint32_t left_out_;                                                                    \
        if (veld_log_allow(&limit_, (now_ns), &left_out_)) {                                   \
            if (left_out_)                                                                     \
                veld_log(level, fmt " (%u more like this left out)", ##__VA_ARGS__,            \
                         left_out_);                                                           \
            else                                                                               \
                veld_log(level, fmt, ##__VA_ARGS__);                                           \
        }                                                                                      \
    } while (0)

#endif
