/*
 * test_acceptance_run.c - what every engine must hold, case by case: what a run tells while it goes, a whole
 * pipeline with mock components, the runtime's share of the time, plans that leave the program and come back.
 */
#include "flow_cases.h"

/* ---- 38: events ---- */

typedef struct heard {
    char lines[200][40];
    size_t n;
} heard;

static void hear(void *ud, const ht_event *event)
{
    static const char *const kinds[] = {"start", "end", "error", "map_start", "map_end", "batch", "cached", "warning"};
    heard *h = ud;
    if (h->n == HTI_LEN(h->lines)) abort();
    (void)snprintf(h->lines[h->n++], sizeof h->lines[0], "%u:%llu %s %s %llu", event->depth,
                   (unsigned long long)event->item, kinds[event->kind], event->node, (unsigned long long)event->n);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static size_t place_of(const heard *h, const char *line)
{
    size_t i = 0;
    while (i < h->n && strcmp(h->lines[i], line) != 0) i++;
    return i;
}

/* "depth:item kind node n" */
#define EVENTS(...) ((const char *const[]){__VA_ARGS__}), N_NAMES(__VA_ARGS__)

/*
 * In this order where one thread runs or slices are told one after the other; where threads run, these and no others,
 * each end behind its start, and what is inside a map between its start and end.
 */
static void expect_events(heard *h, const char *const *lines, size_t n)
{
    char text[40];
    if (engine_now->engine != HT_ENGINE_THREADS) {
        for (size_t i = 0; i < HTI_MIN(n, h->n); i++) assert_string_equal(h->lines[i], lines[i]);
        assert_int_equal(h->n, n);
        return;
    }
    for (size_t i = 0; i < h->n; i++) {
        const char *end = strstr(h->lines[i], " end ");
        if (!end) continue;
        (void)snprintf(text, sizeof text, "%.*s start %s", (int)(end - h->lines[i]), h->lines[i], end + 5);
        assert_true(place_of(h, text) < i);
    }
    const size_t first = place_of(h, "0:0 map_start each 2"), last = place_of(h, "0:0 map_end each 2");
    for (size_t i = 0; i < h->n && last < h->n; i++)
        if (h->lines[i][0] == '1') assert_true(i > first && i < last);
    static char sorted[HTI_LEN(((heard *)0)->lines)][40];
    for (size_t i = 0; i < n; i++) (void)snprintf(sorted[i], sizeof sorted[i], "%s", lines[i]);
    qsort(sorted, n, sizeof sorted[0], by_text);
    qsort(h->lines, h->n, sizeof h->lines[0], by_text);
    for (size_t i = 0; i < HTI_MIN(n, h->n); i++) assert_string_equal(h->lines[i], sorted[i]);
    assert_int_equal(h->n, n);
}

static ht_run_options heard_by(heard *h, const char *const *map_over, size_t n)
{
    ht_run_options options = on_engine(map_over, n);
    h->n = 0;
    options.event = hear;
    options.ud = h;
    return options;
}

static void case_38_events_of_a_mapped_run(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        heard h;
        ht_pipeline *p = new_pipeline("mapped");
        add(p, "a=a(x)");
        add(p, "b=b(a)");
        expect_with(p, "{\"x\": [1, 2]}", heard_by(&h, NAMES("x"), 1),
                    "[{\"a\": \"a(1)\", \"b\": \"b(a(1))\"}, {\"a\": \"a(2)\", \"b\": \"b(a(2))\"}]");
        expect_events(&h, EVENTS("0:0 start a 0", "0:0 end a 0", "0:0 start b 0", "0:0 end b 0", "0:1 start a 0",
                                 "0:1 end a 0", "0:1 start b 0", "0:1 end b 0"));
        ht_pipeline_release(p);
    }
}

