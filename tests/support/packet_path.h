/*
 * Two sites, a and b, each with the packet path of one worker over an engine
 * that only remembers: what was sent, what was written, which buffers came
 * back. Sessions are installed by hand, with each other's keys.
 */
#ifndef VELD_TESTS_PACKET_PATH_H
#define VELD_TESTS_PACKET_PATH_H

#include "crypto/primitives.h"
#include "dataplane/inbound.h"
#include "dataplane/outbound.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sent {
    uint8_t *bytes;
    uint32_t len, segment; /* segment: as UDP_SEGMENT says, else the whole */
    uint32_t token;
    bool told, now; /* now: by send_now */
    uint8_t ecn;    /* as the control message says, else 0 */
    enum veld_io_socket from;
    struct sockaddr_in to;
};

struct written {
    uint8_t *bytes;
    uint32_t len, token;
    bool told;
};

struct site {
    struct veld_io io; /* first */
    struct veld_tables tables;
    struct veld_counters counters;
    struct veld_event_queue events, handshakes;
    struct veld_context ctx;
    struct veld_outbound *out;
    struct veld_inbound *in;
    struct sent sent[4096];
    struct written written[4096];
    unsigned n_sent, n_written;
    unsigned buffer_uses[VELD_IO_BUFFERS]; /* given and not come back */
    int send_result, send_now_result;      /* 0: success */
};

/* ---- The engine ---- */

static inline uint8_t *gather(const struct iovec *iov, size_t n, uint32_t *len)
{
    *len = 0;
    for (size_t i = 0; i < n; i++)
        *len += (uint32_t)iov[i].iov_len;
    uint8_t *bytes = malloc(*len ? *len : 1), *at = bytes;
    for (size_t i = 0; i < n; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return bytes;
}

static inline struct sent *remember_send(struct site *s, enum veld_io_socket from,
                                         const struct msghdr *msg)
{
    cr_assert_lt(s->n_sent, VELD_ARRAY_LEN(s->sent));
    struct sent *r = &s->sent[s->n_sent++];
    *r = (struct sent){.from = from};
    r->bytes = gather(msg->msg_iov, msg->msg_iovlen, &r->len);
    r->segment = r->len;
    memcpy(&r->to, msg->msg_name, sizeof r->to);
    cr_assert(msg->msg_controllen == 0 || msg->msg_control);
    struct msghdr m = *msg;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        uint16_t size;
        int tos;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            cr_assert_eq(c->cmsg_len, CMSG_LEN(sizeof tos));
            memcpy(&tos, CMSG_DATA(c), sizeof tos);
            r->ecn = (uint8_t)tos;
            continue;
        }
        cr_assert_eq(c->cmsg_level, SOL_UDP);
        cr_assert_eq(c->cmsg_type, UDP_SEGMENT);
        cr_assert_eq(c->cmsg_len, CMSG_LEN(sizeof size));
        memcpy(&size, CMSG_DATA(c), sizeof size);
        r->segment = size;
        cr_assert_leq((r->len + size - 1) / size, 64);
    }
    cr_assert_leq(r->len, 65507);
    return r;
}

static inline void fake_send(struct veld_io *io, enum veld_io_socket from,
                             const struct msghdr *msg, uint32_t token)
{
    remember_send((struct site *)io, from, msg)->token = token;
}

static inline int fake_send_now(struct veld_io *io, enum veld_io_socket from,
                                const struct msghdr *msg)
{
    struct site *s = (struct site *)io;
    struct sent *r = remember_send(s, from, msg);
    r->now = r->told = true;
    return s->send_now_result < 0 ? s->send_now_result : (int)r->len;
}

static inline void fake_write(struct veld_io *io, const struct iovec *iov, unsigned n,
                              uint32_t token)
{
    struct site *s = (struct site *)io;
    cr_assert_lt(s->n_written, VELD_ARRAY_LEN(s->written));
    struct written *r = &s->written[s->n_written++];
    *r = (struct written){.token = token};
    r->bytes = gather(iov, n, &r->len);
}

