#include "coord/listen.h"

#include <criterion/criterion.h>

Test(coord_listen, what_is_an_address_and_port)
{
    struct veld_listen_address a;
    cr_assert_eq(veld_listen_parse(":50051", &a), 0);
    cr_assert_str_empty(a.host);
    cr_assert_eq(a.port, 50051);
    cr_assert_eq(veld_listen_parse("127.0.0.1:0", &a), 0);
    cr_assert_str_eq(a.host, "127.0.0.1");
    cr_assert_eq(veld_listen_parse("[::1]:65535", &a), 0);
    cr_assert_str_eq(a.host, "::1");
    const char *bad[] = {"",    "50051", "1.2.3.4", "::1:50051", ":65536",
                         ":-1", ":1x",   "a:",      ":123456"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(veld_listen_parse(bad[i], &a), VELD_E_FORMAT, "%s", bad[i]);
}

Test(coord_listen, a_port_in_use_is_said_so)
{
    struct veld_listen_address a;
    struct veld_listeners first, second;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_listen_parse("127.0.0.1:0", &a), 0);
    cr_assert_eq(veld_listen_open(&first, &a, &diag), 0, "%s", diag.text);
    a.port = first.first.port;
    cr_assert_neq(a.port, 0);
    cr_assert_eq(veld_listen_open(&second, &a, &diag), VELD_E_EXIST);
    cr_assert(strstr(diag.text, "another program has that port"), "%s", diag.text);
    veld_listen_close(&first);
    cr_assert_eq(veld_listen_open(&second, &a, &diag), 0, "%s", diag.text);
    veld_listen_close(&second);
}

Test(coord_listen, a_host_that_is_none_is_said_so)
{
    struct veld_listen_address a;
    struct veld_listeners l;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_listen_parse("192.0.2.1:0", &a), 0);
    cr_assert_eq(veld_listen_open(&l, &a, &diag), VELD_E_IO);
    cr_assert(strstr(diag.text, "192.0.2.1"), "%s", diag.text);
}