static void case_38_events_of_nested_runs_have_their_depth(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        heard h;
        ht_pipeline *inner = new_pipeline("inner"), *middle = new_pipeline("middle"), *p = new_pipeline("outer");
        add(inner, "a=a(x)");
        nest(middle, inner, AS_NODE(.name = "once"));
        add(middle, "b=b(a)");
        nest(p, middle, AS_NODE(.name = "each", OVER("x")));
        add(p, "t=t(b)");
        ht_run_options options = heard_by(&h, NULL, 0);
        options.outputs = NAMES("t");
        options.n_outputs = 1;
        expect_with(p, "{\"x\": [1, 2]}", options, "{\"t\": \"t([b(a(1)),b(a(2))])\"}");
        expect_events(&h, EVENTS("0:0 start each 0", "0:0 map_start each 2", "1:0 start once 0", "2:0 start a 0",
                                 "2:0 end a 0", "1:0 end once 0", "1:0 start b 0", "1:0 end b 0", "1:1 start once 0",
                                 "2:0 start a 0", "2:0 end a 0", "1:1 end once 0", "1:1 start b 0", "1:1 end b 0",
                                 "0:0 map_end each 2", "0:0 end each 0", "0:0 start t 0", "0:0 end t 0"));
        ht_pipeline_release(p);
        ht_pipeline_release(middle);
        ht_pipeline_release(inner);
    }
}

static void case_38_batches_stand_between_starts_and_ends(void **state)
{
    (void)state;
    for (engine_now = engine_cases; engine_now->engine != HT_ENGINE_PROCESSES; engine_now++) { /* there by slices */
        heard h;
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        OK(add_as(inner, DUAL, "a=a(x)"));
        nest(p, inner, AS_NODE(.name = "each", OVER("x")));
        expect_with(p, "{\"x\": [1, 2]}", heard_by(&h, NULL, 0), "{\"a\": [\"a(1)\", \"a(2)\"]}");
        expect_events(&h,
                      EVENTS("0:0 start each 0", "0:0 map_start each 2", "1:0 start a 0", "1:1 start a 0",
                             "1:0 batch a 2", "1:0 end a 0", "1:1 end a 0", "0:0 map_end each 2", "0:0 end each 0"));
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_38_errors_and_hits_are_told(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        heard h;
        char dir[TEMP_DIR_CAP];
        ht_cache *cache;
        ht_pipeline *p = new_pipeline("kept");
        temp_dir_make(dir);
        OK(ht_cache_open(dir, NULL, &cache, &err));
        OK(add_as(p, KEPT, "a=a(x)"));
        for (int round = 0; round < 2; round++) {
            ht_run_options options = heard_by(&h, NULL, 0);
            options.cache = cache;
            refuse_with(p, "{\"x\": 13}", options, HT_FAILED, "thirteen");
            expect_events(&h, EVENTS("0:0 start a 0", "0:0 error a 0"));
            options = heard_by(&h, NAMES("x"), 1);
            options.cache = cache;
            expect_with(p, "{\"x\": [1]}", options, "[{\"a\": \"a(1)\"}]");
            if (round)
                expect_events(&h, EVENTS("0:0 cached a 0"));
            else
                expect_events(&h, EVENTS("0:0 start a 0", "0:0 end a 0"));
        }
        ht_cache_close(cache);
        temp_dir_remove(dir);
        ht_pipeline_release(p);
    }
}

static void case_38_an_error_inside_is_told_outside_too(void **state)
{
    (void)state;
    for (int kind = ROW; kind <= BATCH; kind++) FOR_ENGINES
        {
            heard h;
            ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
            OK(add_as(inner, (term_kind)kind, "a=a(x)"));
            nest(p, inner, AS_NODE(.name = "each", OVER("x")));
            refuse_with(p, "{\"x\": [13]}", heard_by(&h, NULL, 0), HT_FAILED,
                        "in 'each': node 'a', item 0: thirteen is refused");
            if (kind == ROW)
                expect_events(&h, EVENTS("0:0 start each 0", "0:0 map_start each 1", "1:0 start a 0", "1:0 error a 0",
                                         "0:0 error each 0"));
            else
                expect_events(&h, EVENTS("0:0 start each 0", "0:0 map_start each 1", "1:0 start a 0", "1:0 batch a 1",
                                         "1:0 error a 0", "0:0 error each 0"));
            ht_pipeline_release(p);
            ht_pipeline_release(inner);
        }
}

static void case_38_collected_errors_are_told_too(void **state)
{
    (void)state;
    for (int kind = ROW; kind <= BATCH; kind++) FOR_ENGINES
        {
            counted c = {0};
            ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
            const ht_value in = from_json("{\"x\": [[1], [2, 13], [], [13], [3]]}");
            ht_value out;
            size_t n;
            OK(add_as(inner, (term_kind)kind, "a=a(x)"));
            nest(p, inner, AS_NODE(.name = "each", OVER("x")));
            ht_run_options options = on_engine(NAMES("x"), 1);
            options.errors = HT_ERRORS_COLLECT;
            options.event = count_event;
            options.ud = &c;
            OK(ht_pipeline_map(p, in, &options, &out, &err));
            const ht_value *items = ht_value_items(out, &n);
            assert_int_equal(n, 5);
            for (size_t i = 0; i < n; i++) {
                const ht_failure *failure = ht_value_failure(items[i]);
                assert_int_equal(failure != NULL, i == 1 || i == 3);
                if (failure) assert_int_equal(failure->item, i);
            }
            assert_int_equal(c.failed, 4); /* a, and each around it, twice */
            ht_value_release(out);
            ht_value_release(in);
            ht_pipeline_release(p);
            ht_pipeline_release(inner);
        }
}

/* ---- 40: a whole retrieval pipeline with mock components (examples/retrieval_mock.c) ---- */

typedef struct mock_output {
    char text[8000];
    ht_value results, predictions;
} mock_output;

/* What stands behind "NAME: " at the beginning of a line, as a value; null if there is none. */
static ht_value printed(const char *text, const char *name)
{
    ht_value value;
    char start[60];
    (void)snprintf(start, sizeof start, "\n%s: ", name);
    const char *at = strstr(text, start);
    if (!at) return ht_value_null();
    at += strlen(start);
    OK(ht_value_from_json((ht_text){at, strcspn(at, "\n")}, &value, &err));
    return value;
}

static void run_mock(const char *arguments, mock_output *out)
{
    char command[1000];
    (void)snprintf(command, sizeof command, "%s %s", HT_MOCK, arguments);
    FILE *tube = popen(command, "r");
    assert_non_null(tube);
    out->text[0] = '\n';
    out->text[1 + fread(out->text + 1, 1, sizeof out->text - 2, tube)] = '\0';
    assert_int_equal(pclose(tube), 0);
    out->results = printed(out->text, "evaluation_results");
    out->predictions = printed(out->text, "all_predictions");
}

static void end_mock(mock_output *out)
{
    ht_value_release(out->results);
    ht_value_release(out->predictions);
}

/* Names behind "ran ", in their order. */
static void expect_ran(const char *text, const char *const *names, size_t n)
{
    size_t i = 0;
    for (const char *at = strstr(text, "\nran "); at; at = strstr(at + 1, "\nran "), i++) {
        assert_true(i < n);
        assert_int_equal(strcspn(at + 5, "\n"), strlen(names[i]));
        assert_memory_equal(at + 5, names[i], strlen(names[i]));
    }
    assert_int_equal(i, n);
}

static double number_of(ht_value value, const char *name)
{
    const ht_value found = field_of(value, name);
    assert_int_equal(found.kind, HT_KIND_FLOAT);
    return found.as.number;
}

static void expect_near(double is, double should) { assert_true(is > should - 1e-12 && is < should + 1e-12); }

/* Five passages for each of two queries: 2 / (500 + rank), since both lists agree in order. */
static void expect_predictions(ht_value predictions)
{
    size_t n;
    const ht_value *items = ht_value_items(predictions, &n);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "p%zu", i % 5);
        assert_string_equal(ht_value_text(field_of(items[i], "id")).data, id);
        expect_near(number_of(items[i], "score"), 2.0 / (double)(501 + i % 5));
    }
}

