/*
 * Handshakes a second on one core, by the engine as the daemon runs it:
 *
 *   answered    initiations in, responses out (the responder alone), with peers
 *               met before, and with peers met for the first time
 *   both sides  initiated, answered and finished, all in this one thread
 *   X25519 and the map from Ed25519, which bound them
 *
 * A responder with PEERS peers, each an engine of its own. Everything is
 * measured in turn, over and over, and the median is shown.
 *
 * bench-handshake [--quick] [--json]
 */
#include "base/bytes.h"
#include "control/engine/engine.h"
#include "crypto/primitives.h"
#include "samples.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS 256

struct side {
    struct veld_identity *identity;
    struct veld_engine *engine;
    struct veld_endpoint address;
    uint32_t peer; /* of an initiator: its id of the responder */
    uint8_t datagram[VELD_HANDSHAKE_MAX];
    size_t len;
};

struct bench {
    unsigned rounds;
    struct veld_now now;
    struct side responder, initiators[PEERS];
    struct veld_actions actions;
    struct samples met, first, both, x25519, map; /* per second */
};

static void die(const char *what)
{
    fprintf(stderr, "bench-handshake: %s\n", what);
    exit(1);
}

static double per_second(unsigned n, uint64_t start_ns)
{
    return n * 1e9 / (double)(cpu_ns() - start_ns);
}

/* ---- The engines ---- */

static void random_bytes(void *ctx, void *out, size_t len)
{
    veld_random(out, len);
}

static void make_engine(struct side *s, uint32_t max_peers)
{
    const struct veld_engine_config cfg = {
        .identity = s->identity, .lanes = 4, .max_peers = max_peers, .random = random_bytes};
    veld_engine_free(s->engine);
    s->engine = veld_engine_new(&cfg);
    if (!s->engine)
        die("out of memory");
}

static uint32_t add_peer(struct side *s, const struct side *other)
{
    struct veld_engine_peer_config cfg = {.endpoint = other->address};
    uint32_t id;
    memcpy(cfg.pub, other->identity->pub, sizeof cfg.pub);
    if (veld_engine_peer_add(s->engine, &cfg, &id) < 0)
        die("cannot add a peer");
    return id;
}

static void make_side(struct side *s, unsigned number)
{
    char text[32];
    snprintf(text, sizeof text, "192.0.%u.%u:51820", number / 250, 1 + number % 250);
    if (!(s->identity = veld_identity_generate()) || veld_endpoint_parse(text, &s->address) < 0)
        die("cannot make a machine");
}

/* A responder that has met nobody. */
static void renew_responder(struct bench *b)
{
    make_engine(&b->responder, PEERS);
    for (unsigned i = 0; i < PEERS; i++)
        add_peer(&b->responder, &b->initiators[i]);
}

/* One step of `s`; what it sends is kept there. */
static void step(struct bench *b, struct side *s, const struct veld_event *ev)
{
    s->len = 0;
    if (veld_engine_step(s->engine, ev, &b->now, &b->actions) != 0)
        die("a step failed");
    for (size_t i = 0; i < b->actions.n; i++) {
        const struct veld_action *a = &b->actions.a[i];
        if (a->type != VELD_ACT_SEND)
            continue;
        memcpy(s->datagram, a->bytes, a->len);
        s->len = a->len;
    }
    veld_actions_wipe(&b->actions);
}

static void deliver(struct bench *b, const struct side *from, struct side *to)
{
    step(b, to,
         &(struct veld_event){.type = VELD_EV_DATAGRAM,
                              .from = from->address,
                              .data = from->datagram,
                              .len = from->len});
}

static void initiate(struct bench *b, struct side *s)
{
    step(b, s, &(struct veld_event){.type = VELD_EV_NEED_SESSION, .peer = s->peer});
    if (s->len != VELD_INITIATION_SIZE)
        die("no initiation came");
}

static void answer(struct bench *b, struct side *initiator)
{
    deliver(b, initiator, &b->responder);
    if (b->responder.len != VELD_RESPONSE_SIZE)
        die("no response came");
}

