#include "control/names/dns.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES    16 /* 127.0.86.1 .. 127.0.86.16 */
#define PORT         53
#define UDP_BATCH    32 /* datagrams a wake-up: a flood must leave time for the rest of control */
#define ACCEPT_BATCH 8   /* connections a wake-up */
#define READ_CHUNK   512 /* bytes of a connection a wake-up: at most 37 queries */
#define IDLE_S       5
#define LISTEN_QUEUE 32
#define PREFIX_LEN   2 /* RFC 1035, 4.2.2: the length before each message */

struct connection {
    struct veld_dns_server *server;
    int fd; /* -1: free slot */
    guint source;
    GIOCondition watched;
    bool at_end;        /* the client will send no more */
    uint64_t active_ns; /* when bytes last moved */
    size_t in_len, out_len, out_done;
    uint8_t in[PREFIX_LEN + VELD_DNS_MESSAGE_MAX];
    uint8_t
        out[PREFIX_LEN + VELD_DNS_MESSAGE_MAX]; /* one answer; none is made before it is gone */
};

struct veld_dns_server {
    struct veld_dns_table *table;
    struct veld_ip address;
    uint64_t queries;
    int udp_fd, tcp_fd;
    guint udp_source, tcp_source, tick_source;
    struct connection *connections[VELD_DNS_TCP_MAX]; /* NULL: free */
};

static bool is_loopback(const struct sockaddr_in *from, socklen_t len)
{
    return len == sizeof *from && from->sin_family == AF_INET &&
           ntohl(from->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* ---- UDP ---- */

/* One datagram. False when there is none. */
static bool serve_datagram(struct veld_dns_server *s)
{
    uint8_t query[VELD_DNS_MESSAGE_MAX + 1], out[VELD_DNS_MESSAGE_MAX];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    size_t out_len;
    ssize_t n = recvfrom(s->udp_fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from,
                         &from_len);
    if (n < 0)
        return errno == EINTR;
    if (!is_loopback(&from, from_len))
        return true;
    s->queries++;
    if (veld_dns_answer(s->table, VELD_DNS_UDP, query, (size_t)n, out, &out_len) < 0)
        return true;
    /* a full socket buffer loses the answer: the client asks again */
    if (sendto(s->udp_fd, out, out_len, MSG_DONTWAIT, (struct sockaddr *)&from, from_len) < 0)
        VELD_LOG_LIMITED(VELD_LOG_DEBUG, veld_clock_mono_ns(), "DNS answer not sent: %s",
                         strerror(errno));
    return true;
}

static gboolean on_udp(gint fd, GIOCondition condition, gpointer data)
{
    for (int i = 0; i < UDP_BATCH && serve_datagram(data); i++)
        ;
    return G_SOURCE_CONTINUE;
}

/* ---- TCP ---- */

static gboolean on_connection(gint fd, GIOCondition condition, gpointer data);

static void connection_close(struct connection *c)
{
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++)
        if (c->server->connections[i] == c)
            c->server->connections[i] = NULL;
    g_source_remove(c->source);
    close(c->fd);
    g_free(c);
}

/* Wait for room while an answer is pending, else for the next query. Replaces the source. */
static void connection_watch(struct connection *c, GIOCondition condition)
{
    if (c->source && c->watched == condition)
        return;
    if (c->source)
        g_source_remove(c->source);
    c->watched = condition;
    c->source = g_unix_fd_add(c->fd, condition, on_connection, c);
}

/* 1 when the pending answer is gone, 0 when the socket is full, negative when it is broken. */
static int connection_flush(struct connection *c)
{
    while (c->out_done < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : VELD_E_IO;
        c->out_done += (size_t)n;
        c->active_ns = veld_clock_mono_ns();
    }
    c->out_len = c->out_done = 0;
    return 1;
}

/* Make the answer to the first whole query of `in`. 1 when there was one, 0 when not. */
static int connection_answer(struct connection *c)
{
    if (c->in_len < PREFIX_LEN)
        return 0;
    size_t len = veld_load_be16(c->in), out_len;
    if (len > VELD_DNS_MESSAGE_MAX)
        return VELD_E_RANGE;
    if (c->in_len < PREFIX_LEN + len)
        return 0;
    c->server->queries++;
    int rc = veld_dns_answer(c->server->table, VELD_DNS_TCP, c->in + PREFIX_LEN, len,
                             c->out + PREFIX_LEN, &out_len);
    if (rc < 0)
        return rc;
    veld_store_be16(c->out, (uint16_t)out_len);
    c->out_len = PREFIX_LEN + out_len;
    c->in_len -= PREFIX_LEN + len;
    memmove(c->in, c->in + PREFIX_LEN + len, c->in_len);
    return 1;
}

static int connection_read(struct connection *c)
{
    size_t room = VELD_MIN(sizeof c->in - c->in_len, (size_t)READ_CHUNK);
    ssize_t n = recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : VELD_E_IO;
    if (n == 0)
        c->at_end = true;
    else
        c->active_ns = veld_clock_mono_ns();
    c->in_len += (size_t)n;
    return 0;
}

/* Answer what has been read, one after the other, until the socket is full. Negative: close. */
static int connection_serve(struct connection *c)
{
    int rc;
    while ((rc = connection_flush(c)) == 1) {
        rc = connection_answer(c);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
    }
    if (rc < 0 || (c->at_end && c->out_len == 0))
        return VELD_E_IO;
    connection_watch(c, c->out_len > 0 ? G_IO_OUT : G_IO_IN);
    return 0;
}

static gboolean on_connection(gint fd, GIOCondition condition, gpointer data)
{
    struct connection *c = data;
    int rc = c->out_len == 0 ? connection_read(c) : 0;
    guint source = c->source;
    if (rc == 0)
        rc = connection_serve(c);
    if (rc < 0) {
        connection_close(c);
        return G_SOURCE_REMOVE;
    }
    return c->source == source ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* A free slot, if need be that of the connection silent for longest. */
static size_t free_slot(struct veld_dns_server *s)
{
    size_t slot = 0;
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++) {
        if (!s->connections[i])
            return i;
        if (s->connections[i]->active_ns < s->connections[slot]->active_ns)
            slot = i;
    }
    connection_close(s->connections[slot]);
    return slot;
}

static gboolean on_tcp(gint fd, GIOCondition condition, gpointer data);

static void listen_again(struct veld_dns_server *s)
{
    s->tcp_source = g_unix_fd_add(s->tcp_fd, G_IO_IN, on_tcp, s);
}

/* Once a second while there is a connection, or while listening is paused. */
static gboolean on_tick(gpointer data)
{
    struct veld_dns_server *s = data;
    uint64_t now = veld_clock_mono_ns();
    size_t open = 0;
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++) {
        struct connection *c = s->connections[i];
        if (c && now - c->active_ns >= IDLE_S * VELD_NS_PER_S)
            connection_close(c);
        else if (c)
            open++;
    }
    if (!s->tcp_source)
        listen_again(s);
    if (open > 0)
        return G_SOURCE_CONTINUE;
    s->tick_source = 0;
    return G_SOURCE_REMOVE;
}

