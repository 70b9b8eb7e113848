#include "control/names/dns.h"

#include "base/bytes.h"
#include "base/log.h"

#include <glib.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#define TTL_S            10 /* also of "no such name": a peer added a moment ago is soon seen */
#define ANSWERS_MAX      64 /* records of one name: what fits any message over TCP */
#define UDP_SIZE_DEFAULT 512
#define HEADER_LEN       12
#define SOA_TEXT                                                                               \
    VELD_DNS_DOMAIN ". 10 IN SOA " VELD_DNS_DOMAIN ". nobody.invalid. 1 3600 600 86400 10"

/* One owner name and what it leads to. A name with several addresses has several. */
struct owner {
    uint32_t name; /* offset of its lower-case wire form in `names` */
    uint8_t len;
    bool is_reverse;
    uint32_t record;
};

struct record {
    struct veld_ip ip;
    uint32_t name; /* forward name: offset and length as above */
    uint8_t len;
};

struct veld_dns_table {
    GByteArray *names;
    struct owner *owners; /* sorted by name, then by record */
    size_t n_owners;
    struct record *records;
    ldns_rdf *domain;
    ldns_rdf *network; /* NETWORK.veld; NULL: none */
    ldns_rr *soa;
};

/* ---- table ---- */

static int name_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len != b_len ? (a_len < b_len ? -1 : 1) : memcmp(a, b, a_len);
}

static int owner_compare(const void *a, const void *b, void *names)
{
    const struct owner *x = a, *y = b;
    const uint8_t *base = ((const GByteArray *)names)->data;
    int c = name_compare(base + x->name, x->len, base + y->name, y->len);
    return c ? c : (x->record > y->record) - (x->record < y->record);
}

/* Takes `name`; NULL when ldns could not make one. */
static bool add_owner(struct veld_dns_table *t, ldns_rdf *name, bool is_reverse,
                      uint32_t record)
{
    if (!name || ldns_rdf_size(name) > LDNS_MAX_DOMAINLEN) {
        ldns_rdf_deep_free(name);
        return false;
    }
    ldns_dname2canonical(name);
    struct owner *o = &t->owners[t->n_owners++];
    *o = (struct owner){.name = t->names->len,
                        .len = (uint8_t)ldns_rdf_size(name),
                        .is_reverse = is_reverse,
                        .record = record};
    g_byte_array_append(t->names, ldns_rdf_data(name), o->len);
    ldns_rdf_deep_free(name);
    return true;
}

static ldns_rdf *address_rdf(const struct veld_ip *ip)
{
    return ip->family == 4 ? ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, 4, ip->b)
                           : ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, 16, ip->b);
}

/* LABEL.veld; NULL when it is none. */
static ldns_rdf *name_below(const char *label)
{
    char text[LDNS_MAX_LABELLEN + sizeof "." VELD_DNS_DOMAIN "."];
    size_t len = strlen(label);
    if (len == 0 || len > LDNS_MAX_LABELLEN || strpbrk(label, ".\\"))
        return NULL;
    snprintf(text, sizeof text, "%s." VELD_DNS_DOMAIN ".", label);
    return ldns_dname_new_frm_str(text);
}

static bool add_record(struct veld_dns_table *t, const struct veld_dns_record *r,
                       uint32_t index)
{
    if (!add_owner(t, name_below(r->name), false, index))
        return false;
    const struct owner *forward = &t->owners[t->n_owners - 1];
    t->records[index] = (struct record){r->ip, forward->name, forward->len};

    ldns_rdf *address = address_rdf(&r->ip);
    ldns_rdf *reverse = address ? ldns_rdf_address_reverse(address) : NULL;
    ldns_rdf_deep_free(address);
    return add_owner(t, reverse, true, index);
}

