/*
 * test_arrow_stream.c - streams of Arrow arrays: ours through the interface's own callbacks, moved, failing, released
 * exactly once; and producers that break off.
 */
#include "codec/codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "codec/arrow.h"

/* Gives n_arrays arrays of type null, of 1, 2, ... rows; then the end, or the failure. */
typedef struct source_state {
    int64_t n_arrays, given;
    ht_status failure;
    int n_released;
} source_state;

static ht_status give_schema(void *ud, struct ArrowSchema *out, ht_error *err)
{
    (void)ud;
    return hti_arrow_schema_make(&(hti_arrow_field){.type = HTI_ARROW_NULL, .name = "x", .nullable = true}, out, err);
}
static ht_status give_next(void *ud, struct ArrowArray *out, ht_error *err)
{
    source_state *state = ud;
    if (state->given < state->n_arrays) return hti_arrow_array_make(HTI_ARROW_NULL, ++state->given, 0, out, err);
    if (state->failure == HT_OK) return HT_OK;
    return hti_fail(err, state->failure, "the well is dry");
}
static void count_release(void *ud)
{
    source_state *state = ud;
    state->n_released++;
}

static ht_error err;
static source_state state;

static struct ArrowArrayStream stream_of(int64_t n_arrays, ht_status failure)
{
    struct ArrowArrayStream stream;
    state = (source_state){.n_arrays = n_arrays, .failure = failure};
    const hti_arrow_source source = {&state, give_schema, give_next, count_release};
    assert_int_equal(hti_arrow_stream_make(&source, &stream, &err), HT_OK);
    return stream;
}

static void test_arrays_in_order_then_the_end(void **unused)
{
    (void)unused;
    struct ArrowArrayStream made = stream_of(3, HT_OK), stream = made;
    made.release = NULL; /* moved: the consumer's copy is the stream now */
    for (int again = 0; again < 2; again++) {
        struct ArrowSchema schema;
        assert_int_equal(hti_arrow_stream_schema(&stream, &schema, &err), HT_OK);
        assert_string_equal(schema.format, "n");
        hti_arrow_schema_release(&schema);
    }
    struct ArrowArray array;
    for (int64_t rows = 1; rows <= 3; rows++) {
        assert_int_equal(hti_arrow_stream_next(&stream, &array, &err), HT_OK);
        assert_true(array.release && array.length == rows);
        hti_arrow_array_release(&array);
    }
    for (int again = 0; again < 2; again++) {
        assert_int_equal(hti_arrow_stream_next(&stream, &array, &err), HT_OK);
        assert_null(array.release);
    }
    assert_null(stream.get_last_error(&stream));
    hti_arrow_stream_release(&made);
    assert_int_equal(state.n_released, 0);
    hti_arrow_stream_release(&stream);
    hti_arrow_stream_release(&stream);
    assert_int_equal(state.n_released, 1);
    assert_int_equal(hti_arrow_stream_next(&stream, &array, &err), HT_INVALID);
    assert_string_equal(err.message, "Arrow stream: it is released already, or moved");
}

static void test_an_array_outlives_its_stream(void **unused)
{
    (void)unused;
    struct ArrowArrayStream stream = stream_of(1, HT_OK);
    struct ArrowArray array;
    assert_int_equal(hti_arrow_stream_next(&stream, &array, &err), HT_OK);
    hti_arrow_stream_release(&stream);
    assert_int_equal(array.length, 1);
    hti_arrow_array_release(&array);
}

static void assert_failure(ht_status failure, int code, ht_status wanted)
{
    struct ArrowArrayStream stream = stream_of(0, failure);
    struct ArrowArray array;
    assert_int_equal(stream.get_next(&stream, &array), code);
    assert_string_equal(stream.get_last_error(&stream), "the well is dry");
    assert_int_equal(hti_arrow_stream_next(&stream, &array, &err), wanted);
    assert_null(array.release);
    assert_non_null(strstr(err.message, ": the well is dry"));
    hti_arrow_stream_release(&stream);
    assert_int_equal(state.n_released, 1);
}

static void test_failures_keep_their_reason(void **unused)
{
    (void)unused;
    assert_failure(HT_IO, EIO, HT_FAILED);
    assert_failure(HT_INVALID, EINVAL, HT_FAILED);
    assert_failure(HT_NO_MEMORY, ENOMEM, HT_NO_MEMORY);
    assert_failure(HT_UNSUPPORTED, ENOSYS, HT_UNSUPPORTED);
}

static int forget_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    out->release = NULL;
    return 0;
}
static void release_nothing(struct ArrowArrayStream *stream) { stream->release = NULL; }

static void test_a_released_schema_is_refused(void **unused)
{
    (void)unused;
    struct ArrowArrayStream stream = {.get_schema = forget_schema, .release = release_nothing};
    struct ArrowSchema schema;
    assert_int_equal(hti_arrow_stream_schema(&stream, &schema, &err), HT_INVALID);
    assert_string_equal(err.message, "Arrow stream: it gave a released schema");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_in_order_then_the_end),
        cmocka_unit_test(test_an_array_outlives_its_stream),
        cmocka_unit_test(test_failures_keep_their_reason),
        cmocka_unit_test(test_a_released_schema_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
