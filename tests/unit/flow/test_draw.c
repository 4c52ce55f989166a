/*
 * test_draw.c - drawn plans read back: well-formed, everything there, nothing overlaps, the same bytes each time.
 */
#include "base/base.h"
#include "fault_alloc.h"
#include "flow/draw_int.h"
#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;

/* ---- pipelines ---- */

static ht_status nothing(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)e;
    out[0] = ht_value_int(1);
    return HT_OK;
}

/* A node with inputs named in a list that ends with NULL. */
static ht_status add(ht_pipeline *p, const char *name, const char *output, const char *const *names, ht_error *e)
{
    ht_input inputs[8];
    size_t n = 0;
    for (; names[n]; n++) inputs[n] = (ht_input){names[n], NULL};
    const ht_node_desc desc = {HT_DESC(ht_node_desc),
                               .name = name,
                               .inputs = inputs,
                               .n_inputs = n,
                               .outputs = &output,
                               .n_outputs = 1,
                               .summary = "says <b>\"nothing\"</b> & more",
                               .forms = {.row = nothing}};
    return ht_pipeline_add_node(p, &desc, e);
}
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char hostile[] = "a<b>&\"'</script>]]>\x01\xFF\xEF\xBF\xBE"
                              "ok";

/* Two levels inside, both mapped; inputs of every mark; one name that is out to break the page. */
static ht_status build(ht_pipeline **out, ht_error *e)
{
    ht_pipeline *deep = NULL, *inner = NULL, *outer = NULL;
    const char *over = "ys", *over_x = "xs";
    const ht_rename to_y = {"ys", "y"}, to_x = {"xs", "x"};
    const ht_as_node as_deep = {HT_DESC(ht_as_node), .name = "deep",    .inputs = &to_y,
                                .n_inputs = 1,       .map_over = &over, .n_map_over = 1};
    const ht_as_node as_inner = {HT_DESC(ht_as_node), .name = "inner",     .inputs = &to_x,
                                 .n_inputs = 1,       .map_over = &over_x, .n_map_over = 1};
    *out = NULL;
    ht_status status = ht_pipeline_new("deep", &deep, e);
    if (status == HT_OK) status = ht_pipeline_new("inner", &inner, e);
    if (status == HT_OK) status = ht_pipeline_new(hostile, &outer, e);
    if (status == HT_OK) status = add(deep, "double", "z", NAMES("y", "k"), e);
    if (status == HT_OK) status = add(inner, "split", "ys", NAMES("x"), e);
    if (status == HT_OK) status = ht_pipeline_add_pipeline(inner, deep, &as_deep, e);
    if (status == HT_OK) status = add(outer, "load", "xs", NAMES("path"), e);
    if (status == HT_OK) status = ht_pipeline_add_pipeline(outer, inner, &as_inner, e);
    if (status == HT_OK) status = add(outer, hostile, "end", NAMES("z", "path", "given"), e);
    if (status == HT_OK) status = add(outer, "late", "last", NAMES("end", "xs"), e);
    if (status == HT_OK) status = ht_pipeline_bind(outer, "k", ht_value_int(7), e);
    if (status == HT_OK) status = ht_pipeline_bind(outer, "path", ht_value_int(8), e);
    ht_pipeline_release(deep);
    ht_pipeline_release(inner);
    if (status == HT_OK)
        *out = outer;
    else
        ht_pipeline_release(outer);
    return status;
}

static ht_status plan_of(ht_pipeline *p, bool given, ht_plan **out, ht_error *e)
{
    static const char *const names[] = {"given"};
    return ht_plan_new(p, NULL, 0, names, given, out, e);
}

static ht_plan *built(void)
{
    ht_pipeline *p = NULL;
    ht_plan *plan = NULL;
    if (build(&p, &err) != HT_OK || plan_of(p, true, &plan, &err) != HT_OK) fail_msg("%s", err.message);
    ht_pipeline_release(p);
    return plan;
}

/* The text, to be freed; NUL-terminated. */
static char *drawn(const ht_plan *plan, ht_draw_options options)
{
    ht_writer *writer;
    size_t len;
    options.size = sizeof options;
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    if (ht_plan_draw(plan, &options, writer, &err) != HT_OK) fail_msg("%s", err.message);
    const char *data = ht_writer_data(writer, &len);
    char *text = malloc(len + 1);
    assert_non_null(text);
    memcpy(text, data, len);
    text[len] = '\0';
    assert_int_equal(strlen(text), len);
    ht_writer_free(writer);
    return text;
}

