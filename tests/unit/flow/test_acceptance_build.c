/*
 * test_acceptance_build.c - what every engine must hold, case by case: building, wiring, choosing outputs.
 *
 * The tests are named by the number of their case; each runs on one thread, on 2 and 4 threads and in 2 processes.
 *
 *     cases    file                       of these not here, since they are a language's or have no like in C
 *     1-12     test_acceptance_build      decorator forms, nodes called directly (1); outputs of a wrong number (4: the
 *                                         runtime gives the places of all outputs, one that is not filled is null)
 *     13-24    test_acceptance_map        ranges and iterators as lists (15); an engine or cache of an inner pipeline
 *                                         alone (23: both are the run's); unbinding all at once (24)
 *     25-30    test_acceptance_cache      what makes a changed function another one (25: its version does)
 *     31-34,   test_acceptance_classes    statements 2, 5, 12-14, 16, 18, 29 of case 32; asynchronous batches (33);
 *     36, 37                              batches of a wrong length (36); a running event loop (37)
 *     38, 40,  test_acceptance_run        engines that an observer does not support (38); a generated script (43: a
 *     42, 43                              plan as JSON, loaded)
 *     41       test_retrieval_pipeline
 */
#include "flow_cases.h"

/* ---- building and wiring ---- */

static void case_01_names_and_types_have_defaults(void **state)
{
    static const ht_input x = {"x", NULL};
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline(NULL), *p = new_pipeline(NULL);
        ht_node_desc desc = term_nodes[ROW]['a' - 'a'][1][0]; /* type NULL: its name, so that workers find it */
        desc.inputs = &x;
        OK(ht_pipeline_add_node(inner, &desc, &err));
        nest(p, inner, AS_NODE(OVER("x")));
        expect(p, "{\"x\": [1, 2]}", "{\"o\": [\"a(1)\", \"a(2)\"]}");
        refuse(p, "{}", HT_INVALID, "pipeline 'pipeline': missing input: x");
        ht_value seen;
        OK(ht_pipeline_inspect(p, &seen, &err));
        expect_json(field_of(seen, "nodes"), "[\"pipeline\"]"); /* the inner one's name */
        ht_value_release(seen);
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_02_order_of_the_list_does_not_matter(void **state)
{
    static const char *const lines[] = {"e=e(c,d)", "d=d(b)", "c=c(a)", "b=b(x)", "a=a(x)"};
    static const int orders[][5] = {{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {3, 1, 4, 0, 2}};
    (void)state;
    FOR_ENGINES
    for (size_t o = 0; o < HTI_LEN(orders); o++) {
        ht_pipeline *p = new_pipeline("shuffled");
        for (int i = 0; i < 5; i++) add(p, lines[orders[o][i]]);
        (void)take_calls();
        expect(p, "{\"x\": 1}",
               "{\"a\": \"a(1)\", \"b\": \"b(1)\", \"c\": \"c(a(1))\", \"d\": \"d(b(1))\", "
               "\"e\": \"e(c(a(1)),d(b(1)))\"}");
        expect_calls("abcde"); /* ready ones by name */
        ht_pipeline_release(p);
    }
}

static void case_03_diamond_computes_shared_parent_once(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("diamond");
        add(p, "a=a(x)");
        add(p, "b=b(a)");
        add(p, "c=c(a)");
        add(p, "d=d(b,c)");
        (void)take_calls();
        ht_run_options options = on();
        options.outputs = NAMES("d");
        options.n_outputs = 1;
        expect_with(p, "{\"x\": 2}", options, "{\"d\": \"d(b(a(2)),c(a(2)))\"}");
        expect_calls("abcd");
        options.map_over = NAMES("x");
        options.n_map_over = 1;
        expect_with(p, "{\"x\": [1, 2]}", options,
                    "[{\"d\": \"d(b(a(1)),c(a(1)))\"}, {\"d\": \"d(b(a(2)),c(a(2)))\"}]");
        expect_calls("abcdabcd");
        ht_pipeline_release(p);
    }
}

static void case_04_several_outputs_feed_different_nodes(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("two");
        add(p, "low,high=a(x)");
        add(p, "l=l(low)");
        add(p, "r=r(high)");
        add(p, "none,either=n(x)"); /* an output that is not filled is null */
        expect(p, "{\"x\": 5}",
               "{\"low\": \"a(5)\", \"high\": \"a'(5)\", \"l\": \"l(a(5))\", \"none\": null, \"either\": null, "
               "\"r\": \"r(a'(5))\"}");
        ht_pipeline_release(p);
    }
}

