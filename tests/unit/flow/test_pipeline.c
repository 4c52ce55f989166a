/*
 * test_pipeline.c - pipelines built and run by hand: wiring, pruning, maps, nesting, binding, and every refusal.
 */
#include "flow_test.h"

static char log_text[4000]; /* names of nodes as they ran */

/* ---- nodes: numbers in, numbers out; every run is logged ---- */

typedef struct worker {
    const char *name;
    size_t n_inputs, n_outputs;
    int n_runs;
} worker;

static int64_t sum_of(ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    int64_t sum = value.kind == HT_KIND_INT ? value.as.integer : 0;
    for (size_t i = 0; i < n; i++) sum += sum_of(items[i]);
    return sum;
}

static ht_status add_up(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    worker *w = self;
    int64_t sum = 0;
    (void)e;
    w->n_runs++;
    snprintf(log_text + strlen(log_text), sizeof log_text - strlen(log_text), "%s ", w->name);
    for (size_t i = 0; i < w->n_inputs; i++) sum = sum * 10 + sum_of(in[i]);
    for (size_t o = 0; o < w->n_outputs; o++) out[o] = ht_value_int(sum + (int64_t)o);
    return HT_OK;
}

static ht_status fail_always(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)out;
    e->status = HT_FAILED;
    snprintf(e->message, sizeof e->message, "no luck");
    return HT_FAILED;
}

/* "out,out2=name(in,in2=default)"; the worker must outlive the pipeline. */
static ht_status add(ht_pipeline *p, worker *w, const char *spec)
{
    static const ht_value seven = {HT_KIND_INT, {.integer = 7}};
    char text[200], *at = text, *inside, *save;
    ht_input inputs[8];
    const char *outputs[8];
    snprintf(text, sizeof text, "%s", spec);
    w->n_inputs = w->n_outputs = 0;
    w->n_runs = 0;
    char *left = strtok_r(at, "=", &save);
    char *name = strtok_r(NULL, "(", &save);
    inside = strtok_r(NULL, ")", &save);
    for (char *word = strtok_r(left, ",", &save); word; word = strtok_r(NULL, ",", &save))
        outputs[w->n_outputs++] = word;
    for (char *word = inside ? strtok_r(inside, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
        char *otherwise = strchr(word, '=');
        if (otherwise) *otherwise = '\0';
        inputs[w->n_inputs++] = (ht_input){word, otherwise ? &seven : NULL};
    }
    static char kept[64][32]; /* names for the log */
    static int n_kept;
    snprintf(kept[n_kept % 64], sizeof kept[0], "%s", name);
    w->name = kept[n_kept++ % 64];
    const ht_node_desc desc = {
        HT_DESC(ht_node_desc),     .name = name, .inputs = inputs,        .n_inputs = w->n_inputs, .outputs = outputs,
        .n_outputs = w->n_outputs, .self = w,    .forms = {.row = add_up}};
    return ht_pipeline_add_node(p, &desc, &err);
}

static void must_add(ht_pipeline *p, worker *w, const char *spec) { OK(add(p, w, spec)); }

/* Runs and compares the result with JSON. */
static void expect(const ht_pipeline *p, const char *inputs, const ht_run_options *options, const char *result)
{
    const ht_value in = from_json(inputs);
    ht_value out;
    log_text[0] = '\0';
    OK(options && options->n_map_over ? ht_pipeline_map(p, in, options, &out, &err)
                                      : ht_pipeline_run(p, in, options, &out, &err));
    expect_json(out, result);
    ht_value_release(in);
    ht_value_release(out);
}

/* Runs, must fail with the status, and the message must hold `words`. */
static void refuse(const ht_pipeline *p, const char *inputs, const ht_run_options *options, ht_status status,
                   const char *words)
{
    const ht_value in = from_json(inputs);
    ht_value out;
    const ht_status got = options && options->n_map_over ? ht_pipeline_map(p, in, options, &out, &err)
                                                         : ht_pipeline_run(p, in, options, &out, &err);
    assert_int_equal(got, status);
    if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
    ht_value_release(in);
}

/* ---- build and wiring (cases 2-8) ---- */

static void order_does_not_depend_on_the_list(void **state)
{
    static const char *const specs[] = {"d=d(b,c)", "b=b(a)", "c=c(a)", "a=a(x)"};
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}};
    (void)state;
    for (size_t o = 0; o < 3; o++) {
        worker w[4];
        ht_pipeline *p = new_pipeline("diamond");
        for (int i = 0; i < 4; i++) must_add(p, &w[orders[o][i]], specs[orders[o][i]]);
        expect(p, "{\"x\": 2}", NULL, "{\"a\": 2, \"b\": 2, \"c\": 2, \"d\": 22}");
        assert_string_equal(log_text, "a b c d ");
        assert_int_equal(w[3].n_runs, 1);
        ht_pipeline_release(p);
    }
}