static void expect_results(ht_value results)
{
    static const int cuts[] = {20, 50, 100, 200, 300, 400, 500};
    size_t n;
    (void)ht_value_items(results, &n);
    assert_int_equal(n, 9);
    expect_near(number_of(results, "ndcg"), 0.85);
    assert_int_equal(int_of(results, "ndcg_k"), 20);
    for (size_t i = 0; i < HTI_LEN(cuts); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "recall@%d", cuts[i]);
        assert_string_equal(ht_value_field_name(results, 2 + i).data, name);
        expect_near(number_of(results, name), 0.7 + 0.01 * cuts[i]);
    }
}

static void case_40_mock_retrieval_exact_on_every_engine(void **state)
{
    static const char *const engines[] = {"", "--threads", "--processes"};
    static mock_output out;
    (void)state;
    for (size_t e = 0; e < HTI_LEN(engines); e++)
        for (int alone = 0; alone < 2; alone++) {
            char arguments[60];
            (void)snprintf(arguments, sizeof arguments, "%s %s", engines[e], alone ? "--no-batch" : "");
            run_mock(arguments, &out);
            expect_ran(out.text,
                       EVENTS("load_ground_truths", "load_passages", "build_bm25_index", "encode_passages_mapped",
                              "build_passage_lookup", "build_vector_index", "load_queries", "encode_queries_mapped",
                              "retrieve_queries_mapped", "flatten_predictions", "compute_ndcg", "compute_recall",
                              "combine_evaluation_results"));
            expect_results(out.results);
            expect_predictions(out.predictions);
            if (e < 2) /* elsewhere the encoder lives in the workers */
                assert_non_null(strstr(out.text, alone ? "1 object, 7 row calls, 0 batch calls"
                                                       : "1 object, 0 row calls, 2 batch calls of 7 rows"));
            end_mock(&out);
        }
}

