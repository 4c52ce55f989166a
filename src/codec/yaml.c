/*
 * yaml.c - documents from libyaml's events: one pass, no recursion, every node with its place.
 *
 * Open lists and maps stand in `frames`; the finished children of all of them lie on one stack, `pending`, each
 * frame's from `first` on. When a frame closes, its children move into the document's arena. Invariant: in an open map
 * that waits for a value, the key is the topmost pending entry.
 *
 * Aliases share the node of their anchor, so memory never exceeds the text's; what a walk would meet is counted all the
 * same, in nodes and in depth, and bounded (an alias bomb has a small text and a large walk).
 *
 * libyaml's allocator cannot be set, so its memory is not counted by our hook; it lives only while a text is parsed, is
 * a small multiple of it, and its failures come back as NO_MEMORY. Workload: configurations of some kilobytes.
 * Easy to get wrong: libyaml takes UTF-16 too, and YAML 1.1's schema is not its business but ours; a chain of
 * anchors, each around the one before, is deep without being nested in the text.
 */
#include "codec.h"
#include "os/os.h"
#include "yaml_scalar.h"
#include "yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct hti_yaml {
    hti_arena arena;
    const char *name;
    const hti_yaml_node *root;
};

typedef struct frame {
    hti_yaml_node *node;
    size_t first;       /* of its children in `pending` */
    size_t anchor;      /* its number, NO_ANCHOR without one */
    uint64_t n_before;  /* nodes counted when it opened */
    uint32_t height;    /* of its highest child */
    bool waits_for_key; /* maps only */
} frame;

#define NO_ANCHOR SIZE_MAX

typedef struct loader {
    yaml_parser_t parser;
    hti_yaml *yaml;
    frame frames[HTI_YAML_MAX_DEPTH];
    size_t n_frames;
    hti_yaml_entry *pending; /* key unused in lists */
    size_t n_pending, cap_pending;
    hti_map anchor_names;
    const hti_yaml_node **anchors; /* [names] by number; NULL while its list or map is open */
    size_t cap_anchors;
    uint64_t n_nodes;
    bool had_document;
} loader;

#define PLACE(yaml, mark) (yaml)->name, (unsigned long)(mark).line + 1, (unsigned long)(mark).column + 1
#define SHOWN(text) (int)HTI_MIN((text).len, (size_t)60), (text).data

/* ---- nodes ---- */

static ht_status new_node(loader *l, yaml_mark_t mark, hti_yaml_node **out, ht_error *err)
{
    *out = HTI_ARENA_ARRAY(&l->yaml->arena, hti_yaml_node, 1);
    if (!*out) return HTI_NO_MEMORY(err);
    const size_t most = UINT32_MAX - 1;
    **out = (hti_yaml_node){.line = (uint32_t)HTI_MIN(mark.line, most) + 1,
                            .column = (uint32_t)HTI_MIN(mark.column, most) + 1,
                            .n_nodes = 1};
    return HT_OK;
}

static ht_status count_nodes(loader *l, uint64_t n, yaml_mark_t mark, ht_error *err)
{
    l->n_nodes += n;
    if (l->n_nodes <= HTI_YAML_MAX_NODES) return HT_OK;
    return HT_FAIL(err, LIMIT, "%s:%lu:%lu: more than %d values, counting what aliases repeat", PLACE(l->yaml, mark),
                   HTI_YAML_MAX_NODES);
}

static ht_status push(loader *l, hti_yaml_entry entry, ht_error *err)
{
    HT_TRY(hti_reserve(&l->pending, &l->cap_pending, l->n_pending + 1, sizeof *l->pending, err));
    l->pending[l->n_pending++] = entry;
    return HT_OK;
}

/* Gives a finished node, or a shared one, to the innermost open list or map. */
static ht_status put(loader *l, const hti_yaml_node *node, ht_error *err)
{
    if (l->n_frames == 0) {
        l->yaml->root = node;
        return HT_OK;
    }
    frame *top = &l->frames[l->n_frames - 1];
    top->height = HTI_MAX(top->height, node->height);
    if (top->node->kind == HTI_YAML_LIST) return push(l, (hti_yaml_entry){.value = node}, err);
    l->pending[l->n_pending - 1].value = node;
    top->waits_for_key = true;
    return HT_OK;
}

static bool waits_for_key(const loader *l) { return l->n_frames > 0 && l->frames[l->n_frames - 1].waits_for_key; }

/* ---- anchors ---- */

