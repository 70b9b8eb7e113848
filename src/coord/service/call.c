#include "coord/service/call.h"

#include "base/bytes.h"
#include "crypto/identity.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory that a request may take: its bytes once more, and some for its fields. */
#define UNPACK_ROOM          16384
#define UNPACK_ROOM_PER_BYTE 4

/* ---- how it ends ---- */

void veld_status_set(struct veld_coord_status *status, enum veld_coord_code code,
                     const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    status->code = code;
    vsnprintf(status->text, sizeof status->text, fmt, ap);
    va_end(ap);
}

bool veld_call_is_ok(const struct veld_coord_call *c)
{
    return c->status->code == VELD_CODE_OK;
}

uint64_t veld_call_now_s(const struct veld_coord_call *c)
{
    return c->now->wall_ns / VELD_NS_PER_S;
}

/* ---- messages ---- */

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
    free(p);
}

/* Thousands of tiny fields that are not known would cost a hundred times what sending them does. */
void *veld_call_unpack(struct veld_coord_call *c, const ProtobufCMessageDescriptor *type)
{
    size_t left = UNPACK_ROOM + UNPACK_ROOM_PER_BYTE * c->request->len;
    ProtobufCAllocator room = {.alloc = room_alloc, .free = room_free, .allocator_data = &left};
    void *request = protobuf_c_message_unpack(type, &room, c->request->len, c->request->body);
    if (!request)
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "the request is no %s", type->name);
    return request;
}

void veld_call_free(void *request)
{
    if (request)
        protobuf_c_message_free_unpacked(request, NULL);
}

void veld_call_reply(struct veld_coord_call *c, const void *reply)
{
    size_t len = protobuf_c_message_get_packed_size(reply);
    c->reply->p = malloc(len + 1); /* an empty reply is one all the same */
    if (!c->reply->p) {
        veld_call_fail(c, VELD_CODE_INTERNAL, "the server is out of memory");
        return;
    }
    c->reply->len = protobuf_c_message_pack(reply, c->reply->p);
}

ProtobufCBinaryData veld_pb_bytes(const void *p, size_t len)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)p, .len = len};
}

bool veld_pb_take(const ProtobufCBinaryData *b, void *out, size_t len)
{
    if (b->len != len)
        return false;
    memcpy(out, b->data, len);
    return true;
}

struct veld_blob veld_pb_blob(const ProtobufCBinaryData *b)
{
    return (struct veld_blob){.p = b->data, .len = b->len};
}

/* ---- rights ---- */

bool veld_call_is_owner(const struct veld_coord_call *c)
{
    return memcmp(c->net->descriptor.owner, c->caller, sizeof c->caller) == 0;
}

/* Its own key, for good; or who let it in. */
static void fail_revoked(struct veld_coord_call *c)
{
    const char *network = c->net->descriptor.name;
    if (veld_revoked(c->net->revocations, c->caller))
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "this machine's key was revoked; it can come back only with another "
                       "one: veld leave %s, move the file identity in its state directory "
                       "(/var/lib/veld) away, and join again",
                       network);
    else
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "this device's membership was revoked with who let it in; ask the owner "
                       "of network %s to be let in again",
                       network);
}

void veld_call_fail_membership(struct veld_coord_call *c, int rc)
{
    switch (rc) {
    case VELD_E_FORMAT:
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT,
                       "the membership or the record is malformed");
        break;
    case VELD_E_PERM: fail_revoked(c); break;
    case VELD_E_RANGE:
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "this membership has ended, or has not begun; ask the network's owner "
                       "for a new one, and look at the clock of this machine");
        break;
    case VELD_E_NOMEM:
        veld_call_fail(c, VELD_CODE_INTERNAL, "the server is out of memory");
        break;
    default:
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "this membership or record is not signed by who may sign it in this "
                       "network");
    }
}

/* The caller's membership, when it is registered and holds; else 0 or why not. */
static int find_member(struct veld_coord_call *c)
{
    struct veld_membership m;
    struct veld_member *member = veld_member_by_key(c->net, c->caller);
    if (!member)
        return veld_revoked(c->net->revocations, c->caller) ? VELD_E_PERM : 0;
    veld_member_membership(member, &m);
    int rc = veld_membership_check(&m, c->net->revocations, veld_call_now_s(c));
    if (rc == 0)
        c->member = member;
    return rc;
}

/* Has the caller the right that the method asks for? */
static bool may(const struct veld_coord_call *c)
{
    switch (c->method->may) {
    case VELD_MAY_ANYBODY:
    case VELD_MAY_SIGNED: return true;
    case VELD_MAY_MEMBER: return c->member;
    case VELD_MAY_ADMIN:
        return veld_call_is_owner(c) ||
               (c->member && (c->member->facts->flags & VELD_MEMBER_ADMIN));
    case VELD_MAY_CARRY: return veld_call_is_owner(c) || c->member;
    }
    return false;
}

