#include "base/bytes.h"
#include "profile/settings.h"

#include "../support/state_dir.h"

static struct veld_diag diag;
static struct veld_settings settings;

static void init(void)
{
    state_dir_make();
    veld_settings_default(&settings);
}

TestSuite(profile_settings, .init = init, .fini = state_dir_remove, .timeout = 20);

Test(profile_settings, defaults_where_there_is_no_file)
{
    memset(&settings, 7, sizeof settings);
    cr_assert_eq(veld_settings_load(state_dir, "mynet", &settings, &diag), 0);
    char listen[VELD_ENDPOINT_STRLEN];
    cr_assert_eq(settings.n_routes, 0);
    cr_assert(settings.accept_routes);
    cr_assert_str_eq(veld_endpoint_format(&settings.listen, listen), "[::]:51820");
    cr_assert_str_eq(settings.interface, "veld0");
    cr_assert_eq(settings.mtu, 1420);
    cr_assert_not(settings.relay);
    cr_assert_eq(settings.relay_rate_mbit, 100);
    cr_assert_not(settings.mdns);
    cr_assert(settings.port_mapping);
}

Test(profile_settings, round_trip)
{
    struct veld_settings in = settings, out;
    cr_assert_eq(veld_settings_set_routes(&in, "192.168.1.0/24, fd01::/64", &diag), 0, "%s",
                 diag.text);
    cr_assert_eq(veld_settings_set_listen(&in, "127.0.0.1:5", &diag), 0);
    cr_assert_eq(veld_settings_set_interface(&in, "veld7", &diag), 0);
    cr_assert_eq(veld_settings_set_mtu(&in, 1300, &diag), 0);
    cr_assert_eq(veld_settings_set_relay_rate(&in, 20, &diag), 0);
    in.accept_routes = false;
    in.relay = true;
    in.mdns = true;
    in.port_mapping = false;
    cr_assert_eq(veld_settings_save(state_dir, "mynet", &in, &diag), 0, "%s", diag.text);
    cr_assert_eq(mode_of("networks/mynet/settings.json"), 0600);
    cr_assert_eq(veld_settings_load(state_dir, "mynet", &out, &diag), 0, "%s", diag.text);
    cr_assert_eq(out.n_routes, 2);
    char text[VELD_PREFIX_STRLEN];
    cr_assert_str_eq(veld_prefix_format(&out.routes[0], text), "192.168.1.0/24");
    cr_assert_str_eq(veld_prefix_format(&out.routes[1], text), "fd01::/64");
    cr_assert_not(out.accept_routes);
    cr_assert(veld_endpoint_equal(&out.listen, &in.listen));
    cr_assert_str_eq(out.interface, "veld7");
    cr_assert_eq(out.mtu, 1300);
    cr_assert(out.relay);
    cr_assert_eq(out.relay_rate_mbit, 20);
    cr_assert(out.mdns);
    cr_assert_not(out.port_mapping);
}

Test(profile_settings, as_typed_and_wrong)
{
    static const char *const routes[][2] = {{"192.168.1.1/24", "192.168.1.0/24"},
                                            {"0.0.0.0/0", "default route"},
                                            {"::/0", "default route"},
                                            {"x", "not a network"},
                                            {"127.0.0.0/8", "loopback"},
                                            {"10.0.0.0/8,10.1.0.0/16", "overlaps"},
                                            {"10.0.0.0/8,10.0.0.0/8", "overlaps"},
                                            {"10.0.0.0/33", "not a network"},
                                            {"10.0.0.0/8;11.0.0.0/8", "not a network"}};
    static const char *const listen[] = {"", "51820", "224.0.0.1:5", "host:5", ":0"};
    static const char *const interfaces[] = {"", "a/b", "lo", "much-too-long-a-name"};
    static const long mtus[] = {-1, 0, 1279, 9001, 1L << 40};
    struct veld_settings before = settings;
    for (size_t i = 0; i < VELD_ARRAY_LEN(routes); i++) {
        cr_expect_eq(veld_settings_set_routes(&settings, routes[i][0], &diag), VELD_E_FORMAT,
                     "%s", routes[i][0]);
        cr_expect_not_null(strstr(diag.text, routes[i][1]), "%s", diag.text);
    }
    for (size_t i = 0; i < VELD_ARRAY_LEN(listen); i++)
        cr_expect_eq(veld_settings_set_listen(&settings, listen[i], &diag), VELD_E_FORMAT);
    for (size_t i = 0; i < VELD_ARRAY_LEN(interfaces); i++)
        cr_expect_eq(veld_settings_set_interface(&settings, interfaces[i], &diag),
                     VELD_E_FORMAT);
    static const long rates[] = {-1, 0, 1000001, 1L << 40};
    for (size_t i = 0; i < VELD_ARRAY_LEN(rates); i++)
        cr_expect_eq(veld_settings_set_relay_rate(&settings, rates[i], &diag), VELD_E_FORMAT);
    for (size_t i = 0; i < VELD_ARRAY_LEN(mtus); i++)
        cr_expect_eq(veld_settings_set_mtu(&settings, mtus[i], &diag), VELD_E_FORMAT);
    cr_assert_arr_eq(&settings, &before, sizeof before, "something was changed");
}