static void case_05_duplicate_outputs_name_both_nodes(void **state)
{
    ht_value seen;
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("twice"), *outer = new_pipeline("outer");
        add(p, "o=first(x)");
        add(p, "p,o=second(x)");
        refuse(p, "{\"x\": 1}", HT_EXISTS, "output 'o' is made by two nodes: 'first' and 'second'");
        assert_int_equal(ht_pipeline_add_pipeline(outer, p, NULL, &err), HT_EXISTS);
        assert_int_equal(ht_pipeline_inspect(p, &seen, &err), HT_EXISTS);
        ht_pipeline_release(p);
        p = new_pipeline("same");
        add(p, "o=same(x)");
        add(p, "o=same(x)");
        refuse(p, "{\"x\": 1}", HT_EXISTS, "'same' and 'same'");
        ht_pipeline_release(p);
        ht_pipeline_release(outer);
    }
}

static void case_06_cycles_are_told_with_their_path(void **state)
{
    ht_value seen;
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("round");
        (void)take_calls();
        add(p, "a=fa(c)");
        add(p, "b=fb(a)");
        add(p, "c=fc(b)");
        add(p, "d=fd(c)");
        refuse(p, "{}", HT_INVALID, "pipeline 'round' has a cycle: ");
        assert_non_null(strstr(err.message, "fa <- fc <- fb"));
        assert_null(strstr(err.message, "fd"));
        assert_int_equal(ht_pipeline_inspect(p, &seen, &err), HT_INVALID);
        ht_pipeline_release(p);
        p = new_pipeline("self");
        add(p, "a=fa(a)");
        refuse(p, "{\"a\": 1}", HT_INVALID, "fa <- fa");
        expect_calls("");
        ht_pipeline_release(p);
    }
}

static void case_07_a_chain_of_thousand_builds_in_50_ms(void **state)
{
    enum { LENGTH = 1000 };
    static char line[40], result[3 * LENGTH + 40];
    (void)state;
    FOR_ENGINES
    {
        uint64_t best = UINT64_MAX;
        for (int round = 0; round < 5; round++) {
            ht_plan *plan;
            const uint64_t start = hti_clock_ns();
            ht_pipeline *p = new_pipeline("chain");
            for (int i = 0; i < LENGTH; i++) {
                (void)snprintf(line, sizeof line, "v%d=c%d(v%d)", i + 1, i, i);
                add(p, line);
            }
            OK(ht_plan_new(p, NULL, 0, NAMES("v0"), 1, &plan, &err));
            best = HTI_MIN(best, hti_clock_ns() - start);
            ht_plan_release(plan);
            (void)take_calls();
            ht_run_options options = on();
            options.outputs = NAMES("v1000");
            options.n_outputs = 1;
            size_t n = (size_t)snprintf(result, sizeof result, "{\"v1000\": \"");
            for (int i = 0; i < LENGTH; i++) n += (size_t)snprintf(result + n, sizeof result - n, "c(");
            n += (size_t)snprintf(result + n, sizeof result - n, "3");
            for (int i = 0; i < LENGTH; i++) result[n++] = ')';
            (void)snprintf(result + n, sizeof result - n, "\"}");
            expect_with(p, "{\"v0\": 3}", options, result);
            assert_int_equal(strlen(take_calls()), LENGTH);
            ht_pipeline_release(p);
        }
        print_message("a chain of %d is built and planned in %.2f ms\n", LENGTH, (double)best / 1e6);
        assert_true(best < 50000000);
    }
}

