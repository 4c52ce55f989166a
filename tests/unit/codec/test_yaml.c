/*
 * test_yaml.c - YAML trees against an independent reader, refusals and their places, getters, limits, no memory.
 *
 * libyaml's allocator cannot be set, but its functions can be replaced by a program that links it: here they lead
 * to the library's allocator, so that a sweep fails every allocation of libyaml and sees every leak.
 */
#include "codec/codec.h"

#include "os/os.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include <cmocka.h>

#include "fault_alloc.h"
#include "temp_dir.h"

HT_API void *yaml_malloc(size_t size);
HT_API void *yaml_realloc(void *ptr, size_t size);
HT_API void yaml_free(void *ptr);
HT_API yaml_char_t *yaml_strdup(const yaml_char_t *text);

void *yaml_malloc(size_t size) { return hti_alloc(size); }
void *yaml_realloc(void *ptr, size_t size) { return hti_realloc(ptr, size); }
void yaml_free(void *ptr) { hti_free(ptr); }
yaml_char_t *yaml_strdup(const yaml_char_t *text)
{
    const size_t size = strlen((const char *)text) + 1;
    yaml_char_t *copy = hti_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

enum { MAX_BYTES = 1 << 24 };

static ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

static hti_yaml *parsed(const char *text)
{
    hti_yaml *yaml;
    ht_error err = {0};
    if (hti_yaml_parse(text_of(text), "f", MAX_BYTES, &yaml, &err) != HT_OK) fail_msg("%s: %s", text, err.message);
    return yaml;
}

static void assert_refused_text(ht_text text, ht_status status, const char *message)
{
    hti_yaml *yaml = (hti_yaml *)1;
    ht_error err = {0};
    const ht_status got = hti_yaml_parse(text, "f", MAX_BYTES, &yaml, &err);
    assert_string_equal(err.message, message);
    assert_int_equal(got, status);
    assert_null(yaml);
}
static void assert_refused(const char *text, ht_status status, const char *message)
{
    assert_refused_text(text_of(text), status, message);
}

/* ---- against the golden trees ---- */

static const char *const kind_names[] = {"null", "bool", "int", "float", "string", "list", "map"};

static void assert_text(ht_text got, const json_t *wanted, const char *yaml)
{
    const size_t len = json_string_length(wanted);
    if (got.len != len || memcmp(got.data, json_string_value(wanted), len) != 0 || got.data[len] != '\0')
        fail_msg("%s\ngot \"%.*s\", wanted \"%s\"", yaml, (int)got.len, got.data, json_string_value(wanted));
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static void assert_scalar(const hti_yaml_node *node, const json_t *wanted, const char *yaml)
{
    switch (node->kind) {
    case HTI_YAML_BOOL: assert_int_equal(node->as.boolean, json_is_true(wanted)); break;
    case HTI_YAML_INT: assert_true(node->as.integer == json_integer_value(wanted)); break;
    case HTI_YAML_FLOAT: {
        const double number = strtod(json_string_value(wanted), NULL);
        if (isnan(number) ? !isnan(node->as.number) : bits_of(number) != bits_of(node->as.number))
            fail_msg("%s\ngot %.17g, wanted %s", yaml, node->as.number, json_string_value(wanted));
        break;
    }
    case HTI_YAML_STRING: assert_text(node->as.text, wanted, yaml); break;
    default: assert_true(json_is_null(wanted));
    }
}

/* Shared nodes stand where their anchor does, and so they do in the golden trees. Returns the nodes met. */
static size_t assert_tree(const hti_yaml_node *node, const json_t *wanted, const char *yaml)
{
    const char *kind = json_string_value(json_array_get(wanted, 0));
    const json_int_t line = json_integer_value(json_array_get(wanted, 1));
    const json_int_t column = json_integer_value(json_array_get(wanted, 2));
    const json_t *value = json_array_get(wanted, 3);
    const bool placed = line == 0 || (line == node->line && column == node->column); /* 0: nothing is written there */
    if (strcmp(kind, kind_names[node->kind]) != 0 || !placed)
        fail_msg("%s\ngot %s %u:%u, wanted %s %d:%d", yaml, kind_names[node->kind], node->line, node->column, kind,
                 (int)line, (int)column);
    if (node->kind < HTI_YAML_LIST) {
        assert_scalar(node, value, yaml);
        assert_int_equal(node->height, 0);
        return 1;
    }
    assert_int_equal(node->n, json_array_size(value));
    size_t n = 1;
    for (size_t i = 0; i < node->n; i++) {
        const json_t *child = json_array_get(value, i);
        const bool map = node->kind == HTI_YAML_MAP;
        if (map) {
            assert_text(node->as.entries[i].key, json_array_get(child, 0), yaml);
            assert_int_equal(node->as.entries[i].line, json_integer_value(json_array_get(child, 1)));
            assert_int_equal(node->as.entries[i].column, json_integer_value(json_array_get(child, 2)));
        }
        n += assert_tree(map ? node->as.entries[i].value : node->as.items[i], map ? json_array_get(child, 3) : child,
                         yaml);
    }
    assert_int_equal(node->n_nodes, n);
    return n;
}

static void test_golden(void **unused)
{
    (void)unused;
    json_t *cases;
    assert_int_equal(hti_json_load(HT_TEST_DATA "/golden_yaml/cases.json", 1 << 20, &cases, NULL), HT_OK);
    assert_true(json_array_size(cases) > 180);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(cases, i), "yaml"));
        hti_yaml *yaml = parsed(text);
        (void)assert_tree(hti_yaml_root(yaml), json_object_get(json_array_get(cases, i), "tree"), text);
        hti_yaml_free(yaml);
    }
    json_decref(cases);
}

