/* Key files as they are written by us and by others, in a private directory. */
#include "curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "folder_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Examples of zmq_curve(7), and a key that would begin like a comment. */
#define PUBLIC "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define SECRET "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
#define OTHER "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define HASHED "#yMd7<Jb9OF.4AB*tc7x]?dEEE$FS+c!Bq1l5Nx3"

static const char MISSING[] = "expected a key of 40 characters (Z85)";

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_error(const char *part)
{
    if (!strstr(error, part) || !strstr(error, path))
        fail_msg("got `%s`, wanted `%s`", error, part);
    assert_null(strstr(error, SECRET));
}

static void a_key_is_40_characters_of_z85(void **state)
{
    (void)state;
    assert_true(curve_is_key(PUBLIC));
    assert_false(curve_is_key(HASHED));
    assert_false(curve_is_key(""));
    assert_false(curve_is_key(PUBLIC "x"));
    assert_false(curve_is_key("q:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"));
    assert_false(curve_is_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf "));
    assert_false(curve_is_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\""));
}

static void a_secret_is_alone_or_of_a_pair(void **state)
{
    static const char *const texts[] = {
        SECRET, SECRET "\n", "# comment\n\n  " SECRET "\t\r\n", "public = " PUBLIC "\nsecret = " SECRET "\n", "secret=" SECRET "\npublic=" PUBLIC,
        "public = " OTHER "\n" SECRET "\n",
    };
    char secret[CURVE_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        write_file(texts[i], 0600);
        memset(secret, 0, sizeof secret);
        if (!curve_read_secret(path, secret, error, sizeof error))
            fail_msg("%s: %s", texts[i], error);
        assert_string_equal(secret, SECRET);
    }
}

static void what_is_no_secret_is_refused_without_showing_it(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", MISSING},
        {"# nothing\n", MISSING},
        {"public = " PUBLIC "\n", MISSING},
        {SECRET "x\n", ":1: expected a key of 40 characters (Z85)"},
        {"\n\nsecret = " SECRET " " SECRET "\n", ":3: expected a key of 40"},
        {SECRET "\n" SECRET "\n", ":2: expected one key only"},
        {"secret = " SECRET "\nsecret = " SECRET "\n", ":2: expected one key only"},
        {"secret = \n", ":1: expected a key of 40"},
        {"key = " SECRET "\n", ":1: expected a key of 40"},
    };
    char secret[CURVE_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file(rows[i].text, 0600);
        assert_false(curve_read_secret(path, secret, error, sizeof error));
        assert_error(rows[i].error);
    }
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    char secret[CURVE_TEXT];

    (void)state;
    write_file(SECRET, 0644);
    assert_false(curve_read_secret(path, secret, error, sizeof error));
    assert_error("others can read or change it");
    assert_true(curve_read_public(path, secret, error, sizeof error));
}

static void a_list_has_a_key_a_line_and_comments(void **state)
{
    struct curve_list list;
    uint8_t key[CURVE_KEY_BYTES], second[CURVE_KEY_BYTES], other[CURVE_KEY_BYTES];

    (void)state;
    zmq_z85_decode(key, PUBLIC);
    zmq_z85_decode(second, OTHER);
    zmq_z85_decode(other, SECRET);
    write_file("# the shop\n" PUBLIC "\n\n#" SECRET "\n# " SECRET "\n" HASHED "\n  " OTHER "  \r\n", 0644);
    assert_true(curve_read_list(path, &list, error, sizeof error));
    assert_int_equal(list.count, 2);
    assert_true(curve_list_has(&list, key));
    assert_true(curve_list_has(&list, second));
    assert_false(curve_list_has(&list, other));
    curve_list_finish(&list);
    assert_false(curve_list_has(&list, key));
}

static void an_empty_list_has_nobody(void **state)
{
    struct curve_list list;

    (void)state;
    write_file("# nobody\n", 0644);
    assert_true(curve_read_list(path, &list, error, sizeof error));
    assert_int_equal(list.count, 0);
}

static void a_list_with_a_mistake_is_refused_whole(void **state)
{
    struct curve_list list;

    (void)state;
    write_file(PUBLIC "\nshop " PUBLIC "\n", 0644);
    assert_false(curve_read_list(path, &list, error, sizeof error));
    assert_error(":2: expected a public key of 40 characters");
    assert_null(list.keys);
    write_file(PUBLIC "\n", 0646);
    assert_false(curve_read_list(path, &list, error, sizeof error));
    assert_error("everybody can write to it");
}

static mode_t mode_of(const char *file)
{
    struct stat status;

    assert_int_equal(stat(file, &status), 0);
    return status.st_mode & 0777;
}

static void a_written_pair_is_one_and_can_be_read(void **state)
{
    char prefix[48], secret_path[64], public_path[64], public[CURVE_TEXT], read[CURVE_TEXT], of_secret[CURVE_TEXT];
    mode_t before = umask(0077);

    (void)state;
    snprintf(prefix, sizeof prefix, "%s/p", directory);
    snprintf(secret_path, sizeof secret_path, "%s.secret", prefix);
    snprintf(public_path, sizeof public_path, "%s.public", prefix);
    assert_true(curve_write_pair(prefix, public, error, sizeof error));
    umask(before);
    assert_int_equal(mode_of(secret_path), 0600);
    assert_int_equal(mode_of(public_path), 0644);
    assert_true(curve_read_secret(secret_path, read, error, sizeof error));
    assert_true(curve_public_of(read, of_secret));
    assert_string_equal(of_secret, public);
    assert_true(curve_read_public(public_path, read, error, sizeof error));
    assert_string_equal(read, public);
    assert_true(curve_read_public(secret_path, read, error, sizeof error));
    assert_string_equal(read, public);
}

static void a_pair_overwrites_nothing(void **state)
{
    char prefix[48], public[CURVE_TEXT];

    (void)state;
    snprintf(prefix, sizeof prefix, "%s/p", directory);
    snprintf(path, sizeof path, "%s.public", prefix);
    write_file("mine", 0600);
    assert_false(curve_write_pair(prefix, public, error, sizeof error));
    assert_error("File exists");
    snprintf(path, sizeof path, "%s.secret", prefix);
    assert_int_equal(access(path, F_OK), -1);
    write_file("mine, too", 0600);
    assert_false(curve_write_pair(prefix, public, error, sizeof error));
    assert_error("File exists");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        TEST(a_key_is_40_characters_of_z85),
        TEST(a_secret_is_alone_or_of_a_pair),
        TEST(what_is_no_secret_is_refused_without_showing_it),
        TEST(a_secret_that_others_can_read_is_refused),
        TEST(a_list_has_a_key_a_line_and_comments),
        TEST(an_empty_list_has_nobody),
        TEST(a_list_with_a_mistake_is_refused_whole),
        TEST(a_written_pair_is_one_and_can_be_read),
        TEST(a_pair_overwrites_nothing),
    };

    return cmocka_run_group_tests_name("curve", tests, NULL, NULL);
}
