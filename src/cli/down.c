#include "cli/down.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/launch.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define STOP_TIMEOUT_S 15
#define POLL_MS        50

/* Until the process is gone: not before are its interface, routes and names. */
static bool wait_for_end(int pidfd)
{
    struct veld_progress progress = veld_progress_begin("waiting for veld-daemon to stop");
    uint64_t end = progress.start_ns + STOP_TIMEOUT_S * VELD_NS_PER_S;
    bool gone = false;
    while (!gone && veld_clock_mono_ns() < end) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        gone = poll(&p, 1, POLL_MS) > 0;
        veld_progress_tick(&progress);
    }
    veld_progress_end(&progress);
    return gone;
}

int veld_down(const char *socket, struct veld_diag *diag)
{
    json_t *answer;
    int rc = veld_client_call(socket, "/v1/status", NULL, &answer, diag);
    if (rc < 0)
        return rc;
    pid_t pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
    json_decref(answer);
    int pidfd =
        pid > 0 ? pidfd_open(pid, 0) : -1; /* before it is told: the number stays its own */
    if (pidfd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot watch veld-daemon (process %d): %s", (int)pid,
                         strerror(errno));
    rc = veld_client_call(socket, "/v1/down", "{}", &answer, diag);
    if (rc == 0)
        json_decref(answer);
    bool gone = rc == 0 && wait_for_end(pidfd);
    close(pidfd);
    if (rc == 0 && !gone)
        rc = veld_fail(diag, VELD_E_LIMIT,
                       "veld-daemon (process %d) has not stopped after %d s; see its log",
                       (int)pid, STOP_TIMEOUT_S);
    return rc;
}

static int down(const struct veld_cli *cli)
{
    struct veld_diag diag;
    int rc = veld_down(cli->socket, &diag);
    if (rc == VELD_E_NOENT)
        return veld_cli_fail("veld is not running (nobody listens on %s)", cli->socket);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    puts("veld is down");
    return VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_down = {
    .name = "down",
    .arguments = "",
    .summary = "stop veld-daemon; returns when it is gone",
    .text = "",
    .run = down,
};