struct veld_dns_table *veld_dns_table_new(const char *network,
                                          const struct veld_dns_record *records, size_t n)
{
    struct veld_dns_table *t = g_new0(struct veld_dns_table, 1);
    t->names = g_byte_array_new();
    t->owners = g_new0(struct owner, 2 * n);
    t->records = g_new0(struct record, n);
    t->domain = ldns_dname_new_frm_str(VELD_DNS_DOMAIN ".");
    if (network && (t->network = name_below(network)))
        ldns_dname2canonical(t->network);
    if (!t->domain || (network && !t->network) ||
        ldns_rr_new_frm_str(&t->soa, SOA_TEXT, TTL_S, NULL, NULL) != LDNS_STATUS_OK) {
        veld_dns_table_free(t);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        if (records[i].ip.family == 0 || !add_record(t, &records[i], (uint32_t)i))
            veld_warn("\"%s\" cannot be a name under " VELD_DNS_DOMAIN ": left out",
                      records[i].name);
    g_qsort_with_data(t->owners, (gint)t->n_owners, sizeof t->owners[0], owner_compare,
                      t->names);
    return t;
}

void veld_dns_table_free(struct veld_dns_table *t)
{
    if (!t)
        return;
    g_byte_array_free(t->names, TRUE);
    g_free(t->owners);
    g_free(t->records);
    ldns_rdf_deep_free(t->domain);
    ldns_rdf_deep_free(t->network);
    ldns_rr_free(t->soa);
    g_free(t);
}

/* The first owner of this wire form (canonical), NULL if none; `n` receives how many there are. */
static const struct owner *find_wire(const struct veld_dns_table *t, const uint8_t *wire,
                                     size_t len, size_t *n)
{
    size_t low = 0, high = t->n_owners;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct owner *o = &t->owners[mid];
        if (name_compare(t->names->data + o->name, o->len, wire, len) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < t->n_owners && name_compare(t->names->data + t->owners[end].name,
                                             t->owners[end].len, wire, len) == 0)
        end++;
    *n = end - low;
    return *n ? &t->owners[low] : NULL;
}

/* The same of a name, which may also be LABEL.NETWORK.veld. */
static const struct owner *find(const struct veld_dns_table *t, const ldns_rdf *name, size_t *n)
{
    uint8_t shorter[LDNS_MAX_DOMAINLEN];
    const uint8_t *wire = ldns_rdf_data(name);
    size_t len = ldns_rdf_size(name), label = 1 + (size_t)wire[0];
    size_t below = t->network ? ldns_rdf_size(t->network) : 0;
    if (!below || len != label + below ||
        memcmp(wire + label, ldns_rdf_data(t->network), below) != 0)
        return find_wire(t, wire, len, n);
    memcpy(shorter, wire, label);
    memcpy(shorter + label, ldns_rdf_data(t->domain), ldns_rdf_size(t->domain));
    return find_wire(t, shorter, label + ldns_rdf_size(t->domain), n);
}

/* ---- answer ---- */

static ldns_rr_type owner_type(const struct veld_dns_table *t, const struct owner *o)
{
    if (o->is_reverse)
        return LDNS_RR_TYPE_PTR;
    return t->records[o->record].ip.family == 4 ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA;
}

/* `qname` as it was asked, so that the case of its letters (0x20) comes back. */
static bool push_answer(const struct veld_dns_table *t, const struct owner *o,
                        const ldns_rdf *qname, ldns_pkt *answer)
{
    const struct record *r = &t->records[o->record];
    ldns_rdf *data = o->is_reverse ? ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, r->len,
                                                           t->names->data + r->name)
                                   : address_rdf(&r->ip);
    ldns_rr *rr = ldns_rr_new();
    if (!data || !rr) {
        ldns_rdf_deep_free(data);
        ldns_rr_free(rr);
        return false;
    }
    ldns_rr_set_owner(rr, ldns_rdf_clone(qname));
    ldns_rr_set_type(rr, owner_type(t, o));
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, TTL_S);
    ldns_rr_push_rdf(rr, data);
    return ldns_pkt_push_rr(answer, LDNS_SECTION_ANSWER, rr);
}

