/*
 * test_writer.c - a writer that gathers has the bytes of one that does not, and holds what it left outside; tensors
 * that are read out of a block stay in it and hold it.
 */
#include "engine/engine.h"
#include "fault_alloc.h"
#include "flow/value_int.h"
#include "os/os.h"

#include <houndstooth/registry.h>
#include <houndstooth/series.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;
static ht_registry *registry;
#define OK(call) assert_int_equal((call), HT_OK)

static ht_value tensor_of(int64_t n, float first)
{
    ht_value value;
    OK(ht_value_tensor(HT_F32, 1, &n, NULL, &value, &err));
    float *data = ht_value_tensor_view(value)->data;
    for (int64_t i = 0; i < n; i++) data[i] = first + (float)i;
    return value;
}

static ht_value series_of(size_t n)
{
    ht_value *rows = malloc(n * sizeof *rows), value;
    ht_series *series;
    for (size_t i = 0; i < n; i++) rows[i] = ht_value_float((double)i);
    OK(ht_series_from_values(HT_DTYPE_INFER, rows, n, &series, &err));
    OK(ht_series_value(series, &value, &err));
    ht_series_release(series);
    free(rows);
    return value;
}

/* Large and small ones in turn, in a list, a struct, and in series. */
static ht_value make_value(void)
{
    const char *const names[] = {"small", "large"};
    const ht_value fields[] = {tensor_of(10, 1), tensor_of(30000, 2)};
    ht_value items[6] = {tensor_of(100000, 3), ht_value_int(7), series_of(30000), series_of(5), tensor_of(0, 0)}, value;
    OK(ht_value_struct(names, fields, 2, &items[5], &err));
    ht_value_release(fields[0]);
    ht_value_release(fields[1]);
    OK(ht_value_list_take(items, 6, &value, &err));
    return value;
}

static void join(const hti_pieces *pieces, hti_buffer *out)
{
    hti_buffer_clear(out);
    for (size_t i = 0; i < pieces->n; i++) hti_buffer_append(out, pieces->at[i].data, pieces->at[i].len);
    assert_int_equal(out->len, pieces->len);
}

static void gathered_bytes_are_the_same(void **state)
{
    (void)state;
    ht_writer *plain, *gathering;
    hti_pieces pieces;
    hti_buffer joined;
    size_t len;
    hti_buffer_init(&joined);
    OK(ht_writer_new(&plain, &err));
    OK(ht_writer_new(&gathering, &err));
    hti_writer_gather(gathering);
    for (int pass = 0; pass < 2; pass++) { /* the second in cleared writers */
        const ht_value value = make_value();
        OK(ht_value_encode(value, plain, &err));
        OK(ht_value_encode(value, gathering, &err));
        ht_value_release(value); /* the writer holds what it needs */
        OK(hti_writer_pieces(gathering, &pieces, &err));
        assert_int_equal(pieces.n, 2 * 3); /* three large parts stay where they are, the last at the end */
        join(&pieces, &joined);
        const void *data = ht_writer_data(plain, &len);
        assert_int_equal(len, joined.len);
        assert_memory_equal(data, joined.data, len);
        ht_writer_clear(plain);
        ht_writer_clear(gathering);
    }
    OK(hti_writer_pieces(gathering, &pieces, &err));
    assert_int_equal(pieces.n, 0);
    ht_writer_free(plain);
    ht_writer_free(gathering);
    hti_buffer_deinit(&joined);
}

static ht_status gather(void *ud, ht_error *e)
{
    const ht_value *value = ud;
    ht_writer *writer;
    hti_pieces pieces;
    ht_status status = ht_writer_new(&writer, e);
    if (status != HT_OK) return status;
    hti_writer_gather(writer);
    status = ht_value_encode(*value, writer, e);
    if (status == HT_OK) status = hti_writer_pieces(writer, &pieces, e);
    ht_writer_free(writer);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    ht_value value = make_value();
    assert_true(fault_alloc_sweep(gather, &value, false, 1000) > 10);
    ht_value_release(value);
}

/* The value's bytes in memory as it comes from another process. */
static hti_block *block_of(ht_value value, hti_body *body)
{
    ht_writer *writer;
    hti_shared_memory memory;
    hti_block *block;
    OK(ht_writer_new(&writer, &err));
    OK(ht_value_encode(value, writer, &err));
    const void *data = ht_writer_data(writer, &body->len);
    OK(hti_shared_memory_make(body->len, &memory, &err));
    memcpy(memory.data, data, body->len);
    OK(hti_block_receive(fcntl(memory.fd, F_DUPFD_CLOEXEC, 0), body->len, &block, &err));
    hti_shared_memory_release(&memory);
    ht_writer_free(writer);
    body->data = hti_block_data(block);
    body->block = block;
    return block;
}

static bool lies_in(ht_value value, const hti_body *body)
{
    const char *at = ht_value_tensor_view(value)->data, *start = body->data;
    return at >= start && at < start + body->len;
}

static void large_tensors_stay_in_their_block(void **state)
{
    (void)state;
    const ht_value value = make_value();
    ht_value got, large;
    hti_body body;
    size_t n;
    hti_block *block = block_of(value, &body);
    OK(hti_value_decode_body(&body, registry, &got, &err));
    const ht_value *items = ht_value_items(got, &n), *fields = ht_value_items(items[5], &n);
    assert_true(lies_in(items[0], &body));
    assert_false(lies_in(fields[0], &body));
    assert_true(lies_in(fields[1], &body));
    assert_int_equal((uintptr_t)ht_value_tensor_view(items[0])->data % 64, 0);
    assert_false(hti_block_is_idle(block));
    large = ht_value_retain(fields[1]);
    ht_value_release(got);
    assert_false(hti_block_is_idle(block));
    hti_block_drop(block); /* the tensor alone has it now */
    assert_true(((const float *)ht_value_tensor_view(large)->data)[29999] == 2 + 29999);
    ht_value_release(large);
    ht_value_release(value);
}

/* One that is little of its block does not keep the block. */
static void a_small_part_is_copied(void **state)
{
    (void)state;
    ht_value items[2] = {tensor_of(20000, 1), tensor_of(500000, 1)}, list, got;
    hti_body body;
    size_t n;
    OK(ht_value_list_take(items, 2, &list, &err));
    hti_block *block = block_of(list, &body);
    OK(hti_value_decode_body(&body, registry, &got, &err));
    const ht_value *read = ht_value_items(got, &n);
    assert_false(lies_in(read[0], &body));
    assert_true(lies_in(read[1], &body));
    assert_true(ht_value_equal(got, list));
    ht_value_release(got);
    assert_true(hti_block_is_idle(block));
    hti_block_drop(block);
    ht_value_release(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathered_bytes_are_the_same),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(large_tensors_stay_in_their_block),
        cmocka_unit_test(a_small_part_is_copied),
    };
    fault_alloc_install();
    if (ht_registry_new(&registry, &err) != HT_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_registry_free(registry);
    return failed;
}
