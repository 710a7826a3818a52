#include "token_fixture.h"

#include "keyfile.h"

#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char folder[] = "/tmp/sidecast-keyfile-XXXXXX";
static char path[sizeof folder + 8], other_path[sizeof folder + 8];
static struct keyring keyring;
static char error[512];

static void write_file(const char *name, const char *text, size_t size, mode_t mode)
{
    FILE *file;

    unlink(name);
    file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text), 0600);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/secret", folder);
    snprintf(other_path, sizeof other_path, "%s/set", folder);
    error[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keyring_finish(&keyring);
    unlink(path);
    unlink(other_path);
    return rmdir(folder);
}

static bool read_secret(void)
{
    struct keyfile_paths paths = {.secret = path};

    keyring_finish(&keyring);
    return keyfile_read(&keyring, &paths, error, sizeof error);
}

static void assert_error(const char *says)
{
    if (!strstr(error, says) || strncmp(error, folder, strlen(folder)) != 0)
        fail_msg("got `%s`, expected `%s`", error, says);
    assert_int_equal(keyring.count, 0);
}

/* Whether a token by this secret is good. */
static bool takes(const char *secret)
{
    struct token_rules rules = {"", "", 0};
    struct keyring own = {0};
    struct claims claims;
    struct problem problem;
    char *token;
    bool good;

    assert_true(keyring_add_secret(&own, span_of(secret), true, error, sizeof error));
    token = sign(&own, "{\"exp\":2}");
    good = token_verify(&claims, span_of(token), &keyring, &rules, 1000, &problem);
    token_claims_finish(&claims);
    keyring_finish(&own);
    free(token);
    return good;
}

static void a_secret_is_the_files_bytes_but_for_one_newline(void **state)
{
    static const struct {
        const char *text, *secret;
    } rows[] = {
        {SECRET, SECRET},
        {SECRET "\n", SECRET},
        {SECRET "\r\n", SECRET},
        {SECRET "\n\n", SECRET "\n"},
        {SECRET "\r", SECRET "\r"}, /* bytes by chance may end so */
        {SECRET " \n", SECRET " "},
        {"\n" SECRET "\n", "\n" SECRET},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_text(path, rows[i].text);
        if (!read_secret())
            fail_msg("row %zu: %s", i, error);
        assert_true(takes(rows[i].secret));
        assert_false(takes("another one"));
    }
}

static void keys_of_both_files_count(void **state)
{
    struct keyfile_paths paths = {.secret = path, .set = other_path};

    (void)state;
    write_text(path, SECRET);
    write_text(other_path, ALL_PUBLIC);
    assert_true(keyfile_read(&keyring, &paths, error, sizeof error));
    assert_int_equal(keyring.count, 4);
}

static void no_file_is_no_key(void **state)
{
    struct keyfile_paths none = {0}, empty = {"", "", false};

    (void)state;
    assert_true(keyfile_read(&keyring, &none, error, sizeof error));
    assert_true(keyfile_read(&keyring, &empty, error, sizeof error));
    assert_int_equal(keyring.count, 0);
}

static void what_others_can_read_is_refused(void **state)
{
    (void)state;
    write_file(path, SECRET, strlen(SECRET), 0644);
    assert_false(read_secret());
    assert_error("others can read or change it");
}

static void what_is_no_file_of_keys_is_named(void **state)
{
    static char large[KEYFILE_MAX_BYTES + 1];
    struct keyfile_paths paths = {.set = path};

    (void)state;
    assert_false(read_secret());
    assert_error("No such file");
    write_text(path, "");
    assert_false(read_secret());
    assert_error("expected a secret");
    write_text(path, "\n");
    assert_false(read_secret());
    assert_error("expected a secret");
    write_text(path, "short");
    assert_false(read_secret());
    assert_error("at least 32 bytes");
    write_text(path, SECRET);
    assert_false(keyfile_read(&keyring, &paths, error, sizeof error));
    assert_error("expected a JWK Set");
    assert_null(strstr(error, SECRET));
    memset(large, 'x', sizeof large);
    write_file(path, large, sizeof large, 0600);
    assert_false(read_secret());
    assert_error("at most 256 KiB");
}

static void one_bad_file_spoils_both(void **state)
{
    struct keyfile_paths paths = {.secret = path, .set = other_path};

    (void)state;
    write_text(path, SECRET);
    write_text(other_path, "{}");
    assert_false(keyfile_read(&keyring, &paths, error, sizeof error));
    assert_error("expected a JWK Set");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_secret_is_the_files_bytes_but_for_one_newline),
        TEST(keys_of_both_files_count),
        TEST(no_file_is_no_key),
        TEST(what_others_can_read_is_refused),
        TEST(what_is_no_file_of_keys_is_named),
        TEST(one_bad_file_spoils_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