/* ---- reading a picture ---- */

typedef struct box {
    int parent; /* the item around it, -1: none */
    double x, y, width, height;
    char id[16], class_name[32];
} box;

typedef struct line {
    int parent;
    const char *path;
} line;
static line lines[5000];
static size_t n_lines;

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

static void attribute(const char *tag, const char *name, char *out, size_t cap)
{
    char head[24];
    snprintf(head, sizeof head, " %s=\"", name);
    const char *at = strstr(tag, head), *end = strchr(tag, '>');
    out[0] = '\0';
    if (!at || at > end) return;
    at += strlen(head);
    snprintf(out, cap, "%.*s", (int)strcspn(at, "\""), at);
}

static double number(const char **at)
{
    char *end;
    const double value = strtod(*at, &end);
    assert_true(end > *at);
    *at = end;
    return value;
}

/*
 * Walks the tags from the first <svg: every one is closed by its own name, no text has a bare "<" or "&" that is no
 * number. Collects the items with their boxes in the drawing's coordinates, and the lines.
 */
static size_t read_boxes(const char *text, box *boxes, size_t cap)
{
    n_lines = 0;
    char names[200][12], value[40];
    int items[200];
    size_t n = 0, depth = 0;
    const char *at = strstr(text, "<svg");
    for (; at && *at; at += strcspn(at, "<&")) {
        if (*at == '&') {
            assert_true(at[1] == '#' && strcspn(at, ";") < 7);
            at++;
            continue;
        }
        char name[12] = "";
        const size_t len = strcspn(at + 1, " >/\n");
        const char *end = strchr(at, '>');
        assert_non_null(end);
        assert_true(len < sizeof name || at[1] == '/');
        if (at[1] == '/') {
            assert_true(depth > 0);
            if (depth-- == 0) return n; /* for analyzers, which do not know that the line above ends it */
            assert_int_equal(strncmp(at + 2, names[depth], strlen(names[depth])), 0);
            if (depth == 0) break; /* </svg> */
            at = end;
            continue;
        }
        memcpy(name, at + 1, len);
        attribute(at, "class", value, sizeof value);
        int around = depth ? items[depth - 1] : -1;
        if (!strcmp(value, "line") && n_lines < HTI_LEN(lines))
            lines[n_lines++] = (line){around, strstr(at, " d=\"M") + 5};
        if (!strncmp(value, "item", 4)) {
            assert_true(n < cap);
            box *b = &boxes[n];
            *b = (box){.parent = around};
            snprintf(b->class_name, sizeof b->class_name, "%.31s", value);
            attribute(at, "id", b->id, sizeof b->id);
            attribute(at, "transform", value, sizeof value);
            const char *place = value + strlen("translate(");
            b->x = number(&place);
            b->y = number(&place);
            if (around >= 0) {
                b->x += boxes[around].x;
                b->y += boxes[around].y;
            }
            around = (int)n++;
        } else if (!strcmp(value, "card") && around >= 0 && boxes[around].width == 0) {
            attribute(at, "width", value, sizeof value);
            boxes[around].width = strtod(value, NULL);
            attribute(at, "height", value, sizeof value);
            boxes[around].height = strtod(value, NULL);
        }
        at = end;
        if (end[-1] == '/') continue;
        assert_true(depth < 200);
        memcpy(names[depth], name, sizeof name);
        items[depth++] = around;
    }
    assert_int_equal(depth, 0);
    return n;
}

static bool apart(const box *a, const box *b)
{
    return a->x + a->width <= b->x || b->x + b->width <= a->x || a->y + a->height <= b->y || b->y + b->height <= a->y;
}

static bool is_port(const box *b) { return strstr(b->class_name, "port") != NULL; }

/* Boxes beside each other keep apart, inner ones stand inside. */
static void check_boxes(const box *boxes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const box *in = boxes[i].parent < 0 ? NULL : &boxes[boxes[i].parent];
        if (is_port(&boxes[i])) continue;
        assert_true(boxes[i].width > 0 && boxes[i].height > 0);
        if (in) {
            assert_true(boxes[i].x >= in->x && boxes[i].x + boxes[i].width <= in->x + in->width);
            assert_true(boxes[i].y >= in->y && boxes[i].y + boxes[i].height <= in->y + in->height);
        }
        for (size_t k = 0; k < i; k++)
            if (boxes[k].parent == boxes[i].parent && !is_port(&boxes[k])) assert_true(apart(&boxes[i], &boxes[k]));
    }
}

