/*
 * series_infer.c - the one type that all values of a column fit, found in one walk.
 *
 * A guess starts as "null" and is widened by each value; lists and structs widen the guesses of their children. What
 * fits nothing, or what only an object can hold (tensors of several dimensions, opaque ones), ends the walk.
 */
#include "series_int.h"
#include "value_int.h"

#include <string.h>

typedef struct guess {
    hti_growing *type;
    hti_arena *arena;
    uint32_t depth;
} guess;

/* HT_OK: widened; HT_UNSUPPORTED: no type fits. */
static ht_status widen(guess g, ht_value value);

static ht_status become(guess g, hti_arrow_type type, int64_t n_children)
{
    if (g.type->type == type) return HT_OK;
    if (g.type->type != HTI_ARROW_NULL) return HT_UNSUPPORTED;
    g.type->type = type;
    g.type->n_children = n_children;
    g.type->children = HTI_ARENA_ARRAY(g.arena, hti_growing, (size_t)n_children);
    if (!g.type->children) {
        g.type->n_children = 0;
        return HT_NO_MEMORY;
    }
    for (int64_t i = 0; i < n_children; i++) g.type->children[i] = (hti_growing){.name = "item"};
    return HT_OK;
}

static ht_status widen_number(guess g, hti_arrow_type type)
{
    const hti_arrow_type now = g.type->type;
    const bool numbers = now == HTI_ARROW_INT64 || now == HTI_ARROW_FLOAT64;
    if (!numbers) return become(g, type, 0);
    if (now != type) g.type->type = HTI_ARROW_FLOAT64;
    return HT_OK;
}

static ht_status widen_tensor(guess g, const ht_tensor *tensor)
{
    static const hti_arrow_type elements[] = {
        [HT_F32] = HTI_ARROW_FLOAT32, [HT_F64] = HTI_ARROW_FLOAT64, [HT_I8] = HTI_ARROW_INT8,
        [HT_U8] = HTI_ARROW_UINT8,    [HT_I32] = HTI_ARROW_INT32,   [HT_I64] = HTI_ARROW_INT64};
    const hti_arrow_type element = elements[tensor->element];
    if (tensor->n_dims != 1 || tensor->n == 0) return HT_UNSUPPORTED;
    const bool first = g.type->type == HTI_ARROW_NULL;
    HT_TRY(become(g, HTI_ARROW_FIXED_LIST, 1));
    if (first) {
        g.type->list_len = (int64_t)tensor->n;
        g.type->children[0].type = element;
    }
    return g.type->list_len == (int64_t)tensor->n && g.type->children[0].type == element ? HT_OK : HT_UNSUPPORTED;
}

static ht_status widen_list(guess g, ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    HT_TRY(become(g, HTI_ARROW_LIST, 1));
    for (size_t i = 0; i < n; i++) HT_TRY(widen((guess){&g.type->children[0], g.arena, g.depth + 1}, items[i]));
    return HT_OK;
}

static ht_status widen_struct(guess g, ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    const bool first = g.type->type == HTI_ARROW_NULL;
    if (n == 0 || n > HTI_ARROW_MAX_FIELDS) return HT_UNSUPPORTED;
    HT_TRY(become(g, HTI_ARROW_STRUCT, (int64_t)n));
    if (g.type->n_children != (int64_t)n) return HT_UNSUPPORTED;
    const char *name = (const char *)(items + n); /* value_int.h: names stand behind the items */
    for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
        hti_growing *child = &g.type->children[i];
        if (first) {
            child->name = hti_arena_text(g.arena, (ht_text){name, strlen(name)});
            if (!child->name) return HT_NO_MEMORY;
        } else if (strcmp(child->name, name) != 0) {
            return HT_UNSUPPORTED;
        }
        HT_TRY(widen((guess){child, g.arena, g.depth + 1}, items[i]));
    }
    return HT_OK;
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static ht_status widen(guess g, ht_value value)
{
    if (g.depth >= HTI_ARROW_MAX_DEPTH) return HT_UNSUPPORTED;
    switch (value.kind) {
    case HT_KIND_NULL: return HT_OK;
    case HT_KIND_BOOL: return become(g, HTI_ARROW_BOOL, 0);
    case HT_KIND_INT: return widen_number(g, HTI_ARROW_INT64);
    case HT_KIND_FLOAT: return widen_number(g, HTI_ARROW_FLOAT64);
    case HT_KIND_STRING: return become(g, HTI_ARROW_UTF8, 0);
    case HT_KIND_BYTES: return become(g, HTI_ARROW_BINARY, 0);
    case HT_KIND_TENSOR: return widen_tensor(g, ht_value_tensor_view(value));
    case HT_KIND_LIST: return widen_list(g, value);
    case HT_KIND_STRUCT: return widen_struct(g, value);
    default: return HT_UNSUPPORTED;
    }
}

ht_status hti_infer(const ht_value *values, size_t n, hti_arena *arena, hti_growing *out, bool *found, ht_error *err)
{
    *out = (hti_growing){.name = ""};
    *found = true;
    for (size_t i = 0; i < n; i++) {
        const ht_status status = widen((guess){out, arena, 1}, values[i]);
        if (status == HT_NO_MEMORY) return HTI_NO_MEMORY(err);
        if (status == HT_OK) continue;
        *found = false;
        return HT_OK;
    }
    return HT_OK;
}
