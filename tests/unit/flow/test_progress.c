/*
 * test_progress.c - bars of a run, on a made-up clock: drawn in place on a terminal, in lines elsewhere, never wider or
 * higher than the terminal, on every engine with the same counts.
 */
#include "flow_test.h"

#include <houndstooth/progress.h>

static char written[1 << 20];
static size_t n_written, n_writes;
static uint64_t clock_now;

static void write_text(void *ud, const char *text, size_t len)
{
    (void)ud;
    assert_true(n_written + len < sizeof written);
    memcpy(written + n_written, text, len);
    n_written += len;
    written[n_written] = '\0';
    n_writes++;
}

static uint64_t clock_read(void *ud)
{
    (void)ud;
    return clock_now;
}
static const ht_clock made_up = {NULL, clock_read, NULL};

static ht_status work(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self, (void)e;
    clock_now += 50000000; /* 50 ms an item */
    *out = ht_value_retain(in[0]);
    return HT_OK;
}

/* outer: `items` mapped by an inner pipeline of one node `encode`. */
static ht_pipeline *mapped_pipeline(void)
{
    ht_pipeline *inner, *outer;
    const ht_input input = {"item", NULL};
    const char *const output = "done", *const over = "items";
    const ht_rename in = {"items", "item"}, out = {"done", "all_done"};
    const ht_node_desc node = {HT_DESC(ht_node_desc), .name = "encode", .inputs = &input,      .n_inputs = 1,
                               .outputs = &output,    .n_outputs = 1,   .forms = {.row = work}};
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "encode_all", .inputs = &in,     .n_inputs = 1,
                           .outputs = &out,     .n_outputs = 1,       .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_new("inner", &inner, &err));
    OK(ht_pipeline_add_node(inner, &node, &err));
    OK(ht_pipeline_new("outer", &outer, &err));
    OK(ht_pipeline_add_pipeline(outer, inner, &as, &err));
    ht_pipeline_release(inner);
    return outer;
}

static void run_with(ht_progress_options options, size_t n)
{
    ht_pipeline *pipeline = mapped_pipeline();
    ht_progress *progress;
    ht_plan *plan;
    ht_value out;
    n_written = n_writes = 0;
    clock_now = 1000000000;
    options.size = sizeof options;
    options.write = write_text;
    options.clock = &made_up;
    OK(ht_plan_new(pipeline, NULL, 0, (const char *[]){"items"}, 1, &plan, &err));
    OK(ht_progress_new(plan, &options, &progress, &err));
    const ht_run_options run = {HT_DESC(ht_run_options), .event = ht_progress_event, .ud = progress};
    const ht_value inputs = struct_of("items", numbers_from(0, n));
    OK(ht_pipeline_run(pipeline, inputs, &run, &out, &err));
    ht_progress_finish(progress);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_progress_free(progress);
    ht_plan_release(plan);
    ht_pipeline_release(pipeline);
}

static void lines_where_there_is_no_terminal(void **state)
{
    (void)state;
    run_with((ht_progress_options){.interval_ms = 400}, 20);
    assert_string_equal(written, "encode_all: 20 items\n"
                                 "encode: 8/20  20/s  0.4 s\n"
                                 "encode: 16/20  20/s  0.8 s\n"
                                 "encode_all: done in 1.0 s\n");
}

/* The inner pipeline, mapped itself. */
static void map_with(ht_progress_options options, size_t n)
{
    const ht_input input = {"item", NULL};
    const char *const output = "done", *const over = "item";
    const ht_node_desc node = {HT_DESC(ht_node_desc), .name = "encode", .inputs = &input,      .n_inputs = 1,
                               .outputs = &output,    .n_outputs = 1,   .forms = {.row = work}};
    ht_pipeline *pipeline;
    ht_progress *progress;
    ht_plan *plan;
    ht_value out;
    n_written = n_writes = 0;
    clock_now = 1000000000;
    options.size = sizeof options;
    options.write = write_text;
    options.clock = &made_up;
    OK(ht_pipeline_new("inner", &pipeline, &err));
    OK(ht_pipeline_add_node(pipeline, &node, &err));
    OK(ht_plan_new(pipeline, NULL, 0, &over, 1, &plan, &err));
    OK(ht_progress_new(plan, &options, &progress, &err));
    const ht_run_options run = {HT_DESC(ht_run_options), .event = ht_progress_event, .ud = progress, .map_over = &over,
                                .n_map_over = 1,         .item_events = true};
    const ht_value inputs = struct_of("item", numbers_from(0, n));
    OK(ht_pipeline_map(pipeline, inputs, &run, &out, &err));
    ht_progress_finish(progress);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_progress_free(progress);
    ht_plan_release(plan);
    ht_pipeline_release(pipeline);
}

