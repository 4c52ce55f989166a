/*
 * trace.c - a ring of spans that any thread adds to without waiting for another.
 *
 * Layout: a power of two of slots, one cache line each: a mark and a span. A counter hands out blocks of slots, round
 * and round the ring; the lane of a worker fills its block slot by slot, so that workers meet at the counter once a
 * block and else touch lines of their own. A slot's mark is 0 while empty, 1 while written, else 2 more than the number
 * of its span, which is block * slots a block + place.
 * Invariants: a lane is used by the thread that set its flag; a thread that finds it set takes the next lane. A slot is
 * written by the thread that moved its mark to 1. A thread that finds the slot in another's hands, or with a later span
 * in it, was overtaken by a whole lap of the ring: it takes a new block, and if that fails too its span is lost. What
 * the ring holds and what is lost add up to the counts of the lanes.
 * Workload: two spans a call of a node, some thousands to some millions a second, read once at the end. With one
 * counter for every span instead of a block, two threads that do nothing else wait 136 ns a span for each other.
 * Thread rule: adding and naming from any thread; beginning and reading while nobody adds.
 * Easy to get wrong: reading needs no lock because the threads of a run end before it is read, not because of the
 * marks.
 */
#include "os/os.h"
#include "trace_int.h"

#include <string.h>

enum { DEFAULT_SLOTS = 65536, N_LANES = 64, MOST_PER_BLOCK = 32, EMPTY = 0, WRITING = 1, FIRST_MARK = 2 };
static const size_t MOST_SLOTS = (size_t)1 << 28;

typedef struct slot {
    uint64_t mark;
    ht_span span;
} slot;
_Static_assert(sizeof(slot) == 64, "a slot fills a cache line");

typedef struct lane {
    uint64_t next, end; /* numbers left of its block */
    uint64_t n_added;
    bool busy;
} __attribute__((aligned(64))) lane;

struct ht_trace {
    slot *slots; /* [n_slots] */
    size_t n_slots, per_block;
    ht_span *sorted; /* [n_sorted] what ht_trace_spans gave; NULL: never asked for */
    size_t n_sorted;
    uint64_t n_at_sort;     /* spans added by then */
    ht_trace_total *totals; /* that ht_trace_totals gave last; NULL: none */
    hti_mutex *lock;        /* guards `names` */
    hti_map names;
    uint64_t n_blocks __attribute__((aligned(64))); /* handed out; alone on its line: all threads write it */
    lane lanes[N_LANES];
};

ht_status ht_trace_new(size_t capacity, ht_trace **out, ht_error *err)
{
    *out = NULL;
    if (capacity == 0) capacity = DEFAULT_SLOTS;
    if (capacity > MOST_SLOTS) return HT_FAIL(err, LIMIT, "a trace of %zu spans; at most %zu", capacity, MOST_SLOTS);
    ht_trace *trace = HTI_NEW(ht_trace);
    if (!trace) return HTI_NO_MEMORY(err);
    hti_map_init(&trace->names);
    trace->n_slots = 1;
    while (trace->n_slots < capacity) trace->n_slots *= 2;
    trace->per_block = HTI_MIN(HTI_MAX(trace->n_slots / (4 * (size_t)N_LANES), 1), MOST_PER_BLOCK);
    trace->lock = hti_mutex_new();
    trace->slots = hti_alloc_zero(hti_mul(trace->n_slots, sizeof(slot)));
    if (!trace->lock || !trace->slots) {
        ht_trace_free(trace);
        return HTI_NO_MEMORY(err);
    }
    *out = trace;
    return HT_OK;
}

void ht_trace_free(ht_trace *trace)
{
    if (!trace) return;
    if (trace->lock) hti_mutex_free(trace->lock);
    hti_map_deinit(&trace->names);
    hti_free(trace->totals);
    hti_free(trace->sorted);
    hti_free(trace->slots);
    hti_free(trace);
}

void hti_trace_keep_totals(ht_trace *trace, ht_trace_total *totals)
{
    hti_free(trace->totals);
    trace->totals = totals;
}

/* Slots that have been handed out, those at the ring's start first. */
static size_t n_used(const ht_trace *trace)
{
    return trace->n_blocks < trace->n_slots / trace->per_block ? (size_t)trace->n_blocks * trace->per_block
                                                               : trace->n_slots;
}

void hti_trace_begin(ht_trace *trace)
{
    const size_t n = n_used(trace);
    for (size_t i = 0; i < n; i++) trace->slots[i].mark = EMPTY;
    trace->n_blocks = 0;
    memset(trace->lanes, 0, sizeof trace->lanes);
    hti_free(trace->sorted);
    trace->sorted = NULL;
    hti_trace_keep_totals(trace, NULL);
}

