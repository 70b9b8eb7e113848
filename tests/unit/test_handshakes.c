#include "dataplane/handshakes.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_handshakes h;

static void setup(void)
{
    veld_rcu_updater_begin();
    cr_assert_eq(veld_handshakes_init(&h), 0);
}

static void teardown(void)
{
    veld_rcu_barrier();
    veld_handshakes_free(&h);
    veld_rcu_updater_end();
}

TestSuite(handshakes, .init = setup, .fini = teardown);

Test(handshakes, whole_indices_are_awaited)
{
    cr_assert_not(veld_handshakes_awaits(&h, 0), "nobody's");
    cr_assert_not(veld_handshakes_awaits(&h, 0x00080005));
    veld_handshakes_await(&h, 0x00080005);
    cr_assert(veld_handshakes_awaits(&h, 0x00080005));
    cr_assert_not(veld_handshakes_awaits(&h, 0x000a0005), "the same slot");
    cr_assert_not(veld_handshakes_awaits(&h, 0x00080006));
    veld_handshakes_await(&h, 0x000a0005);
    cr_assert(veld_handshakes_awaits(&h, 0x000a0005));
    cr_assert_not(veld_handshakes_awaits(&h, 0x00080005), "its slot has passed on");
}

Test(handshakes, the_last_checker_set_counts)
{
    cr_assert_null(veld_handshakes_cookies(&h));
    for (uint8_t i = 1; i < 4; i++) {
        struct veld_cookie_checker c;
        uint8_t pub[32] = {i};
        veld_cookie_checker_init(&c, pub);
        cr_assert_eq(veld_handshakes_set_cookies(&h, &c), 0);
        cr_assert_arr_eq(veld_handshakes_cookies(&h)->checker.mac1_key, c.mac1_key, 32);
    }
}