static void several_outputs_feed_different_nodes(void **state)
{
    worker w[3];
    (void)state;
    ht_pipeline *p = new_pipeline("two");
    must_add(p, &w[0], "low,high=split(x)");
    must_add(p, &w[1], "l=left(low)");
    must_add(p, &w[2], "r=right(high)");
    expect(p, "{\"x\": 5}", NULL, "{\"low\": 5, \"high\": 6, \"l\": 5, \"r\": 6}");
    ht_pipeline_release(p);
}

static void duplicate_output_names_both_nodes(void **state)
{
    worker w[2];
    (void)state;
    ht_pipeline *p = new_pipeline("twice");
    must_add(p, &w[0], "a=first(x)");
    must_add(p, &w[1], "a=second(x)");
    refuse(p, "{\"x\": 1}", NULL, HT_EXISTS, "output 'a' is made by two nodes: 'first' and 'second'");
    ht_pipeline_release(p);
}

static void cycle_is_told_with_its_path(void **state)
{
    worker w[4];
    (void)state;
    ht_pipeline *p = new_pipeline("round");
    must_add(p, &w[0], "a=fa(c)");
    must_add(p, &w[1], "b=fb(a)");
    must_add(p, &w[2], "c=fc(b)");
    must_add(p, &w[3], "d=fd(c)");
    refuse(p, "{}", NULL, HT_INVALID, "has a cycle: ");
    assert_non_null(strstr(err.message, "fa <- fc <- fb"));
    assert_null(strstr(err.message, "fd"));
    ht_pipeline_release(p);
    p = new_pipeline("self");
    must_add(p, &w[0], "a=fa(a)");
    refuse(p, "{\"a\": 1}", NULL, HT_INVALID, "fa <- fa");
    ht_pipeline_release(p);
}

static void thousand_nodes_in_a_chain(void **state)
{
    (void)state;
    worker *w = calloc(1000, sizeof *w);
    ht_pipeline *p = new_pipeline("chain");
    for (int i = 0; i < 1000; i++) {
        char spec[64];
        snprintf(spec, sizeof spec, "v%d=n%d(v%d)", i + 1, i, i);
        must_add(p, &w[i], spec);
    }
    const char *last = "v1000";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &last, .n_outputs = 1};
    expect(p, "{\"v0\": 3}", &options, "{\"v1000\": 3}");
    ht_pipeline_release(p);
    free(w);
}

/* ---- run (cases 9-12) ---- */

static void all_missing_inputs_at_once(void **state)
{
    worker w[2];
    (void)state;
    ht_pipeline *p = new_pipeline("needs");
    must_add(p, &w[0], "a=fa(y,x,z=7)");
    must_add(p, &w[1], "b=fb(q)");
    refuse(p, "{\"y\": 1}", NULL, HT_INVALID, "missing inputs: q, x");
    const char *only = "a";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &only, .n_outputs = 1};
    refuse(p, "{\"y\": 1}", &options, HT_INVALID, "missing input: x");
    expect(p, "{\"y\": 1, \"x\": 2}", &options, "{\"a\": 127}");
    expect(p, "{\"y\": 1, \"x\": 2, \"z\": 3}", &options, "{\"a\": 123}");
    ht_pipeline_release(p);
}

static void only_what_is_asked_for_runs(void **state)
{
    worker w[3];
    (void)state;
    ht_pipeline *p = new_pipeline("pruned");
    must_add(p, &w[0], "a=fa(x)");
    must_add(p, &w[1], "b=fb(a)");
    must_add(p, &w[2], "c=fc(a)");
    const char *asked[] = {"c", "a"};
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = asked, .n_outputs = 2};
    expect(p, "{\"x\": 4}", &options, "{\"a\": 4, \"c\": 4}");
    assert_string_equal(log_text, "fa fc ");
    asked[0] = "nothing";
    refuse(p, "{\"x\": 4}", &options, HT_NOT_FOUND, "unknown output 'nothing'; there is a, b, c");
    refuse(p, "{\"x\": 4, \"u\": 1}", NULL, HT_NOT_FOUND, "unknown input 'u'; there is x");
    refuse(p, "{\"x\": 4, \"b\": 1}", NULL, HT_INVALID, "input 'b' is what the node 'fb' makes");
    refuse(p, "[1]", NULL, HT_INVALID, "inputs are a struct, not a list");
    ht_pipeline_release(p);
}

