#include "trust/wire.h"

#include "crypto/primitives.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* ---- unpack and pack ---- */

static void *room_alloc(void *left, size_t size)
{
    size_t *room = left;
    if (size > *room)
        return NULL;
    *room -= size;
    return malloc(size);
}

static void room_free(void *left, void *p)
{
    if (p)
        veld_wipe(p, malloc_usable_size(p));
    free(p);
}

void *veld_wire_unpack(const ProtobufCMessageDescriptor *type, const void *p, size_t len,
                       size_t max)
{
    size_t left = VELD_WIRE_ROOM;
    ProtobufCAllocator room = {.alloc = room_alloc, .free = room_free, .allocator_data = &left};
    ProtobufCMessage *m = len > max ? NULL : protobuf_c_message_unpack(type, &room, len, p);
    /*
     * A text with a NUL in it is cut there by protobuf-c, and of a field given twice the last
     * counts: others might read another message. One that says it all has its own length.
     */
    if (m && protobuf_c_message_get_packed_size(m) != len) {
        veld_wire_free(m);
        return NULL;
    }
    return m;
}

void veld_wire_free(void *message)
{
    static ProtobufCAllocator room = {.alloc = room_alloc, .free = room_free};
    if (message)
        protobuf_c_message_free_unpacked(message, &room);
}

int veld_wire_pack(struct veld_blob *out, const void *message, size_t max)
{
    veld_blob_clear(out);
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > max)
        return VELD_E_RANGE;
    uint8_t *p = malloc(len ? len : 1);
    if (!p)
        return VELD_E_NOMEM;
    protobuf_c_message_pack(message, p);
    *out = (struct veld_blob){p, len};
    return 0;
}

bool veld_wire_is_plain(const void *message)
{
    return ((const ProtobufCMessage *)message)->n_unknown_fields == 0;
}

/* ---- from a message ---- */

bool veld_wire_take(const ProtobufCBinaryData *b, uint8_t *out, size_t len)
{
    if (b->len != len)
        return false;
    memcpy(out, b->data, len);
    return true;
}

bool veld_wire_take_label(const char *text, char out[VELD_LABEL_MAX + 1])
{
    if (!veld_label_is_valid(text))
        return false;
    strcpy(out, text);
    return true;
}

bool veld_wire_take_member(const ProtobufCBinaryData *b, uint8_t out[32])
{
    return veld_wire_take(b, out, 32) && veld_ed25519_is_canonical(out);
}

bool veld_wire_take_ip(const ProtobufCBinaryData *b, struct veld_ip *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (b->len != 4 && b->len != 16)
        return false;
    *out = (struct veld_ip){.family = b->len == 4 ? 4 : 6};
    memcpy(out->b, b->data, b->len);
    return out->family == 4 || memcmp(out->b, mapped, sizeof mapped) != 0;
}

bool veld_wire_take_prefix(const pb_prefix *p, struct veld_prefix *out)
{
    struct veld_prefix masked;
    if (!p || !veld_wire_take_ip(&p->address, &out->ip) || p->length > veld_ip_bits(&out->ip))
        return false;
    out->len = (uint8_t)p->length;
    masked = *out;
    veld_prefix_mask(&masked);
    return veld_ip_equal(&masked.ip, &out->ip);
}

bool veld_wire_take_routes(pb_prefix *const *p, size_t n,
                           struct veld_prefix out[VELD_MEMBER_ROUTES_MAX], size_t *n_out)
{
    if (n > VELD_MEMBER_ROUTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!veld_wire_take_prefix(p[i], &out[i]) || !veld_route_is_valid(&out[i]))
            return false;
    *n_out = n;
    return true;
}

bool veld_wire_take_endpoints(pb_endpoint *const *e, size_t n,
                              struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX],
                              size_t *n_out)
{
    if (n > VELD_MEMBER_ENDPOINTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct veld_endpoint){.port = (uint16_t)e[i]->port};
        if (e[i]->port == 0 || e[i]->port > UINT16_MAX ||
            !veld_wire_take_ip(&e[i]->address, &out[i].ip) || !veld_ip_is_unicast(&out[i].ip))
            return false;
    }
    *n_out = n;
    return true;
}

bool veld_wire_take_relays(const ProtobufCBinaryData *b, size_t n, const uint8_t self[32],
                           uint8_t out[VELD_MEMBER_RELAYS_MAX][32], size_t *n_out)
{
    if (n > VELD_MEMBER_RELAYS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!veld_wire_take_member(&b[i], out[i]) || memcmp(out[i], self, 32) == 0)
            return false;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(out[k], out[i], 32) == 0)
                return false;
        }
    }
    *n_out = n;
    return true;
}

/* ---- to a message ---- */

ProtobufCBinaryData veld_wire_bytes(const void *p, size_t len)
{
    /* protobuf-c only reads what it packs. */
    union {
        const void *from;
        uint8_t *to;
    } u = {.from = p};
    return (ProtobufCBinaryData){.len = len, .data = u.to};
}

void veld_wire_put_prefix(const struct veld_prefix *p, pb_prefix *out)
{
    veld__trust__v1__prefix__init(out);
    out->address = veld_wire_bytes(p->ip.b, veld_ip_bits(&p->ip) / 8);
    out->length = p->len;
}

pb_prefix **veld_wire_put_routes(struct veld_wire_routes *room, const struct veld_prefix *p,
                                 size_t n)
{
    for (size_t i = 0; i < n; i++) {
        veld_wire_put_prefix(&p[i], &room->prefix[i]);
        room->list[i] = &room->prefix[i];
    }
    return room->list;
}

pb_endpoint **veld_wire_put_endpoints(struct veld_wire_endpoints *room,
                                      const struct veld_endpoint *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        veld__trust__v1__endpoint__init(&room->endpoint[i]);
        room->endpoint[i].address = veld_wire_bytes(e[i].ip.b, veld_ip_bits(&e[i].ip) / 8);
        room->endpoint[i].port = e[i].port;
        room->list[i] = &room->endpoint[i];
    }
    return room->list;
}

ProtobufCBinaryData *veld_wire_put_relays(ProtobufCBinaryData room[VELD_MEMBER_RELAYS_MAX],
                                          const uint8_t (*relays)[32], size_t n)
{
    for (size_t i = 0; i < n; i++)
        room[i] = veld_wire_bytes(relays[i], 32);
    return room;
}