static void start_ticking(struct veld_dns_server *s)
{
    if (!s->tick_source)
        s->tick_source = g_timeout_add_seconds(1, on_tick, s);
}

/* 1 when there may be more, 0 when nobody waits, negative when nobody can be let in now. */
static int accept_one(struct veld_dns_server *s)
{
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    int fd =
        accept4(s->tcp_fd, (struct sockaddr *)&from, &from_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
        return 1;
    if (fd < 0)
        return errno == EAGAIN ? 0 : VELD_E_IO;
    if (!is_loopback(&from, from_len)) {
        close(fd);
        return 1;
    }
    size_t slot = free_slot(s);
    struct connection *c = g_new0(struct connection, 1);
    c->server = s;
    c->fd = fd;
    c->active_ns = veld_clock_mono_ns();
    s->connections[slot] = c;
    connection_watch(c, G_IO_IN);
    start_ticking(s);
    return 1;
}

static gboolean on_tcp(gint fd, GIOCondition condition, gpointer data)
{
    struct veld_dns_server *s = data;
    int rc = 1;
    for (int i = 0; i < ACCEPT_BATCH && rc > 0; i++)
        rc = accept_one(s);
    if (rc >= 0)
        return G_SOURCE_CONTINUE;
    /* out of descriptors: the listener stays readable, so look away until the next tick */
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "DNS over TCP pauses: %s",
                     strerror(errno));
    s->tcp_source = 0;
    start_ticking(s);
    return G_SOURCE_REMOVE;
}

