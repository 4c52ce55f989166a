/*
 * test_acceptance_map.c - what every engine must hold, case by case: maps, pipelines in pipelines, bound inputs.
 */
#include "flow_cases.h"

static ht_run_options over(const char *const *names, size_t n, ht_map_mode mode)
{
    ht_run_options options = on_engine(names, n);
    options.map_mode = mode;
    return options;
}
#define ZIP(...) over(NAMES(__VA_ARGS__), N_NAMES(__VA_ARGS__), HT_MAP_ZIP)
#define PRODUCT(...) over(NAMES(__VA_ARGS__), N_NAMES(__VA_ARGS__), HT_MAP_PRODUCT)

/* ---- maps ---- */

static void case_13_single_zip_and_product_in_order(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("mapped");
        add(p, "a=a(x,y,c)");
        expect_with(p, "{\"x\": [1, 2, 3], \"y\": 4, \"c\": 5}", ZIP("x"),
                    "[{\"a\": \"a(1,4,5)\"}, {\"a\": \"a(2,4,5)\"}, {\"a\": \"a(3,4,5)\"}]");
        expect_with(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", ZIP("x", "y"),
                    "[{\"a\": \"a(1,3,5)\"}, {\"a\": \"a(2,4,5)\"}]");
        expect_with(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", PRODUCT("x", "y"), /* the last varies fastest */
                    "[{\"a\": \"a(1,3,5)\"}, {\"a\": \"a(1,4,5)\"}, {\"a\": \"a(2,3,5)\"}, {\"a\": \"a(2,4,5)\"}]");
        expect_with(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", PRODUCT("y", "x"),
                    "[{\"a\": \"a(1,3,5)\"}, {\"a\": \"a(2,3,5)\"}, {\"a\": \"a(1,4,5)\"}, {\"a\": \"a(2,4,5)\"}]");
        expect_with(p, "{\"x\": [1, 2], \"y\": [3], \"c\": [6, 7, 8]}", PRODUCT("x", "y", "c"),
                    "[{\"a\": \"a(1,3,6)\"}, {\"a\": \"a(1,3,7)\"}, {\"a\": \"a(1,3,8)\"}, {\"a\": \"a(2,3,6)\"}, "
                    "{\"a\": \"a(2,3,7)\"}, {\"a\": \"a(2,3,8)\"}]");
        ht_pipeline_release(p);
    }
}

static void case_13_constants_are_not_copied(void **state)
{
    static const int64_t shape[] = {100000};
    (void)state;
    FOR_ENGINES
    {
        static const char *const names[] = {"c", "x"};
        ht_pipeline *p = new_pipeline("constant");
        ht_value values[2], inputs, out;
        size_t n;
        add(p, "o=i(c)");
        add(p, "a=a(x)");
        OK(ht_value_tensor(HT_F32, 1, shape, NULL, &values[0], &err));
        values[1] = numbers_from(20, 50);
        OK(ht_value_struct(names, values, 2, &inputs, &err));
        const ht_run_options options = ZIP("x");
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        const ht_value *items = ht_value_items(out, &n);
        assert_int_equal(n, 50);
        for (size_t i = 0; i < n; i++) {
            const ht_value o = field_of(items[i], "o");
            if (engine_now->engine != HT_ENGINE_PROCESSES) assert_ptr_equal(o.as.object, values[0].as.object);
            assert_true(ht_value_equal(o, values[0]));
        }
        ht_value_release(out);
        ht_value_release(inputs);
        for (int i = 0; i < 2; i++) ht_value_release(values[i]);
        ht_pipeline_release(p);
    }
}

