/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Keys in the store.
 */
#include "support/test.h"

#include "format/object_name.h"

#include <string.h>

/* Keys are part of the format: these never change. */
START_TEST(keys_are_as_documented)
{
    char key[WEIR__KEY_SIZE];

    weir__object_key(key, 1);
    ck_assert_str_eq(key, "data/9e/0000-0000000000000001");
    weir__object_key(key, UINT64_MAX);
    ck_assert_str_eq(key, "data/61/0000-ffffffffffffffff");
    weir__manifest_log_key(key, 0x12ab);
    ck_assert_str_eq(key, "manifest/log/00000000000012ab");
    weir__manifest_snap_key(key, UINT64_MAX);
    ck_assert_str_eq(key, "manifest/snap/ffffffffffffffff");
}
END_TEST

START_TEST(a_key_gives_its_number_back)
{
    static const uint64_t numbers[] = {0, 1, 0xabcdef, UINT64_MAX};
    char key[WEIR__KEY_SIZE];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        uint64_t out = 77;

        weir__object_key(key, numbers[i]);
        ck_assert_int_eq(weir__object_key_id(key, &out), 0);
        ck_assert_uint_eq(out, numbers[i]);
        weir__manifest_log_key(key, numbers[i]);
        ck_assert_int_eq(weir__manifest_key_version(key, &out), 0);
        ck_assert_uint_eq(out, numbers[i]);
        weir__manifest_snap_key(key, numbers[i]);
        ck_assert_int_eq(weir__manifest_key_version(key, &out), 0);
        ck_assert_uint_eq(out, numbers[i]);
    }
}
END_TEST

/* A sweeper must not take anything for an object that it has not named. */
START_TEST(other_keys_are_refused)
{
    static const char *const keys[] = {
        "",
        "data/",
        "data/9e/0000-000000000000001",
        "data/9e/0000-00000000000000011",
        "data/9e/0000-000000000000000G",
        "data/9e/0000-000000000000000A",
        "data/9E/0000-0000000000000001",
        "data/9f/0000-0000000000000001",
        "data/9e/0001-0000000000000001",
        "other/9e/0000-0000000000000001",
        "manifest/log/",
        "manifest/log/00000000000012a",
        "manifest/log/00000000000012abc",
        "manifest/log/00000000000012aB",
        "manifest/lag/00000000000012ab",
        "manifest/00000000000012ab",
    };
    uint64_t out = 77;

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        ck_assert_int_eq(weir__object_key_id(keys[i], &out), -1);
        ck_assert_int_eq(weir__manifest_key_version(keys[i], &out), -1);
    }
    ck_assert_uint_eq(out, 77);
}
END_TEST

/* Objects get their ids in order; their keys must not share a prefix. */
START_TEST(neighbouring_ids_spread_over_the_prefixes)
{
    unsigned char used[256] = {0};
    char key[WEIR__KEY_SIZE];
    int count = 0;

    for (uint64_t id = 1; id <= 1024; id++) {
        unsigned hi, lo;
        const char *digits = "0123456789abcdef";

        weir__object_key(key, id);
        hi = (unsigned)(strchr(digits, key[5]) - digits);
        lo = (unsigned)(strchr(digits, key[6]) - digits);
        used[hi * 16 + lo] = 1;
    }
    for (int i = 0; i < 256; i++)
        count += used[i];
    ck_assert_int_eq(count, 256);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object names");

    tcase_add_test(tc, keys_are_as_documented);
    tcase_add_test(tc, a_key_gives_its_number_back);
    tcase_add_test(tc, other_keys_are_refused);
    tcase_add_test(tc, neighbouring_ids_spread_over_the_prefixes);
    return test_run();
}
