/*
 * Any bytes as a DNS query: an answer is a whole message within its limit, to
 * that query, and never denies a name outside "veld".
 */
#include "control/names/dns.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct veld_dns_table *make_table(void)
{
    static const struct veld_dns_record records[] = {
        {"a", {.family = 4, .b = {10, 0, 0, 1}}},
        {"a", {.family = 6, .b = {0xfd, [15] = 1}}},
        {"b", {.family = 4, .b = {10, 0, 0, 2}}},
    };
    return veld_dns_table_new("net", records, sizeof records / sizeof records[0]);
}

static void check(enum veld_dns_transport transport, const uint8_t *query, const uint8_t *out,
                  size_t len)
{
    ldns_pkt *answer = NULL;
    REQUIRE(len >= 12 && len <= VELD_DNS_MESSAGE_MAX);
    REQUIRE(out[0] == query[0] && out[1] == query[1] && out[2] & 0x80);
    REQUIRE(ldns_wire2pkt(&answer, out, len) == LDNS_STATUS_OK);
    REQUIRE(ldns_pkt_edns(answer) || transport == VELD_DNS_TCP || len <= 512);
    if (ldns_pkt_get_rcode(answer) == LDNS_RCODE_NXDOMAIN) {
        ldns_rdf *veld = ldns_dname_new_frm_str("veld.");
        ldns_rdf *name = ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(answer), 0));
        ldns_dname2canonical(name);
        REQUIRE(ldns_dname_is_subdomain(name, veld));
        ldns_rdf_deep_free(veld);
    }
    ldns_pkt_free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct veld_dns_table *table;
    uint8_t out[VELD_DNS_MESSAGE_MAX];
    size_t len;
    if (!table)
        table = make_table();
    for (int t = VELD_DNS_UDP; t <= VELD_DNS_TCP; t++)
        if (veld_dns_answer(table, (enum veld_dns_transport)t, data, size, out, &len) == 0)
            check((enum veld_dns_transport)t, data, out, len);
    return 0;
}