/* ---- what is refused, and where ---- */

static void test_refused(void **unused)
{
    (void)unused;
    assert_refused("a: 1\nb: 2\n\"a\": 3\n", HT_PARSE, "f:3:1: key \"a\" stands twice, first in line 1");
    assert_refused("x:\n  - {b: 1, c: 2, b: 3}", HT_PARSE, "f:2:18: key \"b\" stands twice, first in line 2");
    assert_refused("[a]: 1", HT_PARSE, "f:1:1: a key must be a scalar, not a list");
    assert_refused("? {a: b}\n: 1", HT_PARSE, "f:1:3: a key must be a scalar, not a map");
    assert_refused("k: &k x\n*k : 1", HT_PARSE, "f:2:1: a key must be written out; *k is an alias");
    assert_refused("a: &a {x: 1}\nb:\n  <<: *a", HT_PARSE,
                   "f:3:3: a merge key (<<) is no YAML 1.2; write the keys out");
    assert_refused("a: !mine 1", HT_PARSE, "f:1:4: a tag that is none of !!null, !!bool, !!int, !!float, !!str");
    assert_refused("a: !!python/object/apply:os.system [x]", HT_PARSE, "f:1:4: a tag that is not !!seq");
    assert_refused("!!set {a, b}", HT_PARSE, "f:1:1: a tag that is not !!map");
    assert_refused("!!binary aGk=", HT_PARSE, "f:1:1: a tag that is none of !!null, !!bool, !!int, !!float, !!str");
    assert_refused("- !!int x", HT_PARSE, "f:1:3: the value does not fit its tag");
    assert_refused("!!int a: 1", HT_PARSE, "f:1:1: the value does not fit its tag");
    assert_refused("- !!float 0x10", HT_PARSE, "f:1:3: the value does not fit its tag");
    assert_refused("a\n---\nb", HT_PARSE, "f:2:1: a second document; a file holds one");
    assert_refused("--- a\n...\n---\n...", HT_PARSE, "f:3:1: a second document; a file holds one");
    assert_refused("a: *b", HT_PARSE, "f:1:4: alias *b has no anchor &b in front of it");
    assert_refused("- &a [1, *a]", HT_PARSE, "f:1:10: alias *a stands inside what it names");
    assert_refused("- &a x\n- &a {k: [*a]}", HT_PARSE, "f:2:11: alias *a stands inside what it names");
    assert_refused("n: 9223372036854775808", HT_LIMIT, "f:1:4: an integer beyond 64 bits; quote it if it is a text");
    assert_refused("n: 0xFFFFFFFFFFFFFFFF", HT_LIMIT, "f:1:4: an integer beyond 64 bits; quote it if it is a text");
    assert_refused("é: -1e999", HT_LIMIT, "f:1:4: a number beyond the range of a double; quote it if it is a text");
    assert_refused("a: [1, 2\nb: 3", HT_PARSE,
                   "f:2:2: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence");
    assert_refused("a: b: c", HT_PARSE, "f:1:5: not valid YAML: mapping values are not allowed in this context");
    assert_refused(
        "a:\n\t- b", HT_PARSE,
        "f:2:1: not valid YAML: found character that cannot start any token while scanning for the next token");
    assert_refused("\xEF\xBB\xBFok: 1\né\xC3(", HT_PARSE, "f:2:2: byte 0xc3 is no UTF-8; save the file as UTF-8");
    assert_refused_text((ht_text){"\xFF\xFE"
                                  "a\0",
                                  4},
                        HT_PARSE, "f:1:1: byte 0xff is no UTF-8; save the file as UTF-8");
    assert_refused("\xEF\xBB\xBF"
                   "a: 1\nbé: \x01",
                   HT_PARSE, "f:2:5: not valid YAML: control characters are not allowed (character U+0001)");
    assert_refused_text((ht_text){"a: \0", 4}, HT_PARSE,
                        "f:1:4: not valid YAML: control characters are not allowed (character U+0000)");
}

