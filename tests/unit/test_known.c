#include "base/bytes.h"
#include "control/reach/known.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct veld_known *known;

static void setup(void)
{
    known = veld_known_new();
}

static void cleanup(void)
{
    veld_known_free(known);
}

TestSuite(known, .init = setup, .fini = cleanup, .timeout = 20);

static struct veld_endpoint at(unsigned host, uint16_t port)
{
    return (struct veld_endpoint){.ip = {.family = 4, .b = {192, 0, 2, (uint8_t)host}},
                                  .port = port};
}

static bool set(enum veld_known_source source, unsigned first, size_t n)
{
    struct veld_endpoint list[20] = {0};
    for (size_t i = 0; i < n; i++)
        list[i] = source == VELD_KNOWN_CIRCUITS
                      ? veld_endpoint_circuit((uint32_t)(0x1000 + first + i))
                      : at((unsigned)(first + i), 1);
    return veld_known_set(known, 7, source, list, n);
}

Test(known, sources_come_in_their_order_and_each_endpoint_once)
{
    struct veld_endpoint out[VELD_CANDIDATES_MAX];
    cr_assert(set(VELD_KNOWN_CIRCUITS, 0, 1));
    cr_assert(set(VELD_KNOWN_MEMBER, 2, 2));
    cr_assert(set(VELD_KNOWN_SESSION, 1, 2));
    cr_assert(set(VELD_KNOWN_LAN, 9, 1));
    cr_assert_eq(veld_known_compose(known, 7, out), 5);
    const unsigned hosts[] = {9, 1, 2, 3};
    for (size_t i = 0; i < VELD_ARRAY_LEN(hosts); i++)
        cr_assert_eq(out[i].ip.b[3], hosts[i], "%zu", i);
    cr_assert(veld_endpoint_is_circuit(&out[4]));
    cr_assert_eq(veld_known_compose(known, 8, out), 0, "nobody else's");
}

Test(known, addresses_do_not_push_circuits_out)
{
    struct veld_endpoint out[VELD_CANDIDATES_MAX];
    set(VELD_KNOWN_MEMBER, 0, VELD_CANDIDATES_MAX);
    set(VELD_KNOWN_SESSION, 50, VELD_CANDIDATES_MAX);
    cr_assert_eq(veld_known_compose(known, 7, out), VELD_CANDIDATES_MAX);
    set(VELD_KNOWN_CIRCUITS, 0, 3);
    cr_assert_eq(veld_known_compose(known, 7, out), VELD_CANDIDATES_MAX);
    for (size_t i = 0; i < VELD_CANDIDATES_MAX; i++)
        cr_assert_eq(veld_endpoint_is_circuit(&out[i]), i >= VELD_CANDIDATES_MAX - 3, "%zu", i);
}

Test(known, circuits_push_no_more_addresses_out_than_is_theirs)
{
    struct veld_endpoint out[VELD_CANDIDATES_MAX];
    set(VELD_KNOWN_MEMBER, 0, VELD_CANDIDATES_MAX);
    set(VELD_KNOWN_CIRCUITS, 0, VELD_CANDIDATES_MAX);
    cr_assert_eq(veld_known_compose(known, 7, out), VELD_CANDIDATES_MAX);
    size_t circuits = 0;
    for (size_t i = 0; i < VELD_CANDIDATES_MAX; i++)
        circuits += veld_endpoint_is_circuit(&out[i]);
    cr_assert_eq(circuits, VELD_KNOWN_CIRCUITS_MAX);
}

Test(known, the_same_again_changes_nothing)
{
    cr_assert_not(set(VELD_KNOWN_LAN, 0, 0));
    cr_assert(set(VELD_KNOWN_LAN, 1, 2));
    cr_assert_not(set(VELD_KNOWN_LAN, 1, 2));
    cr_assert(set(VELD_KNOWN_LAN, 1, 1));
    cr_assert(set(VELD_KNOWN_LAN, 1, 0));
}

Test(known, of_too_many_the_first_are_kept)
{
    struct veld_endpoint out[VELD_CANDIDATES_MAX];
    cr_assert(set(VELD_KNOWN_SESSION, 1, 20));
    cr_assert_eq(veld_known_compose(known, 7, out), VELD_CANDIDATES_MAX);
    cr_assert_eq(out[VELD_CANDIDATES_MAX - 1].ip.b[3], VELD_CANDIDATES_MAX);
}

Test(known, a_number_that_is_anothers_now_begins_with_nothing)
{
    struct veld_endpoint out[VELD_CANDIDATES_MAX];
    set(VELD_KNOWN_SESSION, 1, 2);
    veld_known_forget(known, 7);
    cr_assert_eq(veld_known_compose(known, 7, out), 0);
}