Test(profile_settings, routes_are_bounded_and_may_be_none)
{
    char text[VELD_MEMBER_ROUTES_MAX * 16 + 32] = "";
    for (int i = 0; i < VELD_MEMBER_ROUTES_MAX; i++)
        sprintf(text + strlen(text), "10.%d.0.0/16,", i);
    cr_assert_eq(veld_settings_set_routes(&settings, text, &diag), 0, "%s", diag.text);
    cr_assert_eq(settings.n_routes, VELD_MEMBER_ROUTES_MAX);
    strcat(text, "10.200.0.0/16");
    cr_assert_eq(veld_settings_set_routes(&settings, text, &diag), VELD_E_FORMAT);
    cr_assert_eq(veld_settings_set_routes(&settings, "none", &diag), 0);
    cr_assert_eq(settings.n_routes, 0);
    cr_assert_eq(veld_settings_set_routes(&settings, "", &diag), 0);
    cr_assert_eq(settings.n_routes, 0);
}

#define BUT_RELAY                                                                              \
    "{\"version\":1,\"routes\":[],\"accept_routes\":true,\"listen\":\"[::]:1\","               \
    "\"interface\":\"v\",\"mtu\":1420,"
#define REST ",\"accept_routes\":true,\"listen\":\"[::]:1\",\"interface\":\"v\",\"mtu\":1420}"

Test(profile_settings, a_broken_file_is_an_error_not_the_defaults)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"version\":1}",
        "{\"version\":1,\"routes\":7" REST,
        "{\"version\":1,\"routes\":[7]" REST,
        "{\"version\":1,\"routes\":[\"0.0.0.0/0\"]" REST,
        "{\"version\":1,\"routes\":[\"10.0.0.1/8\"]" REST,
        "{\"version\":1,\"routes\":[],\"accept_routes\":1,\"listen\":\"[::]:1\",\"interface\":"
        "\"v\",\"mtu\":1420}",
        "{\"version\":1,\"routes\":[],\"accept_routes\":true,\"listen\":\"x\",\"interface\":"
        "\"v\",\"mtu\":1420}",
        "{\"version\":1,\"routes\":[],\"accept_routes\":true,\"listen\":\"[::]:1\","
        "\"interface\":"
        "\"../v\",\"mtu\":1420}",
        "{\"version\":1,\"routes\":[],\"accept_routes\":true,\"listen\":\"[::]:1\","
        "\"interface\":"
        "\"v\",\"mtu\":1}",
        "{\"version\":1,\"routes\":[],\"accept_routes\":true,\"listen\":\"[::]:1\","
        "\"interface\":"
        "\"v\",\"mtu\":4294968716}",
        "{\"version\":1,\"routes\":[],\"x\":1" REST,
        BUT_RELAY "\"relay\":1}",
        BUT_RELAY "\"relay_rate\":0}",
        BUT_RELAY "\"relay_rate\":4294967297}",
        BUT_RELAY "\"relay_rate\":-1}",
        BUT_RELAY "\"mdns\":1}",
        "{\"version\":1,\"routes\":[],\"port_mapping\":\"on\"" REST,
    };
    cr_assert_eq(veld_profile_make(state_dir, "mynet", &diag), 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_text("networks/mynet/settings.json", bad[i], 0600);
        cr_expect_eq(veld_settings_load(state_dir, "mynet", &settings, &diag), VELD_E_FORMAT,
                     "%s", bad[i]);
        cr_expect_not_null(strstr(diag.text, in_state_dir("networks/mynet/settings.json")));
        cr_expect_not_null(strstr(diag.text, "veld up"), "%s", diag.text);
        cr_expect_str_eq(settings.interface, "");
    }
    write_text("networks/mynet/settings.json",
               "{\"version\":1,\"routes\":[\"10.0.0.0/8\"]" REST, 0600);
    cr_assert_eq(veld_settings_load(state_dir, "mynet", &settings, &diag), 0, "%s", diag.text);
    cr_assert_not(settings.mdns);
    cr_assert_eq(settings.relay_rate_mbit, 100, "as files of older versions mean");
    cr_assert(settings.port_mapping, "as in files that know nothing of it");
}