/* ---- start and stop ---- */

static struct sockaddr_in stub_sockaddr(const struct veld_ip *address)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    memcpy(&sin.sin_addr, address->b, 4);
    return sin;
}

static int close_keeping_errno(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_socket(const struct veld_ip *address, int type)
{
    struct sockaddr_in sin = stub_sockaddr(address);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* over the connections of a stub that has just stopped; a second listener is refused still */
    int on = 1;
    bool is_tcp = type == SOCK_STREAM;
    if (is_tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return close_keeping_errno(fd);
    if (bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 ||
        (is_tcp && listen(fd, LISTEN_QUEUE) < 0))
        return close_keeping_errno(fd);
    return fd;
}

/* With loopback down, bind may succeed all the same: ask the way there. */
static bool is_reachable(const struct veld_ip *address)
{
    struct sockaddr_in sin = stub_sockaddr(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0;
    if (fd >= 0)
        close_keeping_errno(fd);
    return ok;
}

/* Both sockets on one address, or neither and errno. */
static bool bind_address(struct veld_dns_server *s)
{
    s->udp_fd = bind_socket(&s->address, SOCK_DGRAM);
    if (s->udp_fd < 0)
        return false;
    s->tcp_fd = bind_socket(&s->address, SOCK_STREAM);
    if (s->tcp_fd >= 0 && is_reachable(&s->address))
        return true;
    if (s->tcp_fd >= 0)
        close_keeping_errno(s->tcp_fd);
    close_keeping_errno(s->udp_fd);
    return false;
}

static int bind_failed(struct veld_diag *diag)
{
    switch (errno) {
    case EADDRINUSE:
        return veld_fail(
            diag, VELD_E_EXIST,
            "port 53 is taken on 127.0.86.1 to 127.0.86.%d: a DNS server listens on "
            "every address (find it with: ss -lnup 'sport = 53'); let it listen on "
            "its own addresses only",
            ADDRESSES);
    case EADDRNOTAVAIL:
    case ENETUNREACH:
        return veld_fail(
            diag, VELD_E_IO,
            "no loopback address for the DNS stub: bring the loopback interface up: "
            "ip link set lo up");
    case EACCES:
    case EPERM:
        return veld_fail(diag, VELD_E_PERM,
                         "the DNS stub may not use port 53: run as root or with "
                         "CAP_NET_BIND_SERVICE, or set mode = \"off\" under [dns]");
    default:
        return veld_fail(diag, VELD_E_IO, "cannot open the DNS stub's sockets: %s",
                         strerror(errno));
    }
}

int veld_dns_server_start(struct veld_dns_server **out, struct veld_dns_table *t,
                          struct veld_diag *diag)
{
    struct veld_dns_server *s = g_new0(struct veld_dns_server, 1);
    bool bound = false;
    errno = EADDRINUSE;
    for (uint8_t n = 1; n <= ADDRESSES && !bound && errno == EADDRINUSE; n++) {
        s->address = (struct veld_ip){.family = 4, .b = {127, 0, 86, n}};
        bound = bind_address(s);
    }
    if (!bound) {
        int rc = bind_failed(diag);
        g_free(s);
        return rc;
    }
    s->table = t;
    s->udp_source = g_unix_fd_add(s->udp_fd, G_IO_IN, on_udp, s);
    listen_again(s);
    *out = s;
    return 0;
}

struct veld_ip veld_dns_server_address(const struct veld_dns_server *s)
{
    return s->address;
}

void veld_dns_server_set_table(struct veld_dns_server *s, struct veld_dns_table *t)
{
    veld_dns_table_free(s->table);
    s->table = t;
}

uint64_t veld_dns_server_queries(const struct veld_dns_server *s)
{
    return s->queries;
}

void veld_dns_server_stop(struct veld_dns_server *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++)
        if (s->connections[i])
            connection_close(s->connections[i]);
    if (s->tick_source)
        g_source_remove(s->tick_source);
    g_source_remove(s->udp_source);
    if (s->tcp_source)
        g_source_remove(s->tcp_source);
    close(s->udp_fd);
    close(s->tcp_fd);
    veld_dns_table_free(s->table);
    g_free(s);
}