static void case_14_lengths_modes_and_nothing(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("mapped"), *outer = new_pipeline("outer");
        add(p, "a=a(x,y)");
        (void)take_calls();
        refuse_with(p, "{\"x\": [1], \"y\": [3, 4]}", ZIP("x", "y"), HT_INVALID, "differ in length: x: 1, y: 2");
        refuse_with(p, "{\"x\": [], \"y\": [3]}", ZIP("x", "y"), HT_INVALID, "differ in length: x: 0, y: 1");
        refuse_with(p, "{\"x\": [1], \"y\": [3]}", over(NAMES("x"), 1, (ht_map_mode)2), HT_INVALID,
                    "the map mode is zip or product, not 2");
        assert_int_equal(ht_pipeline_add_pipeline(outer, p, AS_NODE(OVER("x"), .map_mode = (ht_map_mode)2), &err),
                         HT_INVALID);
        refuse_with(p, "{\"x\": [1], \"y\": [3]}", ZIP("k"), HT_NOT_FOUND,
                    "map over an unknown input 'k'; there is x, y");
        refuse_with(p, "{\"x\": [1], \"y\": [3]}", ZIP("x", "x"), HT_INVALID, "map_over names 'x' twice");
        refuse_with(p, "{\"x\": 1, \"y\": [3]}", ZIP("x"), HT_INVALID,
                    "cannot map over 'x': a list, tensor or series is wanted");
        refuse_with(p, "{\"x\": \"ab\", \"y\": 3}", ZIP("x"), HT_INVALID, "not a string");
        expect_with(p, "{\"x\": [], \"y\": 1}", ZIP("x"), "[]");
        expect_with(p, "{\"x\": [], \"y\": []}", ZIP("x", "y"), "[]");
        expect_with(p, "{\"x\": [], \"y\": [1, 2]}", PRODUCT("x", "y"), "[]");
        expect_with(p, "{\"x\": [1, 2], \"y\": []}", PRODUCT("x", "y"), "[]");
        expect_calls("");
        const ht_value in = from_json("{\"x\": [1], \"y\": 1}");
        ht_value out;
        const ht_run_options without = on();
        assert_int_equal(ht_pipeline_map(p, in, &without, &out, &err), HT_INVALID);
        assert_non_null(strstr(err.message, "a map needs map_over"));
        ht_value_release(in);
        ht_pipeline_release(p);
        ht_pipeline_release(outer);
    }
}

static void case_15_tensors_are_mapped_by_rows(void **state)
{
    static const float numbers[] = {1, 2, 3, 4, 5, 6};
    static const int64_t shapes[][2] = {{3, 2}, {6, 1}, {0, 2}}, bytes[] = {2, 1};
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("rows");
        ht_value tensor;
        ht_value out;
        size_t n;
        const ht_run_options options = ZIP("x");
        add(p, "o=i(x)");
        for (size_t s = 0; s < HTI_LEN(shapes); s++) {
            OK(ht_value_tensor(HT_F32, 2, shapes[s], numbers, &tensor, &err));
            const ht_value inputs = struct_of("x", tensor);
            OK(ht_pipeline_map(p, inputs, &options, &out, &err));
            const ht_value *items = ht_value_items(out, &n);
            assert_int_equal(n, shapes[s][0]);
            for (size_t i = 0; i < n; i++) {
                const ht_tensor *row = ht_value_tensor_view(field_of(items[i], "o"));
                assert_non_null(row);
                assert_int_equal(row->n_dims, 1);
                assert_int_equal(row->n, shapes[s][1]);
                assert_memory_equal(row->data, numbers + i * row->n, row->n * sizeof *numbers);
            }
            ht_value_release(out);
            ht_value_release(inputs);
        }
        static const int64_t two[] = {2}; /* of one dimension: numbers */
        OK(ht_value_tensor(HT_I64, 1, two, bytes, &tensor, &err));
        const ht_value inputs = struct_of("x", tensor);
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        expect_json(out, "[{\"o\": 2}, {\"o\": 1}]");
        ht_value_release(out);
        ht_value_release(inputs);
        ht_pipeline_release(p);
    }
}

