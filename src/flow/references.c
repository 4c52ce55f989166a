/*
 * references.c - values that stay in the process: where a piece of a map runs in another thread, or comes back to this
 * process by way of a library that passes bytes, objects are named by number instead of being encoded.
 *
 * A table says which numbers are alive, and each belongs to one ht_references, whose end drops them: bytes that are
 * older, or never were ours, name nothing. Thread rule: any thread; which one writes by reference is its own affair.
 */
#include "flow_int.h"
#include "value_int.h"

struct ht_references {
    ht_value *values; /* [n] numbered from `first` */
    uint64_t *numbers;
    size_t n, cap_values, cap_numbers;
    struct ht_references *next;
};

static _Thread_local ht_references *used; /* by values that this thread encodes */
static ht_references *alive;              /* guarded by the lock, as are numbers and all tables */
static uint64_t last_number;
static hti_mutex *lock;
static hti_once lock_made;

static void make_lock(void) { lock = hti_mutex_new(); }

ht_status ht_references_new(ht_references **out, ht_error *err)
{
    hti_once_run(&lock_made, make_lock);
    *out = lock ? HTI_NEW(ht_references) : NULL;
    if (!*out) return HTI_NO_MEMORY(err);
    hti_mutex_lock(lock);
    (*out)->next = alive;
    __atomic_store_n(&alive, *out, __ATOMIC_RELEASE);
    hti_mutex_unlock(lock);
    return HT_OK;
}

void ht_references_free(ht_references *references)
{
    if (!references) return;
    if (used == references) used = NULL;
    hti_mutex_lock(lock);
    ht_references **at = &alive;
    while (*at != references) at = &(*at)->next;
    __atomic_store_n(at, references->next, __ATOMIC_RELEASE);
    hti_mutex_unlock(lock);
    hti_values_release(references->values, references->n);
    hti_free(references->values);
    hti_free(references->numbers);
    hti_free(references);
}

ht_references *ht_references_use(ht_references *references)
{
    ht_references *before = used;
    used = references;
    return before;
}

bool hti_reference_wanted(void) { return used != NULL; }

ht_status hti_reference_put(ht_value value, uint64_t *number, ht_error *err)
{
    ht_references *r = used;
    hti_mutex_lock(lock);
    ht_status status = hti_reserve(&r->values, &r->cap_values, r->n + 1, sizeof *r->values, err);
    if (status == HT_OK) status = hti_reserve(&r->numbers, &r->cap_numbers, r->n + 1, sizeof *r->numbers, err);
    if (status == HT_OK) {
        *number = ++last_number;
        r->numbers[r->n] = *number;
        r->values[r->n++] = ht_value_retain(value);
    }
    hti_mutex_unlock(lock);
    return status;
}

/* Numbers of a table grow, so a binary search finds one. */
static bool find(const ht_references *r, uint64_t number, ht_value *out)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (r->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == r->n || r->numbers[low] != number) return false;
    *out = ht_value_retain(r->values[low]);
    return true;
}

bool hti_reference_get(uint64_t number, ht_value *out)
{
    bool found = false;
    if (!__atomic_load_n(&alive, __ATOMIC_ACQUIRE)) return false; /* most processes never have one */
    hti_mutex_lock(lock);
    for (const ht_references *r = alive; r && !found; r = r->next) found = find(r, number, out);
    hti_mutex_unlock(lock);
    return found;
}
