#include "base/file.h"
#include "cli/coord/token_text.h"
#include "crypto/primitives.h"

#include "../support/state_dir.h"

#include <fcntl.h>

static struct veld_diag diag;
static struct veld_token_text *token;

static void init(void)
{
    state_dir_make();
    cr_assert_eq(veld_crypto_init(), 0);
}

static void fini(void)
{
    veld_token_text_free(token);
    state_dir_remove();
}

TestSuite(cli_token_text, .init = init, .fini = fini, .timeout = 20);

Test(cli_token_text, an_argument_is_wiped)
{
    static const char zeros[16];
    char argument[16] = "veld1secret";
    cr_assert_eq(veld_token_text_take(&token, argument, NULL, &diag), 0);
    cr_assert_str_eq(token->text, "veld1secret");
    cr_assert_arr_eq(argument, zeros, sizeof zeros);
}

Test(cli_token_text, an_argument_that_is_too_long_is_wiped_too)
{
    char *argument = malloc(VELD_TOKEN_TEXT_MAX + 1);
    memset(argument, 'a', VELD_TOKEN_TEXT_MAX);
    argument[VELD_TOKEN_TEXT_MAX] = '\0';
    cr_assert_eq(veld_token_text_take(&token, argument, NULL, &diag), VELD_E_FORMAT);
    cr_assert_null(token);
    cr_assert(veld_is_zero(argument, VELD_TOKEN_TEXT_MAX));
    memset(argument, 'a', VELD_TOKEN_TEXT_MAX);
    argument[VELD_TOKEN_TEXT_MAX - 1] = '\0';
    cr_assert_eq(veld_token_text_take(&token, argument, NULL, &diag), 0);
    free(argument);
}

Test(cli_token_text, of_a_file)
{
    char path[128];
    strcpy(path, in_state_dir("token"));
    write_text("token", "\n \tveld1\r\nsec\n ret \r\n\n", 0600);
    cr_assert_eq(veld_token_text_take(&token, NULL, path, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(token->text, "veld1secret");
    veld_token_text_free(token);
    token = NULL;
    write_text("token", "", 0600);
    cr_assert_eq(veld_token_text_take(&token, NULL, path, &diag), VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "is empty"), "%s", diag.text);
    unlink(path);
    cr_assert_eq(veld_token_text_take(&token, NULL, path, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, path), "%s", diag.text);
    cr_assert_eq(veld_token_text_take(&token, NULL, state_dir, &diag), VELD_E_IO);
}

Test(cli_token_text, a_file_is_bounded_and_text)
{
    static char text[VELD_TOKEN_TEXT_MAX + 8];
    char path[128];
    strcpy(path, in_state_dir("token"));
    memset(text, 'a', VELD_TOKEN_TEXT_MAX);
    write_text("token", text, 0600);
    cr_assert_eq(veld_token_text_take(&token, NULL, path, &diag), VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "too long"), "%s", diag.text);
    cr_assert_eq(veld_file_replace(path, "veld1\0x", 7, 0600), 0);
    cr_assert_eq(veld_token_text_take(&token, NULL, path, &diag), VELD_E_FORMAT);
    cr_assert_null(token);
}

Test(cli_token_text, of_standard_input)
{
    char dash[] = "-";
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "veld1", 5), 5);
    cr_assert_eq(write(fds[1], "secret\n", 7), 7);
    close(fds[1]);
    dup2(fds[0], STDIN_FILENO);
    cr_assert_eq(veld_token_text_take(&token, dash, NULL, &diag), 0, "%s", diag.text);
    cr_assert_str_eq(token->text, "veld1secret");
    cr_assert_str_eq(dash, "-");
    veld_token_text_free(token);
    token = NULL;
    cr_assert_eq(veld_token_text_take(&token, dash, NULL, &diag), VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "standard input was empty"), "%s", diag.text);
    close(STDIN_FILENO);
    cr_assert_eq(veld_token_text_take(&token, dash, NULL, &diag), VELD_E_IO);
}