/* The number of an anchor from here on; an earlier one of the same name is forgotten, as YAML wants it. */
static ht_status declare(loader *l, const yaml_char_t *name, size_t *out, ht_error *err)
{
    *out = NO_ANCHOR;
    if (!name) return HT_OK;
    uint32_t at;
    bool inserted;
    const ht_text key = {(const char *)name, strlen((const char *)name)};
    HT_TRY(hti_reserve(&l->anchors, &l->cap_anchors, l->anchor_names.n + 1, sizeof(hti_yaml_node *), err));
    HT_TRY(hti_map_put(&l->anchor_names, key, 0, &at, &inserted, err));
    l->anchors[at] = NULL;
    *out = at;
    return HT_OK;
}

static ht_status take_alias(loader *l, const yaml_event_t *event, ht_error *err)
{
    const char *name = (const char *)event->data.alias.anchor;
    const ht_text key = {name, strlen(name)};
    const uint32_t at = hti_map_find(&l->anchor_names, key);
    if (waits_for_key(l))
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: a key must be written out; *%.*s is an alias",
                       PLACE(l->yaml, event->start_mark), SHOWN(key));
    if (at == HTI_MAP_NONE)
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: alias *%.*s has no anchor &%.*s in front of it",
                       PLACE(l->yaml, event->start_mark), SHOWN(key), SHOWN(key));
    const hti_yaml_node *node = l->anchors[at];
    if (!node)
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: alias *%.*s stands inside what it names",
                       PLACE(l->yaml, event->start_mark), SHOWN(key));
    if (l->n_frames + node->height > HTI_YAML_MAX_DEPTH)
        return HT_FAIL(err, LIMIT, "%s:%lu:%lu: more than %d lists and maps inside each other through *%.*s",
                       PLACE(l->yaml, event->start_mark), HTI_YAML_MAX_DEPTH, SHOWN(key));
    HT_TRY(count_nodes(l, node->n_nodes, event->start_mark, err));
    return put(l, node, err);
}

/* ---- scalars and keys ---- */

static ht_status make_scalar(loader *l, const yaml_event_t *event, hti_yaml_node **out, ht_error *err)
{
    const ht_text text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *why = NULL;
    HT_TRY(new_node(l, event->start_mark, out, err));
    hti_yaml_node *node = *out;
    const ht_status status = hti_yaml_resolve(text, plain, (const char *)event->data.scalar.tag, node, &why);
    if (status == HT_PARSE) return HT_FAIL(err, PARSE, "%s:%lu:%lu: %s", PLACE(l->yaml, event->start_mark), why);
    if (status == HT_LIMIT) return HT_FAIL(err, LIMIT, "%s:%lu:%lu: %s", PLACE(l->yaml, event->start_mark), why);
    if (status != HT_OK) return HTI_NO_MEMORY(err);
    if (node->kind != HTI_YAML_STRING) return HT_OK;
    node->as.text.data = hti_arena_text(&l->yaml->arena, text);
    return node->as.text.data ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status take_key(loader *l, const yaml_event_t *event, ht_error *err)
{
    const ht_text text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const yaml_mark_t mark = event->start_mark;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && text.len == 2 && memcmp(text.data, "<<", 2) == 0)
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: a merge key (<<) is no YAML 1.2; write the keys out",
                       PLACE(l->yaml, mark));
    hti_yaml_entry entry = {.line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
    entry.key = (ht_text){hti_arena_text(&l->yaml->arena, text), text.len};
    if (!entry.key.data) return HTI_NO_MEMORY(err);
    l->frames[l->n_frames - 1].waits_for_key = false;
    return push(l, entry, err);
}

static ht_status take_scalar(loader *l, const yaml_event_t *event, ht_error *err)
{
    const bool is_key = waits_for_key(l);
    hti_yaml_node *node = NULL;
    size_t anchor;
    HT_TRY(declare(l, event->data.scalar.anchor, &anchor, err));
    if (!is_key || event->data.scalar.tag || anchor != NO_ANCHOR) HT_TRY(make_scalar(l, event, &node, err));
    if (anchor != NO_ANCHOR) l->anchors[anchor] = node;
    if (is_key) return take_key(l, event, err);
    HT_TRY(count_nodes(l, 1, event->start_mark, err));
    return put(l, node, err);
}

/* ---- lists and maps ---- */