static void case_40_what_is_not_asked_for_is_pruned(void **state)
{
    static const char *const engines[] = {"", "--threads", "--processes"};
    static mock_output out;
    (void)state;
    for (size_t e = 0; e < HTI_LEN(engines); e++) {
        char arguments[60];
        (void)snprintf(arguments, sizeof arguments, "%s --output all_predictions", engines[e]);
        run_mock(arguments, &out);
        expect_ran(out.text, EVENTS("load_passages", "build_bm25_index", "encode_passages_mapped",
                                    "build_passage_lookup", "build_vector_index", "load_queries",
                                    "encode_queries_mapped", "retrieve_queries_mapped", "flatten_predictions"));
        expect_predictions(out.predictions);
        assert_int_equal(out.results.kind, HT_KIND_NULL);
        end_mock(&out);
    }
}

/* ---- 42: the runtime's share ---- */

enum { PASSAGES = 1000, QUERIES = 50, INNER = 6 };

/* What each node of the mock does: n words of work, and their sum. */
static ht_status work(int64_t n, ht_value from, ht_value *out)
{
    uint64_t seed = (uint64_t)from.as.integer;
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (int64_t)(hti_random_next(&seed) & 0xff);
    *out = ht_value_int(sum);
    return HT_OK;
}

static ht_status encode_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    return work(200, in[0], &out[0]);
}

/* A step of a query, with all passages as a constant. */
static ht_status query_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    size_t n;
    (void)self;
    (void)e;
    const ht_value *passages = ht_value_items(in[1], &n);
    ht_value sum = in[0];
    for (size_t i = 0; i < n; i++) sum.as.integer += passages[i].as.integer & 0xff;
    return work(200, sum, &out[0]);
}

static void add_work(ht_pipeline *p, int number, ht_row_fn row, const char *in, const char *output)
{
    const ht_input inputs[] = {{in, NULL}, {"encoded", NULL}};
    char name[16];
    (void)snprintf(name, sizeof name, "work%d", number);
    const ht_node_desc desc = {
        HT_DESC(ht_node_desc), .name = name,   .inputs = inputs,     .n_inputs = row == encode_row ? 1 : 2,
        .outputs = &output,    .n_outputs = 1, .forms = {.row = row}};
    OK(ht_pipeline_add_node(p, &desc, &err));
}

static int64_t by_hand(void)
{
    static ht_value encoded[PASSAGES];
    ht_value list, value;
    int64_t total = 0;
    for (int i = 0; i < PASSAGES; i++) {
        value = ht_value_int(i);
        OK(encode_row(NULL, &value, &encoded[i], &err));
    }
    OK(ht_value_list(encoded, PASSAGES, &list, &err));
    for (int q = 0; q < QUERIES; q++) {
        ht_value in[] = {ht_value_int(q), list};
        for (int k = 0; k < INNER; k++) {
            OK(query_row(NULL, in, &value, &err));
            in[0] = value;
        }
        total += in[0].as.integer;
    }
    ht_value_release(list);
    return total;
}

