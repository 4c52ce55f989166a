/*
 * flow_test.h - what every test of pipelines wants: calls that must succeed, values in short, pipelines, events.
 */
#ifndef HT_TESTS_FLOW_TEST_H
#define HT_TESTS_FLOW_TEST_H

#include "base/base.h"
#include "os/os.h"

#include <houndstooth/registry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;

#define OK(call)                                          \
    do {                                                  \
        if ((call) != HT_OK) fail_msg("%s", err.message); \
    } while (0)

/* ---- values ---- */

static inline ht_value from_json(const char *json)
{
    ht_value value;
    OK(ht_value_from_json((ht_text){json, strlen(json)}, &value, &err));
    return value;
}

/* first, first + 1, ... */
static inline ht_value numbers_from(int64_t first, size_t n)
{
    ht_value *items = calloc(n + 1, sizeof *items), list;
    for (size_t i = 0; i < n; i++) items[i] = ht_value_int(first + (int64_t)i);
    OK(ht_value_list_take(items, n, &list, &err));
    free(items);
    return list;
}

/* {name: value}; takes the value. */
static inline ht_value struct_of(const char *name, ht_value value)
{
    ht_value made;
    OK(ht_value_struct(&name, &value, 1, &made, &err));
    ht_value_release(value);
    return made;
}

/* A field that must be there, borrowed. */
static inline ht_value field_of(ht_value value, const char *name)
{
    ht_value found = ht_value_null();
    if (!ht_value_field(value, name, &found)) fail_msg("no field '%s'", name);
    return found;
}

static inline int64_t int_of(ht_value value, const char *name)
{
    const ht_value found = field_of(value, name);
    assert_int_equal(found.kind, HT_KIND_INT);
    return found.as.integer;
}

static inline void expect_json(ht_value is, const char *json)
{
    const ht_value should = from_json(json);
    if (!ht_value_equal(is, should)) {
        char text[1000];
        ht_value_describe(is, text, sizeof text);
        fail_msg("%s, not %s", text, json);
    }
    ht_value_release(should);
}

/* ---- pipelines ---- */

static inline ht_pipeline *new_pipeline(const char *name)
{
    ht_pipeline *p;
    OK(ht_pipeline_new(name, &p, &err));
    return p;
}

/* A pipeline of one node, or none. */
static inline ht_pipeline *pipeline_of(const ht_node_desc *desc)
{
    ht_pipeline *p = new_pipeline("test");
    if (desc) OK(ht_pipeline_add_node(p, desc, &err));
    return p;
}

/* ---- events ---- */

typedef struct counted {
    int started, ended, failed, cached, batches, warnings, maps;
} counted;

static inline void count_event(void *ud, const ht_event *event)
{
    counted *c = ud;
    c->started += event->kind == HT_EVENT_NODE_START;
    c->ended += event->kind == HT_EVENT_NODE_END;
    c->failed += event->kind == HT_EVENT_NODE_ERROR;
    c->cached += event->kind == HT_EVENT_NODE_CACHED;
    c->batches += event->kind == HT_EVENT_BATCH;
    c->warnings += event->kind == HT_EVENT_WARNING;
    c->maps += event->kind == HT_EVENT_MAP_START;
}

#endif
