#include "control/engine/preference.h"

#include "base/bytes.h"

#include <criterion/criterion.h>

static struct veld_endpoint ep(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0, "%s", text);
    return e;
}

Test(preference, classes)
{
    static const char *const local[] = {"10.1.2.3:1",     "172.16.0.1:1",  "172.31.255.1:1",
                                        "192.168.0.1:1",  "169.254.3.4:1", "[fd00::1]:1",
                                        "[fe80::1%lo]:1", "127.0.0.1:1",   "[fc00::1]:1"};
    static const char *const public[] = {"11.0.0.1:1",    "172.15.0.1:1", "172.32.0.1:1",
                                         "192.169.0.1:1", "100.64.0.1:1", "[2001:db8::1]:1",
                                         "[fec0::1]:1"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(local); i++) {
        struct veld_endpoint e = ep(local[i]);
        cr_assert_eq(veld_path_class(&e), VELD_PATH_LOCAL, "%s", local[i]);
    }
    for (size_t i = 0; i < VELD_ARRAY_LEN(public); i++) {
        struct veld_endpoint e = ep(public[i]);
        cr_assert_eq(veld_path_class(&e), VELD_PATH_PUBLIC, "%s", public[i]);
    }
}

Test(preference, better_is_of_a_higher_class)
{
    const struct veld_endpoint by_class[] = {veld_endpoint_circuit(0xa0000001), ep("1.2.3.4:5"),
                                             ep("192.168.1.1:5")};
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 0; b < 3; b++)
            cr_assert_eq(veld_path_is_better(&by_class[a], &by_class[b]), a > b, "%zu %zu", a,
                         b);
}