static void case_08_a_pipeline_tells_what_it_is(void **state)
{
    ht_value seen;
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        ht_pipeline *p = new_pipeline("told"), *inner = new_pipeline("inner");
        static const char *const lines[] = {"c=c(a,k=7)", "b,b2=b(a,y)", "a=a(x)", "d=d(k=7)", "e=e(k2=7,x)"};
        for (int i = 0; i < 5; i++) add(p, lines[turn ? 4 - i : i]);
        OK(ht_pipeline_bind(p, "y", ht_value_null(), &err));
        OK(ht_pipeline_inspect(p, &seen, &err));
        expect_json(seen, "{\"name\": \"told\", \"nodes\": [\"a\", \"b\", \"c\", \"d\", \"e\"], \"inputs\": ["
                          "{\"name\": \"k\", \"required\": false, \"default\": 7}, "
                          "{\"name\": \"k2\", \"required\": false, \"default\": 7}, "
                          "{\"name\": \"x\", \"required\": true}, "
                          "{\"name\": \"y\", \"required\": false, \"bound\": null}], "
                          "\"outputs\": [\"a\", \"b\", \"b2\", \"c\", \"d\", \"e\"]}");
        ht_value_release(seen);
        add(p, "f=f(k)"); /* a default belongs to its node: this one has none */
        OK(ht_pipeline_inspect(p, &seen, &err));
        size_t n;
        const ht_value *inputs = ht_value_items(field_of(seen, "inputs"), &n);
        assert_int_equal(n, 4);
        expect_json(inputs[0], "{\"name\": \"k\", \"required\": true}");
        ht_value_release(seen);
        OK(ht_pipeline_inspect(inner, &seen, &err));
        expect_json(seen, "{\"name\": \"inner\", \"nodes\": [], \"inputs\": [], \"outputs\": []}");
        ht_value_release(seen);
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

/* ---- running ---- */

static void case_09_all_missing_inputs_at_once(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("needs");
        add(p, "a=a(y,x,z=7)");
        add(p, "b=b(q)");
        (void)take_calls();
        refuse(p, "{\"y\": 1}", HT_INVALID, "missing inputs: q, x");
        refuse(p, "null", HT_INVALID, "missing inputs: q, x, y");
        expect_calls("");
        ht_run_options options = on();
        options.outputs = NAMES("a");
        options.n_outputs = 1;
        refuse_with(p, "{\"y\": 1}", options, HT_INVALID, "missing input: x"); /* q is not needed */
        expect_with(p, "{\"y\": 1, \"x\": 2}", options, "{\"a\": \"a(1,2,7)\"}");
        expect_with(p, "{\"y\": 1, \"x\": 2, \"z\": 3}", options, "{\"a\": \"a(1,2,3)\"}");
        options.map_over = NAMES("y");
        options.n_map_over = 1;
        refuse_with(p, "{\"y\": [1]}", options, HT_INVALID, "missing input: x");
        ht_pipeline_release(p);
    }
}

static void case_10_only_what_is_asked_for_runs(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("pruned");
        add(p, "a=a(x)");
        add(p, "b=z(a)"); /* would fail */
        add(p, "c=c(a)");
        add(p, "d=d(u)");
        (void)take_calls();
        ht_run_options options = on();
        const char *asked[] = {"c", "a"};
        options.outputs = asked;
        options.n_outputs = 1;
        expect_with(p, "{\"x\": 4}", options, "{\"c\": \"c(a(4))\"}");
        expect_calls("ac");
        options.n_outputs = 2;
        expect_with(p, "{\"x\": 4}", options, "{\"a\": \"a(4)\", \"c\": \"c(a(4))\"}"); /* in the order of nodes */
        expect_calls("ac");
        options.map_over = NAMES("x");
        options.n_map_over = 1;
        expect_with(p, "{\"x\": [4, 5]}", options,
                    "[{\"a\": \"a(4)\", \"c\": \"c(a(4))\"}, {\"a\": \"a(5)\", \"c\": \"c(a(5))\"}]");
        expect_calls("acac");
        asked[0] = "nothing";
        refuse_with(p, "{\"x\": [4]}", options, HT_NOT_FOUND, "unknown output 'nothing'; there is a, b, c, d");
        refuse(p, "{\"x\": 4, \"w\": 1, \"u\": 1}", HT_NOT_FOUND, "unknown input 'w'; there is u, x");
        refuse(p, "{\"x\": 4, \"c\": 1, \"u\": 1}", HT_INVALID, "input 'c' is what the node 'c' makes");
        expect_calls("");
        refuse(p, "{\"x\": 4, \"u\": 1}", HT_FAILED, "node 'z': z always fails");
        ht_pipeline_release(p);
    }
}