static inline void fake_done_receive(struct veld_io *io, uint16_t buffer)
{
    struct site *s = (struct site *)io;
    cr_assert_eq(s->buffer_uses[buffer], 1, "buffer %u comes back once", buffer);
    s->buffer_uses[buffer] = 0;
}

static const struct veld_io_ops fake_ops = {
    .name = "fake",
    .send = fake_send,
    .send_now = fake_send_now,
    .write = fake_write,
    .done_receive = fake_done_receive,
};

/* Tell the completions of all sends, then of all writes. */
static inline void complete_sends(struct site *s)
{
    unsigned n = s->n_sent;
    for (unsigned i = 0; i < n; i++) {
        if (s->sent[i].told)
            continue;
        s->sent[i].told = true;
        uint32_t token = s->sent[i].token;
        int result = s->send_result < 0 ? s->send_result : (int)s->sent[i].len;
        if (token & VELD_FORWARD_TOKEN)
            veld_inbound_forwarded(s->in, token, result);
        else
            veld_outbound_sent(s->out, token, result);
    }
}

static inline void complete_writes(struct site *s, int result)
{
    for (unsigned i = 0; i < s->n_written; i++) {
        if (s->written[i].told)
            continue;
        s->written[i].told = true;
        uint32_t token = s->written[i].token;
        int told = result < 0 ? result : (int)s->written[i].len;
        if (token & VELD_TOO_BIG_TOKEN)
            veld_too_big_written(&s->out->too_big, &s->ctx, token, told);
        else
            veld_inbound_written(s->in, token, told);
    }
}

static inline void forget(struct site *s)
{
    for (unsigned i = 0; i < s->n_sent; i++)
        free(s->sent[i].bytes);
    for (unsigned i = 0; i < s->n_written; i++)
        free(s->written[i].bytes);
    s->n_sent = s->n_written = 0;
}

/* ---- A site ---- */

#define NOW  1000000000ull
#define PEER 7u

static inline struct site *site_new(unsigned thread)
{
    cr_assert_eq(veld_crypto_init(), 0);
    veld_rcu_updater_begin();
    struct site *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    memset(s, 0, sizeof *s);
    s->io.ops = &fake_ops;
    cr_assert_eq(veld_peers_init(&s->tables.peers), 0);
    cr_assert_eq(veld_index_init(&s->tables.index), 0);
    atomic_init(&s->tables.routes, veld_routes_build(NULL, 0));
    cr_assert_eq(veld_handshakes_init(&s->tables.handshakes), 0);
    cr_assert_eq(veld_circuits_init(&s->tables.circuits), 0);
    int fd = eventfd(0, EFD_NONBLOCK);
    cr_assert_eq(veld_event_queue_init(&s->events, VELD_EVENT_QUEUE_SIZE, fd), 0);
    cr_assert_eq(veld_event_queue_init(&s->handshakes, VELD_HANDSHAKE_QUEUE_SIZE, fd), 0);
    s->ctx = (struct veld_context){.tables = &s->tables,
                                   .stats = &s->counters,
                                   .events = &s->events,
                                   .handshakes = &s->handshakes,
                                   .io = &s->io,
                                   .thread = thread,
                                   .now_ns = NOW};
    struct veld_diag diag;
    cr_assert_eq(veld_aead_select("auto", &s->ctx.aead, &diag), 0);
    s->ctx.aead_ctx = s->ctx.aead->new_ctx();
    s->out = calloc(1, sizeof *s->out);
    s->in = calloc(1, sizeof *s->in);
    cr_assert_eq(veld_outbound_init(s->out, &s->ctx, 1420), 0);
    veld_inbound_init(s->in, &s->ctx, 64);
    return s;
}