static void null_and_empty_are_values(void **state)
{
    worker w[1];
    (void)state;
    ht_pipeline *p = new_pipeline("nothing");
    must_add(p, &w[0], "a=fa(x,y=7)");
    expect(p, "{\"x\": null, \"y\": []}", NULL, "{\"a\": 0}");
    ht_pipeline_release(p);
}

/* ---- map (cases 13-16) ---- */

static void maps_zip_and_product(void **state)
{
    worker w[1];
    (void)state;
    ht_pipeline *p = new_pipeline("mapped");
    must_add(p, &w[0], "a=fa(x,y,c)");
    const char *over[] = {"x", "y"};
    ht_run_options options = {HT_DESC(ht_run_options), .map_over = over, .n_map_over = 1};
    expect(p, "{\"x\": [1, 2, 3], \"y\": 4, \"c\": 5}", &options, "[{\"a\": 145}, {\"a\": 245}, {\"a\": 345}]");
    options.n_map_over = 2;
    expect(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", &options, "[{\"a\": 135}, {\"a\": 245}]");
    options.map_mode = HT_MAP_PRODUCT;
    expect(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", &options,
           "[{\"a\": 135}, {\"a\": 145}, {\"a\": 235}, {\"a\": 245}]");
    over[0] = "y"; /* the last listed varies fastest, whatever the order of the inputs */
    over[1] = "x";
    expect(p, "{\"x\": [1, 2], \"y\": [3, 4], \"c\": 5}", &options,
           "[{\"a\": 135}, {\"a\": 235}, {\"a\": 145}, {\"a\": 245}]");
    expect(p, "{\"x\": [], \"y\": [3, 4], \"c\": 5}", &options, "[]");
    options.map_mode = HT_MAP_ZIP;
    refuse(p, "{\"x\": [1], \"y\": [3, 4], \"c\": 5}", &options, HT_INVALID, "differ in length: y: 2, x: 1");
    options.map_mode = (ht_map_mode)9;
    refuse(p, "{\"x\": [1], \"y\": [3], \"c\": 5}", &options, HT_INVALID, "the map mode is zip or product");
    options.map_mode = HT_MAP_ZIP;
    over[0] = "k";
    refuse(p, "{\"x\": [1], \"y\": [3], \"c\": 5}", &options, HT_NOT_FOUND, "map over an unknown input 'k'");
    over[0] = "c";
    refuse(p, "{\"x\": [1], \"y\": [3], \"c\": 5}", &options, HT_INVALID, "cannot map over 'c'");
    ht_pipeline_release(p);
}

static void tensors_are_mapped_by_rows(void **state)
{
    static const int64_t shape[] = {2, 2};
    static const float numbers[] = {1, 2, 3, 4};
    const char *over = "x", *name = "x";
    worker w[1];
    ht_value tensor, inputs, out;
    size_t n;
    (void)state;
    ht_pipeline *p = new_pipeline("rows");
    must_add(p, &w[0], "a=fa(x)");
    OK(ht_value_tensor(HT_F32, 2, shape, numbers, &tensor, &err));
    OK(ht_value_struct(&name, &tensor, 1, &inputs, &err));
    const ht_run_options options = {HT_DESC(ht_run_options), .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_map(p, inputs, &options, &out, &err));
    (void)ht_value_items(out, &n);
    assert_int_equal(n, 2);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_value_release(tensor);
    ht_pipeline_release(p);
}

/* ---- nesting (cases 17-22) and binding (24) ---- */

static void mappings_rename_and_filter(void **state)
{
    worker w[3];
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "mid=f(item,k)");
    must_add(inner, &w[1], "end=g(mid)");
    const ht_rename in[] = {{"items", "item"}}, out[] = {{"end", "ends"}};
    const char *over = "items";
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "each", .inputs = in,      .n_inputs = 1,
                           .outputs = out,      .n_outputs = 1, .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_add_pipeline(p, inner, &as, &err));
    must_add(p, &w[2], "total=sum(ends)");
    expect(p, "{\"items\": [1, 2], \"k\": 3}", NULL, "{\"ends\": [13, 23], \"total\": 36}");
    expect(p, "{\"items\": [], \"k\": 3}", NULL, "{\"ends\": [], \"total\": 0}");
    refuse(p, "{\"items\": 4, \"k\": 3}", NULL, HT_INVALID, "node 'each'");
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

static void wrong_mappings_are_refused(void **state)
{
    worker w[1];
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "mid=f(item)");
    const ht_rename in[] = {{"items", "itm"}}, out[] = {{"none", "ends"}};
    const char *over = "other";
    ht_as_node as = {HT_DESC(ht_as_node), .inputs = in, .n_inputs = 1};
    assert_int_equal(ht_pipeline_add_pipeline(p, inner, &as, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, "unknown inner input 'itm'; there is item"));
    as = (ht_as_node){HT_DESC(ht_as_node), .outputs = out, .n_outputs = 1};
    assert_int_equal(ht_pipeline_add_pipeline(p, inner, &as, &err), HT_NOT_FOUND);
    as = (ht_as_node){HT_DESC(ht_as_node), .map_over = &over, .n_map_over = 1};
    assert_int_equal(ht_pipeline_add_pipeline(p, inner, &as, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, "map_over 'other' is no input"));
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

static void one_pipeline_twice_and_two_deep(void **state)
{
    worker w[1];
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *middle = new_pipeline("middle"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "y=f(x)");
    for (int i = 0; i < 2; i++) {
        const ht_rename in[] = {{i ? "right" : "left", "x"}}, out[] = {{"y", i ? "r" : "l"}};
        const char *over = i ? "right" : "left";
        const ht_as_node as = {HT_DESC(ht_as_node), .name = over,   .inputs = in,      .n_inputs = 1,
                               .outputs = out,      .n_outputs = 1, .map_over = &over, .n_map_over = 1};
        OK(ht_pipeline_add_pipeline(middle, inner, &as, &err));
    }
    const char *over[] = {"left", "right"};
    const ht_as_node as = {HT_DESC(ht_as_node), .map_over = over, .n_map_over = 2, .map_mode = HT_MAP_PRODUCT};
    OK(ht_pipeline_add_pipeline(p, middle, &as, &err));
    expect(p, "{\"left\": [[1, 2], []], \"right\": [[3], [4, 5]]}", NULL,
           "{\"l\": [[1, 2], [1, 2], [], []], \"r\": [[3], [4, 5], [3], [4, 5]]}");
    ht_pipeline_release(p);
    ht_pipeline_release(middle);
    ht_pipeline_release(inner);
}

static void unread_inner_outputs_are_pruned_unless_asked_for(void **state)
{
    worker w[3];
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "used=fu(x)");
    must_add(inner, &w[1], "unused=fn(x)");
    OK(ht_pipeline_add_pipeline(p, inner, NULL, &err));
    must_add(p, &w[2], "end=fe(used)");
    const char *asked = "end";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &asked, .n_outputs = 1};
    expect(p, "{\"x\": 1}", &options, "{\"end\": 1}");
    assert_string_equal(log_text, "fu fe ");
    asked = "unused";
    expect(p, "{\"x\": 1}", &options, "{\"unused\": 1}");
    assert_string_equal(log_text, "fn ");
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