/* No box of its level around the point, but at its rim, where lines begin and end. */
static void check_point(const box *boxes, size_t n, int parent, double x, double y)
{
    if (parent >= 0) {
        x += boxes[parent].x;
        y += boxes[parent].y;
    }
    for (size_t i = 0; i < n; i++) {
        const box *b = &boxes[i];
        if (b->parent != parent || is_port(b)) continue;
        assert_false(x > b->x + 1 && x < b->x + b->width - 1 && y > b->y + 1 && y < b->y + b->height - 1);
    }
}

/* Follows every line in steps of a few pixels. */
static void check_lines(const box *boxes, size_t n)
{
    assert_true(n_lines > 0);
    for (size_t i = 0; i < n_lines; i++) {
        const char *at = lines[i].path;
        double from[2], to[6];
        for (int k = 0; k < 2; k++) from[k] = number(&at);
        while (*at != '"') {
            const char kind = *at++;
            assert_non_null(strchr("CHV", kind));
            for (int k = 0; k < 6; k++) to[k] = kind == 'C' ? number(&at) : from[k % 2];
            if (kind != 'C') to[kind == 'V'] = to[2 + (kind == 'V')] = to[4 + (kind == 'V')] = number(&at);
            for (int step = 0; step <= 64; step++) {
                const double t = step / 64.0, s = 1 - t, a = s * s * s, b = 3 * s * s * t, c = 3 * s * t * t,
                             d = t * t * t;
                check_point(boxes, n, lines[i].parent, a * from[0] + b * to[0] + c * to[2] + d * to[4],
                            a * from[1] + b * to[1] + c * to[3] + d * to[5]);
            }
            memcpy(from, to + 4, sizeof from);
        }
    }
}

/* ---- tests ---- */

static void everything_is_there_and_in_its_place(void **state)
{
    ht_plan *plan = built();
    static box boxes[100];
    (void)state;
    for (int orient = 0; orient < 2; orient++) {
        char *text = drawn(plan, (ht_draw_options){.orient = (ht_draw_orient)orient});
        const size_t n = read_boxes(text, boxes, 100);
        check_boxes(boxes, n);
        check_lines(boxes, n);
        assert_int_equal(count(text, "class=\"item node\""), 5);
        assert_int_equal(count(text, "class=\"item nested open"), 2);
        /* outside: path, k, given; inner: x, k; deep: y and k, which have one reader */
        assert_int_equal(count(text, "class=\"item in\""), 3 + 2 + 1);
        assert_int_equal(count(text, "class=\"item out\""), 2);      /* last, ys */
        assert_int_equal(count(text, "class=\"item port\""), 2 + 1); /* ys, z; z */
        /* outside: 4 of inputs, 4 between nodes, 2 to results; inner: 3 and 2; deep: 1 and 1 */
        assert_int_equal(count(text, "class=\"edge\""), 10 + 5 + 2);
        assert_int_equal(count(text, "for each x in xs"), 1);
        assert_int_equal(count(text, "for each y in ys"), 1);
        assert_int_equal(count(text, "<tspan class=\"t\">k</tspan> = 7<"), 1);
        assert_int_equal(count(text, "http"), 1); /* the name space */
        free(text);
    }
    ht_plan_release(plan);
}

static void closed_pipelines_hide_what_they_hold(void **state)
{
    ht_plan *plan = built();
    static const size_t n_nodes[] = {5, 3, 4, 5};
    (void)state;
    for (uint32_t depth = 0; depth < 4; depth++) {
        static box boxes[100];
        char *text = drawn(plan, (ht_draw_options){.depth = depth});
        check_boxes(boxes, read_boxes(text, boxes, 100));
        assert_int_equal(count(text, "class=\"item node\""), n_nodes[depth]);
        free(text);
        text = drawn(plan, (ht_draw_options){.depth = depth, .format = HT_DRAW_HTML});
        (void)read_boxes(text, boxes, 100);
        assert_int_equal(count(text, "class=\"item node\""), 5); /* a page has all, to open it */
        free(text);
    }
    ht_plan_release(plan);
}

