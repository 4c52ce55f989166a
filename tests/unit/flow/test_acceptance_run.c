/*
 * test_acceptance_run.c - what every engine must hold, case by case: what a run tells while it goes, plans that leave
 * the program and come back.
 *
 * Of case 38 not here: engines that an observer does not support, since an observer is one function here. A generated
 * script (43) is a plan printed as JSON and loaded.
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
    };
    return cases_end(cmocka_run_group_tests(tests, NULL, NULL));
}