static void bound_inputs(void **state)
{
    worker w[1];
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "y=f(x,k)");
    OK(ht_pipeline_bind(inner, "k", ht_value_int(5), &err));
    assert_int_equal(ht_pipeline_bind(inner, "none", ht_value_int(5), &err), HT_NOT_FOUND);
    expect(inner, "{\"x\": 1}", NULL, "{\"y\": 15}");
    expect(inner, "{\"x\": 1, \"k\": 2}", NULL, "{\"y\": 12}"); /* the run's own wins */
    OK(ht_pipeline_add_pipeline(p, inner, NULL, &err));
    OK(ht_pipeline_bind(inner, "k", ht_value_int(6), &err)); /* not seen by the outer one */
    expect(p, "{\"x\": 1}", NULL, "{\"y\": 15}");
    refuse(p, "{\"x\": 1, \"k\": 3}", NULL, HT_NOT_FOUND, "unknown input 'k'");
    ht_pipeline_unbind(inner, "k");
    refuse(inner, "{\"x\": 1}", NULL, HT_INVALID, "missing input: k");
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

/* ---- failures ---- */

static void failure_names_node_and_item(void **state)
{
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    const ht_input input = {"x", NULL};
    const char *output = "y", *over = "x";
    const ht_node_desc desc = {HT_DESC(ht_node_desc),
                               .name = "breaks",
                               .inputs = &input,
                               .n_inputs = 1,
                               .outputs = &output,
                               .n_outputs = 1,
                               .forms = {.row = fail_always}};
    OK(ht_pipeline_add_node(inner, &desc, &err));
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "each", .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_add_pipeline(p, inner, &as, &err));
    refuse(p, "{\"x\": [1, 2]}", NULL, HT_FAILED, "in 'each': node 'breaks', item 0: no luck");
    const ht_run_options options = {HT_DESC(ht_run_options), .map_over = &over, .n_map_over = 1};
    refuse(p, "{\"x\": [[], [1, 2]]}", &options, HT_FAILED, "in 'each', item 1: node 'breaks', item 0: no luck");
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

