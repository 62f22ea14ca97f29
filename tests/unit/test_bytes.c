/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "support/host.h"
#include "support/test.h"

#include <errno.h>
#include <stdint.h>

static struct test_alloc alloc;

static void setup(void)
{
    test_alloc_init(&alloc);
}

static void teardown(void)
{
    test_alloc_check(&alloc);
}

START_TEST(numbers_are_little_endian_and_come_back)
{
    static const unsigned char expected[] = {1,    3,    2,    7,    6,    5,
                                             4,    0xff, 0xee, 0xdd, 0xcc, 0xbb,
                                             0xaa, 0x99, 0x88, 'h',  'i'};
    struct weir__writer w;
    struct weir__reader r;

    weir__writer_init(&w, &alloc.alloc);
    weir__write8(&w, 1);
    weir__write16(&w, 0x0203);
    weir__write32(&w, 0x04050607);
    weir__write64(&w, 0x8899aabbccddeeff);
    weir__write_bytes(&w, "hi", 2);
    ck_assert(!w.bad);
    ck_assert_uint_eq(w.len, sizeof(expected));
    ck_assert_mem_eq(w.data, expected, sizeof(expected));

    weir__reader_init(&r, w.data, w.len);
    ck_assert_mem_eq(weir__read_bytes(&r, 1), "\1", 1);
    ck_assert_uint_eq(weir__read16(&r), 0x0203);
    ck_assert_uint_eq(weir__read32(&r), 0x04050607);
    ck_assert_uint_eq(weir__read64(&r), 0x8899aabbccddeeff);
    ck_assert_mem_eq(weir__read_bytes(&r, 2), "hi", 2);
    ck_assert_uint_eq(weir__reader_left(&r), 0);
    ck_assert(!r.bad);
    weir__writer_free(&w);
}
END_TEST

START_TEST(a_reader_never_leaves_its_range)
{
    static const unsigned char three[3] = {1, 2, 3};
    struct weir__reader r;

    weir__reader_init(&r, three, sizeof(three));
    ck_assert_uint_eq(weir__read32(&r), 0);
    ck_assert(r.bad);
    ck_assert_uint_eq(weir__read16(&r), 0);
    weir__reader_init(&r, three, sizeof(three));
    ck_assert_ptr_null(weir__read_bytes(&r, SIZE_MAX));
    ck_assert(r.bad);
    weir__reader_init(&r, NULL, 0);
    ck_assert_uint_eq(weir__read64(&r), 0);
    ck_assert(r.bad);
}
END_TEST

START_TEST(a_writer_without_memory_stays_bad_and_keeps_what_it_had)
{
    struct weir__writer w;
    int i;

    weir__writer_init(&w, &alloc.alloc);
    test_alloc_fail(&alloc, 2, 0);
    for (i = 0; i < 100; i++)
        weir__write8(&w, (uint8_t)i);
    ck_assert(w.bad);
    ck_assert_uint_eq(w.len, 64);
    ck_assert_uint_eq(w.data[63], 63);
    weir__writer_free(&w);
    weir__write_bytes(&w, NULL, 0);
    ck_assert(!w.bad);
}
END_TEST

static int freed;

static void count_free(struct weir_buf *buf, void *ctx)
{
    freed++;
    ck_assert_ptr_eq(ctx, &freed);
    weir__buf_free(buf);
}

START_TEST(the_last_owner_frees_a_buffer)
{
    struct weir_buf *buf = weir_buf_new(&alloc.alloc, 100, 0);

    ck_assert_uint_eq(buf->capacity, 100);
    ck_assert_uint_eq(buf->len, 0);
    weir__buf_on_free(buf, count_free, &freed);
    ck_assert_ptr_eq(weir_buf_ref(buf), buf);
    ck_assert_int_eq(weir__buf_refs(buf), 2);
    weir_buf_unref(buf);
    ck_assert_int_eq(freed, 0);
    weir_buf_unref(buf);
    ck_assert_int_eq(freed, 1);
    weir_buf_unref(NULL);
}
END_TEST

