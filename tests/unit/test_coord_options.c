#include "coord/options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <getopt.h>

static int parse(struct veld_coord_options *o, const char *const *args)
{
    char *argv[16] = {(char *)(uintptr_t) "veld-coord"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    optind = 0;
    return veld_coord_options_parse(o, argc, argv);
}
#define PARSE(o, ...) parse(o, (const char *const[]){__VA_ARGS__, NULL})

static void setup(void)
{
    cr_redirect_stderr();
    cr_redirect_stdout();
}

TestSuite(coord_options, .init = setup, .timeout = 10);

Test(coord_options, as_in_the_quick_start)
{
    struct veld_coord_options o;
    cr_assert_eq(PARSE(&o, "--listen", ":50051", "--db", "./peers.db"), -1);
    cr_assert_eq(o.command, VELD_COORD_SERVE);
    cr_assert_str_eq(o.db, "./peers.db");
    cr_assert_eq(o.listen.port, 50051);
    cr_assert(o.supervise && o.rate_limits && !o.has_metrics);
}

Test(coord_options, commands_and_their_arguments_in_any_order)
{
    struct veld_coord_options o;
    cr_assert_eq(PARSE(&o, "fingerprint", "--db", "x"), -1);
    cr_assert_eq(o.command, VELD_COORD_FINGERPRINT);
    cr_assert_eq(PARSE(&o, "backup", "--db", "x", "out"), -1);
    cr_assert_eq(o.command, VELD_COORD_BACKUP);
    cr_assert_str_eq(o.out, "out");
    cr_assert_eq(PARSE(&o, "--db", "x", "backup", "out"), -1);
    cr_assert_str_eq(o.out, "out");
    cr_assert_eq(PARSE(&o, "health"), -1);
    cr_assert_str_eq(o.connect, "localhost:50051");
}

Test(coord_options, health_asks_the_usual_port_unless_told)
{
    static const char *const cases[][2] = {
        {"203.0.113.1", "203.0.113.1:50051"},
        {"::1", "[::1]:50051"},
        {"coord.example:443", "coord.example:443"},
    };
    struct veld_coord_options o;
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        cr_assert_eq(PARSE(&o, "health", "--connect", cases[i][0]), -1, "%s", cases[i][0]);
        cr_assert_str_eq(o.connect, cases[i][1]);
    }
}

Test(coord_options, help_and_version_are_no_errors)
{
    struct veld_coord_options o;
    cr_assert_eq(PARSE(&o, "--help"), 0);
    cr_assert_eq(PARSE(&o, "--version"), 0);
}

Test(coord_options, what_is_wrong_is_usage)
{
    struct veld_coord_options o;
    static const char *const wrong[][6] = {
        {"--listen", ":50051", NULL},
        {"--db", NULL},
        {"--db", "x", "--listen", "50051", NULL},
        {"--db", "x", "--metrics", "nowhere", NULL},
        {"--db", "x", "--tls-cert", "c", NULL},
        {"--db", "x", "--tls-key", "k", NULL},
        {"--db", "x", "--log-level", "loud", NULL},
        {"--db", "x", "--log-format", "xml", NULL},
        {"--db", "x", "--max-connections", "0", NULL},
        {"--db", "x", "--max-streams", "1x", NULL},
        {"--db", "x", "--max-per-address", "-1", NULL},
        {"--db", "x", "backup", NULL},
        {"--db", "x", "backup", "a", "b", NULL},
        {"--db", "x", "bakup", "a", NULL},
        {"--db", "x", "--unknown", NULL},
        {"fingerprint", NULL},
        {"health", "--connect", "127.0.0.1:0", NULL},
        {"health", "--connect", "a b", NULL},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(wrong); i++)
        cr_assert_eq(parse(&o, wrong[i]), VELD_COORD_USAGE, "case %zu", i);
    fflush(stderr);
}

Test(coord_options, an_error_names_what_is_wrong)
{
    struct veld_coord_options o;
    cr_assert_eq(PARSE(&o, "--db", "x", "--max-streams", "many"), VELD_COORD_USAGE);
    fflush(stderr);
    cr_assert_stderr_eq_str("veld-coord: --max-streams many: not a number of 1 to 10000; see: "
                            "veld-coord --help\n");
}