const char *hti_trace_name(ht_trace *trace, const char *name)
{
    uint32_t entry;
    bool inserted;
    hti_mutex_lock(trace->lock);
    const ht_status status = hti_map_put(&trace->names, (ht_text){name, strlen(name)}, 0, &entry, &inserted, NULL);
    const char *kept = status == HT_OK ? trace->names.entries[entry].key : NULL;
    hti_mutex_unlock(trace->lock);
    return kept;
}

static lane *take_lane(ht_trace *trace, uint32_t worker)
{
    for (uint32_t i = worker;; i++) {
        lane *mine = &trace->lanes[i % N_LANES];
        if (!__atomic_exchange_n(&mine->busy, true, __ATOMIC_ACQUIRE)) return mine;
    }
}

static bool put_span(ht_trace *trace, uint64_t number, const ht_span *span)
{
    slot *into = &trace->slots[number & (trace->n_slots - 1)];
    uint64_t mark = __atomic_load_n(&into->mark, __ATOMIC_RELAXED);
    if (mark == WRITING || mark > number + FIRST_MARK) return false;
    if (!__atomic_compare_exchange_n(&into->mark, &mark, WRITING, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    into->span = *span;
    __atomic_store_n(&into->mark, number + FIRST_MARK, __ATOMIC_RELEASE);
    return true;
}

void hti_trace_add(ht_trace *trace, const ht_span *span)
{
    if (!trace) return;
    lane *mine = take_lane(trace, span->worker);
    mine->n_added++;
    if (mine->next == mine->end || !put_span(trace, mine->next++, span)) {
        mine->next = trace->per_block * __atomic_fetch_add(&trace->n_blocks, 1, __ATOMIC_RELAXED);
        mine->end = mine->next + trace->per_block;
        (void)put_span(trace, mine->next++, span);
    }
    __atomic_store_n(&mine->busy, false, __ATOMIC_RELEASE);
}

/* ---- reading ---- */

/* An outer span that starts with its first inner one comes before it. */
static bool is_before(const ht_span *a, const ht_span *b)
{
    return a->start_ns != b->start_ns ? a->start_ns < b->start_ns : a->end_ns > b->end_ns;
}

/* Merges runs of `width` from one array into the other. */
static void merge_runs(const ht_span *from, ht_span *into, size_t n, size_t width)
{
    for (size_t start = 0; start < n; start += 2 * width) {
        const size_t middle = HTI_MIN(start + width, n), end = HTI_MIN(start + 2 * width, n);
        size_t left = start, right = middle;
        for (size_t to = start; to < end; to++) {
            const bool take_right = right < end && (left == middle || is_before(&from[right], &from[left]));
            into[to] = take_right ? from[right++] : from[left++];
        }
    }
}

/* Gives the array that holds the result. */
static ht_span *sort_spans(ht_span *spans, ht_span *other, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        merge_runs(spans, other, n, width);
        ht_span *swap = spans;
        spans = other;
        other = swap;
    }
    return spans;
}

static size_t collect(const ht_trace *trace, ht_span *into)
{
    size_t n = 0;
    const size_t most = n_used(trace);
    for (size_t i = 0; i < most; i++)
        if (trace->slots[i].mark >= FIRST_MARK) into[n++] = trace->slots[i].span;
    return n;
}

ht_status ht_trace_spans(ht_trace *trace, const ht_span **out, size_t *n, uint64_t *lost, ht_error *err)
{
    *out = NULL;
    *n = 0;
    *lost = 0;
    uint64_t n_added = 0;
    for (size_t i = 0; i < N_LANES; i++) n_added += trace->lanes[i].n_added;
    if (!trace->sorted || trace->n_at_sort != n_added) {
        const size_t most = n_used(trace);
        ht_span *spans = HTI_NEW_ARRAY(ht_span, most), *other = HTI_NEW_ARRAY(ht_span, most);
        if (!spans || !other) {
            hti_free(spans);
            hti_free(other);
            return HTI_NO_MEMORY(err);
        }
        hti_free(trace->sorted);
        trace->n_sorted = collect(trace, spans);
        trace->sorted = sort_spans(spans, other, trace->n_sorted);
        trace->n_at_sort = n_added;
        hti_free(trace->sorted == spans ? other : spans);
    }
    *out = trace->sorted;
    *n = trace->n_sorted;
    *lost = n_added - trace->n_sorted;
    return HT_OK;
}