static ht_status open_frame(loader *l, const yaml_event_t *event, ht_error *err)
{
    const bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const hti_yaml_kind kind = list ? HTI_YAML_LIST : HTI_YAML_MAP;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const yaml_char_t *name = list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    if (waits_for_key(l))
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: a key must be a scalar, not %s", PLACE(l->yaml, event->start_mark),
                       hti_yaml_kind_text(kind));
    if (!hti_yaml_collection_tag((const char *)tag, kind))
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: a tag that is not %s", PLACE(l->yaml, event->start_mark),
                       list ? "!!seq" : "!!map");
    if (l->n_frames == HTI_YAML_MAX_DEPTH)
        return HT_FAIL(err, LIMIT, "%s:%lu:%lu: more than %d lists and maps inside each other",
                       PLACE(l->yaml, event->start_mark), HTI_YAML_MAX_DEPTH);
    frame opened = {.first = l->n_pending, .n_before = l->n_nodes, .waits_for_key = !list};
    HT_TRY(hti_reserve(&l->pending, &l->cap_pending, l->n_pending + 1, sizeof *l->pending, err)); /* never NULL */
    HT_TRY(count_nodes(l, 1, event->start_mark, err));
    HT_TRY(declare(l, name, &opened.anchor, err));
    HT_TRY(new_node(l, event->start_mark, &opened.node, err));
    opened.node->kind = kind;
    l->frames[l->n_frames++] = opened;
    return HT_OK;
}

/* PARSE at the second of two equal keys. */
static ht_status check_keys(const loader *l, const hti_yaml_entry *entries, size_t n, ht_error *err)
{
    hti_map seen;
    hti_map_init(&seen);
    ht_status status = HT_OK;
    for (size_t i = 0; i < n && status == HT_OK; i++) {
        uint32_t at;
        bool inserted;
        status = hti_map_put(&seen, entries[i].key, (uint32_t)i, &at, &inserted, err);
        if (status == HT_OK && !inserted)
            status = HT_FAIL(err, PARSE, "%s:%u:%u: key \"%.*s\" stands twice, first in line %u", l->yaml->name,
                             entries[i].line, entries[i].column, SHOWN(entries[i].key), entries[at].line);
    }
    hti_map_deinit(&seen);
    return status;
}

static ht_status close_frame(loader *l, ht_error *err)
{
    const frame closed = l->frames[l->n_frames - 1];
    const hti_yaml_entry *children = l->pending + closed.first;
    hti_yaml_node *node = closed.node;
    node->n = l->n_pending - closed.first;
    if (node->kind == HTI_YAML_MAP) {
        HT_TRY(check_keys(l, children, node->n, err));
        hti_yaml_entry *entries = HTI_ARENA_ARRAY(&l->yaml->arena, hti_yaml_entry, node->n);
        if (!entries) return HTI_NO_MEMORY(err);
        if (node->n > 0) memcpy(entries, children, node->n * sizeof *entries);
        node->as.entries = entries;
    } else {
        const hti_yaml_node **items = HTI_ARENA_ARRAY(&l->yaml->arena, const hti_yaml_node *, node->n);
        if (!items) return HTI_NO_MEMORY(err);
        for (size_t i = 0; i < node->n; i++) items[i] = children[i].value;
        node->as.items = items;
    }
    node->n_nodes = (uint32_t)(l->n_nodes - closed.n_before);
    node->height = closed.height + 1;
    if (closed.anchor != NO_ANCHOR) l->anchors[closed.anchor] = node;
    l->n_pending = closed.first;
    l->n_frames--;
    return put(l, node, err);
}

/* ---- events ---- */

static ht_status take_event(loader *l, const yaml_event_t *event, ht_error *err)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (l->had_document)
            return HT_FAIL(err, PARSE, "%s:%lu:%lu: a second document; a file holds one",
                           PLACE(l->yaml, event->start_mark));
        l->had_document = true;
        return HT_OK;
    case YAML_ALIAS_EVENT: return take_alias(l, event, err);
    case YAML_SCALAR_EVENT: return take_scalar(l, event, err);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return open_frame(l, event, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_frame(l, err);
    default: return HT_OK;
    }
}