/* The zone is `veld`, or a reverse name by itself. */
static bool push_soa(const struct veld_dns_table *t, const ldns_rdf *zone,
                     ldns_pkt_section section, ldns_pkt *answer)
{
    ldns_rr *rr = ldns_rr_clone(t->soa);
    if (!rr)
        return false;
    ldns_rdf_deep_free(ldns_rr_owner(rr));
    ldns_rr_set_owner(rr, ldns_rdf_clone(zone));
    return ldns_pkt_push_rr(answer, section, rr);
}

/* OPT, and the transfers of RFC 6895's 249..254, ask for no data of a name. */
static bool is_data_type(ldns_rr_type type)
{
    return type != LDNS_RR_TYPE_OPT && (type < 249 || type == LDNS_RR_TYPE_ANY || type > 255);
}

/* Records of the asked type; for ANY those of the first type there is (RFC 8482). */
static size_t push_records(const struct veld_dns_table *t, const struct owner *first, size_t n,
                           ldns_rr_type type, const ldns_rdf *qname, ldns_pkt *answer)
{
    size_t pushed = 0;
    if (type == LDNS_RR_TYPE_ANY && n > 0)
        type = owner_type(t, first);
    for (size_t i = 0; i < n && pushed < ANSWERS_MAX; i++)
        if (owner_type(t, &first[i]) == type && push_answer(t, &first[i], qname, answer))
            pushed++;
    return pushed;
}

/* Answer the question out of the table. */
static ldns_pkt_rcode look_up(const struct veld_dns_table *t, const ldns_rr *question,
                              ldns_pkt *answer)
{
    const ldns_rdf *qname = ldns_rr_owner(question);
    ldns_rr_type type = ldns_rr_get_type(question);
    if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN || !is_data_type(type))
        return LDNS_RCODE_REFUSED;

    ldns_rdf *name = ldns_rdf_clone(qname);
    if (!name)
        return LDNS_RCODE_SERVFAIL;
    ldns_dname2canonical(name);
    bool is_apex = ldns_rdf_compare(name, t->domain) == 0;
    bool is_network = t->network && ldns_rdf_compare(name, t->network) == 0;
    bool is_below = ldns_dname_is_subdomain(name, t->domain);
    size_t n;
    const struct owner *first = find(t, name, &n);
    ldns_rdf_deep_free(name);
    if (n == 0 && !is_apex && !is_below)
        return LDNS_RCODE_REFUSED;

    ldns_pkt_set_aa(answer, true);
    if (is_apex && (type == LDNS_RR_TYPE_SOA || type == LDNS_RR_TYPE_ANY)) {
        push_soa(t, qname, LDNS_SECTION_ANSWER, answer);
        return LDNS_RCODE_NOERROR;
    }
    if (push_records(t, first, n, type, qname, answer) == 0)
        push_soa(t, is_apex || is_below ? t->domain : qname, LDNS_SECTION_AUTHORITY, answer);
    return n == 0 && !is_apex && !is_network ? LDNS_RCODE_NXDOMAIN : LDNS_RCODE_NOERROR;
}

/* Fill `answer` from a query ldns could read. Returns the limit of the answer's size over UDP. */
static size_t answer_parsed(const struct veld_dns_table *t, const ldns_pkt *query, bool one_opt,
                            ldns_pkt *answer)
{
    size_t limit = UDP_SIZE_DEFAULT;
    const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
    ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    if (!one_opt) {
        ldns_pkt_set_rcode(answer, LDNS_RCODE_FORMERR);
        return limit;
    }
    if (ldns_pkt_edns(query)) {
        limit = VELD_MAX(limit, VELD_MIN(ldns_pkt_edns_udp_size(query), VELD_DNS_MESSAGE_MAX));
        ldns_pkt_set_edns_udp_size(answer, VELD_DNS_MESSAGE_MAX);
        ldns_pkt_set_edns_do(answer, ldns_pkt_edns_do(query));
        if (ldns_pkt_edns_version(query) != 0) {
            ldns_pkt_set_edns_extended_rcode(answer, 1); /* BADVERS is 16, RFC 6891 */
            return limit;
        }
    }
    ldns_pkt_set_rcode(answer, (uint8_t)look_up(t, question, answer));
    return limit;
}

