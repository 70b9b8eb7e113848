/*
 * Error codes and diagnostics.
 *
 * Every function that can fail returns 0 or a negative `enum veld_err`; its
 * outputs are then unchanged or zeroed. A `struct veld_diag` carries the
 * sentence a person reads: what happened, why, and what to do next. Functions
 * that take a `diag` fill it exactly when they fail.
 *
 * Thread-safe: no state.
 */
#ifndef VELD_BASE_ERR_H
#define VELD_BASE_ERR_H

#define VELD_ERRORS(X)                                                                         \
    X(INVAL, 1, "invalid argument")                                                            \
    X(NOMEM, 2, "out of memory")                                                               \
    X(IO, 3, "input/output error")                                                             \
    X(PERM, 4, "permission denied")                                                            \
    X(EXIST, 5, "already exists")                                                              \
    X(NOENT, 6, "no such entry")                                                               \
    X(FORMAT, 7, "malformed data")                                                             \
    X(AUTH, 8, "authentication failed")                                                        \
    X(KEY, 9, "unusable key")                                                                  \
    X(REPLAY, 10, "replayed or stale")                                                         \
    X(STATE, 11, "not possible in this state")                                                 \
    X(FULL, 12, "a bounded table or queue is full")                                            \
    X(LIMIT, 13, "rate limit exceeded")                                                        \
    X(UNSUPPORTED, 14, "not supported by this kernel or build")                                \
    X(CONFIG, 15, "configuration error")                                                       \
    X(RANGE, 16, "value out of range")

enum veld_err {
    VELD_OK = 0,
#define X(name, num, text) VELD_E_##name = -(num),
    VELD_ERRORS(X)
#undef X
};

/* One line for an error code. Static string; never NULL. */
const char *veld_strerror(int err);

/* A human-readable diagnosis. Always NUL-terminated; empty when nothing was said. */
struct veld_diag {
    char text[768];
};

/*
 * Format into `diag` (ignored when NULL) and return `err`, so that a failure is
 * told and returned in one statement: return veld_fail(diag, VELD_E_IO, "...").
 */
int veld_fail(struct veld_diag *diag, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define VELD_MUST_USE __attribute__((warn_unused_result))

#endif
