/* Files in a directory of the test's own, never those of the system. */
#include "base/bytes.h"
#include "base/file.h"
#include "control/names/resolver.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], state[96];
static struct veld_diag diag;
static struct veld_journal *journal;

static const char *at(const char *name)
{
    static char path[4][192];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    cr_assert_eq(veld_file_replace(at(name), text, strlen(text), 0644), 0, "%s", name);
}

static const char *get(const char *name)
{
    static char buf[4096];
    size_t len;
    cr_assert_eq(veld_file_read(at(name), buf, sizeof buf, &len), 0, "%s", name);
    return buf;
}

static void setup(void)
{
    strcpy(dir, "/tmp/veld-test-resolver.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(state, sizeof state, "%s/state", dir);
    cr_assert_eq(mkdir(state, 0700), 0);
    cr_assert_eq(veld_journal_open(&journal, state, &diag), 0);
    /* no bus: a test must not reach the machine's own resolved */
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
}

static void teardown(void)
{
    static const char *const files[] = {"resolv.conf", "resolv.conf.head",
                                        "run/resolvconf/resolv.conf",
                                        "resolvconf/resolv.conf.d/head"};
    static const char *const dirs[] = {"run/resolvconf", "run", "resolvconf/resolv.conf.d",
                                       "resolvconf", "state"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(files); i++)
        unlink(at(files[i]));
    for (size_t i = 0; i < VELD_ARRAY_LEN(dirs); i++)
        rmdir(at(dirs[i]));
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

TestSuite(resolver, .init = setup, .fini = teardown, .timeout = 30);

static int apply(struct veld_resolver **r, enum veld_dns_mode mode)
{
    struct veld_resolver_config cfg = {.mode = mode,
                                       .ifindex = 7,
                                       .interface = "veld0",
                                       .server = {.family = 4, .b = {127, 0, 86, 3}},
                                       .journal = journal,
                                       .etc = dir};
    return veld_resolver_apply(r, &cfg, &diag);
}

static void expect(enum veld_dns_mode mode, const char *method)
{
    struct veld_resolver *r = NULL;
    cr_assert_eq(apply(&r, mode), 0, "%s", diag.text);
    cr_assert_str_eq(veld_resolver_method(r), method);
    veld_resolver_undo(r);
}

/* Whether `text` is a comment that says how to undo, the stub's line, and then exactly `rest`. */
static void expect_first(const char *text, const char *rest)
{
    const char *end = strchr(text, '\n');
    cr_assert_not_null(end);
    cr_assert_eq(text[0], '#');
    cr_assert_not_null(strstr(text, "by hand"));
    cr_assert_not_null(strstr(text, state));
    cr_assert_eq(strncmp(end + 1, "nameserver 127.0.86.3\n", 22), 0, "%s", text);
    cr_assert_str_eq(end + 23, rest);
}

static const char plain[] = "# mine\nsearch example.com\nnameserver 192.0.2.1\noptions rotate";

Test(resolver, line_first_and_the_rest_byte_for_byte)
{
    put("resolv.conf", plain);
    expect(VELD_DNS_AUTO, "/etc/resolv.conf");
    expect_first(get("resolv.conf"), plain);
    veld_journal_close(journal);
    cr_assert_str_eq(get("resolv.conf"), plain);
}

Test(resolver, off_touches_nothing)
{
    put("resolv.conf", plain);
    expect(VELD_DNS_OFF, "off");
    cr_assert_str_eq(get("resolv.conf"), plain);
    cr_assert_neq(access(at("state/undo.json"), F_OK), 0);
    veld_journal_close(journal);
}

Test(resolver, no_file_yet)
{
    expect(VELD_DNS_FILE, "/etc/resolv.conf");
    expect_first(get("resolv.conf"), "");
    veld_journal_close(journal);
    cr_assert_neq(access(at("resolv.conf"), F_OK), 0);
}

/* resolved is pointed at but not there: the file all the same. */
Test(resolver, resolved_is_gone)
{
    static const char text[] = "nameserver\t127.0.0.53 \noptions edns0\n";
    put("resolv.conf", text);
    expect(VELD_DNS_AUTO, "/etc/resolv.conf");
    expect_first(get("resolv.conf"), text);
    veld_journal_close(journal);
    cr_assert_str_eq(get("resolv.conf"), text);
}

Test(resolver, what_was_demanded_and_is_not_there)
{
    struct veld_resolver *r = NULL;
    put("resolv.conf", plain);
    cr_assert_eq(apply(&r, VELD_DNS_RESOLVED), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "systemd-resolved"));
    cr_assert_eq(apply(&r, VELD_DNS_RESOLVCONF), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "resolvconf"));
    cr_assert_null(r);
    cr_assert_str_eq(get("resolv.conf"), plain);
    veld_journal_close(journal);
}

/* All ways fail: each is told. */
Test(resolver, all_that_was_tried_is_told)
{
    struct veld_resolver *r = NULL;
    static char large[VELD_JOURNAL_FILE_MAX];
    memset(large, '#', sizeof large);
    memcpy(large, "nameserver 127.0.0.53\n", 22);
    cr_assert_eq(veld_file_replace(at("resolv.conf"), large, sizeof large, 0644), 0);
    cr_assert_eq(mkdir(at("state/undo.json"), 0700), 0);
    cr_assert_lt(apply(&r, VELD_DNS_AUTO), 0);
    cr_assert_not_null(strstr(diag.text, "system bus"));
    cr_assert_not_null(strstr(diag.text, "undo.json"));
    cr_assert_null(r);
    rmdir(at("state/undo.json"));
    veld_journal_close(journal);
}

Test(resolver, debian_resolvconf)
{
    mkdir(at("run"), 0755);
    mkdir(at("run/resolvconf"), 0755);
    mkdir(at("resolvconf"), 0755);
    mkdir(at("resolvconf/resolv.conf.d"), 0755);
    put("resolvconf/resolv.conf.d/head", "# head\n");
    put("run/resolvconf/resolv.conf", "# head\nnameserver 192.0.2.1\n");
    cr_assert_eq(symlink("run/resolvconf/resolv.conf", at("resolv.conf")), 0);
    expect(VELD_DNS_AUTO, "resolvconf");
    expect_first(get("resolvconf/resolv.conf.d/head"), "# head\n");
    expect_first(get("resolv.conf"), "# head\nnameserver 192.0.2.1\n");

    /* resolvconf makes the file anew: the head as it is, then other servers */
    char fresh[1024];
    snprintf(fresh, sizeof fresh, "%snameserver 198.51.100.1\n",
             get("resolvconf/resolv.conf.d/head"));
    put("run/resolvconf/resolv.conf", fresh);
    veld_journal_close(journal);
    cr_assert_str_eq(get("resolvconf/resolv.conf.d/head"), "# head\n");
    cr_assert_str_eq(get("resolv.conf"), "# head\nnameserver 198.51.100.1\n");
}

Test(resolver, openresolv)
{
    static const char text[] = "# Generated by resolvconf\nnameserver 192.0.2.1\n";
    put("resolv.conf", text);
    expect(VELD_DNS_AUTO, "resolvconf");
    expect_first(get("resolv.conf.head"), "");
    expect_first(get("resolv.conf"), text);
    veld_journal_close(journal);
    cr_assert_str_eq(get("resolv.conf"), text);
    cr_assert_neq(access(at("resolv.conf.head"), F_OK), 0);
}
