/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 20000 };

struct vector {
    unsigned char first;
    int step;
    uint32_t crc;
};

/* The 32-byte vectors of RFC 3720, appendix B.4. */
static const struct vector vectors[] = {
    {0x00, 0, 0x8a9136aa},
    {0xff, 0, 0x62a8ab43},
    {0x00, 1, 0x46dd794e},
    {0x1f, -1, 0x113fdb5c},
};

START_TEST(published_vectors_match)
{
    unsigned char data[32];
    unsigned char copy[32];
    size_t i;

    for (i = 0; i < sizeof(data); i++)
        data[i] =
            (unsigned char)(vectors[_i].first + vectors[_i].step * (int)i);
    ck_assert_uint_eq(weir__crc32c(0, data, 32), vectors[_i].crc);
    ck_assert_uint_eq(weir__crc32c_portable(0, data, 32), vectors[_i].crc);
    ck_assert_uint_eq(weir__crc32c_copy(0, copy, data, 32), vectors[_i].crc);
}
END_TEST

START_TEST(nothing_changes_nothing)
{
    ck_assert_uint_eq(weir__crc32c(0, NULL, 0), 0);
    ck_assert_uint_eq(weir__crc32c(1234, "", 0), 1234);
    ck_assert_uint_eq(weir__crc32c_portable(1234, "", 0), 1234);
    ck_assert_uint_eq(weir__crc32c_copy(1234, NULL, NULL, 0), 1234);
}
END_TEST

static unsigned char *random_bytes(void)
{
    unsigned char *data = malloc(ROOM);
    size_t i;

    srand((unsigned)test_seed());
    for (i = 0; i < ROOM; i++)
        data[i] = (unsigned char)rand();
    return data;
}

/* Every length around each of the loops, at every alignment. */
START_TEST(all_ways_agree_at_every_length)
{
    unsigned char *data = random_bytes();
    unsigned char *copy = malloc(ROOM);
    size_t len;

    for (len = 0; len < ROOM - 16; len += len < 1200 ? 1 : 61) {
        size_t at = len % 13;
        uint32_t crc = weir__crc32c_portable((uint32_t)len, data + at, len);

        memset(copy, 0xa5, len + 16);
        ck_assert_uint_eq(weir__crc32c((uint32_t)len, data + at, len), crc);
        ck_assert_uint_eq(
            weir__crc32c_copy((uint32_t)len, copy + 3, data + at, len), crc);
        ck_assert_mem_eq(copy + 3, data + at, len);
        ck_assert_int_eq(copy[2], 0xa5);
        ck_assert_int_eq(copy[3 + len], 0xa5);
    }
    free(data);
    free(copy);
}
END_TEST

START_TEST(a_checksum_goes_on_over_pieces)
{
    unsigned char *data = random_bytes();
    uint32_t whole = weir__crc32c(0, data, ROOM);
    size_t cut;

    for (cut = 0; cut < ROOM; cut += 997) {
        uint32_t crc = weir__crc32c(0, data, cut);

        ck_assert_uint_eq(weir__crc32c(crc, data + cut, ROOM - cut), whole);
    }
    free(data);
}
END_TEST

START_TEST(checksums_of_two_pieces_are_joined)
{
    unsigned char *data = random_bytes();
    uint32_t whole = weir__crc32c(0, data, ROOM);

    for (size_t cut = 0; cut <= ROOM; cut += cut < 300 ? 1 : 97) {
        uint32_t a = weir__crc32c(0, data, cut);
        uint32_t b = weir__crc32c(0, data + cut, ROOM - cut);

        ck_assert_uint_eq(
            weir__crc32c_join(a, b, weir__crc32c_power(ROOM - cut)), whole);
    }
    free(data);
}
END_TEST

/* In whatever order three are joined, though nobody could read them. */
START_TEST(long_pieces_are_joined_as_short_ones_are)
{
    for (uint64_t n = 1; n < UINT64_C(1) << 60; n = n * 3 + 1) {
        uint64_t m = n / 7 + 5;
        uint32_t bc = weir__crc32c_join(22, 333, weir__crc32c_power(m));
        uint32_t ab = weir__crc32c_join(1, 22, weir__crc32c_power(n));

        ck_assert_uint_eq(weir__crc32c_join(ab, 333, weir__crc32c_power(m)),
                          weir__crc32c_join(1, bc, weir__crc32c_power(n + m)));
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("crc32c");

    tcase_add_loop_test(tc, published_vectors_match, 0, 4);
    tcase_add_test(tc, nothing_changes_nothing);
    tcase_add_test(tc, all_ways_agree_at_every_length);
    tcase_add_test(tc, a_checksum_goes_on_over_pieces);
    tcase_add_test(tc, checksums_of_two_pieces_are_joined);
    tcase_add_test(tc, long_pieces_are_joined_as_short_ones_are);
    return test_run();
}
