#include "control/reach/relay_choice.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(relay_choice, .timeout = 20);

static void expect(struct veld_relay_candidate *list, size_t n, const char *order)
{
    char got[16] = "";
    size_t chosen = veld_relay_choose(list, n, strlen(order));
    for (size_t i = 0; i < chosen; i++)
        got[i] = (char)list[i].id;
    cr_assert_str_eq(got, order);
}

Test(relay_choice, there_may_be_none_or_fewer_than_wished)
{
    struct veld_relay_candidate one = {.id = 'a'};
    cr_assert_eq(veld_relay_choose(NULL, 0, 3), 0);
    cr_assert_eq(veld_relay_choose(&one, 1, 3), 1);
}

Test(relay_choice, where_the_peer_is_comes_first)
{
    struct veld_relay_candidate list[] = {
        {.id = 'n', .standing = VELD_RELAY_CONNECTED, .rtt_ns = 1},
        {.id = 'a', .named = true, .standing = VELD_RELAY_UNKNOWN},
        {.id = 'b', .named = true, .standing = VELD_RELAY_CONNECTED, .rtt_ns = 900},
        {.id = 'u', .standing = VELD_RELAY_UNKNOWN},
    };
    expect(list, 4, "banu");
}

Test(relay_choice, the_nearest_of_those_connected_comes_first)
{
    struct veld_relay_candidate list[] = {
        {.id = '?', .standing = VELD_RELAY_CONNECTED, .rtt_ns = 0},
        {.id = '9', .standing = VELD_RELAY_CONNECTED, .rtt_ns = 9},
        {.id = '2', .standing = VELD_RELAY_CONNECTED, .rtt_ns = 2},
        {.id = '5', .standing = VELD_RELAY_CONNECTED, .rtt_ns = 5},
    };
    expect(list, 4, "259?");
}

Test(relay_choice, who_does_not_answer_comes_last_even_where_the_peer_is)
{
    struct veld_relay_candidate list[] = {
        {.id = 'x', .named = true, .standing = VELD_RELAY_FAILING, .rtt_ns = 1},
        {.id = 'u', .standing = VELD_RELAY_UNKNOWN},
    };
    expect(list, 2, "ux");
}

Test(relay_choice, equals_are_drawn_by_lot)
{
    struct veld_relay_candidate list[] = {{.id = 'a', .lot = 3},
                                          {.id = 'b', .lot = 1},
                                          {.id = 'd', .lot = 2},
                                          {.id = 'c', .lot = 2}};
    for (unsigned i = 0; i < 4; i++)
        list[i].standing = VELD_RELAY_UNKNOWN;
    expect(list, 4, "bcda");
    expect(list, 4, "bc");
}
