/*
 * evaluator.h - what a made-up pipeline must give: recursion and nothing else. Part of test_random_pipelines.c, behind
 * the made-up pipelines and the arithmetic of their nodes.
 */
#ifndef HT_TESTS_EVALUATOR_H
#define HT_TESTS_EVALUATOR_H

typedef enum verdict { GOOD, SKIPPED, BROKEN } verdict;

typedef struct scope {
    const made_pipeline *p;
    ht_value values[MAX_NAMES];
    bool known[MAX_NAMES], wanted[MAX_NAMES];
    bool in_map;
} scope;

static size_t number_of(const made_pipeline *p, const char *name)
{
    size_t i = 0;
    while (strcmp(p->names[i].name, name) != 0) i++;
    return i;
}

static verdict evaluate(scope *s);

/* Marks what the inner pipeline is asked for, then what it needs, and so which of its roots are read. */
static void want_inner(const made_node *node, const scope *outer, scope *inner)
{
    memset(inner, 0, sizeof *inner);
    inner->p = node->inner;
    for (size_t o = 0; o < node->n_outputs; o++)
        if (outer->wanted[number_of(outer->p, node->outputs[o])])
            inner->wanted[number_of(node->inner, node->inner_outputs[o])] = true;
}

static void want_needs(scope *s)
{
    for (size_t i = s->p->n_nodes; i-- > 0;) {
        const made_node *node = &s->p->nodes[i];
        bool needed = false, reads[MAX_PORTS] = {true, true, true};
        for (size_t o = 0; o < node->n_outputs; o++) needed |= s->wanted[number_of(s->p, node->outputs[o])];
        if (!needed) continue;
        if (node->inner) {
            scope inner;
            want_inner(node, s, &inner);
            want_needs(&inner);
            for (size_t j = 0; j < node->n_inputs; j++)
                reads[j] = node->mapped[j] || inner.wanted[number_of(node->inner, node->inner_inputs[j])];
        }
        for (size_t j = 0; j < node->n_inputs; j++)
            if (reads[j]) s->wanted[number_of(s->p, node->inputs[j])] = true;
    }
}

static size_t n_items(const made_node *node, const ht_value *in, size_t *lens, bool *differ)
{
    size_t n = 1;
    bool first = true;
    *differ = false;
    for (size_t j = 0; j < node->n_inputs; j++) {
        lens[j] = 1;
        if (!node->mapped[j]) continue;
        (void)ht_value_items(in[j], &lens[j]);
        if (node->mode == HT_MAP_PRODUCT)
            n *= lens[j];
        else if (first)
            n = lens[j];
        else
            *differ |= n != lens[j];
        first = false;
    }
    return n;
}

static verdict evaluate_nested(const made_node *node, scope *s, const ht_value *in)
{
    size_t lens[MAX_PORTS], kept = 0;
    bool differ, mapped = false;
    for (size_t j = 0; j < node->n_inputs; j++) {
        mapped |= node->mapped[j];
        if (node->mapped[j] && in[j].kind != HT_KIND_LIST) return BROKEN;
    }
    const size_t n = n_items(node, in, lens, &differ);
    if (differ) return BROKEN;
    ht_value *results[2] = {calloc(n + 1, sizeof(ht_value)), calloc(n + 1, sizeof(ht_value))};
    verdict worst = GOOD;
    for (size_t item = 0; worst == GOOD && item < n; item++) {
        scope inner;
        want_inner(node, s, &inner);
        inner.in_map = mapped;
        size_t rest = item;
        for (size_t j = node->n_inputs; j-- > 0;) {
            size_t len, at = item;
            const ht_value *items = ht_value_items(in[j], &len);
            if (node->mode == HT_MAP_PRODUCT && node->mapped[j]) {
                at = rest % lens[j];
                rest /= lens[j];
            }
            inner.values[j] = ht_value_retain(node->mapped[j] ? items[at] : in[j]);
            inner.known[j] = true;
        }
        const verdict now = evaluate(&inner);
        if (now == BROKEN) worst = BROKEN;
        for (size_t o = 0; o < node->n_outputs && now == GOOD; o++) {
            const size_t from = number_of(node->inner, node->inner_outputs[o]);
            results[o][kept] = ht_value_retain(inner.known[from] ? inner.values[from] : ht_value_null());
        }
        kept += now == GOOD;
        for (size_t i = 0; i < MAX_NAMES; i++) ht_value_release(inner.values[i]);
    }
    for (size_t o = 0; o < node->n_outputs; o++) {
        const size_t to = number_of(s->p, node->outputs[o]);
        if (worst == GOOD && mapped)
            assert_int_equal(ht_value_list(results[o], kept, &s->values[to], NULL), HT_OK);
        else if (worst == GOOD)
            s->values[to] = ht_value_retain(results[o][0]);
        s->known[to] = worst == GOOD;
        for (size_t i = 0; i < kept; i++) ht_value_release(results[o][i]);
        free(results[o]);
    }
    if (node->n_outputs < 2) free(results[1]);
    return worst;
}

static verdict evaluate(scope *s)
{
    want_needs(s);
    verdict worst = GOOD;
    for (size_t i = 0; i < s->p->n_nodes && worst == GOOD; i++) { /* made up in a topological order */
        const made_node *node = &s->p->nodes[i];
        ht_value in[MAX_PORTS], out[2] = {ht_value_null(), ht_value_null()};
        bool needed = false;
        for (size_t o = 0; o < node->n_outputs; o++) needed |= s->wanted[number_of(s->p, node->outputs[o])];
        if (!needed) continue;
        for (size_t j = 0; j < node->n_inputs; j++) in[j] = s->values[number_of(s->p, node->inputs[j])];
        if (node->inner) {
            worst = evaluate_nested(node, s, in);
            continue;
        }
        if (!compute(node, mix_inputs(node, in), out)) {
            if (node->policy == HT_ON_ERROR_SKIP && s->in_map)
                worst = SKIPPED;
            else if (node->policy != HT_ON_ERROR_NULL)
                worst = BROKEN;
        }
        for (size_t o = 0; o < node->n_outputs; o++) {
            s->values[number_of(s->p, node->outputs[o])] = out[o];
            s->known[number_of(s->p, node->outputs[o])] = true;
        }
    }
    return worst;
}

#endif