static inline void site_free(struct site *s)
{
    forget(s);
    veld_rcu_barrier();
    for (uint32_t i = 0; i < VELD_SESSIONS_MAX; i++)
        veld_session_free(atomic_load(&s->tables.index.slots[i]));
    veld_index_free(&s->tables.index);
    veld_peers_free(&s->tables.peers);
    veld_routes_free(atomic_load(&s->tables.routes));
    close(s->events.fd);
    veld_event_queue_free(&s->events);
    veld_event_queue_free(&s->handshakes);
    veld_handshakes_free(&s->tables.handshakes);
    veld_circuits_free(&s->tables.circuits);
    s->ctx.aead->free_ctx(s->ctx.aead_ctx);
    veld_outbound_free(s->out);
    free(s->out);
    free(s->in);
    free(s);
    veld_rcu_updater_end();
}

static inline struct veld_peer *site_peer(struct site *s)
{
    return veld_peers_get(&s->tables.peers, PEER);
}

static inline void site_set_path(struct site *s, const char *endpoint)
{
    struct veld_path *path = calloc(1, sizeof *path);
    struct sockaddr_storage sa;
    cr_assert_eq(veld_endpoint_parse(endpoint, &path->endpoint), 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&path->endpoint, AF_INET, &sa, &path->to_len), 0);
    memcpy(&path->to, &sa, path->to_len);
    path->mtu = UINT16_MAX;
    veld_peer_set_path(site_peer(s), path);
}

/* The other site as peer PEER, reached at `endpoint`, owning `prefixes` (NULL-terminated). */
static inline void site_add_peer(struct site *s, const char *endpoint,
                                 const char *const *prefixes)
{
    cr_assert_eq(veld_peers_add(&s->tables.peers, PEER), 0);
    struct veld_peer *peer = site_peer(s);
    peer->activity = aligned_alloc(64, 4 * sizeof *peer->activity);
    memset(peer->activity, 0, 4 * sizeof *peer->activity);
    site_set_path(s, endpoint);
    struct veld_route_entry entries[8];
    size_t n = 0;
    for (; prefixes[n]; n++) {
        cr_assert_eq(veld_prefix_parse(prefixes[n], &entries[n].prefix), 0);
        veld_prefix_mask(&entries[n].prefix);
        entries[n].peer = peer->ref;
    }
    veld_routes_free(atomic_exchange(&s->tables.routes, veld_routes_build(entries, n)));
}

static inline struct veld_session *site_add_session(struct site *s, uint32_t local,
                                                    uint32_t remote, uint8_t lanes,
                                                    uint8_t send_key, uint8_t recv_key)
{
    struct veld_session_params p = {
        .local_index = local, .remote_index = remote, .lanes = lanes, .reject_at_ns = 2 * NOW};
    memset(p.send_key, send_key, 32);
    memset(p.recv_key, recv_key, 32);
    struct veld_session *session = veld_session_new(&p, site_peer(s));
    cr_assert_not_null(session);
    cr_assert_eq(veld_index_insert(&s->tables.index, session), 0);
    return session;
}

/* As after its first datagram: used and confirmed. */
static inline void site_use(struct site *s, struct veld_session *session)
{
    atomic_store(&session->confirmed, true);
    atomic_store(&site_peer(s)->tx, session);
}

/* ---- Between them ---- */

#define A_ENDPOINT "192.0.2.1:1000"
#define B_ENDPOINT "192.0.2.2:2000"
#define A_INDEX    0x00060005u
#define B_INDEX    0x00070009u

struct pair {
    struct site *a, *b;
    struct veld_session *a_session, *b_session;
};

