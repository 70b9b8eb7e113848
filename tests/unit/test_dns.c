#include "base/bytes.h"
#include "control/names/dns.h"

#include <criterion/criterion.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <string.h>

static struct veld_dns_table *table;
static uint8_t out[VELD_DNS_MESSAGE_MAX];
static size_t out_len;

static struct veld_ip ip(const char *text)
{
    struct veld_ip v;
    cr_assert_eq(veld_ip_parse(text, &v), 0);
    return v;
}

static void make_table(void)
{
    struct veld_dns_record records[] = {
        {"machine-b", ip("10.0.0.2")}, {"machine-a", ip("10.0.0.1")},
        {"machine-b", ip("fd00::2")},  {"machine-b", ip("10.0.1.2")},
        {"six", ip("fd00::6")},        {"a.b", ip("10.0.0.9")},
        {"", ip("10.0.0.10")},
    };
    table = veld_dns_table_new(NULL, records, VELD_ARRAY_LEN(records));
    cr_assert_not_null(table);
}

static void free_table(void)
{
    veld_dns_table_free(table);
}

TestSuite(dns, .init = make_table, .fini = free_table);

static ldns_pkt *query(const char *name, ldns_rr_type type, ldns_rr_class class)
{
    ldns_pkt *q = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, class, LDNS_RD);
    ldns_pkt_set_id(q, 0x1234);
    return q;
}

static int answer_wire(enum veld_dns_transport transport, const uint8_t *wire, size_t len)
{
    return veld_dns_answer(table, transport, wire, len, out, &out_len);
}

/* The answer to `q`, which is freed. Free the result. */
static ldns_pkt *answer(enum veld_dns_transport transport, ldns_pkt *q)
{
    uint8_t *wire;
    size_t len;
    ldns_pkt *a = NULL;
    cr_assert_eq(ldns_pkt2wire(&wire, q, &len), LDNS_STATUS_OK);
    cr_assert_eq(answer_wire(transport, wire, len), 0);
    cr_assert_eq(ldns_wire2pkt(&a, out, out_len), LDNS_STATUS_OK);
    cr_assert_eq(ldns_pkt_id(a), 0x1234);
    cr_assert(ldns_pkt_qr(a) && ldns_pkt_rd(a) && !ldns_pkt_ra(a) && !ldns_pkt_ad(a));
    free(wire);
    ldns_pkt_free(q);
    return a;
}

/* "answer records as text, separated by |"; "SOA" for one in the authority section. */
static const char *describe(const ldns_pkt *p)
{
    static char text[8192];
    text[0] = '\0';
    const ldns_rr_list *list = ldns_pkt_answer(p);
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        char *rr = ldns_rr2str(ldns_rr_list_rr(list, i));
        for (char *c = rr; *c; c++)
            if (*c == '\t')
                *c = ' ';
        rr[strcspn(rr, "\n")] = '\0';
        strcat(strcat(text, i ? "|" : ""), rr);
        free(rr);
    }
    list = ldns_pkt_authority(p);
    if (ldns_rr_list_rr_count(list) == 1 &&
        ldns_rr_get_type(ldns_rr_list_rr(list, 0)) == LDNS_RR_TYPE_SOA) {
        char *owner = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(list, 0)));
        strcat(strcat(text, "SOA of "), owner);
        free(owner);
    }
    return text;
}

struct row {
    const char *name;
    int type;
    int class;
    ldns_pkt_rcode rcode;
    const char *records;
};

#define IN   LDNS_RR_CLASS_IN
#define REV6 "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa."

