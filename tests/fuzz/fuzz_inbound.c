/*
 * Datagrams as they come from the network into a worker.
 *
 * b has a circuit, and relays for a third peer: relayed datagrams reach both, whoever sends them.
 *
 * The first byte says from whom. From a stranger: the rest is one receive,
 * after two bytes of GRO size; whatever comes, nothing reaches the interface.
 * From a peer: the rest is records {flags, lane, length 2, plaintext}, sealed as
 * the peer would, so that the fuzzer is behind the tag: what reaches the
 * interface is whole IP packets of the peer's own.
 */
#include "../support/relayed_path.h"

#define FROM_PEER 0x01
#define LANES     2
#define CIRCUIT   0x00000001u /* numbers that a fuzzer finds */
#define FORWARD   0x00000002u
#define TO_INDEX  0x7e7e7e7eu

static struct pair p;

static void make(void)
{
    pair_make(&p, LANES);
    relayed_add_peer(p.b, FROM_A, A_ENDPOINT);
    relayed_add_peer(p.b, FROM_B, B_ENDPOINT);
    struct veld_circuit_spec circuit = {.number = CIRCUIT,
                                        .kind = VELD_CIRCUIT,
                                        .from = relayed_ref(p.b, FROM_A),
                                        .to = relayed_ref(p.b, FROM_A)};
    cr_assert_eq(veld_circuits_set(&p.b->tables.circuits, &circuit), 0);
    relayed_set_forward(p.b, FORWARD, FROM_A, FROM_B, TO_INDEX, 0);
}

/* What left is relayed, with the other index, to the other one, and is nothing relayed. */
static void check_relayed(void)
{
    for (unsigned i = 0; i < p.b->n_sent; i++) {
        const struct sent *s = &p.b->sent[i];
        cr_assert_eq(ntohs(s->to.sin_port), 2000);
        for (uint32_t at = 0; at < s->len; at += s->segment) {
            cr_assert_leq((uint32_t)VELD_RELAYED_MIN, s->len - at);
            cr_assert_eq(s->bytes[at], VELD_RELAYED);
            cr_assert_eq(veld_load_be32(s->bytes + at + 4), TO_INDEX);
            cr_assert(veld_is_relayable(s->bytes[at + 16]));
        }
    }
}

static void check_written(void)
{
    for (unsigned i = 0; i < p.b->n_written; i++) {
        const struct written *w = &p.b->written[i];
        struct veld_inner inner;
        struct virtio_net_hdr vh;
        struct veld_super super;
        cr_assert_leq(sizeof vh, w->len);
        memcpy(&vh, w->bytes, sizeof vh);
        cr_assert_eq(veld_inner_parse(w->bytes + sizeof vh, w->len - sizeof vh, &inner), 0);
        cr_assert_eq(veld_super_parse(&vh, w->bytes + sizeof vh, w->len - sizeof vh, &super),
                     0);
        struct veld_peer_ref owner =
            veld_routes_find(veld_tables_routes(&p.b->tables), &inner.src);
        cr_assert(veld_peer_ref_equal(owner, site_peer(p.b)->ref));
    }
}

static void from_stranger(const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    uint32_t segment = veld_load_be16(data), len = (uint32_t)VELD_MIN(size - 2, 65535u);
    give_udp(p.b, data + 2, len, segment ? segment : len, A_ENDPOINT);
}

static void from_peer(const uint8_t *data, size_t size)
{
    static uint8_t bytes[65536];
    uint64_t counters[LANES] = {0};
    for (unsigned n = 0; size >= 4 && n < VELD_IO_BUFFERS; n++) {
        uint8_t lane = data[1] % LANES;
        uint32_t len = VELD_MIN(veld_load_be16(data + 2), (uint32_t)size - 4);
        len = VELD_MIN(len, 60000u);
        struct veld_header h = {.type = VELD_DATA,
                                .flags = data[0] & VELD_FLAGS_KNOWN,
                                .lane = lane,
                                .index = B_INDEX,
                                .counter = counters[lane]};
        veld_header_write(bytes, &h);
        memcpy(bytes + VELD_HEADER_SIZE, data + 4, len);
        struct veld_aead_job job = {.key = p.a_session->lanes[lane].send_key,
                                    .ad = bytes,
                                    .ad_len = VELD_HEADER_SIZE,
                                    .data = bytes + VELD_HEADER_SIZE,
                                    .len = len};
        veld_aead_nonce(job.nonce, counters[lane]++);
        p.a->ctx.aead->seal(p.a->ctx.aead_ctx, &job, 1);
        give_udp(p.b, bytes, len + VELD_DATA_OVERHEAD, len + VELD_DATA_OVERHEAD, A_ENDPOINT);
        data += 4 + len;
        size -= 4 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!p.a)
        make();
    if (size < 1)
        return 0;
    for (unsigned lane = 0; lane < LANES; lane++)
        memset(&p.b_session->lanes[lane].window, 0, sizeof p.b_session->lanes[lane].window);
    veld_inbound_begin(p.b->in);
    if (data[0] & FROM_PEER)
        from_peer(data + 1, size - 1);
    else
        from_stranger(data + 1, size - 1);
    veld_inbound_flush(p.b->in);

    check_written();
    check_relayed();
    cr_assert((data[0] & FROM_PEER) || p.b->n_written == 0);
    complete_writes(p.b, 0);
    complete_sends(p.b);
    veld_inbound_begin(p.b->in);
    forget(p.b);
    struct veld_dataplane_event ev;
    while (veld_event_queue_pop(&p.b->events, &ev) ||
           veld_event_queue_pop(&p.b->handshakes, &ev))
        ;
    return 0;
}