/* super_packets.h's addresses: 10.9.1.x and fd00:1:: send to 10.9.2.x and fd00:2::. */
static inline void pair_make(struct pair *p, uint8_t lanes)
{
    p->a = site_new(0);
    p->b = site_new(0);
    site_add_peer(p->a, B_ENDPOINT, (const char *const[]){"10.9.2.0/24", "fd00:2::/32", NULL});
    site_add_peer(p->b, A_ENDPOINT, (const char *const[]){"10.9.1.0/24", "fd00:1::/32", NULL});
    p->a_session = site_add_session(p->a, A_INDEX, B_INDEX, lanes, 1, 2);
    p->b_session = site_add_session(p->b, B_INDEX, A_INDEX, lanes, 2, 1);
    site_use(p->a, p->a_session);
    site_use(p->b, p->b_session);
}

static inline void pair_free(struct pair *p)
{
    site_free(p->a);
    site_free(p->b);
}

/* One TUN read through a turn of `s`. */
static inline void give_tun(struct site *s, const struct virtio_net_hdr *vh,
                            const uint8_t *packet, size_t len)
{
    uint8_t *read = malloc(sizeof *vh + len);
    memcpy(read, vh, sizeof *vh);
    memcpy(read + sizeof *vh, packet, len);
    veld_outbound_packet(s->out, read, sizeof *vh + len);
    free(read);
}

static uint8_t receive_memory[VELD_IO_BUFFERS][65536];

/* A receive of a turn of `s` already begun, with this ECN field. */
static inline void give_udp_ecn(struct site *s, const uint8_t *bytes, uint32_t len,
                                uint32_t segment, const char *from, uint8_t ecn)
{
    struct veld_endpoint ep;
    struct sockaddr_storage sa;
    socklen_t sa_len;
    uint16_t buffer = 0;
    while (s->buffer_uses[buffer])
        cr_assert_lt(++buffer, VELD_IO_BUFFERS);
    s->buffer_uses[buffer] = 1;
    memcpy(receive_memory[buffer], bytes, len);
    cr_assert_eq(veld_endpoint_parse(from, &ep), 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&ep, AF_INET, &sa, &sa_len), 0);
    struct veld_udp_receive r = {.data = receive_memory[buffer],
                                 .len = len,
                                 .segment = segment,
                                 .buffer = buffer,
                                 .ecn = ecn,
                                 .from = (struct sockaddr *)&sa,
                                 .from_len = sa_len};
    veld_inbound_receive(s->in, &r);
}

static inline void give_udp(struct site *s, const uint8_t *bytes, uint32_t len,
                            uint32_t segment, const char *from)
{
    give_udp_ecn(s, bytes, len, segment, from, 0);
}

/* Everything `from` sent, as the kernel would gather it, through one turn of `to`. */
static inline void carry(struct site *from, struct site *to, const char *from_endpoint)
{
    veld_inbound_begin(to->in);
    for (unsigned i = 0; i < from->n_sent; i++) {
        cr_assert(veld_inbound_has_room(to->in));
        give_udp(to, from->sent[i].bytes, from->sent[i].len, from->sent[i].segment,
                 from_endpoint);
    }
    veld_inbound_flush(to->in);
}

static inline uint64_t dropped(const struct site *s, enum veld_drop reason)
{
    return veld_counter_get(&s->counters.drops[reason]);
}

static inline uint64_t dropped_in_all(const struct site *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < VELD_DROP_COUNT; i++)
        n += veld_counter_get(&s->counters.drops[i]);
    return n;
}

/* A minimal IPv4 packet of `len` >= 20 bytes from 10.9.1.`host` to 10.9.2.1, protocol 253. */
static inline void plain_packet(uint8_t *p, size_t len, uint8_t host)
{
    memset(p, 0x5a, len);
    memcpy(p, (uint8_t[20]){0x45, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 0, 64, 253},
           20);
    memcpy(p + 12, (uint8_t[]){10, 9, 1, host, 10, 9, 2, 1}, 8);
}

static inline void send_plain(struct site *s, size_t len, uint8_t host)
{
    uint8_t packet[2000];
    plain_packet(packet, len, host);
    give_tun(s, &(struct virtio_net_hdr){0}, packet, len);
}

#endif