/* Where byte `at` of a text stands. */
static yaml_mark_t mark_of(ht_text text, size_t at)
{
    yaml_mark_t mark = {.index = at};
    for (size_t i = 0; i < HTI_MIN(at, text.len); i++) {
        const unsigned char c = (unsigned char)text.data[i];
        const bool crlf = c == '\r' && i + 1 < text.len && text.data[i + 1] == '\n';
        if (c == '\n' || (c == '\r' && !crlf)) {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static ht_status parser_failed(const loader *l, ht_text text, ht_error *err)
{
    const yaml_parser_t *parser = &l->parser;
    if (parser->error == YAML_MEMORY_ERROR) return HTI_NO_MEMORY(err);
    const char *problem = parser->problem ? parser->problem : "unknown problem";
    if (parser->error == YAML_READER_ERROR)
        return HT_FAIL(err, PARSE, "%s:%lu:%lu: not valid YAML: %s (character U+%04X)",
                       PLACE(l->yaml, mark_of(text, parser->problem_offset)), problem, (unsigned)parser->problem_value);
    return HT_FAIL(err, PARSE, "%s:%lu:%lu: not valid YAML: %s%s%s", PLACE(l->yaml, parser->problem_mark), problem,
                   parser->context ? " " : "", parser->context ? parser->context : "");
}

static ht_status take_events(loader *l, ht_text text, ht_error *err)
{
    ht_status status = HT_OK;
    for (bool at_end = false; status == HT_OK && !at_end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&l->parser, &event)) return parser_failed(l, text, err);
        at_end = event.type == YAML_STREAM_END_EVENT;
        status = take_event(l, &event, err);
        yaml_event_delete(&event);
    }
    if (status != HT_OK || l->yaml->root) return status;
    hti_yaml_node *nothing;
    HT_TRY(new_node(l, (yaml_mark_t){0}, &nothing, err));
    l->yaml->root = nothing;
    return HT_OK;
}

static ht_status load_text(hti_yaml *yaml, ht_text text, ht_error *err)
{
    loader *l = HTI_NEW(loader);
    if (!l) return HTI_NO_MEMORY(err);
    ht_status status = HT_OK;
    l->yaml = yaml;
    hti_map_init(&l->anchor_names);
    if (!yaml_parser_initialize(&l->parser)) {
        status = HTI_NO_MEMORY(err);
        goto done;
    }
    yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l->parser, (const unsigned char *)text.data, text.len);
    status = take_events(l, text, err);
    yaml_parser_delete(&l->parser);
done:
    hti_map_deinit(&l->anchor_names);
    hti_free(l->anchors);
    hti_free(l->pending);
    hti_free(l);
    return status;
}

static ht_status check_text(ht_text text, const char *name, size_t max_bytes, ht_error *err)
{
    if (text.len > max_bytes) return HT_FAIL(err, LIMIT, "%s:1:1: larger than %zu bytes", name, max_bytes);
    const size_t valid = hti_utf8_valid(text);
    if (valid == text.len) return HT_OK;
    const yaml_mark_t mark = mark_of(text, valid);
    return HT_FAIL(err, PARSE, "%s:%zu:%zu: byte 0x%02x is no UTF-8; save the file as UTF-8", name, mark.line + 1,
                   mark.column + 1, (unsigned char)text.data[valid]);
}

ht_status hti_yaml_parse(ht_text text, const char *name, size_t max_bytes, hti_yaml **out, ht_error *err)
{
    *out = NULL;
    if (text.len == 0) text.data = "";
    HT_TRY(check_text(text, name, max_bytes, err));
    if (text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) text = (ht_text){text.data + 3, text.len - 3};
    hti_yaml *yaml = HTI_NEW(hti_yaml);
    if (!yaml) return HTI_NO_MEMORY(err);
    hti_arena_init(&yaml->arena);
    yaml->name = hti_arena_text(&yaml->arena, (ht_text){name, strlen(name)});
    const ht_status status = yaml->name ? load_text(yaml, text, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK)
        *out = yaml;
    else
        hti_yaml_free(yaml);
    return status;
}

ht_status hti_yaml_load(const char *path, size_t max_bytes, hti_yaml **out, ht_error *err)
{
    *out = NULL;
    hti_buffer text;
    hti_buffer_init(&text);
    ht_status status = hti_read_file(path, max_bytes, &text, err);
    if (status == HT_OK) status = hti_yaml_parse(hti_buffer_view(&text), path, max_bytes, out, err);
    hti_buffer_deinit(&text);
    return status;
}

void hti_yaml_free(hti_yaml *yaml)
{
    if (!yaml) return;
    hti_arena_deinit(&yaml->arena);
    hti_free(yaml);
}

const hti_yaml_node *hti_yaml_root(const hti_yaml *yaml) { return yaml->root; }

ht_status hti_yaml_fail(const hti_yaml *yaml, const hti_yaml_node *at, ht_error *err, const char *fmt, ...)
{
    char reason[HT_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return HT_FAIL(err, PARSE, "%s:%u:%u: %s", yaml->name, at->line, at->column, n < 0 ? "malformed" : reason);
}
