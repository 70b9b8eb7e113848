#include "trust/network.h"

#include "crypto/primitives.h"
#include "trust/signed.h"

#include <stdio.h>
#include <string.h>

typedef Veld__Trust__V1__Network pb_network;

#define IPV4_LEN_MIN 8
#define IPV4_LEN_MAX 30

void veld_network_id(uint8_t id[32], const uint8_t owner[32])
{
    static const char what[] = "veld network";
    veld_sha256(id, (struct veld_bytes[]){{what, sizeof what - 1}, {owner, 32}}, 2);
}

static int from_body(const pb_network *n, const uint8_t signer[32], struct veld_network *out)
{
    if (!veld_wire_take_member(&n->owner, out->owner) ||
        !veld_wire_take_label(n->name, out->name) ||
        !veld_wire_take_prefix(n->ipv4, &out->ipv4) || out->ipv4.ip.family != 4 ||
        out->ipv4.len < IPV4_LEN_MIN || out->ipv4.len > IPV4_LEN_MAX ||
        !veld_ip_is_unicast(&out->ipv4.ip))
        return VELD_E_FORMAT;
    if (memcmp(out->owner, signer, 32) != 0)
        return VELD_E_AUTH;
    out->created_s = n->created;
    veld_network_id(out->id, out->owner);
    return 0;
}

int veld_network_read(const uint8_t *p, size_t len, struct veld_network *out)
{
    uint8_t signer[32];
    void *body;
    memset(out, 0, sizeof *out);
    int rc = veld_signed_open(p, len, VELD_PURPOSE_NETWORK,
                              &veld__trust__v1__network__descriptor, &body, signer);
    if (rc == 0)
        rc = from_body(body, signer, out);
    if (rc < 0)
        memset(out, 0, sizeof *out);
    veld_wire_free(body);
    return rc;
}

bool veld_network_may_lease(const struct veld_network *n, const struct veld_ip *ip)
{
    if (ip->family != 4 || !veld_prefix_contains(&n->ipv4, ip))
        return false;
    uint32_t host = 0, mask = UINT32_MAX >> n->ipv4.len;
    for (size_t i = 0; i < 4; i++)
        host = host << 8 | ip->b[i];
    return (host & mask) != 0 && (host & mask) != mask;
}

int veld_network_make(struct veld_blob *out, const uint8_t owner_seed[32], const char *name,
                      const struct veld_prefix *ipv4, uint64_t now_s)
{
    uint8_t owner[32];
    char label[VELD_LABEL_MAX + 1];
    pb_prefix range;
    pb_network body = VELD__TRUST__V1__NETWORK__INIT;
    veld_blob_clear(out);
    if (!veld_wire_take_label(name, label))
        return VELD_E_FORMAT;
    veld_ed25519_keypair(owner_seed, owner);
    veld_wire_put_prefix(ipv4, &range);
    body.owner = veld_wire_bytes(owner, sizeof owner);
    body.name = label;
    body.ipv4 = &range;
    body.created = now_s;
    int rc = veld_signed_make(out, VELD_PURPOSE_NETWORK, owner_seed, &body);
    struct veld_network made;
    if (rc == 0)
        rc = veld_network_read(out->p, out->len, &made);
    if (rc < 0)
        veld_blob_clear(out);
    return rc;
}

char *veld_network_text(const uint8_t id[32], char out[VELD_NETWORK_TEXT_STRLEN])
{
    for (size_t i = 0; i < 8; i++)
        snprintf(out + 5 * i, 6, "%02x%02x%s", id[2 * i], id[2 * i + 1], i < 7 ? "-" : "");
    return out;
}

void veld_network_ipv6(const uint8_t id[32], const uint8_t member[32], struct veld_ip *out)
{
    static const char prefix[] = "veld prefix", address[] = "veld address";
    uint8_t hash[32];
    *out = (struct veld_ip){.family = 6, .b = {0xfd}};
    veld_sha256(hash, (struct veld_bytes[]){{prefix, sizeof prefix - 1}, {id, 32}}, 2);
    memcpy(out->b + 1, hash, 5);
    veld_sha256(
        hash, (struct veld_bytes[]){{address, sizeof address - 1}, {id, 32}, {member, 32}}, 3);
    memcpy(out->b + 6, hash, 10);
}