/* "[[[...]]]" of a depth. */
static char *nested(size_t depth)
{
    char *text = malloc(2 * depth + 1);
    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

static void test_depth(void **unused)
{
    (void)unused;
    char *text = nested(HTI_YAML_MAX_DEPTH);
    hti_yaml *yaml = parsed(text);
    assert_int_equal(hti_yaml_root(yaml)->height, HTI_YAML_MAX_DEPTH);
    hti_yaml_free(yaml);
    free(text);
    text = nested(HTI_YAML_MAX_DEPTH + 1);
    assert_refused(text, HT_LIMIT, "f:1:65: more than 64 lists and maps inside each other");
    free(text);
    text = nested(20000);
    assert_refused(text, HT_LIMIT, "f:1:65: more than 64 lists and maps inside each other");
    free(text);
}

/* Each line a list around the one before: deep through aliases alone. */
static char *chain(size_t n_links)
{
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_text(&text, "- &a0 x\n");
    for (size_t i = 1; i <= n_links; i++) hti_buffer_printf(&text, "- &a%zu [*a%zu]\n", i, i - 1);
    char *copy = strdup(text.data);
    hti_buffer_deinit(&text);
    assert_non_null(copy);
    return copy;
}

static void test_aliases(void **unused)
{
    (void)unused;
    char *text = chain(HTI_YAML_MAX_DEPTH - 1);
    hti_yaml *yaml = parsed(text);
    assert_int_equal(hti_yaml_root(yaml)->height, HTI_YAML_MAX_DEPTH);
    hti_yaml_free(yaml);
    free(text);
    text = chain(HTI_YAML_MAX_DEPTH);
    assert_refused(text, HT_LIMIT, "f:65:9: more than 64 lists and maps inside each other through *a63");
    free(text);
    /* Values: 10, 91, 820, 7381, 66430, 597871 and so on; the first *f goes beyond. */
    assert_refused("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                   "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
                   HT_LIMIT, "f:7:8: more than 1000000 values, counting what aliases repeat");
    yaml = parsed("- &a 1\n- &b [*a, 2]\n- *b\n- &k key: *b\n- *k\n- &a 5\n- *a\n");
    const hti_yaml_node *root = hti_yaml_root(yaml);
    assert_ptr_equal(root->as.items[1]->as.items[0], root->as.items[0]);
    assert_ptr_equal(root->as.items[2], root->as.items[1]);
    assert_int_equal(root->n_nodes, 1 + 1 + 3 + 3 + 4 + 1 + 1 + 1);
    assert_string_equal(root->as.items[4]->as.text.data, "key");
    assert_int_equal(root->as.items[6]->as.integer, 5);
    hti_yaml_free(yaml);
}

static void test_many(void **unused)
{
    (void)unused;
    hti_buffer text;
    hti_buffer_init(&text);
    for (size_t i = 0; i < 30000; i++) hti_buffer_printf(&text, "k%zu: %zu\n", i, i);
    hti_yaml *yaml = parsed(text.data);
    int64_t value = -1;
    assert_int_equal(hti_yaml_int(yaml, hti_yaml_root(yaml), "k29999", &value, NULL), HT_OK);
    assert_int_equal(value, 29999);
    hti_yaml_free(yaml);
    hti_buffer_text(&text, "k17: again\n");
    assert_refused(text.data, HT_PARSE, "f:30001:1: key \"k17\" stands twice, first in line 18");
    hti_buffer_deinit(&text);
}

static void test_small(void **unused)
{
    (void)unused;
    static const char *const nothing[] = {"", "# x\n", "\xEF\xBB\xBF", "---", "--- ~\n...\n"};
    for (size_t i = 0; i < HTI_LEN(nothing); i++) {
        hti_yaml *yaml = parsed(nothing[i]);
        assert_int_equal(hti_yaml_root(yaml)->kind, HTI_YAML_NULL);
        assert_int_equal(hti_yaml_root(yaml)->n_nodes, 1);
        hti_yaml_free(yaml);
    }
    hti_yaml *yaml;
    assert_int_equal(hti_yaml_parse((ht_text){NULL, 0}, "f", 0, &yaml, NULL), HT_OK);
    hti_yaml_free(yaml);
    ht_error err = {0};
    assert_int_equal(hti_yaml_parse(text_of("abc"), "f", 2, &yaml, &err), HT_LIMIT);
    assert_string_equal(err.message, "f:1:1: larger than 2 bytes");
    yaml = parsed("[! 12, ! ~, !!null ~, !!bool TRUE]");
    assert_string_equal(hti_yaml_root(yaml)->as.items[0]->as.text.data, "12");
    assert_string_equal(hti_yaml_root(yaml)->as.items[1]->as.text.data, "~");
    assert_int_equal(hti_yaml_root(yaml)->as.items[2]->kind, HTI_YAML_NULL);
    assert_true(hti_yaml_root(yaml)->as.items[3]->as.boolean);
    hti_yaml_free(yaml);
    yaml = parsed("\xEF\xBB\xBF"
                  "a: !!float 3");
    double real = 0;
    assert_int_equal(hti_yaml_root(yaml)->as.entries[0].column, 1);
    assert_int_equal(hti_yaml_root(yaml)->as.entries[0].value->kind, HTI_YAML_FLOAT);
    assert_int_equal(hti_yaml_real(yaml, hti_yaml_root(yaml), "a", &real, NULL), HT_OK);
    assert_true(real == 3.0);
    hti_yaml_free(yaml);
}

/* A host program may have set a locale with a decimal comma. */
static void test_locale(void **unused)
{
    (void)unused;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    for (size_t i = 0; i < HTI_LEN(names); i++)
        if (setlocale(LC_NUMERIC, names[i])) break;
    hti_yaml *yaml = parsed("x: 1.5");
    assert_true(hti_yaml_root(yaml)->as.entries[0].value->as.number == 1.5);
    hti_yaml_free(yaml);
    (void)setlocale(LC_NUMERIC, "C");
}

/* ---- getters ---- */

static const char settings[] = "threads: 4\nratio: 2.5\nfast: true\nname: x\nnone: ~\nnodes:\n  - a\nmore: {b: c}\n";

static void test_getters(void **unused)
{
    (void)unused;
    hti_yaml *yaml = parsed(settings);
    const hti_yaml_node *root = hti_yaml_root(yaml), *node;
    int64_t i = 7;
    double r = 7;
    bool b = false;
    ht_text t = {"y", 1};
    assert_int_equal(hti_yaml_int(yaml, root, "threads", &i, NULL), HT_OK);
    assert_int_equal(hti_yaml_real(yaml, root, "ratio", &r, NULL), HT_OK);
    assert_int_equal(hti_yaml_bool(yaml, root, "fast", &b, NULL), HT_OK);
    assert_int_equal(hti_yaml_text(yaml, root, "name", &t, NULL), HT_OK);
    assert_true(i == 4 && r == 2.5 && b && strcmp(t.data, "x") == 0);
    assert_int_equal(hti_yaml_real(yaml, root, "threads", &r, NULL), HT_OK);
    assert_true(r == 4.0);
    i = 9;
    assert_int_equal(hti_yaml_int(yaml, root, "none", &i, NULL), HT_OK);
    assert_int_equal(hti_yaml_int(yaml, root, "missing", &i, NULL), HT_OK);
    assert_int_equal(i, 9);
    assert_int_equal(hti_yaml_need(yaml, root, "nodes", HTI_YAML_LIST, &node, NULL), HT_OK);
    assert_string_equal(node->as.items[0]->as.text.data, "a");
    assert_int_equal(hti_yaml_get(yaml, root, "none", HTI_YAML_MAP, &node, NULL), HT_OK);
    assert_null(node);
    assert_non_null(hti_yaml_find(root, "none"));
    assert_null(hti_yaml_find(root, "non"));
    assert_null(hti_yaml_find(node ? node : root->as.entries[0].value, "none"));
    hti_yaml_free(yaml);
}

static void test_getter_messages(void **unused)
{
    (void)unused;
    hti_yaml *yaml = parsed(settings);
    const hti_yaml_node *root = hti_yaml_root(yaml), *node;
    ht_error err = {0};
    int64_t i = 7;
    bool b;
    ht_text t;
    assert_int_equal(hti_yaml_int(yaml, root, "name", &i, &err), HT_PARSE);
    assert_string_equal(err.message, "f:4:7: \"name\" must be an integer, not a string");
    assert_int_equal(hti_yaml_int(yaml, root, "ratio", &i, &err), HT_PARSE);
    assert_string_equal(err.message, "f:2:8: \"ratio\" must be an integer, not a number");
    assert_int_equal(i, 7);
    assert_int_equal(hti_yaml_bool(yaml, root, "nodes", &b, &err), HT_PARSE);
    assert_string_equal(err.message, "f:7:3: \"nodes\" must be true or false, not a list");
    assert_int_equal(hti_yaml_text(yaml, root, "fast", &t, &err), HT_PARSE);
    assert_string_equal(err.message, "f:3:7: \"fast\" must be a string, not a bool");
    assert_int_equal(hti_yaml_need(yaml, root, "gone", HTI_YAML_MAP, &node, &err), HT_PARSE);
    assert_string_equal(err.message, "f:1:1: the key \"gone\" is missing; it must be a map");
    assert_int_equal(hti_yaml_need(yaml, root, "none", HTI_YAML_LIST, &node, &err), HT_PARSE);
    assert_string_equal(err.message, "f:5:7: \"none\" must be a list, not null");
    assert_int_equal(hti_yaml_get(yaml, hti_yaml_find(root, "nodes")->value, "x", HTI_YAML_MAP, &node, &err), HT_PARSE);
    assert_string_equal(err.message, "f:7:3: a map with the key \"x\" must stand here, not a list");
    assert_int_equal(hti_yaml_fail(yaml, root, &err, "no node %d", 3), HT_PARSE);
    assert_string_equal(err.message, "f:1:1: no node 3");
    hti_yaml_free(yaml);
}

static void assert_unknown(const char *text, const char *message)
{
    static const char *const allowed[] = {"nodes", "inputs", "outputs", "cache", "batch_size", "id"};
    hti_yaml *yaml = parsed(text);
    ht_error err = {0};
    const ht_status status = hti_yaml_unknown_key(yaml, hti_yaml_root(yaml), allowed, HTI_LEN(allowed), &err);
    assert_string_equal(err.message, message);
    assert_int_equal(status, message[0] ? HT_PARSE : HT_OK);
    hti_yaml_free(yaml);
}

static void test_unknown_key(void **unused)
{
    (void)unused;
    assert_unknown("nodes: 1\nid: 2\n", "");
    assert_unknown("{}", "");
    assert_unknown("cache: 1\n  \nnoeds: 2", "f:3:1: unknown key \"noeds\"; did you mean \"nodes\"?");
    assert_unknown("{id: 1, input: 2}", "f:1:9: unknown key \"input\"; did you mean \"inputs\"?");
    assert_unknown("batchsize: 1", "f:1:1: unknown key \"batchsize\"; did you mean \"batch_size\"?");
    assert_unknown("Nodes: 1", "f:1:1: unknown key \"Nodes\"; did you mean \"nodes\"?");
    assert_unknown("zzz: 1", "f:1:1: unknown key \"zzz\"; allowed: nodes, inputs, outputs, cache, batch_size, id");
    assert_unknown("? ''\n: 1", "f:1:3: unknown key \"\"; allowed: nodes, inputs, outputs, cache, batch_size, id");
    assert_unknown("[id]", "f:1:1: this must be a map, not a list");
    char longer[200];
    (void)snprintf(longer, sizeof longer, "%0100d: 1", 7);
    assert_unknown(longer, "f:1:1: unknown key \"000000000000000000000000000000000000000000000000000000000000\"; "
                           "allowed: nodes, inputs, outputs, cache, batch_size, id");
}

/* ---- files and memory ---- */

static void test_load(void **unused)
{
    (void)unused;
    char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
    temp_dir_make(dir);
    (void)temp_dir_path(dir, "p.yaml", path);
    assert_int_equal(hti_replace_file(path, "a: [1\n", 6, NULL), HT_OK);
    hti_yaml *yaml;
    ht_error err = {0};
    char wanted[3 * TEMP_DIR_CAP];
    assert_int_equal(hti_yaml_load(path, 100, &yaml, &err), HT_PARSE);
    (void)snprintf(wanted, sizeof wanted, "%s:2:1: not valid YAML: ", path);
    assert_memory_equal(err.message, wanted, strlen(wanted));
    assert_int_equal(hti_yaml_load(path, 5, &yaml, &err), HT_LIMIT);
    assert_int_equal(hti_yaml_load("/nowhere/p.yaml", 5, &yaml, &err), HT_NOT_FOUND);
    assert_null(yaml);
    assert_int_equal(hti_replace_file(path, "a: [1]", 6, NULL), HT_OK);
    assert_int_equal(hti_yaml_load(path, 6, &yaml, &err), HT_OK);
    hti_yaml_free(yaml);
    temp_dir_remove(dir);
}

static ht_status parse_once(void *ud, ht_error *err)
{
    hti_yaml *yaml;
    HT_TRY(hti_yaml_parse(text_of(ud), "f", MAX_BYTES, &yaml, err));
    static const char *const allowed[] = {"k"};
    const ht_status status = hti_yaml_unknown_key(yaml, hti_yaml_root(yaml), allowed, 1, err);
    hti_yaml_free(yaml);
    return status == HT_PARSE ? HT_OK : status;
}

static void test_no_memory(void **unused)
{
    (void)unused;
    char block[] = "k: &a [1, 2.5, 'x', !!str y]\nmap: {a: *a, \"q\\u00e9\": !!int 3, ? long : ~}\nb: |\n  text\n\n"
                   "f: >\n  a\n  b\nl:\n- - &b c\n  - *b\n";
    for (int all = 0; all <= 1; all++) assert_true(fault_alloc_sweep(parse_once, block, all, 10000) > 80);
    static char directives[] = "%YAML 1.1\n%TAG !e! tag:yaml.org,2002:\n---\nk: !e!int 3\n";
    for (int all = 0; all <= 1; all++) assert_true(fault_alloc_sweep(parse_once, directives, all, 10000) > 10);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_refused), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_aliases),     cmocka_unit_test(test_many),    cmocka_unit_test(test_small),
        cmocka_unit_test(test_locale),      cmocka_unit_test(test_getters), cmocka_unit_test(test_getter_messages),
        cmocka_unit_test(test_unknown_key), cmocka_unit_test(test_load),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