static void names_stay_names(void **state)
{
    ht_plan *plan = built();
    (void)state;
    for (int format = 0; format < 2; format++) {
        char *text = drawn(plan, (ht_draw_options){.format = (ht_draw_format)format});
        assert_int_equal(count(text, "</script"), format); /* the page's own */
        assert_int_equal(count(text, "<b>"), 0);
        assert_int_equal(count(text, "\x01"), 0);
        assert_int_equal(count(text, "\xFF"), 0);
        assert_true(
            count(text, "a&#60;b&#62;&#38;&#34;&#39;&#60;/script&#62;]]&#62;\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDok") >=
            2);
        free(text);
    }
    char *text = drawn(plan, (ht_draw_options){.title = "<i>\"t\" & u", .style = HT_DRAW_AUTO});
    assert_int_equal(count(text, "&#60;i&#62;&#34;t&#34; &#38; u"), 2);
    assert_int_equal(count(text, "prefers-color-scheme"), 1);
    free(text);
    ht_plan_release(plan);
}

static void long_names_are_cut_inside_their_boxes(void **state)
{
    char name[400];
    ht_pipeline *p;
    ht_plan *plan;
    static box boxes[10];
    (void)state;
    memset(name, 'W', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(ht_pipeline_new("p", &p, &err), HT_OK);
    assert_int_equal(add(p, name, "a", NAMES("given"), &err), HT_OK);
    assert_int_equal(plan_of(p, true, &plan, &err), HT_OK);
    char *text = drawn(plan, (ht_draw_options){HT_DESC(ht_draw_options)});
    const size_t n = read_boxes(text, boxes, 10);
    for (size_t i = 0; i < n; i++) assert_true(boxes[i].width < 400);
    const char *cut = strstr(text, "class=\"t n\"");
    assert_non_null(cut);
    cut = strchr(cut, '>') + 1;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(cut, "<"), cut);
    assert_non_null(strstr(name, "\xE2\x80\xA6"));
    assert_true(hti_draw_width(name, HTI_DRAW_TITLE, true) <= HTI_DRAW_LABEL);
    free(text);
    ht_plan_release(plan);
    ht_pipeline_release(p);
}

/* n nodes; each reads the one before, or up to three of those before at random. */
static ht_plan *many(size_t n, bool chain, uint64_t seed)
{
    ht_pipeline *p;
    ht_plan *plan;
    char name[32], output[32], reads[3][32];
    assert_int_equal(ht_pipeline_new("many", &p, &err), HT_OK);
    for (size_t i = 0; i < n; i++) {
        const char *names[4] = {"given", NULL, NULL, NULL};
        size_t k = 0, wanted = i == 0 ? 0 : chain ? 1 : 1 + hti_random_next(&seed) % 3;
        for (size_t r = 0; r < wanted; r++) {
            const size_t from = chain ? i - 1 : hti_random_next(&seed) % i;
            snprintf(reads[k], sizeof reads[k], "v%zu", from);
            bool twice = false;
            for (size_t q = 0; q < k; q++) twice |= !strcmp(reads[q], reads[k]);
            if (!twice) names[k] = reads[k];
            k += !twice;
        }
        snprintf(name, sizeof name, "node%zu", i);
        snprintf(output, sizeof output, "v%zu", i);
        assert_int_equal(add(p, name, output, names, &err), HT_OK);
    }
    if (plan_of(p, true, &plan, &err) != HT_OK) fail_msg("%s", err.message);
    ht_pipeline_release(p);
    return plan;
}

static void check_fast(const ht_plan *plan, size_t n_nodes)
{
    static box boxes[3000];
    uint64_t best = UINT64_MAX;
    char *text = NULL;
    for (int i = 0; i < 5; i++) {
        free(text);
        const uint64_t start = hti_clock_ns();
        text = drawn(plan, (ht_draw_options){HT_DESC(ht_draw_options)});
        best = HTI_MIN(best, hti_clock_ns() - start);
    }
    print_message("%zu nodes: %.1f ms\n", n_nodes, (double)best * 1e-6);
    assert_int_equal(count(text, "class=\"item node\""), n_nodes);
    check_boxes(boxes, read_boxes(text, boxes, 3000));
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(best < 100 * 1000000);
#endif
    free(text);
}

static void large_graphs_are_fast(void **state)
{
    ht_plan *chain = many(1000, true, 1), *graph = many(200, false, 7);
    (void)state;
    check_fast(chain, 1000);
    check_fast(graph, 200);
    ht_plan_release(chain);
    ht_plan_release(graph);
}

static void lines_and_boxes_keep_apart(void **state)
{
    static box boxes[1000];
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        ht_plan *plan = many(2 + seed, false, seed);
        for (int orient = 0; orient < 2; orient++) {
            const ht_draw_options options = {.orient = (ht_draw_orient)orient};
            char *text = drawn(plan, options), *again = drawn(plan, options);
            assert_string_equal(text, again);
            const size_t n = read_boxes(text, boxes, 1000);
            check_boxes(boxes, n);
            check_lines(boxes, n);
            free(text);
            free(again);
        }
        ht_plan_release(plan);
    }
}

