#include "base/bytes.h"
#include "base/nearest.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const words[] = {"listen_addr", "vpn_ip", "name", "mtu", "up", "status"};

static const char *nearest(const char *word)
{
    const char *found = veld_nearest(word, words, VELD_ARRAY_LEN(words));
    return found ? found : "(none)";
}

Test(nearest, finds_what_was_meant)
{
    cr_assert_str_eq(nearest("listen_adr"), "listen_addr");
    cr_assert_str_eq(nearest("listen_address"), "listen_addr");
    cr_assert_str_eq(nearest("VPN_IP"), "vpn_ip");
    cr_assert_str_eq(nearest("vnp_ip"), "vpn_ip"); /* a swap is one edit */
    cr_assert_str_eq(nearest("stauts"), "status");
    cr_assert_str_eq(nearest("mut"), "mtu");
    cr_assert_str_eq(nearest("ip"), "up");
}

Test(nearest, suggests_nothing_far_away)
{
    cr_assert_str_eq(nearest("frobnicate"), "(none)");
    cr_assert_str_eq(nearest(""), "(none)");
    cr_assert_str_eq(nearest("xy"), "(none)");
    char huge[VELD_NEAREST_MAX + 2];
    memset(huge, 'm', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    cr_assert_str_eq(nearest(huge), "(none)");
    const char *only_huge[] = {huge};
    cr_assert_null(veld_nearest("m", only_huge, 1));
}