static void case_42_thousand_passages_and_fifty_queries_within_twice_the_loop(void **state)
{
    static const char *const names[] = {"passage", "q0"};
    ht_pipeline *passages = new_pipeline("passages"), *queries = new_pipeline("queries"), *p = new_pipeline("mock");
    ht_value values[] = {numbers_from(0, PASSAGES), numbers_from(0, QUERIES)}, inputs, out;
    uint64_t hand = UINT64_MAX, ours = UINT64_MAX;
    int64_t total = 0, sum = 0;
    size_t n;
    (void)state;
    engine_now = engine_cases;
    add_work(passages, 0, encode_row, "passage", "encoded");
    for (int k = 0; k < INNER; k++) {
        char in[16], output[16];
        (void)snprintf(in, sizeof in, "q%d", k);
        (void)snprintf(output, sizeof output, "q%d", k + 1);
        add_work(queries, k + 1, query_row, in, output);
    }
    nest(p, passages, AS_NODE(OVER("passage")));
    nest(p, queries, AS_NODE(OVER("q0"), OUTPUTS({"q6", "all"})));
    OK(ht_value_struct(names, values, 2, &inputs, &err));
    for (int round = 0; round < 20; round++) {
        uint64_t start = hti_clock_ns();
        total = by_hand();
        hand = HTI_MIN(hand, hti_clock_ns() - start);
        start = hti_clock_ns();
        OK(ht_pipeline_run(p, inputs, NULL, &out, &err));
        ours = HTI_MIN(ours, hti_clock_ns() - start);
        const ht_value *items = ht_value_items(field_of(out, "all"), &n);
        sum = 0;
        for (size_t i = 0; i < n; i++) sum += items[i].as.integer;
        ht_value_release(out);
        assert_int_equal(sum, total);
    }
    print_message("by hand %.2f ms, as a pipeline %.2f ms\n", (double)hand / 1e6, (double)ours / 1e6);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they slow the runtime alone */
    assert_true(ours < 2 * hand);
#endif
    ht_value_release(inputs);
    for (int i = 0; i < 2; i++) ht_value_release(values[i]);
    ht_pipeline_release(p);
    ht_pipeline_release(passages);
    ht_pipeline_release(queries);
}

/* ---- 43: a plan that left ---- */

static void case_43_a_plan_from_json_gives_the_same(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        const ht_value in = from_json("{\"x\": [1, 2, 3], \"k\": [4, 5]}");
        ht_plan *plan, *loaded;
        ht_writer *writer;
        ht_value out, again;
        size_t len;
        add(inner, "y=a(x,k,d=7)");
        OK(add_as(inner, DUAL, "z=b(y,m)"));
        OK(ht_pipeline_bind(inner, "m", ht_value_null(), &err));
        nest(p, inner, AS_NODE(OVER("k", "x"), .map_mode = HT_MAP_PRODUCT));
        add(p, "t,t2=t(z)");
        OK(ht_plan_new(p, NAMES("t", "y"), 2, NAMES("x", "k"), 2, &plan, &err));
        OK(ht_writer_new(&writer, &err));
        OK(ht_plan_print(plan, HT_PLAN_JSON, writer, &err));
        const void *json = ht_writer_data(writer, &len);
        OK(ht_plan_load((ht_text){json, len}, registry, &loaded, &err));
        const ht_run_options options = on();
        OK(ht_plan_run(plan, in, &options, &out, &err));
        (void)take_calls();
        OK(ht_plan_run(loaded, in, &options, &again, &err));
        assert_int_equal(count_calls(take_calls(), 'a'), 6);
        assert_true(ht_value_equal(out, again));
        expect_json(field_of(again, "y"), "[\"a(1,4,7)\", \"a(2,4,7)\", \"a(3,4,7)\", \"a(1,5,7)\", \"a(2,5,7)\", "
                                          "\"a(3,5,7)\"]");
        assert_non_null(strstr(ht_value_text(field_of(again, "t")).data, "t([b(a(1,4,7),null),"));
        ht_value_release(out);
        ht_value_release(again);
        ht_value_release(in);
        ht_plan_release(plan);
        ht_plan_release(loaded);
        ht_writer_free(writer);
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

int main(int argc, char **argv)
{
    const int code = cases_begin(argc, argv, NULL);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_38_events_of_a_mapped_run),
        cmocka_unit_test(case_38_events_of_nested_runs_have_their_depth),
        cmocka_unit_test(case_38_batches_stand_between_starts_and_ends),
        cmocka_unit_test(case_38_errors_and_hits_are_told),
        cmocka_unit_test(case_38_an_error_inside_is_told_outside_too),
        cmocka_unit_test(case_38_collected_errors_are_told_too),
        cmocka_unit_test(case_40_mock_retrieval_exact_on_every_engine),
        cmocka_unit_test(case_40_what_is_not_asked_for_is_pruned),
        cmocka_unit_test(case_42_thousand_passages_and_fifty_queries_within_twice_the_loop),
        cmocka_unit_test(case_43_a_plan_from_json_gives_the_same),
    };
    return cases_end(cmocka_run_group_tests(tests, NULL, NULL));
}
