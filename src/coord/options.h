/*
 * The command line of veld-coord.
 *
 * Values are borrowed from argv. Writes to standard output for --help and
 * --version, to standard error for what is wrong.
 * Thread: main.
 */
#ifndef VELD_COORD_OPTIONS_H
#define VELD_COORD_OPTIONS_H

#include "base/host_port.h"
#include "coord/bounds.h"
#include "coord/listen.h"
#include "coord/log.h"

enum veld_coord_command {
    VELD_COORD_SERVE,
    VELD_COORD_FINGERPRINT,
    VELD_COORD_BACKUP,
    VELD_COORD_HEALTH,
};

struct veld_coord_options {
    enum veld_coord_command command;
    const char *db;                      /* SERVE, FINGERPRINT, BACKUP */
    const char *out;                     /* BACKUP */
    char connect[VELD_HOST_PORT_STRLEN]; /* HEALTH */
    struct veld_listen_address listen, metrics, stun;
    bool has_metrics;
    enum veld_coord_stun {
        VELD_COORD_STUN_BESIDE,
        VELD_COORD_STUN_AT,
        VELD_COORD_STUN_OFF
    } stun_at;
    const char *tls_cert, *tls_key; /* both or none */
    struct veld_coord_limits limits;
    enum veld_log_level log_level;
    enum veld_log_format log_format;
    bool rate_limits; /* of the service */
    bool supervise;
};

/* Exit codes. */
enum { VELD_COORD_DONE, VELD_COORD_FAILED, VELD_COORD_USAGE };

/* -1: go on with `out`; else the exit code, all having been said. */
int veld_coord_options_parse(struct veld_coord_options *out, int argc, char **argv);

#endif
