#include "crypto/identity.h"
#include "base/file.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 8032, section 7.1, test 1. */
#define SEED_TEXT        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define PUB_TEXT         "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define FINGERPRINT_TEXT "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"

static char dir[] = "/tmp/veld-test-identity.XXXXXX";
static char path[64], other[64];
static struct veld_diag diag;

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/identity", dir);
    snprintf(other, sizeof other, "%s/other", dir);
}

static void fini(void)
{
    unlink(path);
    unlink(other);
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

TestSuite(identity, .init = init, .fini = fini, .timeout = 20);

static void put(const char *where, const char *text, size_t len, mode_t mode)
{
    cr_assert_eq(veld_file_replace(where, text, len, mode), 0);
}

static void assert_refused(int code)
{
    struct veld_identity *id = NULL;
    diag.text[0] = '\0';
    cr_assert_eq(veld_identity_load(path, &id, &diag), code, "%s", diag.text);
    cr_assert_null(id);
    cr_assert(strstr(diag.text, path), "it names no file: %s", diag.text);
}

static struct veld_identity *load(void)
{
    struct veld_identity *id = NULL;
    cr_assert_eq(veld_identity_load(path, &id, &diag), 0, "%s", diag.text);
    return id;
}

Test(identity, is_derived_from_its_seed)
{
    uint8_t seed[32];
    char text[VELD_PUBKEY_STRLEN], fingerprint[VELD_FINGERPRINT_STRLEN];
    cr_assert_eq(veld_base64_decode(seed, 32, SEED_TEXT, 44), 0);
    struct veld_identity *id = veld_identity_from_seed(seed);
    cr_assert_not_null(id);
    veld_pubkey_format(id->pub, text);
    cr_assert_str_eq(text, PUB_TEXT);
    veld_pubkey_fingerprint(id->pub, fingerprint);
    cr_assert_str_eq(fingerprint, FINGERPRINT_TEXT);

    uint8_t x_pub[32];
    cr_assert_eq(veld_ed25519_public_to_x25519(x_pub, id->pub), 0);
    cr_assert_arr_eq(x_pub, id->x_pub, 32);
    veld_x25519_public(x_pub, id->x_secret);
    cr_assert_arr_eq(x_pub, id->x_pub, 32);
    veld_identity_free(id);
    veld_identity_free(NULL);
}

Test(identity, generated_ones_differ)
{
    struct veld_identity *a = veld_identity_generate(), *b = veld_identity_generate();
    cr_assert(a && b);
    cr_assert(memcmp(a->pub, b->pub, 32) != 0);
    veld_identity_free(a);
    veld_identity_free(b);
}

Test(identity, saved_and_loaded_is_the_same)
{
    struct stat st;
    struct veld_identity *a = veld_identity_generate();
    umask(0);
    cr_assert_eq(veld_identity_save(a, path, &diag), 0, "%s", diag.text);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(st.st_size, 45);
    struct veld_identity *b = load();
    cr_assert_arr_eq(a, b, sizeof *a);
    veld_identity_free(a);
    veld_identity_free(b);
}

Test(identity, the_file_is_the_seed_in_base64_and_a_newline)
{
    char text[64], pub[VELD_PUBKEY_STRLEN];
    size_t len;
    put(path, SEED_TEXT "\n", 45, 0600);
    struct veld_identity *id = load();
    veld_pubkey_format(id->pub, pub);
    cr_assert_str_eq(pub, PUB_TEXT);
    cr_assert_eq(veld_identity_save(id, other, NULL), 0);
    cr_assert_eq(veld_file_read(other, text, sizeof text, &len), 0);
    cr_assert_str_eq(text, SEED_TEXT "\n");
    veld_identity_free(id);
}

static void assert_not_overwritten(void)
{
    char before[64] = "", after[64] = "";
    size_t len;
    struct veld_identity *id = veld_identity_generate();
    int had = veld_file_read(path, before, sizeof before, &len);
    diag.text[0] = '\0';
    cr_assert_eq(veld_identity_save(id, path, &diag), VELD_E_EXIST);
    cr_assert(strstr(diag.text, path));
    cr_assert_eq(veld_file_read(path, after, sizeof after, &len), had);
    cr_assert_str_eq(before, after);
    veld_identity_free(id);
}

Test(identity, save_never_overwrites)
{
    put(path, SEED_TEXT "\n", 45, 0600);
    assert_not_overwritten();
    put(path, "", 0, 0600);
    assert_not_overwritten();
}

Test(identity, save_never_writes_through_a_symlink)
{
    struct stat st;
    cr_assert_eq(symlink(other, path), 0);
    assert_not_overwritten();
    cr_assert_eq(stat(other, &st), -1, "the link's target was made");
    put(other, "precious", 8, 0600);
    assert_not_overwritten();
}

Test(identity, save_into_no_directory_says_so)
{
    char deep[96];
    struct veld_identity *id = veld_identity_generate();
    snprintf(deep, sizeof deep, "%s/none/identity", dir);
    cr_assert_eq(veld_identity_save(id, deep, &diag), VELD_E_NOENT);
    cr_assert(strstr(diag.text, "No such file or directory; make its directory first"), "%s",
              diag.text);
    veld_identity_free(id);
}

Test(identity, modes_that_let_others_in_are_refused)
{
    for (unsigned mode = 0; mode <= 0777; mode++) {
        put(path, SEED_TEXT "\n", 45, 0600);
        cr_assert_eq(chmod(path, mode), 0);
        if (mode & 077) {
            assert_refused(VELD_E_PERM);
            cr_assert(strstr(diag.text, "chmod 600"), "%s", diag.text);
        } else if (mode & 0400) {
            veld_identity_free(load());
        }
    }
}

Test(identity, what_is_no_identity_needs_no_other_mode)
{
    put(path, "127.0.0.1 localhost\n", 20, 0644);
    assert_refused(VELD_E_FORMAT);
    cr_assert(strstr(diag.text, "is no identity file"), "%s", diag.text);
    cr_assert_not(strstr(diag.text, "chmod") || strstr(diag.text, "move it away"), "%s",
                  diag.text);
}

Test(identity, a_symlink_leads_to_its_target_and_the_target_s_mode)
{
    put(other, SEED_TEXT "\n", 45, 0600);
    cr_assert_eq(symlink(other, path), 0);
    veld_identity_free(load());
    cr_assert_eq(chmod(other, 0640), 0);
    assert_refused(VELD_E_PERM);
    unlink(other);
    assert_refused(VELD_E_NOENT);
}

Test(identity, what_is_no_regular_file_is_refused)
{
    assert_refused(VELD_E_NOENT);
    cr_assert_eq(mkfifo(path, 0600), 0);
    assert_refused(VELD_E_FORMAT);
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    assert_refused(VELD_E_FORMAT);
    rmdir(path);
    cr_assert_eq(symlink(path, path), 0);
    assert_refused(VELD_E_IO);
}

Test(identity, damaged_files_are_refused)
{
    static const char *const bad[] = {
        "",
        "\n",
        SEED_TEXT,          /* no newline */
        SEED_TEXT "\r\n",   /* CRLF */
        SEED_TEXT "\n\n",   /* more than one line */
        SEED_TEXT " \n",    /* trailing blank */
        " " SEED_TEXT "\n", /* leading blank */
        SEED_TEXT "\n" SEED_TEXT "\n",
        "\xef\xbb\xbf" SEED_TEXT "\n",                    /* byte order mark */
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B=\n", /* not canonical */
        "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n", /* URL alphabet */
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2Aa\n", /* 33 bytes */
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2==\n", /* 31 bytes */
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put(path, bad[i], strlen(bad[i]), 0600);
        assert_refused(VELD_E_FORMAT);
    }
    for (size_t len = 0; len < 45; len++) {
        put(path, SEED_TEXT "\n", len, 0600);
        assert_refused(VELD_E_FORMAT);
    }
    char text[46] = SEED_TEXT "\n";
    text[10] = '\0';
    put(path, text, 45, 0600);
    assert_refused(VELD_E_FORMAT);
    put(path, SEED_TEXT "\r\n", 46, 0600);
    assert_refused(VELD_E_FORMAT);
    cr_assert(strstr(diag.text, "CR"), "%s", diag.text);
}

Test(identity, pubkey_text_is_exact_and_its_key_usable)
{
    uint8_t pub[32], expected[32];
    char text[VELD_PUBKEY_STRLEN];
    cr_assert_eq(veld_base64_decode(expected, 32, PUB_TEXT, 44), 0);
    cr_assert_eq(veld_pubkey_parse(PUB_TEXT, pub), 0);
    cr_assert_arr_eq(pub, expected, 32);

    static const char *const malformed[] = {
        "", "x", PUB_TEXT "\n", " " PUB_TEXT, PUB_TEXT "=", "base64-ed25519-pubkey-of-b"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        cr_assert_eq(veld_pubkey_parse(malformed[i], pub), VELD_E_FORMAT, "%s", malformed[i]);

    uint8_t zero[32] = {0}, mixed[32] = {0};
    veld_pubkey_format(zero, text);
    cr_assert_eq(veld_pubkey_parse(text, pub), VELD_E_KEY, "small order");
    memset(mixed, 0xff, 31);
    mixed[31] = 0x7f;
    veld_pubkey_format(mixed, text);
    cr_assert_eq(veld_pubkey_parse(text, pub), VELD_E_KEY, "not canonical");
    cr_assert_arr_eq(pub, expected, 32, "a refused key changed the output");
}

Test(identity, load_or_make)
{
    struct veld_identity *a = NULL, *b = NULL;
    bool made;
    cr_assert_eq(veld_identity_load_or_make(path, &a, &made, &diag), 0, "%s", diag.text);
    cr_assert(made);
    cr_assert_eq(veld_identity_load_or_make(path, &b, &made, &diag), 0, "%s", diag.text);
    cr_assert_not(made);
    cr_assert_arr_eq(a->pub, b->pub, 32);
    veld_identity_free(a);
    veld_identity_free(b);
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_eq(veld_identity_load_or_make(path, &a, &made, &diag), VELD_E_PERM);
    cr_assert_not(made);
}
