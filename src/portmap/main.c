/*
 * veld-portmap: asks the default gateway for a mapping of one UDP port, or to end one, for
 * veld-daemon, which starts it. `map` prints one line (answer.h); both end soon.
 *
 *   veld-portmap map GATEWAY OWN PORT EXTERNAL
 *   veld-portmap unmap natpmp GATEWAY OWN PORT EXTERNAL
 *   veld-portmap unmap upnp GATEWAY OWN PORT EXTERNAL CONTROL-URL SERVICE
 *
 * A program of its own because the libraries wait as long, and take as much memory, as a router
 * likes, and parse its XML: here that costs a process that has no privileges, no keys and little
 * memory, and ends in time.
 */
#include "portmap/job.h"
#include "portmap/url.h"

#include <cap-ng.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MAX (64u << 20)
#define CPU_MAX_S  3
#define FILES_MAX  32

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED /* its shadow is terabytes of address space */
#define LIMIT_MEMORY RLIM_INFINITY
#else
#define LIMIT_MEMORY MEMORY_MAX
#endif

static int limit(int what, rlim_t most)
{
    return setrlimit(what, &(struct rlimit){most, most});
}

/* All of it, or nothing is asked. */
static int restrict_self(void)
{
    alarm(VELD_PORTMAP_TIME_MAX_S);
    signal(SIGPIPE, SIG_IGN);
    capng_clear(CAPNG_SELECT_BOTH);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        capng_apply(CAPNG_SELECT_CAPS) < 0 || limit(RLIMIT_AS, LIMIT_MEMORY) < 0 ||
        limit(RLIMIT_CPU, CPU_MAX_S) < 0 || limit(RLIMIT_NOFILE, FILES_MAX) < 0 ||
        limit(RLIMIT_FSIZE, 0) < 0 || limit(RLIMIT_CORE, 0) < 0)
        return VELD_E_PERM;
    return 0;
}

static bool read_port(const char *text, uint16_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] || atoi(text) == 0 || atoi(text) > UINT16_MAX)
        return false;
    *out = (uint16_t)atoi(text);
    return true;
}

/* GATEWAY OWN PORT EXTERNAL */
static bool read_job(char *const word[4], struct veld_portmap_job *job)
{
    return veld_ip_parse(word[0], &job->gateway) == 0 && job->gateway.family == 4 &&
           veld_ip_parse(word[1], &job->own) == 0 && job->own.family == 4 &&
           read_port(word[2], &job->port) && read_port(word[3], &job->external);
}

/* NAT-PMP first: one datagram each way, and nothing to parse. */
static void map(const struct veld_portmap_job *job)
{
    struct veld_portmap_answer a = {.result = VELD_PORTMAP_SILENT};
    char line[VELD_PORTMAP_LINE_MAX + 1];
#ifdef VELD_HAVE_NATPMP
    veld_natpmp_map(job, &a);
#endif
#ifdef VELD_HAVE_UPNP
    enum veld_portmap_result first = a.result;
    if (a.result != VELD_PORTMAP_MAPPED)
        veld_upnp_map(job, &a);
    if (a.result == VELD_PORTMAP_SILENT)
        a.result = first;
#endif
    veld_portmap_answer_format(&a, line);
    fputs(line, stdout);
}

static void unmap(enum veld_portmap_method method, const struct veld_portmap_job *job)
{
#ifdef VELD_HAVE_NATPMP
    if (method == VELD_PORTMAP_NATPMP)
        veld_natpmp_unmap(job);
#endif
#ifdef VELD_HAVE_UPNP
    if (method == VELD_PORTMAP_UPNP)
        veld_upnp_unmap(job);
#endif
}

int main(int argc, char **argv)
{
    struct veld_portmap_job job = {0};
    enum veld_portmap_method method = VELD_PORTMAP_NATPMP;
    bool maps = argc == 6 && strcmp(argv[1], "map") == 0;
    bool unmaps = argc >= 7 && strcmp(argv[1], "unmap") == 0 &&
                  veld_portmap_method_parse(argv[2], &method) == 0 &&
                  argc == (method == VELD_PORTMAP_UPNP ? 9 : 7);
    if ((!maps && !unmaps) || !read_job(argv + (maps ? 2 : 3), &job)) {
        fputs("veld-portmap: it is veld-daemon that starts this; see veld-daemon(8)\n", stderr);
        return 2;
    }
    if (restrict_self() < 0) {
        perror("veld-portmap: cannot give up privileges");
        return 1;
    }
    if (maps) {
        map(&job);
        return 0;
    }
    if (method == VELD_PORTMAP_UPNP) {
        job.url = argv[7];
        job.service = argv[8];
    }
    unmap(method, &job);
    return 0;
}
