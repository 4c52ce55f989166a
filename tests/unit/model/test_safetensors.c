/*
 * test_safetensors.c - the reader of weights: whole files, and files cut, flipped, overlapping, with holes or huge
 * numbers.
 */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Header text and data bytes -> a whole file in a new block. */
static unsigned char *make_file(const char *header, size_t data_len, size_t *len)
{
    const size_t header_len = strlen(header);
    unsigned char *file = hti_alloc(8 + header_len + data_len);
    hti_put_u64(file, header_len);
    memcpy(file + 8, header, header_len);
    for (size_t i = 0; i < data_len; i++) file[8 + header_len + i] = (unsigned char)(i * 37 + 1);
    *len = 8 + header_len + data_len;
    return file;
}

static const char whole[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[16,22]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
    "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
    "\"one\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[22,30]}}";
enum { WHOLE_DATA = 30 };

static void test_whole(void **state)
{
    (void)state;
    size_t len, n;
    unsigned char *bytes = make_file(whole, WHOLE_DATA, &len);
    hti_safetensors *file;
    assert_int_equal(hti_safetensors_view(bytes, len, "w", &file, NULL), HT_OK);
    const hti_tensor *all = hti_safetensors_all(file, &n);
    assert_int_equal(n, 4);
    assert_string_equal(all[0].name, "a");
    assert_string_equal(all[1].name, "none");
    const hti_tensor *a = hti_safetensors_find(file, "a"), *b = hti_safetensors_find(file, "b"),
                     *one = hti_safetensors_find(file, "one");
    assert_true(a->dtype == HTI_DTYPE_F32 && a->n_dims == 2 && a->shape[0] == 2 && a->shape[1] == 2 &&
                a->n_elements == 4);
    assert_ptr_equal(a->data, bytes + len - WHOLE_DATA);
    assert_true(b->dtype == HTI_DTYPE_BF16 && b->n_elements == 3 && b->size_bytes == 6 && b->data == a->data + 16);
    assert_true(one->dtype == HTI_DTYPE_OTHER && one->n_dims == 0 && one->n_elements == 1);
    assert_null(hti_safetensors_find(file, "__metadata__"));
    assert_null(hti_safetensors_find(file, "A"));
    hti_safetensors_close(file);
    hti_free(bytes);
}

/* Bytes that end exactly at the end of a block, so that ASan sees a read behind them. */
static ht_status open_copy(const unsigned char *bytes, size_t len, ht_error *err)
{
    unsigned char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    hti_safetensors *file;
    const ht_status status = hti_safetensors_view(copy, len, "x.safetensors", &file, err);
    if (status == HT_OK) {
        size_t n;
        volatile unsigned sum = 0;
        const hti_tensor *all = hti_safetensors_all(file, &n);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < all[i].size_bytes; j++) sum += all[i].data[j];
    } else {
        assert_null(file);
    }
    hti_safetensors_close(file);
    free(copy);
    return status;
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    size_t len;
    unsigned char *bytes = make_file(whole, WHOLE_DATA, &len);
    ht_error err = {0};
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_not_equal(open_copy(bytes, cut, &err), HT_OK);
        assert_non_null(strstr(err.message, "x.safetensors"));
    }
    assert_int_equal(open_copy(bytes, len, &err), HT_OK);
    hti_free(bytes);
}

static void test_flip_every_bit(void **state)
{
    (void)state;
    size_t len, n_refused = 0;
    unsigned char *bytes = make_file(whole, WHOLE_DATA, &len);
    for (size_t at = 0; at < len - WHOLE_DATA; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (unsigned char)(1 << bit);
            const ht_status status = open_copy(bytes, len, NULL);
            assert_true(status == HT_OK || status == HT_CORRUPT || status == HT_PARSE);
            n_refused += status != HT_OK;
            bytes[at] ^= (unsigned char)(1 << bit);
        }
    /* What passes is a changed name or equivalent text. */
    print_message("%zu of %zu flips refused\n", n_refused, (len - WHOLE_DATA) * 8);
    assert_true(n_refused > (len - WHOLE_DATA) * 8 / 2);
    hti_free(bytes);
}

static void expect(const char *header, size_t data_len, const char *why)
{
    size_t len;
    unsigned char *bytes = make_file(header, data_len, &len);
    ht_error err = {0};
    const ht_status status = open_copy(bytes, len, &err);
    if (status == HT_OK || !strstr(err.message, why)) fail_msg("%s: %s, wanted \"%s\"", header, err.message, why);
    hti_free(bytes);
}

static void test_bad_headers(void **state)
{
    (void)state;
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
           12, "tensor \"b\": begins at data byte 4, inside \"a\"");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
           8, "tensor \"b\": begins at data byte 0");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
           12, "bytes 4 to 8 belong to no tensor");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5,
           "the last 1 bytes belong to no tensor");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,9223372036854775807,8],\"data_offsets\":[0,4]}}",
           4, "shape overflows");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, "its shape needs");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,4]}}", 4,
           "its shape needs 0 bytes");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775800,9223372036854775804]}}", 4,
           "lie outside the 4 bytes");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "lie outside");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "two counts");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "two counts");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "dimension 0 is not a count");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "dimension 0 is not a count");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "9 dimensions");
    expect("{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type F31");
    expect("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type (no");
    expect("{\"a\":[]}", 0, "not an object");
    expect("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no \"shape\"");
    expect("[]", 0, "not an object");
    expect("{\"a\":", 0, "not valid JSON");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
           2, "JSON");
    ht_error err = {0};
    assert_int_equal(open_copy((const unsigned char *)"\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10, &err), HT_CORRUPT);
    assert_int_equal(open_copy((const unsigned char *)"\x40\0\0\0\0\0\0\0{}", 10, &err), HT_CORRUPT);
    assert_non_null(strstr(err.message, "cut short"));
}

static void test_files(void **state)
{
    (void)state;
    hti_safetensors *file;
    ht_error err = {0};
    assert_int_equal(hti_safetensors_open("/tmp/there/is/no/such.safetensors", &file, &err), HT_NOT_FOUND);
    assert_null(file);
    char path[] = "/tmp/ht_safetensors_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    size_t len;
    unsigned char *bytes = make_file(whole, WHOLE_DATA, &len);
    assert_int_equal(hti_safetensors_open(path, &file, &err), HT_CORRUPT); /* empty */
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    assert_int_equal(hti_safetensors_open(path, &file, &err), HT_OK);
    assert_string_equal(hti_safetensors_name(file), path);
    hti_safetensors_close(file);
    hti_safetensors_close(NULL);
    unlink(path);
    hti_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_flip_every_bit), cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