static void nodes_that_cannot_be(void **state)
{
    (void)state;
    ht_pipeline *p = new_pipeline("refused");
    const ht_input inputs[] = {{"x", NULL}, {"x", NULL}};
    const char *outputs[] = {"a", "a"};
    ht_node_desc desc = {HT_DESC(ht_node_desc), .name = "n",        .inputs = inputs,
                         .n_inputs = 1,         .outputs = outputs, .n_outputs = 1};
    assert_int_equal(ht_pipeline_add_node(p, &desc, &err), HT_INVALID); /* no function */
    assert_non_null(strstr(err.message, "has no function"));
    desc.forms.row = fail_always;
    desc.n_inputs = 2;
    assert_int_equal(ht_pipeline_add_node(p, &desc, &err), HT_INVALID);
    desc.n_inputs = 1;
    desc.n_outputs = 2;
    assert_int_equal(ht_pipeline_add_node(p, &desc, &err), HT_EXISTS);
    desc.n_outputs = 0;
    assert_int_equal(ht_pipeline_add_node(p, &desc, &err), HT_INVALID);
    desc.n_outputs = 1;
    desc.name = "";
    assert_int_equal(ht_pipeline_add_node(p, &desc, &err), HT_INVALID);
    ht_pipeline_release(p);
}

/* ---- printing ---- */

static void plan_prints(void **state)
{
    worker w[2];
    ht_plan *plan;
    ht_writer *writer;
    size_t len;
    (void)state;
    ht_pipeline *inner = new_pipeline("inner"), *p = new_pipeline("outer");
    must_add(inner, &w[0], "y=f(x)");
    const char *over = "x", *given = "x";
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "each", .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_add_pipeline(p, inner, &as, &err));
    must_add(p, &w[1], "z=a\"quote(y)");
    OK(ht_plan_new(p, NULL, 0, &given, 1, &plan, &err));
    OK(ht_writer_new(&writer, &err));
    OK(ht_plan_print(plan, HT_PLAN_TEXT, writer, &err));
    const char *text = ht_writer_data(writer, &len);
    const char *should = "1. each(x) -> y  [pipeline over x]\n  2. f(x) -> y  [row]\n3. a\"quote(y) -> z  [row]\n";
    assert_int_equal(len, strlen(should));
    assert_memory_equal(text, should, len);
    ht_writer_clear(writer);
    OK(ht_plan_print(plan, HT_PLAN_JSON, writer, &err));
    text = ht_writer_data(writer, &len);
    ht_value parsed;
    OK(ht_value_from_json((ht_text){text, len}, &parsed, &err));
    ht_value_release(parsed);
    for (int format = HT_PLAN_MERMAID; format <= HT_PLAN_DOT; format++) {
        ht_writer_clear(writer);
        OK(ht_plan_print(plan, (ht_plan_format)format, writer, &err));
        text = ht_writer_data(writer, &len);
        assert_non_null(memmem(text, len, "a&#34;quote", 11));
    }
    ht_writer_free(writer);
    ht_plan_release(plan);
    ht_pipeline_release(p);
    ht_pipeline_release(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_depend_on_the_list),
        cmocka_unit_test(several_outputs_feed_different_nodes),
        cmocka_unit_test(duplicate_output_names_both_nodes),
        cmocka_unit_test(cycle_is_told_with_its_path),
        cmocka_unit_test(thousand_nodes_in_a_chain),
        cmocka_unit_test(all_missing_inputs_at_once),
        cmocka_unit_test(only_what_is_asked_for_runs),
        cmocka_unit_test(null_and_empty_are_values),
        cmocka_unit_test(maps_zip_and_product),
        cmocka_unit_test(tensors_are_mapped_by_rows),
        cmocka_unit_test(mappings_rename_and_filter),
        cmocka_unit_test(wrong_mappings_are_refused),
        cmocka_unit_test(one_pipeline_twice_and_two_deep),
        cmocka_unit_test(unread_inner_outputs_are_pruned_unless_asked_for),
        cmocka_unit_test(bound_inputs),
        cmocka_unit_test(failure_names_node_and_item),
        cmocka_unit_test(nodes_that_cannot_be),
        cmocka_unit_test(plan_prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