static void case_16_maps_with_outputs_and_bound_values(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("bound");
        add(p, "a=a(x,k)");
        add(p, "b=b(a)");
        const ht_value list = from_json("[1, 2]");
        OK(ht_pipeline_bind(p, "k", ht_value_int(9), &err));
        ht_run_options options = ZIP("x");
        options.outputs = NAMES("b");
        options.n_outputs = 1;
        expect_with(p, "{\"x\": [1, 2]}", options, "[{\"b\": \"b(a(1,9))\"}, {\"b\": \"b(a(2,9))\"}]");
        options.map_over = NAMES("k"); /* a mapped list instead of what is bound */
        expect_with(p, "{\"x\": 1, \"k\": [3, 4]}", options, "[{\"b\": \"b(a(1,3))\"}, {\"b\": \"b(a(1,4))\"}]");
        OK(ht_pipeline_bind(p, "x", list, &err)); /* a bound list is mapped over */
        options.map_over = NAMES("x");
        expect_with(p, "{}", options, "[{\"b\": \"b(a(1,9))\"}, {\"b\": \"b(a(2,9))\"}]");
        expect_with(p, "null", options, "[{\"b\": \"b(a(1,9))\"}, {\"b\": \"b(a(2,9))\"}]");
        expect_with(p, "{\"k\": [5, 6]}", PRODUCT("k", "x"),
                    "[{\"a\": \"a(1,5)\", \"b\": \"b(a(1,5))\"}, {\"a\": \"a(2,5)\", \"b\": \"b(a(2,5))\"}, "
                    "{\"a\": \"a(1,6)\", \"b\": \"b(a(1,6))\"}, {\"a\": \"a(2,6)\", \"b\": \"b(a(2,6))\"}]");
        expect_with(p, "{\"x\": [7]}", options, "[{\"b\": \"b(a(7,9))\"}]");
        ht_value_release(list);
        ht_pipeline_release(p);
    }
}

/* ---- nesting ---- */

static void case_17_names_change_on_the_way_in_and_out(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *middle = new_pipeline("middle"), *p = new_pipeline("plain");
        add(inner, "m=a(x,k)");
        add(inner, "e=b(m)");
        nest(p, inner, NULL);
        expect(p, "{\"x\": 1, \"k\": 2}", "{\"m\": \"a(1,2)\", \"e\": \"b(a(1,2))\"}");
        ht_pipeline_release(p);
        p = new_pipeline("in");
        nest(p, inner, AS_NODE(INPUTS({"from", "x"})));
        expect(p, "{\"from\": 1, \"k\": 2}", "{\"m\": \"a(1,2)\", \"e\": \"b(a(1,2))\"}");
        refuse(p, "{\"x\": 1, \"k\": 2}", HT_NOT_FOUND, "unknown input 'x'; there is from, k");
        ht_pipeline_release(p);
        p = new_pipeline("out");
        nest(p, inner, AS_NODE(OUTPUTS({"e", "end"}))); /* and nothing else is made */
        expect(p, "{\"x\": 1, \"k\": 2}", "{\"end\": \"b(a(1,2))\"}");
        ht_pipeline_release(p);
        nest(middle, inner, AS_NODE(.name = "one", INPUTS({"from", "x"}, {"by", "k"}), OUTPUTS({"m", "half"})));
        add(middle, "q=q(half,from)");
        p = new_pipeline("two deep");
        nest(p, middle, AS_NODE(INPUTS({"n", "from"}), OUTPUTS({"q", "whole"}, {"half", "part"})));
        add(p, "r=r(whole,part)");
        (void)take_calls();
        expect(p, "{\"n\": 1, \"by\": 2}",
               "{\"whole\": \"q(a(1,2),1)\", \"part\": \"a(1,2)\", \"r\": \"r(q(a(1,2),1),a(1,2))\"}");
        expect_calls("aqr");
        assert_int_equal(ht_pipeline_add_pipeline(p, inner, AS_NODE(INPUTS({"o", "y"})), &err), HT_NOT_FOUND);
        assert_non_null(strstr(err.message, "unknown inner input 'y'; there is k, x"));
        assert_int_equal(ht_pipeline_add_pipeline(p, inner, AS_NODE(OUTPUTS({"y", "o"})), &err), HT_NOT_FOUND);
        assert_int_equal(ht_pipeline_add_pipeline(p, inner, AS_NODE(OVER("y")), &err), HT_NOT_FOUND);
        ht_pipeline_release(p);
        ht_pipeline_release(middle);
        ht_pipeline_release(inner);
    }
}