static void clear_section(ldns_pkt *p, ldns_rr_list *(*get)(const ldns_pkt *),
                          void (*set)(ldns_pkt *, ldns_rr_list *),
                          void (*set_count)(ldns_pkt *, uint16_t))
{
    ldns_rr_list_deep_free(get(p));
    set(p, ldns_rr_list_new());
    set_count(p, 0);
}

/* To `out`, without its records and with TC set when it is longer than `limit`. */
static int write_answer(ldns_pkt *answer, size_t limit, uint8_t *out, size_t *out_len)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        uint8_t *wire = NULL;
        size_t len = 0;
        if (ldns_pkt2wire(&wire, answer, &len) != LDNS_STATUS_OK)
            return VELD_E_NOMEM;
        if (len <= limit) {
            memcpy(out, wire, len);
            *out_len = len;
            free(wire);
            return 0;
        }
        free(wire);
        clear_section(answer, ldns_pkt_answer, ldns_pkt_set_answer, ldns_pkt_set_ancount);
        clear_section(answer, ldns_pkt_authority, ldns_pkt_set_authority, ldns_pkt_set_nscount);
        ldns_pkt_set_tc(answer, true);
    }
    return VELD_E_RANGE;
}

int veld_dns_answer(const struct veld_dns_table *t, enum veld_dns_transport transport,
                    const uint8_t *query, size_t len, uint8_t out[VELD_DNS_MESSAGE_MAX],
                    size_t *out_len)
{
    if (len < HEADER_LEN || len > VELD_DNS_MESSAGE_MAX || LDNS_QR_WIRE(query))
        return VELD_E_FORMAT;
    ldns_pkt *answer = ldns_pkt_new();
    if (!answer)
        return VELD_E_NOMEM;
    ldns_pkt_set_id(answer, LDNS_ID_WIRE(query));
    ldns_pkt_set_qr(answer, true);
    ldns_pkt_set_opcode(answer, (ldns_pkt_opcode)LDNS_OPCODE_WIRE(query));
    ldns_pkt_set_rd(answer, LDNS_RD_WIRE(query));
    ldns_pkt_set_cd(answer, LDNS_CD_WIRE(query));

    size_t limit = UDP_SIZE_DEFAULT;
    ldns_pkt *parsed = NULL;
    if (LDNS_OPCODE_WIRE(query) != LDNS_PACKET_QUERY) {
        ldns_pkt_set_rcode(answer, LDNS_RCODE_NOTIMPL);
    } else if (LDNS_QDCOUNT(query) != 1 || LDNS_ANCOUNT(query) != 0 ||
               LDNS_NSCOUNT(query) != 0 ||
               ldns_wire2pkt(&parsed, query, len) != LDNS_STATUS_OK) {
        ldns_pkt_set_rcode(answer, LDNS_RCODE_FORMERR);
    } else {
        /* ldns takes OPT records out of the additional section */
        bool one_opt = LDNS_ARCOUNT(query) - ldns_pkt_arcount(parsed) <= 1;
        limit = answer_parsed(t, parsed, one_opt, answer);
    }
    ldns_pkt_free(parsed);
    if (transport == VELD_DNS_TCP)
        limit = VELD_DNS_MESSAGE_MAX;
    int rc = write_answer(answer, limit, out, out_len);
    ldns_pkt_free(answer);
    return rc;
}