START_TEST(a_buffer_is_aligned_as_asked)
{
    size_t align;

    for (align = 0; align <= 65536; align = align == 0 ? 1 : align * 2) {
        struct weir_buf *buf = weir_buf_new(&alloc.alloc, 1000, align);

        if (align > 0)
            ck_assert_uint_eq((uintptr_t)buf->data % align, 0);
        weir_buf_unref(buf);
    }
    ck_assert_ptr_null(weir_buf_new(&alloc.alloc, SIZE_MAX, 0));
    ck_assert_ptr_null(weir_buf_new(&alloc.alloc, SIZE_MAX, 4096));
    test_alloc_fail(&alloc, 2, 0);
    ck_assert_ptr_null(weir_buf_new(&alloc.alloc, 1000, 4096));
}
END_TEST

START_TEST(sizes_that_overflow_are_out_of_memory)
{
    ck_assert_ptr_null(weir__calloc(&alloc.alloc, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(weir__resize(&alloc.alloc, NULL, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(weir__aligned(&alloc.alloc, 4096, SIZE_MAX));
    weir__free(&alloc.alloc, weir__malloc(&alloc.alloc, 0));
}
END_TEST

START_TEST(every_status_has_a_name_a_text_and_a_class)
{
    ck_assert_str_eq(weir_error_name(0), "WEIR_OK");
    ck_assert_str_eq(weir_error_name(WEIR_EFENCED), "WEIR_EFENCED");
    ck_assert_str_eq(weir_error_name(12345), "WEIR_E?");
    ck_assert_str_eq(weir_error_text(WEIR_EFENCED), "a later epoch owns this");
    ck_assert_int_eq(weir_error_class(0), WEIR_CLASS_OK);
    ck_assert_int_eq(weir_error_class(WEIR_EUNKNOWN), WEIR_CLASS_UNKNOWN);
    ck_assert_int_eq(weir_error_class(-999), WEIR_CLASS_FATAL);
}
END_TEST

START_TEST(an_error_keeps_its_cause_after_a_long_name)
{
    struct weir_error err;
    char name[400];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(weir__fail_errno(&err, EACCES, "open %s", name),
                     WEIR_EACCES);
    ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
    ck_assert_ptr_nonnull(strstr(err.text, "n: Permission denied"));
    ck_assert_int_eq(weir__fail_errno(&err, ENOENT, "open %s", "/x"),
                     WEIR_ENOENT);
    ck_assert_str_eq(err.text, "open /x: No such file or directory");
    ck_assert_int_eq(weir__fail_errno(NULL, ENOSPC, "x"), WEIR_ENOSPC);
}
END_TEST

START_TEST(a_status_passed_on_keeps_the_text_it_has)
{
    struct weir_error err = {0};
    struct weir_error copy = {0};

    weir__fail(&err, WEIR_EIO, "read %d", 7);
    ck_assert_int_eq(weir__fail_status(&err, WEIR_EIO), WEIR_EIO);
    ck_assert_str_eq(err.text, "read 7");
    weir__error_copy(&copy, &err);
    ck_assert_str_eq(copy.text, "read 7");
    ck_assert_int_eq(weir__fail_status(&err, WEIR_ENOMEM), WEIR_ENOMEM);
    ck_assert_str_eq(err.text, "out of memory");
    weir__error_copy(NULL, &err);
    weir__error_copy(&err, NULL);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("bytes");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, numbers_are_little_endian_and_come_back);
    tcase_add_test(tc, a_reader_never_leaves_its_range);
    tcase_add_test(tc, a_writer_without_memory_stays_bad_and_keeps_what_it_had);
    tcase_add_test(tc, the_last_owner_frees_a_buffer);
    tcase_add_test(tc, a_buffer_is_aligned_as_asked);
    tcase_add_test(tc, sizes_that_overflow_are_out_of_memory);
    tcase_add_test(tc, every_status_has_a_name_a_text_and_a_class);
    tcase_add_test(tc, an_error_keeps_its_cause_after_a_long_name);
    tcase_add_test(tc, a_status_passed_on_keeps_the_text_it_has);
    return test_run();
}
