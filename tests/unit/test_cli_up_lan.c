#include "cli/up_lan.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void check(const char *text, const char *expected)
{
    char *out = veld_up_lan_with(text, "name", "\"b\"");
    cr_assert_str_eq(out, expected);
    free(out);
}

Test(cli_up_lan, a_key_goes_before_the_first_table)
{
    check("", "name = \"b\"\n");
    check("# why\n[mdns]\nenabled = true\n", "# why\nname = \"b\"\n[mdns]\nenabled = true\n");
    check("mtu = 1400", "mtu = 1400\nname = \"b\"\n");
}

Test(cli_up_lan, it_takes_its_own_place)
{
    check("name = \"a\"\nmtu = 1400\n[mdns]\n", "name = \"b\"\nmtu = 1400\n[mdns]\n");
    check("  name=\"a\"\n", "name = \"b\"\n");
}

Test(cli_up_lan, what_is_another_key_s_stays)
{
    check("names = 1\n# name = 2\n[[peers]]\nname = \"c\"\n",
          "names = 1\n# name = 2\nname = \"b\"\n[[peers]]\nname = \"c\"\n");
}