static void case_18_one_pipeline_twice(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        add(inner, "y=a(x,k)");
        nest(p, inner, AS_NODE(.name = "left", INPUTS({"l", "x"}), OUTPUTS({"y", "ly"}), OVER("l")));
        nest(p, inner, AS_NODE(.name = "right", INPUTS({"r", "x"}), OUTPUTS({"y", "ry"})));
        add(p, "e=e(ly,ry)");
        expect(p, "{\"l\": [1, 2], \"r\": 3, \"k\": 4}",
               "{\"ly\": [\"a(1,4)\", \"a(2,4)\"], \"ry\": \"a(3,4)\", \"e\": \"e([a(1,4),a(2,4)],a(3,4))\"}");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_19_maps_inside_maps(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer"), *all = new_pipeline("all");
        add(inner, "y=a(x,k)");
        nest(p, inner, AS_NODE(.name = "each", OVER("x")));
        add(p, "t=t(y)");
        expect(p, "{\"x\": [1, 2], \"k\": 5}", "{\"y\": [\"a(1,5)\", \"a(2,5)\"], \"t\": \"t([a(1,5),a(2,5)])\"}");
        expect_with(p, "{\"x\": [[1, 2], [3]], \"k\": 5}", ZIP("x"), /* inside a map of the run */
                    "[{\"y\": [\"a(1,5)\", \"a(2,5)\"], \"t\": \"t([a(1,5),a(2,5)])\"}, "
                    "{\"y\": [\"a(3,5)\"], \"t\": \"t([a(3,5)])\"}]");
        nest(all, p,
             AS_NODE(.name = "lists", INPUTS({"xs", "x"}, {"ks", "k"}), OUTPUTS({"t", "ts"}), OVER("xs", "ks")));
        expect(all, "{\"xs\": [[1, 2], [3]], \"ks\": [5, 6]}", /* inside a map of a node */
               "{\"ts\": [\"t([a(1,5),a(2,5)])\", \"t([a(3,6)])\"]}");
        ht_pipeline_release(all);
        ht_pipeline_release(p);
        p = new_pipeline("product");
        nest(p, inner, AS_NODE(.name = "each", OVER("k", "x"), .map_mode = HT_MAP_PRODUCT));
        expect(p, "{\"x\": [1, 2, 3], \"k\": [5, 6]}",
               "{\"y\": [\"a(1,5)\", \"a(2,5)\", \"a(3,5)\", \"a(1,6)\", \"a(2,6)\", \"a(3,6)\"]}");
        ht_pipeline_release(p);
        p = new_pipeline("zip");
        nest(p, inner, AS_NODE(.name = "each", OVER("k", "x")));
        expect(p, "{\"x\": [1, 2], \"k\": [5, 6]}", "{\"y\": [\"a(1,5)\", \"a(2,6)\"]}");
        refuse(p, "{\"x\": [1, 2], \"k\": [5]}", HT_INVALID, "node 'each': lists that are mapped together differ");
        refuse(p, "{\"x\": [1, 13], \"k\": [5, 6]}", HT_FAILED, "in 'each': node 'a', item 1: thirteen is refused");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_19_lists_made_inside_are_mapped_inside(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        add(inner, "y=a(x)");
        add(p, "x=s(n)"); /* as many as the item says */
        nest(p, inner, AS_NODE(.name = "u_each", OVER("x"), OUTPUTS({"y", "ys"})));
        expect_with(p, "{\"n\": [2, 0, 1]}", ZIP("n"),
                    "[{\"x\": [0, 1], \"ys\": [\"a(0)\", \"a(1)\"]}, {\"x\": [], \"ys\": []}, "
                    "{\"x\": [0], \"ys\": [\"a(0)\"]}]");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_20_a_map_over_nothing_gives_empty_lists(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer"), *all = new_pipeline("all");
        add(inner, "y,y2=a(x)");
        add(inner, "e=b(y)");
        nest(p, inner, AS_NODE(.name = "each", OVER("x")));
        add(p, "t=t(y,y2,e)");
        (void)take_calls();
        expect(p, "{\"x\": []}", "{\"y\": [], \"y2\": [], \"e\": [], \"t\": \"t([],[],[])\"}");
        expect_calls("t");
        nest(all, p, AS_NODE(.name = "lists", OVER("x")));
        expect(all, "{\"x\": [[], [1], []]}",
               "{\"y\": [[], [\"a(1)\"], []], \"y2\": [[], [\"a'(1)\"], []], \"e\": [[], [\"b(a(1))\"], []], "
               "\"t\": [\"t([],[],[])\", \"t([a(1)],[a'(1)],[b(a(1))])\", \"t([],[],[])\"]}");
        expect(all, "{\"x\": []}", "{\"y\": [], \"y2\": [], \"e\": [], \"t\": []}");
        ht_pipeline_release(all);
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_21_unread_inner_outputs_are_pruned_unless_asked_for(void **state)
{
    (void)state;
    FOR_ENGINES
    for (int mapped = 0; mapped < 2; mapped++) {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        add(inner, "used=a(x)");
        add(inner, "unused=z(y)"); /* would fail, and needs what nobody gives */
        nest(p, inner, mapped ? AS_NODE(OVER("x")) : NULL);
        add(p, "e=e(used)");
        const char *asked = "e";
        ht_run_options options = on();
        options.outputs = &asked;
        options.n_outputs = 1;
        (void)take_calls();
        expect_with(p, mapped ? "{\"x\": [1]}" : "{\"x\": 1}", options,
                    mapped ? "{\"e\": \"e([a(1)])\"}" : "{\"e\": \"e(a(1))\"}");
        expect_calls("ae");
        asked = "unused";
        refuse_with(p, mapped ? "{\"x\": [1]}" : "{\"x\": 1}", options, HT_INVALID, "missing input: y");
        refuse_with(p, mapped ? "{\"x\": [1], \"y\": 2}" : "{\"y\": 2}", options, HT_FAILED, "z always fails");
        expect_calls("z");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void expect_seen(const ht_pipeline *p, const char *field, const char *json)
{
    ht_value seen;
    OK(ht_pipeline_inspect(p, &seen, &err));
    expect_json(field_of(seen, field), json);
    ht_value_release(seen);
}

static void case_22_what_is_bound_inside_is_hidden(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
        add(inner, "y=a(x,k,d=7)");
        OK(ht_pipeline_bind(inner, "k", ht_value_int(5), &err));
        expect_seen(inner, "inputs",
                    "[{\"name\": \"d\", \"required\": false, \"default\": 7}, "
                    "{\"name\": \"k\", \"required\": false, \"bound\": 5}, "
                    "{\"name\": \"x\", \"required\": true}]");
        nest(p, inner, AS_NODE(INPUTS({"n", "x"})));
        expect_seen(p, "inputs",
                    "[{\"name\": \"d\", \"required\": false, \"default\": 7}, "
                    "{\"name\": \"n\", \"required\": true}]");
        expect(p, "{\"n\": 1}", "{\"y\": \"a(1,5,7)\"}");
        refuse(p, "{\"n\": 1, \"k\": 3}", HT_NOT_FOUND, "unknown input 'k'; there is d, n");
        add(p, "b=b(k)"); /* the outer k is another one */
        expect(p, "{\"n\": 1, \"k\": 3}", "{\"b\": \"b(3)\", \"y\": \"a(1,5,7)\"}");
        OK(ht_pipeline_bind(p, "n", ht_value_int(2), &err));
        OK(ht_pipeline_bind(inner, "k", ht_value_int(6), &err)); /* later changes of the inner one are not seen */
        expect(p, "{\"k\": 3}", "{\"b\": \"b(3)\", \"y\": \"a(2,5,7)\"}");
        ht_pipeline_release(p);
        p = new_pipeline("mapped"); /* what is mapped is wanted from outside, bound or not */
        nest(p, inner, AS_NODE(OVER("k")));
        expect_seen(p, "inputs",
                    "[{\"name\": \"d\", \"required\": false, \"default\": 7}, "
                    "{\"name\": \"k\", \"required\": true}, {\"name\": \"x\", \"required\": true}]");
        expect(p, "{\"x\": 1, \"k\": [8, 9]}", "{\"y\": [\"a(1,8,7)\", \"a(1,9,7)\"]}");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static void case_23_the_run_s_cache_and_events_reach_inside(void **state)
{
    char dir[TEMP_DIR_CAP];
    (void)state;
    FOR_ENGINES
    {
        ht_cache *cache;
        ht_pipeline *inner = new_pipeline("inner"), *middle = new_pipeline("middle"), *p = new_pipeline("outer");
        temp_dir_make(dir);
        OK(ht_cache_open(dir, NULL, &cache, &err));
        OK(add_as(inner, KEPT, "y=a(x)"));
        nest(middle, inner, AS_NODE(OVER("x")));
        nest(p, middle, NULL);
        for (int round = 0; round < 2; round++) {
            counted c = {0};
            ht_run_options options = on();
            options.cache = cache;
            options.event = count_event;
            options.ud = &c;
            (void)take_calls();
            expect_with(p, "{\"x\": [1, 2, 3]}", options, "{\"y\": [\"a(1)\", \"a(2)\", \"a(3)\"]}");
            expect_calls(round ? "" : "aaa");
            assert_int_equal(c.cached, round ? 3 : 0);
            assert_int_equal(c.started, round ? 2 : 5); /* two pipelines, and what is not known inside */
            assert_int_equal(c.ended, c.started);
            assert_int_equal(c.maps, 1);
        }
        ht_cache_close(cache);
        temp_dir_remove(dir);
        ht_pipeline_release(p);
        ht_pipeline_release(middle);
        ht_pipeline_release(inner);
    }
}

static void case_23_what_a_nested_pipeline_sets_itself_holds_inside(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        for (size_t e = 0; e < HTI_LEN(engine_cases); e++) {
            ht_cache *kept, *outer;
            ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
            OK(ht_cache_memory(NULL, &kept, &err));
            OK(ht_cache_memory(NULL, &outer, &err));
            OK(add_as(inner, KEPT, "y=a(x)"));
            OK(add_as(inner, KEPT_DUAL, "z=b(y)"));
            const ht_nested_run own = {HT_DESC(ht_nested_run),
                                       .has_engine = true,
                                       .engine = engine_cases[e].engine,
                                       .n_workers = engine_cases[e].n_workers,
                                       .has_cache = true,
                                       .cache = kept};
            const char *const over[] = {"x"};
            const ht_as_node as = {HT_DESC(ht_as_node), .map_over = over, .n_map_over = 1, .own = &own};
            nest(p, inner, &as);
            OK(add_as(p, KEPT, "w=c(z)"));
            for (int round = 0; round < 2; round++) {
                counted c = {0};
                ht_run_options options = on();
                options.cache = outer;
                options.event = count_event;
                options.ud = &c;
                (void)take_calls();
                expect_with(p, "{\"x\": [1, 2]}", options,
                            "{\"y\": [\"a(1)\", \"a(2)\"], \"z\": [\"b(a(1))\", \"b(a(2))\"], "
                            "\"w\": \"c([b(a(1)),b(a(2))])\"}");
                assert_int_equal(count_calls(take_calls(), 'a'), round && e < 3 ? 0 : 2); /* memory stays here */
                assert_int_equal(c.maps, 1);
                assert_int_equal(c.cached, !round ? 0 : e < 3 ? 5 : 1);
                assert_int_equal(c.ended, c.started);
            }
            ht_cache_stats stats;
            OK(ht_cache_get_stats(outer, &stats, &err));
            assert_int_equal(stats.entries, 1); /* w alone */
            OK(ht_cache_get_stats(kept, &stats, &err));
            assert_int_equal(stats.entries, e < 3 ? 4 : 0);
            refuse_with(p, "{\"x\": [1, 13]}", on(), HT_FAILED, "in 'inner': node 'a', item 1: thirteen is refused");
            ht_cache_close(kept);
            ht_cache_close(outer);
            ht_pipeline_release(p);
            ht_pipeline_release(inner);
        }
    }
}

/* ---- binding ---- */

static void case_24_bound_values_add_up_and_are_overridden(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("bound");
        add(p, "y=a(u,v=7,w)");
        OK(ht_pipeline_bind(p, "u", ht_value_int(1), &err));
        refuse(p, "{}", HT_INVALID, "missing input: w");
        OK(ht_pipeline_bind(p, "w", ht_value_int(3), &err)); /* added to what is bound */
        expect(p, "{}", "{\"y\": \"a(1,7,3)\"}");
        OK(ht_pipeline_bind(p, "v", ht_value_int(2), &err)); /* wins over a default */
        OK(ht_pipeline_bind(p, "u", ht_value_int(4), &err)); /* and a later one over an earlier one */
        expect(p, "null", "{\"y\": \"a(4,2,3)\"}");
        expect(p, "{\"u\": 8, \"v\": null}", "{\"y\": \"a(8,null,3)\"}"); /* the run's own wins */
        expect(p, "null", "{\"y\": \"a(4,2,3)\"}");                       /* for that run */
        expect_seen(p, "inputs",
                    "[{\"name\": \"u\", \"required\": false, \"bound\": 4}, "
                    "{\"name\": \"v\", \"required\": false, \"bound\": 2, \"default\": 7}, "
                    "{\"name\": \"w\", \"required\": false, \"bound\": 3}]");
        assert_int_equal(ht_pipeline_bind(p, "nobody", ht_value_int(5), &err), HT_NOT_FOUND);
        assert_non_null(strstr(err.message, "pipeline 'bound': no node takes the input 'nobody'"));
        ht_pipeline_unbind(p, "nobody");
        ht_pipeline_unbind(p, "u");
        ht_pipeline_unbind(p, "v");
        refuse(p, "{}", HT_INVALID, "missing input: u");
        expect(p, "{\"u\": 1}", "{\"y\": \"a(1,7,3)\"}");
        add(p, "z=b(y)");
        OK(ht_pipeline_bind(p, "y", ht_value_int(6), &err)); /* a node's own output is no input of a run */
        refuse(p, "{\"u\": 1}", HT_INVALID, "input 'y' is what the node 'a' makes");
        ht_pipeline_release(p);
    }
}

int main(int argc, char **argv)
{
    const int code = cases_begin(argc, argv, NULL);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_13_single_zip_and_product_in_order),
        cmocka_unit_test(case_13_constants_are_not_copied),
        cmocka_unit_test(case_14_lengths_modes_and_nothing),
        cmocka_unit_test(case_15_tensors_are_mapped_by_rows),
        cmocka_unit_test(case_16_maps_with_outputs_and_bound_values),
        cmocka_unit_test(case_17_names_change_on_the_way_in_and_out),
        cmocka_unit_test(case_18_one_pipeline_twice),
        cmocka_unit_test(case_19_maps_inside_maps),
        cmocka_unit_test(case_19_lists_made_inside_are_mapped_inside),
        cmocka_unit_test(case_20_a_map_over_nothing_gives_empty_lists),
        cmocka_unit_test(case_21_unread_inner_outputs_are_pruned_unless_asked_for),
        cmocka_unit_test(case_22_what_is_bound_inside_is_hidden),
        cmocka_unit_test(case_23_the_run_s_cache_and_events_reach_inside),
        cmocka_unit_test(case_23_what_a_nested_pipeline_sets_itself_holds_inside),
        cmocka_unit_test(case_24_bound_values_add_up_and_are_overridden),
    };
    return cases_end(cmocka_run_group_tests(tests, NULL, NULL));
}