static const struct row rows[] = {
    {"machine-a.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "machine-a.veld. 10 IN A 10.0.0.1"},
    {"machine-b.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "machine-b.veld. 10 IN A 10.0.0.2|machine-b.veld. 10 IN A 10.0.1.2"},
    {"machine-b.veld.", LDNS_RR_TYPE_AAAA, IN, LDNS_RCODE_NOERROR,
     "machine-b.veld. 10 IN AAAA fd00::2"},
    /* the case of the question comes back (0x20) */
    {"mAcHiNe-A.VeLd.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "mAcHiNe-A.VeLd. 10 IN A 10.0.0.1"},
    {"machine-b.veld.", LDNS_RR_TYPE_ANY, IN, LDNS_RCODE_NOERROR,
     "machine-b.veld. 10 IN A 10.0.0.2|machine-b.veld. 10 IN A 10.0.1.2"},
    {"six.veld.", LDNS_RR_TYPE_ANY, IN, LDNS_RCODE_NOERROR, "six.veld. 10 IN AAAA fd00::6"},
    /* the name exists, the type does not */
    {"machine-a.veld.", LDNS_RR_TYPE_AAAA, IN, LDNS_RCODE_NOERROR, "SOA of veld."},
    {"machine-a.veld.", LDNS_RR_TYPE_MX, IN, LDNS_RCODE_NOERROR, "SOA of veld."},
    {"machine-a.veld.", 65280, IN, LDNS_RCODE_NOERROR, "SOA of veld."},
    {"veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR, "SOA of veld."},
    {"VELD.", LDNS_RR_TYPE_SOA, IN, LDNS_RCODE_NOERROR,
     "VELD. 10 IN SOA VELD. nobody.invalid. 1 3600 600 86400 10"},
    /* ours, and not there */
    {"nobody.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    {"x.machine-a.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    {"a.b.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    /* addresses of the table */
    {"2.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_NOERROR,
     "2.0.0.10.in-addr.arpa. 10 IN PTR machine-b.veld."},
    {"6.0.0.0." REV6, LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_NOERROR,
     "6.0.0.0." REV6 " 10 IN PTR six.veld."},
    {"2.0.0.10.in-ADDR.arpa.", LDNS_RR_TYPE_ANY, IN, LDNS_RCODE_NOERROR,
     "2.0.0.10.in-ADDR.arpa. 10 IN PTR machine-b.veld."},
    {"2.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "SOA of 2.0.0.10.in-addr.arpa."},
    /* everything else is somebody else's: refused, never denied */
    {"3.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_REFUSED, ""},
    {"9.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_REFUSED, ""},
    {"7.0.0.0." REV6, LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_REFUSED, ""},
    {"0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, IN, LDNS_RCODE_REFUSED, ""},
    {"example.com.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.xveld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.veld.example.com.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_REFUSED, ""},
    {".", LDNS_RR_TYPE_NS, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.veld.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_CH, LDNS_RCODE_REFUSED, ""},
    {"machine-a.veld.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_ANY, LDNS_RCODE_REFUSED, ""},
    {"veld.", LDNS_RR_TYPE_AXFR, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.veld.", LDNS_RR_TYPE_IXFR, IN, LDNS_RCODE_REFUSED, ""},
    {"machine-a.veld.", LDNS_RR_TYPE_OPT, IN, LDNS_RCODE_REFUSED, ""},
};

static void ask(const struct row *r, size_t n)
{
    for (const struct row *end = r + n; r < end; r++) {
        for (int transport = VELD_DNS_UDP; transport <= VELD_DNS_TCP; transport++) {
            ldns_pkt *a =
                answer((enum veld_dns_transport)transport,
                       query(r->name, (ldns_rr_type)r->type, (ldns_rr_class)r->class));
            cr_expect_eq(ldns_pkt_get_rcode(a), r->rcode, "%s type %d: rcode %d", r->name,
                         r->type, ldns_pkt_get_rcode(a));
            cr_expect_str_eq(describe(a), r->records, "%s type %d: %s", r->name, r->type,
                             describe(a));
            cr_expect_eq(ldns_pkt_aa(a), r->rcode != LDNS_RCODE_REFUSED, "%s", r->name);
            cr_expect_not(ldns_pkt_tc(a));
            cr_expect_not(ldns_pkt_edns(a), "no OPT where none was sent");
            char *asked = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(a), 0)));
            cr_expect_str_eq(asked, r->name);
            free(asked);
            ldns_pkt_free(a);
        }
    }
}

Test(dns, table_of_questions)
{
    ask(rows, VELD_ARRAY_LEN(rows));
}

static const struct row network_rows[] = {
    {"machine-a.mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "machine-a.mynet.veld. 10 IN A 10.0.0.1"},
    {"Six.MyNet.Veld.", LDNS_RR_TYPE_AAAA, IN, LDNS_RCODE_NOERROR,
     "Six.MyNet.Veld. 10 IN AAAA fd00::6"},
    {"machine-b.mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
     "machine-b.mynet.veld. 10 IN A 10.0.0.2|machine-b.mynet.veld. 10 IN A 10.0.1.2"},
    /* there is something below it, so it exists */
    {"mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR, "SOA of veld."},
    {"nobody.mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    {"x.machine-a.mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    {"machine-a.other.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NXDOMAIN, "SOA of veld."},
    {"machine-a.mynet.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_REFUSED, ""},
};

/* All answers as before, the reverse ones too, and each name once more below the network's. */
Test(dns, names_below_the_networks)
{
    struct veld_dns_record records[] = {
        {"machine-b", ip("10.0.0.2")}, {"machine-a", ip("10.0.0.1")},
        {"machine-b", ip("fd00::2")},  {"machine-b", ip("10.0.1.2")},
        {"six", ip("fd00::6")},
    };
    veld_dns_table_free(table);
    table = veld_dns_table_new("MyNet", records, VELD_ARRAY_LEN(records));
    cr_assert_not_null(table);
    ask(rows, VELD_ARRAY_LEN(rows));
    ask(network_rows, VELD_ARRAY_LEN(network_rows));
}

Test(dns, a_machine_may_be_called_like_its_network)
{
    static const struct row own[] = {
        {"mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR, "mynet.veld. 10 IN A 10.0.0.3"},
        {"mynet.mynet.veld.", LDNS_RR_TYPE_A, IN, LDNS_RCODE_NOERROR,
         "mynet.mynet.veld. 10 IN A 10.0.0.3"},
    };
    struct veld_dns_record record = {"mynet", ip("10.0.0.3")};
    veld_dns_table_free(table);
    table = veld_dns_table_new("mynet", &record, 1);
    ask(own, VELD_ARRAY_LEN(own));
    veld_dns_table_free(table);
    table = veld_dns_table_new("my.net", &record, 1);
    cr_assert_null(table, "no label");
}

/* A machine without names refuses what is not ours and denies what is. */
Test(dns, empty_table)
{
    veld_dns_table_free(table);
    table = veld_dns_table_new(NULL, NULL, 0);
    ldns_pkt *a = answer(VELD_DNS_UDP, query("machine-a.veld.", LDNS_RR_TYPE_A, IN));
    cr_assert_eq(ldns_pkt_get_rcode(a), LDNS_RCODE_NXDOMAIN);
    ldns_pkt_free(a);
    a = answer(VELD_DNS_UDP, query("example.com.", LDNS_RR_TYPE_A, IN));
    cr_assert_eq(ldns_pkt_get_rcode(a), LDNS_RCODE_REFUSED);
    ldns_pkt_free(a);
}

Test(dns, opt_is_answered_and_versions_are_refused)
{
    ldns_pkt *q = query("machine-a.veld.", LDNS_RR_TYPE_A, IN);
    ldns_pkt_set_edns_udp_size(q, 1232);
    ldns_pkt_set_edns_do(q, true);
    ldns_pkt *a = answer(VELD_DNS_UDP, q);
    cr_assert(ldns_pkt_edns(a));
    cr_assert(ldns_pkt_edns_do(a));
    cr_assert_eq(ldns_pkt_edns_version(a), 0);
    cr_assert_eq(ldns_pkt_ancount(a), 1);
    ldns_pkt_free(a);

    q = query("machine-a.veld.", LDNS_RR_TYPE_A, IN);
    ldns_pkt_set_edns_udp_size(q, 1232);
    ldns_pkt_set_edns_version(q, 1);
    a = answer(VELD_DNS_UDP, q);
    cr_assert_eq(ldns_pkt_get_rcode(a), 0);
    cr_assert_eq(ldns_pkt_edns_extended_rcode(a), 1);
    cr_assert_eq(ldns_pkt_edns_version(a), 0);
    cr_assert_eq(ldns_pkt_ancount(a), 0);
    ldns_pkt_free(a);
}

/* 100 addresses of one name: 64 are told over TCP, and over UDP what fits. */
Test(dns, truncation)
{
    struct veld_dns_record records[100];
    for (size_t i = 0; i < VELD_ARRAY_LEN(records); i++) {
        records[i].name = "many";
        records[i].ip = ip("fd00::");
        records[i].ip.b[15] = (uint8_t)i;
    }
    veld_dns_table_free(table);
    table = veld_dns_table_new(NULL, records, VELD_ARRAY_LEN(records));
    static const struct {
        enum veld_dns_transport transport;
        uint16_t edns_size;
        size_t limit;
        uint16_t count;
    } cases[] = {
        {VELD_DNS_UDP, 0, 512, 0},       {VELD_DNS_UDP, 100, 512, 0},
        {VELD_DNS_UDP, 1232, 1232, 0},   {VELD_DNS_UDP, 4096, 4096, 64},
        {VELD_DNS_UDP, 65535, 4096, 64}, {VELD_DNS_TCP, 0, 4096, 64},
        {VELD_DNS_TCP, 512, 4096, 64},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        ldns_pkt *q = query("many.veld.", LDNS_RR_TYPE_AAAA, IN);
        if (cases[i].edns_size)
            ldns_pkt_set_edns_udp_size(q, cases[i].edns_size);
        ldns_pkt *a = answer(cases[i].transport, q);
        cr_expect_leq(out_len, cases[i].limit);
        cr_expect_eq(ldns_pkt_ancount(a), cases[i].count, "case %zu", i);
        cr_expect_eq(ldns_pkt_tc(a), cases[i].count == 0, "case %zu", i);
        cr_expect_eq(ldns_pkt_edns(a), cases[i].edns_size != 0, "case %zu", i);
        ldns_pkt_free(a);
    }
}

/* header fields 2..11 of an answer that carries no question */
static void expect_bare(const uint8_t *q, size_t len, ldns_pkt_rcode rcode)
{
    cr_assert_eq(answer_wire(VELD_DNS_UDP, q, len), 0);
    cr_assert_eq(out_len, 12);
    cr_assert_eq(memcmp(out, q, 2), 0);
    cr_assert(out[2] & 0x80);
    cr_assert_eq(out[2] & 0x78, q[2] & 0x78);
    cr_assert_eq(out[3] & 15, rcode);
    for (int i = 4; i < 12; i++)
        cr_assert_eq(out[i], 0);
}

#define HEADER(flags, qd, an, ns, ar) 0x12, 0x34, flags, 0, 0, qd, 0, an, 0, ns, 0, ar
#define NAME_A                        9, 'm', 'a', 'c', 'h', 'i', 'n', 'e', '-', 'a', 4, 'v', 'e', 'l', 'd', 0
#define A_IN                          0, 1, 0, 1
#define OPT                           0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0

Test(dns, what_gets_no_answer)
{
    static const uint8_t response[] = {HEADER(0x80, 1, 0, 0, 0), NAME_A, A_IN};
    static uint8_t large[VELD_DNS_MESSAGE_MAX + 1] = {HEADER(0, 1, 0, 0, 0), NAME_A, A_IN};
    cr_assert_eq(answer_wire(VELD_DNS_UDP, response, sizeof response), VELD_E_FORMAT);
    for (size_t len = 0; len < 12; len++)
        cr_assert_eq(answer_wire(VELD_DNS_UDP, response, len), VELD_E_FORMAT);
    cr_assert_eq(answer_wire(VELD_DNS_TCP, large, sizeof large), VELD_E_FORMAT);
}

Test(dns, malformed_and_unsupported)
{
    static const uint8_t good[] = {HEADER(0, 1, 0, 0, 0), NAME_A, A_IN};
    for (size_t len = 12; len < sizeof good; len++)
        expect_bare(good, len, LDNS_RCODE_FORMERR);
    cr_assert_eq(answer_wire(VELD_DNS_UDP, good, sizeof good), 0);
    cr_assert_eq(out[3] & 15, 0);

    static const uint8_t none[] = {HEADER(0, 0, 0, 0, 0)};
    expect_bare(none, sizeof none, LDNS_RCODE_FORMERR);
    static const uint8_t two[] = {HEADER(0, 2, 0, 0, 0), NAME_A, A_IN, NAME_A, A_IN};
    expect_bare(two, sizeof two, LDNS_RCODE_FORMERR);
    static const uint8_t with_answer[] = {
        HEADER(0, 1, 1, 0, 0), NAME_A, A_IN, NAME_A, A_IN, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
    expect_bare(with_answer, sizeof with_answer, LDNS_RCODE_FORMERR);
    static const uint8_t missing_opt[] = {HEADER(0, 1, 0, 0, 1), NAME_A, A_IN};
    expect_bare(missing_opt, sizeof missing_opt, LDNS_RCODE_FORMERR);
    for (int opcode = 1; opcode < 16; opcode++) {
        uint8_t q[sizeof good];
        memcpy(q, good, sizeof q);
        q[2] = (uint8_t)(opcode << 3);
        expect_bare(q, sizeof q, LDNS_RCODE_NOTIMPL);
    }
}

Test(dns, compression_loops_and_bad_labels)
{
    static const uint8_t self[] = {HEADER(0, 1, 0, 0, 0), 0xc0, 12, A_IN};
    expect_bare(self, sizeof self, LDNS_RCODE_FORMERR);
    static const uint8_t pair[] = {HEADER(0, 1, 0, 0, 0), 1, 'a', 0xc0, 16, 0xc0, 12, A_IN};
    expect_bare(pair, sizeof pair, LDNS_RCODE_FORMERR);
    static const uint8_t outside[] = {HEADER(0, 1, 0, 0, 0), 0xff, 0xff, A_IN};
    expect_bare(outside, sizeof outside, LDNS_RCODE_FORMERR);
    static const uint8_t reserved[] = {HEADER(0, 1, 0, 0, 0), 0x80, 'a', 0, A_IN};
    expect_bare(reserved, sizeof reserved, LDNS_RCODE_FORMERR);
    uint8_t too_long[12 + 5 * 64 + 5] = {HEADER(0, 1, 0, 0, 0)};
    for (int i = 0; i < 5; i++) {
        too_long[12 + i * 64] = 63;
        memset(too_long + 13 + i * 64, 'a', 63);
    }
    memcpy(too_long + 12 + 5 * 64, (uint8_t[]){0, A_IN}, 5);
    expect_bare(too_long, sizeof too_long, LDNS_RCODE_FORMERR);
}

Test(dns, two_opt_records_are_malformed)
{
    static const uint8_t q[] = {HEADER(0, 1, 0, 0, 2), NAME_A, A_IN, OPT, OPT};
    cr_assert_eq(answer_wire(VELD_DNS_UDP, q, sizeof q), 0);
    cr_assert_eq(out[3] & 15, LDNS_RCODE_FORMERR);
    static const uint8_t one[] = {HEADER(0, 1, 0, 0, 1), NAME_A, A_IN, OPT};
    cr_assert_eq(answer_wire(VELD_DNS_UDP, one, sizeof one), 0);
    cr_assert_eq(out[3] & 15, LDNS_RCODE_NOERROR);
}