static void case_11_the_engine_is_the_call_s(void **state)
{
    (void)state;
    ht_pipeline *p = new_pipeline("any"), *inner = new_pipeline("inner");
    add(inner, "y=a(x)");
    nest(p, inner, AS_NODE(OVER("x")));
    for (int round = 0; round < 2; round++) /* one pipeline, engine after engine */
        FOR_ENGINES
    expect(p, "{\"x\": [1, 2, 3]}", "{\"y\": [\"a(1)\", \"a(2)\", \"a(3)\"]}");
    engine_now = engine_cases;
    ht_run_options options = on();
    options.engine = (ht_engine)9;
    refuse_with(p, "{\"x\": [1]}", options, HT_INVALID, "the engine is sequential, threads or processes, not 9");
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

static void case_12_null_zero_and_empty_are_values(void **state)
{
    static const char *const values[] = {"null", "0", "0.0", "false", "\"\"", "[]", "{}", "[null]"};
    (void)state;
    FOR_ENGINES
    for (size_t i = 0; i < HTI_LEN(values); i++) {
        ht_pipeline *p = new_pipeline("nothing"), *inner = new_pipeline("inner");
        const ht_value value = from_json(values[i]);
        const ht_input defaulted = {"d", &value};
        const char *output = "d_out";
        char inputs[200], result[200];
        ht_node_desc desc = term_nodes[ROW]['i' - 'a'][1][0];
        add(p, "x_out=i(x)"); /* given */
        add(p, "b_out=i(b)"); /* bound */
        desc.type = desc.name;
        desc.name = "i_default";
        desc.inputs = &defaulted;
        desc.outputs = &output;
        OK(ht_pipeline_add_node(p, &desc, &err));
        OK(ht_pipeline_bind(p, "b", value, &err));
        add(inner, "m_out=i(m)"); /* an item of a map */
        add(inner, "made=i(m_out)");
        nest(p, inner, AS_NODE(.name = "i_map", OVER("m")));
        (void)snprintf(inputs, sizeof inputs, "{\"x\": %s, \"m\": [%s, 1]}", values[i], values[i]);
        (void)snprintf(result, sizeof result,
                       "{\"x_out\": %s, \"b_out\": %s, \"d_out\": %s, \"m_out\": [%s, 1], \"made\": [%s, 1]}",
                       values[i], values[i], values[i], values[i], values[i]);
        expect(p, inputs, result);
        ht_value_release(value);
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

int main(int argc, char **argv)
{
    const int code = cases_begin(argc, argv, NULL);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_01_names_and_types_have_defaults),
        cmocka_unit_test(case_02_order_of_the_list_does_not_matter),
        cmocka_unit_test(case_03_diamond_computes_shared_parent_once),
        cmocka_unit_test(case_04_several_outputs_feed_different_nodes),
        cmocka_unit_test(case_05_duplicate_outputs_name_both_nodes),
        cmocka_unit_test(case_06_cycles_are_told_with_their_path),
        cmocka_unit_test(case_07_a_chain_of_thousand_builds_in_50_ms),
        cmocka_unit_test(case_08_a_pipeline_tells_what_it_is),
        cmocka_unit_test(case_09_all_missing_inputs_at_once),
        cmocka_unit_test(case_10_only_what_is_asked_for_runs),
        cmocka_unit_test(case_11_the_engine_is_the_call_s),
        cmocka_unit_test(case_12_null_zero_and_empty_are_values),
    };
    return cases_end(cmocka_run_group_tests(tests, NULL, NULL));
}
