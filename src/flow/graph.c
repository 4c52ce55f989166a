/*
 * graph.c - the names of one pipeline resolved: who makes what, who needs it, in which order.
 *
 * O(nodes + edges) but for the order among ready nodes, which a heap by name gives in O(log n) each. No recursion:
 * chains of thousands of nodes are normal.
 */
#include "flow_int.h"

#include <stdlib.h>
#include <string.h>

ht_status hti_fail_choices(ht_error *err, const char *what, const char *name, const char *const *choices, size_t n)
{
    hti_buffer list;
    hti_buffer_init(&list);
    for (size_t i = 0; i < n && list.len < 600; i++) hti_buffer_printf(&list, "%s%s", i ? ", " : "", choices[i]);
    const ht_text text = hti_buffer_view(&list);
    const ht_status status =
        HT_FAIL(err, NOT_FOUND, "%s '%s'; there is %.*s", what, name, n ? (int)text.len : 4, n ? text.data : "none");
    hti_buffer_deinit(&list);
    return status;
}

uint32_t hti_graph_maker(const hti_graph *graph, uint32_t output)
{
    uint32_t low = 0, high = (uint32_t)graph->pipeline->n_nodes;
    while (high - low > 1) {
        const uint32_t mid = low + (high - low) / 2;
        if (graph->first_output[mid] <= output)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static ht_status number_outputs(hti_graph *graph, ht_error *err)
{
    const ht_pipeline *p = graph->pipeline;
    uint32_t n = 0;
    for (size_t i = 0; i < p->n_nodes; i++) {
        graph->first_output[i] = n;
        for (size_t o = 0; o < p->nodes[i]->n_outputs; o++) {
            uint32_t entry;
            bool inserted;
            HT_TRY(hti_map_put(&graph->outputs, hti_text_of(p->nodes[i]->outputs[o]), n, &entry, &inserted, err));
            if (!inserted) {
                const uint32_t other = hti_graph_maker(graph, graph->outputs.entries[entry].value);
                return HT_FAIL(err, EXISTS, "output '%s' is made by two nodes: '%s' and '%s'", p->nodes[i]->outputs[o],
                               p->nodes[HTI_MIN(other, i)]->name, p->nodes[i]->name);
            }
            n++;
        }
        graph->first_output[i + 1] = n;
    }
    return HT_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static ht_status resolve_inputs(hti_graph *graph, hti_arena *arena, ht_error *err)
{
    const ht_pipeline *p = graph->pipeline;
    hti_map roots;
    ht_status status = HT_OK;
    hti_map_init(&roots);
    for (size_t i = 0; status == HT_OK && i < p->n_nodes; i++) {
        const hti_node *node = p->nodes[i];
        graph->from[i] = HTI_ARENA_ARRAY(arena, uint32_t, node->n_inputs);
        if (!graph->from[i]) status = HTI_NO_MEMORY(err);
        for (size_t j = 0; status == HT_OK && j < node->n_inputs; j++) {
            const ht_text name = hti_text_of(node->inputs[j].name);
            graph->from[i][j] = hti_map_get(&graph->outputs, name, UINT32_MAX);
            uint32_t entry;
            bool inserted;
            if (graph->from[i][j] == UINT32_MAX)
                status = hti_map_put(&roots, name, (uint32_t)i, &entry, &inserted, err);
        }
    }
    graph->root_names = HTI_ARENA_ARRAY(arena, const char *, roots.n);
    if (status == HT_OK && !graph->root_names) status = HTI_NO_MEMORY(err);
    for (size_t r = 0; status == HT_OK && r < roots.n; r++) {
        const hti_node *node = p->nodes[roots.entries[r].value];
        for (size_t j = 0; j < node->n_inputs; j++) /* the node's own text outlives the map's */
            if (!strcmp(node->inputs[j].name, roots.entries[r].key)) graph->root_names[r] = node->inputs[j].name;
    }
    if (status == HT_OK && roots.n) qsort(graph->root_names, roots.n, sizeof *graph->root_names, by_name);
    graph->n_roots = roots.n;
    hti_map_deinit(&roots);
    return status;
}

/* ---- order: Kahn 1962, ready nodes by name ---- */

typedef struct ready_heap {
    const ht_pipeline *pipeline;
    uint32_t *nodes; /* [n] a binary heap */
    size_t n;
} ready_heap;

static bool is_before(const ready_heap *heap, uint32_t a, uint32_t b)
{
    const int order = strcmp(heap->pipeline->nodes[a]->name, heap->pipeline->nodes[b]->name);
    return order ? order < 0 : a < b;
}

static void heap_push(ready_heap *heap, uint32_t node)
{
    size_t at = heap->n++;
    for (; at > 0 && is_before(heap, node, heap->nodes[(at - 1) / 2]); at = (at - 1) / 2)
        heap->nodes[at] = heap->nodes[(at - 1) / 2];
    heap->nodes[at] = node;
}

static uint32_t heap_pop(ready_heap *heap)
{
    const uint32_t top = heap->nodes[0], last = heap->nodes[--heap->n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->n) break;
        if (child + 1 < heap->n && is_before(heap, heap->nodes[child + 1], heap->nodes[child])) child++;
        if (!is_before(heap, heap->nodes[child], last)) break;
        heap->nodes[at] = heap->nodes[child];
        at = child;
    }
    if (heap->n) heap->nodes[at] = last;
    return top;
}

/* Nodes that wait for another, as adjacency: users [first[i], first[i + 1]) of node i. */
typedef struct edges {
    uint32_t *first, *users, *n_missing;
} edges;

static ht_status collect_edges(const hti_graph *graph, hti_arena *arena, edges *out, ht_error *err)
{
    const ht_pipeline *p = graph->pipeline;
    size_t n_edges = 0;
    for (size_t i = 0; i < p->n_nodes; i++)
        for (size_t j = 0; j < p->nodes[i]->n_inputs; j++) n_edges += graph->from[i][j] != UINT32_MAX;
    out->first = HTI_ARENA_ARRAY(arena, uint32_t, p->n_nodes + 2);
    out->users = HTI_ARENA_ARRAY(arena, uint32_t, n_edges);
    out->n_missing = HTI_ARENA_ARRAY(arena, uint32_t, p->n_nodes + 1);
    if (!out->first || !out->users || !out->n_missing) return HTI_NO_MEMORY(err);
    memset(out->first, 0, (p->n_nodes + 2) * sizeof *out->first);
    memset(out->n_missing, 0, (p->n_nodes + 1) * sizeof *out->n_missing);
    for (size_t i = 0; i < p->n_nodes; i++)
        for (size_t j = 0; j < p->nodes[i]->n_inputs; j++)
            if (graph->from[i][j] != UINT32_MAX) {
                out->first[hti_graph_maker(graph, graph->from[i][j]) + 2]++;
                out->n_missing[i]++;
            }
    for (size_t i = 2; i < p->n_nodes + 2; i++) out->first[i] += out->first[i - 1];
    for (size_t i = 0; i < p->n_nodes; i++)
        for (size_t j = 0; j < p->nodes[i]->n_inputs; j++)
            if (graph->from[i][j] != UINT32_MAX)
                out->users[out->first[hti_graph_maker(graph, graph->from[i][j]) + 1]++] = (uint32_t)i;
    return HT_OK;
}

/* Walks back from a node that never became ready, always to one that did not either: it must come round. */
static ht_status fail_cycle(const hti_graph *graph, const edges *e, ht_error *err)
{
    const ht_pipeline *p = graph->pipeline;
    uint32_t at = 0, start;
    while (e->n_missing[at] == 0) at++;
    uint32_t walked = 0;
    hti_buffer path;
    hti_buffer_init(&path);
    for (int round = 0; round < 2; round++) { /* first onto the cycle, then around it */
        start = at;
        do {
            size_t j = 0;
            if (round) hti_buffer_printf(&path, "%s <- ", p->nodes[at]->name);
            while (graph->from[at][j] == UINT32_MAX || e->n_missing[hti_graph_maker(graph, graph->from[at][j])] == 0)
                j++;
            at = hti_graph_maker(graph, graph->from[at][j]);
        } while (round ? at != start : ++walked <= p->n_nodes);
    }
    hti_buffer_text(&path, p->nodes[start]->name);
    const ht_status status =
        HT_FAIL(err, INVALID, "pipeline '%s' has a cycle: %s", p->name, hti_buffer_view(&path).data);
    hti_buffer_deinit(&path);
    return status;
}

static ht_status sort_nodes(hti_graph *graph, hti_arena *arena, ht_error *err)
{
    const ht_pipeline *p = graph->pipeline;
    edges e;
    ready_heap heap = {p, HTI_ARENA_ARRAY(arena, uint32_t, p->n_nodes), 0};
    size_t n = 0;
    if (!heap.nodes) return HTI_NO_MEMORY(err);
    HT_TRY(collect_edges(graph, arena, &e, err));
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (e.n_missing[i] == 0) heap_push(&heap, i);
    while (heap.n) {
        const uint32_t node = heap_pop(&heap);
        graph->order[n++] = node;
        for (uint32_t u = e.first[node]; u < e.first[node + 1]; u++)
            if (--e.n_missing[e.users[u]] == 0) heap_push(&heap, e.users[u]);
    }
    return n == p->n_nodes ? HT_OK : fail_cycle(graph, &e, err);
}

ht_status hti_graph_make(const ht_pipeline *pipeline, hti_arena *arena, hti_graph *out, ht_error *err)
{
    *out = (hti_graph){.pipeline = pipeline};
    hti_map_init(&out->outputs);
    out->order = HTI_ARENA_ARRAY(arena, uint32_t, pipeline->n_nodes);
    out->first_output = HTI_ARENA_ARRAY(arena, uint32_t, pipeline->n_nodes + 1);
    out->from = HTI_ARENA_ARRAY(arena, uint32_t *, pipeline->n_nodes);
    ht_status status = HT_OK;
    if (!out->order || !out->first_output || !out->from) status = HTI_NO_MEMORY(err);
    if (status == HT_OK) status = number_outputs(out, err);
    if (status == HT_OK) status = resolve_inputs(out, arena, err);
    if (status == HT_OK) status = sort_nodes(out, arena, err);
    if (status != HT_OK) hti_graph_deinit(out);
    return status;
}

void hti_graph_deinit(hti_graph *graph) { hti_map_deinit(&graph->outputs); }