/* Late enough that every session is over and each machine starts anew. */
static void later(struct bench *b)
{
    b->now.mono_ns += 2 * VELD_REJECT_AFTER_S * VELD_NS_PER_S;
    b->now.wall_ns += 2 * VELD_REJECT_AFTER_S * VELD_NS_PER_S;
}

/* ---- Measurements ---- */

/* Only the responder's part is timed; the initiators are left to try again. */
static void measure_answered(struct bench *b, struct samples *into)
{
    later(b);
    for (unsigned i = 0; i < PEERS; i++)
        initiate(b, &b->initiators[i]);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < PEERS; i++)
        answer(b, &b->initiators[i]);
    add(into, per_second(PEERS, start));
    for (unsigned i = 0; i < PEERS; i++)
        step(b, &b->initiators[i],
             &(struct veld_event){.type = VELD_EV_GOODBYE, .peer = b->initiators[i].peer});
}

static void measure_both(struct bench *b)
{
    later(b);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < PEERS; i++) {
        struct side *s = &b->initiators[i];
        initiate(b, s);
        answer(b, s);
        deliver(b, &b->responder, s);
    }
    add(&b->both, per_second(PEERS, start));
}

static void measure_primitives(struct bench *b)
{
    uint8_t secret[32] = {1}, point[32], mapped[32];
    veld_x25519_public(point, secret);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < PEERS; i++)
        if (veld_x25519(point, secret, point) < 0)
            die("X25519 failed");
    add(&b->x25519, per_second(PEERS, start));
    start = cpu_ns();
    for (unsigned i = 0; i < PEERS; i++)
        if (veld_ed25519_public_to_x25519(mapped, b->initiators[i].identity->pub) < 0)
            die("a key does not map");
    add(&b->map, per_second(PEERS, start));
}

static void run(struct bench *b)
{
    make_side(&b->responder, PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        struct side *s = &b->initiators[i];
        make_side(s, i);
        make_engine(s, 1);
        s->peer = add_peer(s, &b->responder);
    }
    b->now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                               .wall_ns = 1767225600ull * VELD_NS_PER_S};
    for (unsigned round = 0; round < b->rounds; round++) {
        renew_responder(b);
        measure_answered(b, &b->first);
        measure_answered(b, &b->met);
        measure_both(b);
        measure_primitives(b);
    }
}

/* ---- Results ---- */

static void print_table(struct bench *b)
{
    printf("Handshakes a second, one core, medians of %u\n\n", b->rounds);
    printf("answered, peers met before  %8.0f\n", median(&b->met));
    printf("answered, first meeting     %8.0f\n", median(&b->first));
    printf("both sides                  %8.0f\n", median(&b->both));
    printf("X25519                      %8.0f\n", median(&b->x25519));
    printf("Ed25519 key mapped          %8.0f\n", median(&b->map));
}

static void print_json(struct bench *b)
{
    json_t *root =
        json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "version", 1, "rounds", (int)b->rounds,
                  "answered_per_s", median(&b->met), "answered_first_per_s", median(&b->first),
                  "both_sides_per_s", median(&b->both), "x25519_per_s", median(&b->x25519),
                  "key_map_per_s", median(&b->map));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {0}};
    static struct bench b = {.rounds = ROUNDS_MAX};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q') {
            b.rounds = 3;
        } else if (c == 'j') {
            json = true;
        } else {
            fprintf(stderr, "usage: bench-handshake [--quick] [--json]\n");
            return 2;
        }
    }
    if (veld_crypto_init() < 0)
        die("libsodium does not start");
    run(&b);
    if (json)
        print_json(&b);
    else
        print_table(&b);
    veld_engine_free(b.responder.engine);
    veld_identity_free(b.responder.identity);
    for (unsigned i = 0; i < PEERS; i++) {
        veld_engine_free(b.initiators[i].engine);
        veld_identity_free(b.initiators[i].identity);
    }
    return 0;
}