bool veld_call_enter(struct veld_coord_call *c, const ProtobufCBinaryData *network_id)
{
    uint8_t id[VELD_NETWORK_ID_SIZE];
    if (!veld_pb_take(network_id, id, sizeof id)) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "a network's id has 32 bytes");
        return false;
    }
    c->net = veld_net_by_id(c->s->registry, id);
    if (!c->net) {
        veld_call_fail(
            c, VELD_CODE_NOT_FOUND,
            "this server does not know the network; its owner or a member can put it "
            "here (CreateNetwork)");
        return false;
    }
    int rc = find_member(c);
    if (may(c))
        return true;
    if (rc < 0)
        veld_call_fail_membership(c, rc);
    else if (c->method->may == VELD_MAY_ADMIN)
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "only the owner or an admin of the network %s may do that",
                       c->net->descriptor.name);
    else
        veld_call_fail(c, VELD_CODE_PERMISSION_DENIED,
                       "only members of the network %s may do that, once they have registered",
                       c->net->descriptor.name);
    return false;
}

bool veld_call_name_is_free(struct veld_coord_call *c, const char *name, const uint8_t p[32])
{
    char key[VELD_PUBKEY_STRLEN];
    const struct veld_member *other = veld_member_by_name(c->net, name);
    if (!other || memcmp(other->p, p, sizeof other->p) == 0 ||
        veld_member_has_ended(other, veld_call_now_s(c)))
        return true;
    veld_pubkey_format(other->p, key);
    veld_call_fail(c, VELD_CODE_ALREADY_EXISTS,
                   "the name %s is taken, by key %s; choose another with --name. If that is "
                   "this machine before it was reinstalled: veld revoke NAME on the owner's "
                   "first",
                   name, key);
    return false;
}

/* ---- the host ---- */

static struct veld_coord_deed deed_of(const struct veld_coord_call *c, enum veld_coord_act act,
                                      const struct veld_membership *member)
{
    return (struct veld_coord_deed){
        .act = act,
        .caller = c->caller,
        .from = c->request->from,
        .network = c->net ? &c->net->descriptor : NULL,
        .member = member,
        .members = c->net ? g_hash_table_size(c->net->members) : 0,
        .networks = g_hash_table_size(c->s->registry->nets),
        .account = c->account,
    };
}

bool veld_call_allow(struct veld_coord_call *c, enum veld_coord_act act,
                     const struct veld_membership *member)
{
    return veld_call_allow_in(c, act, &c->net->descriptor, member);
}

bool veld_call_allow_in(struct veld_coord_call *c, enum veld_coord_act act,
                        const struct veld_network *network,
                        const struct veld_membership *member)
{
    const struct veld_coord_host *h = c->s->cfg.host;
    struct veld_coord_deed deed = deed_of(c, act, member);
    struct veld_diag diag = {.text = ""};
    deed.network = network;
    int rc = h->allow(h->ctx, &deed, &diag);
    if (rc < 0)
        veld_call_fail(
            c, rc == VELD_E_LIMIT ? VELD_CODE_RESOURCE_EXHAUSTED : VELD_CODE_PERMISSION_DENIED,
            "%s", diag.text[0] ? diag.text : "the host of this server refuses that");
    return rc == 0;
}

/* A deed with all that it points to. */
struct audit {
    const struct veld_coord_host *host;
    struct veld_coord_deed deed;
    uint8_t caller[32];
    struct veld_network network;
    struct veld_membership member;
};

static void tell_host(void *what)
{
    struct audit *a = what;
    a->host->audit(a->host->ctx, &a->deed);
    g_free(a);
}

static void note_audit(struct veld_service *s, const struct veld_coord_deed *deed)
{
    struct audit *a = g_new(struct audit, 1);
    a->host = s->cfg.host;
    a->deed = *deed;
    if (deed->caller)
        a->deed.caller = memcpy(a->caller, deed->caller, sizeof a->caller);
    if (deed->network) {
        a->network = *deed->network;
        a->deed.network = &a->network;
    }
    if (deed->member) {
        a->member = *deed->member;
        a->deed.member = &a->member;
    }
    veld_batch_note(s->registry->batch, a, tell_host, g_free);
}

void veld_call_audit(struct veld_coord_call *c, enum veld_coord_act act,
                     const struct veld_membership *member)
{
    struct veld_coord_deed deed = deed_of(c, act, member);
    note_audit(c->s, &deed);
}

void veld_service_audit(struct veld_service *s, const struct veld_net *net,
                        enum veld_coord_act act, const struct veld_membership *member)
{
    struct veld_coord_deed deed = {.act = act,
                                   .network = &net->descriptor,
                                   .member = member,
                                   .members = g_hash_table_size(net->members),
                                   .networks = g_hash_table_size(s->registry->nets)};
    note_audit(s, &deed);
}
