#include "portmap/job.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <natpmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Sent at 0, 250 and 750 ms (RFC 6886, 3.1, goes on to 64 s, for a whole boot of the router). */
#define WAIT_NS   (1500 * VELD_NS_PER_MS)
#define DROPS_MAX 64 /* at a time */

struct question {
    uint16_t type; /* of the answer */
    uint16_t port, external;
    uint32_t lease_s;
};

static int send_question(natpmp_t *n, const struct question *q)
{
    return q->type == NATPMP_RESPTYPE_PUBLICADDRESS
               ? sendpublicaddressrequest(n)
               : sendnewportmappingrequest(n, NATPMP_PROTOCOL_UDP, q->port, q->external,
                                           q->lease_s);
}

/*
 * The library takes any datagram of any length for the answer to its last question, and what is not
 * in it from its stack: others, and such as are too short, do not come before its eyes.
 */
static void drop_others(const natpmp_t *n, const struct question *q)
{
    uint8_t b[16];
    ssize_t least = q->type == NATPMP_RESPTYPE_PUBLICADDRESS ? 12 : 16;
    for (int i = 0; i < DROPS_MAX; i++) {
        ssize_t len = recv(n->s, b, sizeof b, MSG_PEEK | MSG_DONTWAIT);
        if (len < 0 || (len >= least && b[0] == 0 && b[1] == 128 + q->type))
            return;
        (void)!recv(n->s, b, sizeof b, MSG_DONTWAIT);
    }
}

/* 0 or an error of libnatpmp. */
static int ask(natpmp_t *n, const struct question *q, natpmpresp_t *answer)
{
    uint64_t until_ns = veld_clock_mono_ns() + WAIT_NS, now;
    int rc = send_question(n, q);
    if (rc < 0)
        return rc;
    do {
        struct timeval next = {0};
        struct pollfd p = {.fd = n->s, .events = POLLIN};
        if ((now = veld_clock_mono_ns()) >= until_ns)
            return NATPMP_ERR_NOGATEWAYSUPPORT;
        uint64_t wait_ms = (until_ns - now) / VELD_NS_PER_MS + 1;
        if (getnatpmprequesttimeout(n, &next) == 0 && next.tv_sec >= 0) {
            uint64_t ms = (uint64_t)next.tv_sec * 1000 + (uint64_t)next.tv_usec / 1000 + 1;
            wait_ms = VELD_MIN(ms, wait_ms);
        }
        (void)!poll(&p, 1, (int)wait_ms);
        drop_others(n, q);
        rc = readnatpmpresponseorretry(n, answer);
    } while (rc == NATPMP_TRYAGAIN);
    return rc;
}

static enum veld_portmap_result result_of(int err)
{
    switch (err) {
    case NATPMP_ERR_NETWORKFAILURE: return VELD_PORTMAP_NO_ADDRESS;
    case NATPMP_ERR_NOTAUTHORIZED:
    case NATPMP_ERR_OUTOFRESOURCES:
    case NATPMP_ERR_UNDEFINEDERROR: return VELD_PORTMAP_REFUSED;
    default: return VELD_PORTMAP_SILENT;
    }
}

static int open_at(natpmp_t *n, const struct veld_portmap_job *job)
{
    in_addr_t gateway;
    memcpy(&gateway, job->gateway.b, sizeof gateway);
    return initnatpmp(n, 1, gateway); /* connected: answers of others do not reach it */
}

static int map(natpmp_t *n, const struct veld_portmap_job *job, struct veld_portmap_answer *out)
{
    natpmpresp_t answer = {0};
    struct question address = {.type = NATPMP_RESPTYPE_PUBLICADDRESS};
    struct question mapping = {.type = NATPMP_RESPTYPE_UDPPORTMAPPING,
                               .port = job->port,
                               .external = job->external,
                               .lease_s = VELD_PORTMAP_LEASE_S};
    int rc = ask(n, &address, &answer);
    if (rc < 0)
        return rc;
    struct in_addr outside = answer.pnu.publicaddress.addr;
    if (outside.s_addr == 0)
        return NATPMP_ERR_NETWORKFAILURE;
    rc = ask(n, &mapping, &answer);
    if (rc < 0)
        return rc;
    uint32_t lease_s = answer.pnu.newportmapping.lifetime;
    if (answer.pnu.newportmapping.privateport != job->port || lease_s == 0 ||
        answer.pnu.newportmapping.mappedpublicport == 0)
        return NATPMP_ERR_UNDEFINEDERROR;
    *out = (struct veld_portmap_answer){
        .result = VELD_PORTMAP_MAPPED,
        .method = VELD_PORTMAP_NATPMP,
        .mapped = {.ip.family = 4, .port = answer.pnu.newportmapping.mappedpublicport},
        .lease_s = lease_s < VELD_PORTMAP_LEASE_S ? lease_s : VELD_PORTMAP_LEASE_S};
    memcpy(out->mapped.ip.b, &outside, sizeof outside);
    return 0;
}

void veld_natpmp_map(const struct veld_portmap_job *job, struct veld_portmap_answer *out)
{
    natpmp_t n;
    int rc = open_at(&n, job);
    *out = (struct veld_portmap_answer){0};
    if (rc == 0) {
        rc = map(&n, job, out);
        closenatpmp(&n);
    }
    if (rc < 0)
        out->result = result_of(rc);
}

void veld_natpmp_unmap(const struct veld_portmap_job *job)
{
    natpmp_t n;
    natpmpresp_t answer;
    struct question removal = {.type = NATPMP_RESPTYPE_UDPPORTMAPPING, .port = job->port};
    if (open_at(&n, job) < 0)
        return;
    (void)!ask(&n, &removal, &answer); /* else it ends with its lease */
    closenatpmp(&n);
}