static void times_of_a_run_stand_on_the_nodes(void **state)
{
    ht_pipeline *p;
    ht_plan *plan;
    ht_value out;
    ht_run_options options = {HT_DESC(ht_run_options)};
    (void)state;
    assert_int_equal(ht_pipeline_new("p", &p, &err), HT_OK);
    assert_int_equal(add(p, "first", "a", NAMES("x"), &err), HT_OK);
    assert_int_equal(add(p, "second", "b", NAMES("a"), &err), HT_OK);
    assert_int_equal(ht_pipeline_bind(p, "x", ht_value_int(1), &err), HT_OK);
    assert_int_equal(ht_trace_new(0, &options.trace, &err), HT_OK);
    assert_int_equal(ht_pipeline_run(p, ht_value_null(), &options, &out, &err), HT_OK);
    assert_int_equal(plan_of(p, false, &plan, &err), HT_OK);
    char *text = drawn(plan, (ht_draw_options){.trace = options.trace});
    assert_int_equal(count(text, ">1 call \xC2\xB7 "), 2);
    free(text);
    text = drawn(plan, (ht_draw_options){HT_DESC(ht_draw_options)});
    assert_int_equal(count(text, "1 call"), 0);
    free(text);
    ht_value_release(out);
    ht_trace_free(options.trace);
    ht_plan_release(plan);
    ht_pipeline_release(p);
}

static void bad_options_and_empty_plans(void **state)
{
    ht_pipeline *p;
    ht_plan *plan;
    ht_writer *writer;
    const ht_draw_options bad[] = {{0},
                                   {HT_DESC(ht_draw_options), .format = (ht_draw_format)9},
                                   {HT_DESC(ht_draw_options), .orient = (ht_draw_orient)9},
                                   {HT_DESC(ht_draw_options), .style = (ht_draw_style)9}};
    static box boxes[4];
    (void)state;
    assert_int_equal(ht_pipeline_new("empty", &p, &err), HT_OK);
    assert_int_equal(plan_of(p, false, &plan, &err), HT_OK);
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    for (size_t i = 0; i < HTI_LEN(bad); i++) assert_int_equal(ht_plan_draw(plan, &bad[i], writer, &err), HT_INVALID);
    assert_int_equal(ht_plan_draw(plan, NULL, writer, &err), HT_OK);
    for (int format = 0; format < 2; format++) {
        char *text = drawn(plan, (ht_draw_options){.format = (ht_draw_format)format});
        assert_int_equal(read_boxes(text, boxes, 4), 0);
        free(text);
    }
    ht_writer_free(writer);
    ht_plan_release(plan);
    ht_pipeline_release(p);
}

static ht_status build_and_draw(void *ud, ht_error *e)
{
    ht_pipeline *p = NULL;
    ht_plan *plan = NULL;
    ht_writer *writer = NULL;
    const ht_draw_options options = {HT_DESC(ht_draw_options), .format = *(const ht_draw_format *)ud, .depth = 2};
    ht_status status = build(&p, e);
    if (status == HT_OK) status = plan_of(p, true, &plan, e);
    if (status == HT_OK) status = ht_writer_new(&writer, e);
    if (status == HT_OK) status = ht_plan_draw(plan, &options, writer, e);
    ht_writer_free(writer);
    ht_plan_release(plan);
    ht_pipeline_release(p);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (int format = 0; format < 2; format++)
        for (int all_after = 0; all_after < 2; all_after++) {
            ht_draw_format wanted = (ht_draw_format)format;
            bool reached_end;
            const uint64_t refused = fault_alloc_sweep_by(build_and_draw, &wanted, all_after, 1, 5000, &reached_end);
            print_message("%llu runs refused\n", (unsigned long long)refused);
            assert_true(reached_end);
            assert_true(refused > 50);
        }
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_is_there_and_in_its_place),
                                       cmocka_unit_test(closed_pipelines_hide_what_they_hold),
                                       cmocka_unit_test(names_stay_names),
                                       cmocka_unit_test(long_names_are_cut_inside_their_boxes),
                                       cmocka_unit_test(large_graphs_are_fast),
                                       cmocka_unit_test(lines_and_boxes_keep_apart),
                                       cmocka_unit_test(times_of_a_run_stand_on_the_nodes),
                                       cmocka_unit_test(bad_options_and_empty_plans),
                                       cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
