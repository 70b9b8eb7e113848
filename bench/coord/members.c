#include "coord/members.h"

#include "base/clock.h"
#include "crypto/primitives.h"
#include "trust/membership.h"
#include "trust/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <veld/coord/v1/coord.pb-c.h>

#define NETWORK "10.64.0.0/10"

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench-coord: %s: %s\n", what, veld_strerror(rc));
    exit(1);
}

static uint64_t now_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

void bench_network_make(struct bench_network *n)
{
    struct veld_prefix range;
    veld_random(n->owner.seed, sizeof n->owner.seed);
    veld_ed25519_keypair(n->owner.seed, n->owner.pub);
    must(veld_prefix_parse(NETWORK, &range), "the range");
    must(veld_network_make(&n->signed_network, n->owner.seed, "bench", &range, now_s()),
         "a network");
    must(veld_network_read(n->signed_network.p, n->signed_network.len, &n->network),
         "a network");
}

void bench_member_make(const struct bench_network *n, unsigned number, struct bench_member *m)
{
    const struct veld_bytes parts[] = {{n->owner.seed, 32}, {&number, sizeof number}};
    m->number = number;
    veld_sha256(m->seed, parts, 2);
    veld_ed25519_keypair(m->seed, m->pub);
}

static struct veld_blob pack(const ProtobufCMessage *m)
{
    struct veld_blob out = {.len = protobuf_c_message_get_packed_size(m)};
    out.p = malloc(out.len + 1);
    must(out.p ? 0 : VELD_E_NOMEM, "a request");
    protobuf_c_message_pack(m, out.p);
    return out;
}

struct veld_blob bench_create_network(const struct bench_network *n)
{
    Veld__Coord__V1__CreateNetworkRequest r = VELD__COORD__V1__CREATE_NETWORK_REQUEST__INIT;
    r.network =
        veld__trust__v1__signed__unpack(NULL, n->signed_network.len, n->signed_network.p);
    must(r.network ? 0 : VELD_E_FORMAT, "a network");
    struct veld_blob out = pack(&r.base);
    veld__trust__v1__signed__free_unpacked(r.network, NULL);
    return out;
}

/* The n-th address after the network's own. */
static struct veld_ip address_of(const struct bench_network *n, unsigned number)
{
    struct veld_ip ip = n->network.ipv4.ip;
    unsigned host = number + 1;
    ip.b[1] |= (uint8_t)(host >> 16);
    ip.b[2] = (uint8_t)(host >> 8);
    ip.b[3] = (uint8_t)host;
    return ip;
}

static void fill_record(const struct bench_network *n, const struct bench_member *m,
                        struct veld_record *r)
{
    *r = (struct veld_record){.ipv4 = address_of(n, m->number), .n_endpoints = 1};
    r->sequence = veld_clock_now().wall_ns / VELD_NS_PER_MS;
    r->membership.not_before_s = now_s();
    r->membership.serial = now_s();
    memcpy(r->membership.network_id, n->network.id, sizeof n->network.id);
    memcpy(r->membership.member, m->pub, sizeof m->pub);
    snprintf(r->membership.name, sizeof r->membership.name, "member-%u", m->number);
    must(veld_endpoint_parse("198.51.100.7:51820", &r->endpoints[0]), "an endpoint");
}

struct veld_blob bench_register(const struct bench_network *n, const struct bench_member *m)
{
    const struct veld_signer signer = {.seed = n->owner.seed};
    struct veld_blob record = {0}, chain = {0};
    struct veld_record about;
    fill_record(n, m, &about);
    must(veld_membership_issue(&chain, &signer, &about.membership), "a membership");
    must(veld_record_sign(&record, m->seed, &about), "a record");

    Veld__Coord__V1__RegisterRequest r = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    r.network_id =
        (ProtobufCBinaryData){sizeof n->network.id, (uint8_t *)(uintptr_t)n->network.id};
    r.want_ipv4 = (ProtobufCBinaryData){4, about.ipv4.b};
    r.chain = veld__trust__v1__chain__unpack(NULL, chain.len, chain.p);
    r.record = veld__trust__v1__signed__unpack(NULL, record.len, record.p);
    must(r.chain && r.record ? 0 : VELD_E_FORMAT, "a request");
    struct veld_blob out = pack(&r.base);
    veld__trust__v1__chain__free_unpacked(r.chain, NULL);
    veld__trust__v1__signed__free_unpacked(r.record, NULL);
    veld_blob_clear(&record);
    veld_blob_clear(&chain);
    return out;
}

struct veld_blob bench_watch(const struct bench_network *n, uint64_t from_revision)
{
    Veld__Coord__V1__WatchRequest r = VELD__COORD__V1__WATCH_REQUEST__INIT;
    r.network_id =
        (ProtobufCBinaryData){sizeof n->network.id, (uint8_t *)(uintptr_t)n->network.id};
    r.from_revision = from_revision;
    return pack(&r.base);
}

bool bench_event_read(const uint8_t *p, size_t len, struct bench_event *out)
{
    Veld__Coord__V1__WatchEvent *e = veld__coord__v1__watch_event__unpack(NULL, len, p);
    *out = (struct bench_event){0};
    if (!e)
        return false;
    *out = (struct bench_event){.revision = e->revision,
                                .synced = e->synced,
                                .reset = e->reset,
                                .members = e->n_members};
    const Veld__Coord__V1__Member *last = e->n_members ? e->members[e->n_members - 1] : NULL;
    Veld__Trust__V1__Record *record = NULL;
    if (last && last->peer && last->peer->record)
        record = veld__trust__v1__record__unpack(NULL, last->peer->record->body.len,
                                                 last->peer->record->body.data);
    if (record && record->member.len == sizeof out->last)
        memcpy(out->last, record->member.data, sizeof out->last);
    if (record)
        veld__trust__v1__record__free_unpacked(record, NULL);
    veld__coord__v1__watch_event__free_unpacked(e, NULL);
    return true;
}

bool bench_registered(const uint8_t *p, size_t len, uint64_t *revision)
{
    Veld__Coord__V1__RegisterReply *r = veld__coord__v1__register_reply__unpack(NULL, len, p);
    bool published = r && r->published;
    *revision = r ? r->revision : 0;
    if (r)
        veld__coord__v1__register_reply__free_unpacked(r, NULL);
    return published;
}