static void lines_of_a_pipeline_that_is_mapped_itself(void **state)
{
    (void)state;
    map_with((ht_progress_options){.interval_ms = 400}, 20);
    assert_string_equal(written, "inner: 20 items\n"
                                 "inner: 8/20  20/s  0.4 s\n"
                                 "inner: 16/20  20/s  0.8 s\n"
                                 "inner: 20/20  20/s  1.0 s\n");
}

/* Applies what a terminal does with the text; the screen that is left. */
static void screen_of(char rows[][400], size_t n_rows, uint32_t width)
{
    size_t row = 0, column = 0;
    for (size_t i = 0; i < n_rows; i++) rows[i][0] = '\0';
    for (const char *at = written; *at; at++) {
        char *end;
        const unsigned long up = strncmp(at, "\033[", 2) == 0 ? strtoul(at + 2, &end, 10) : 0;
        if (up > 0 && *end == 'A') {
            assert_true(up <= row);
            row -= up;
            at = end;
        } else if (!strncmp(at, "\033[K", 3)) {
            rows[row][column] = '\0';
            at += 2;
        } else if (*at == '\r') {
            column = 0;
        } else if (*at == '\n') {
            size_t n = 0;
            for (const char *c = rows[row]; *c; c++) n += ((unsigned char)*c & 0xC0) != 0x80;
            assert_true(n < width);
            row++;
            column = 0;
            assert_true(row < n_rows);
        } else {
            rows[row][column++] = *at;
        }
    }
}

static void drawn_in_place_on_a_terminal(void **state)
{
    static const uint32_t widths[] = {80, 40, 20};
    (void)state;
    for (size_t i = 0; i < HTI_LEN(widths); i++) {
        char rows[4][400] = {""};
        run_with((ht_progress_options){.terminal = true, .width = widths[i]}, 20);
        screen_of(rows, 4, widths[i]);
        assert_true(n_writes >= 8 && n_writes <= 12); /* each 100 ms of the second, and the end */
        assert_memory_equal(rows[0], "encode_all", widths[i] < 40 ? 6 : 10);
        if (i > 0) continue;
        assert_string_equal(rows[0], "encode_all ▕████████████████████▏ 1/1  1.0 s");
        assert_string_equal(rows[1], "  encode   ▕████████████████████▏ 20/20  20/s  1.0 s");
        assert_string_equal(rows[2], "");
    }
}

static void bars_of_a_pipeline_that_is_mapped_itself(void **state)
{
    char rows[4][400] = {""};
    (void)state;
    map_with((ht_progress_options){.terminal = true, .width = 80}, 20);
    screen_of(rows, 4, 80);
    assert_string_equal(rows[0], "inner  ▕████████████████████▏ 20/20  20/s  1.0 s");
    assert_string_equal(rows[1], "encode ▕████████████████████▏ 20/20  20/s  1.0 s");
    assert_string_equal(rows[2], "");
}

static void no_higher_than_the_terminal(void **state)
{
    char rows[3][400] = {""};
    (void)state;
    run_with((ht_progress_options){.terminal = true, .height = 2}, 20);
    screen_of(rows, 3, 80);
    assert_memory_equal(rows[0], "  encode", 8);
    assert_string_equal(rows[1], "");
}

static void an_event_costs_little(void **state)
{
    (void)state;
    const uint64_t start = hti_clock_ns();
    run_with((ht_progress_options){.interval_ms = 4000000}, 10000);
    print_message("%.0f ns an item with its two events\n", (double)(hti_clock_ns() - start) / 10000);
}

static void mistakes(void **state)
{
    ht_pipeline *pipeline = mapped_pipeline();
    ht_progress *progress;
    ht_plan *plan;
    (void)state;
    OK(ht_plan_new(pipeline, NULL, 0, (const char *[]){"items"}, 1, &plan, &err));
    assert_int_equal(ht_progress_new(plan, NULL, &progress, &err), HT_INVALID);
    const ht_event stranger = {.kind = HT_EVENT_NODE_END, .node = "nobody", .depth = 3};
    const ht_progress_options options = {HT_DESC(ht_progress_options), .write = write_text};
    OK(ht_progress_new(plan, &options, &progress, &err));
    ht_progress_event(progress, &stranger); /* is not counted */
    ht_progress_free(progress);
    ht_plan_release(plan);
    ht_pipeline_release(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_where_there_is_no_terminal),
        cmocka_unit_test(lines_of_a_pipeline_that_is_mapped_itself),
        cmocka_unit_test(bars_of_a_pipeline_that_is_mapped_itself),
        cmocka_unit_test(drawn_in_place_on_a_terminal),
        cmocka_unit_test(no_higher_than_the_terminal),
        cmocka_unit_test(an_event_costs_little),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
