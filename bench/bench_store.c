/*
 * bench_store.c - bulk add, commit, open and look-ups of a collection: JSON lines on stdout.
 *
 * usage: bench_store DIR [N_DOCS [TEXT_BYTES]]
 * DIR must not exist; it is left behind. One thread, random ids of 20 bytes, one change. Values over
 * repetitions are the smallest.
 */
#include "os/os.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPENINGS = 10, LOOKUPS = 100000 };

static void print_line(const char *name, double value, const char *unit)
{
    printf("{\"bench\": \"store\", \"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", name, value, unit);
    printf("\"peer\": \"\", \"ratio\": null}\n");
    fflush(stdout);
}

static ht_status add_all(hti_store *store, uint32_t n_docs, ht_text text, ht_error *err)
{
    hti_change *change;
    uint64_t random = 1;
    uint32_t doc;
    HT_TRY(hti_change_begin(store, &change, err));
    const uint64_t start = hti_clock_ns();
    for (uint32_t i = 0; i < n_docs; i++) {
        char id[32];
        const int len = snprintf(id, sizeof id, "doc-%016llx", (unsigned long long)hti_random_next(&random));
        const hti_doc fields = {{id, (size_t)len}, {"a title", 7}, text};
        const ht_status status = hti_change_add(change, &fields, &doc, err);
        if (status == HT_OK) continue;
        hti_change_abort(change);
        return status;
    }
    const uint64_t added = hti_clock_ns();
    HT_TRY(hti_change_commit(change, err));
    const uint64_t committed = hti_clock_ns();
    print_line("add", n_docs / ((double)(added - start) / 1e9), "documents/s");
    print_line("commit", (double)(committed - added) / 1e6, "ms");
    print_line("bytes", (double)hti_store_size_bytes(store) / n_docs, "bytes/document");
    return HT_OK;
}

static ht_status look_up_all(const char *dir, uint32_t n_docs, ht_error *err)
{
    hti_arena arena;
    hti_store *store;
    hti_doc doc;
    uint64_t random = 2;
    uint32_t found;
    HT_TRY(hti_store_open(dir, HTI_STORE_READ, &store, err));
    hti_arena_init(&arena);
    ht_status status = HT_OK;
    uint64_t spent[3] = {0, 0, 0};
    for (uint32_t i = 0; status == HT_OK && i < LOOKUPS; i++) {
        const uint32_t at = (uint32_t)(hti_random_next(&random) % n_docs);
        hti_arena_reset(&arena);
        const uint64_t start = hti_clock_ns();
        status = hti_store_doc_id(store, at, &arena, &doc.id, err);
        const uint64_t with_id = hti_clock_ns();
        if (status == HT_OK) status = hti_store_doc(store, at, &arena, &doc, err);
        const uint64_t with_doc = hti_clock_ns();
        if (status == HT_OK) status = hti_store_find(store, doc.id, &found, err);
        spent[0] += with_id - start;
        spent[1] += with_doc - with_id;
        spent[2] += hti_clock_ns() - with_doc;
    }
    static const char *const names[] = {"id of ordinal", "fields of ordinal", "ordinal of id"};
    for (size_t i = 0; status == HT_OK && i < HTI_LEN(names); i++)
        print_line(names[i], (double)spent[i] / 1e3 / LOOKUPS, "us");
    hti_arena_deinit(&arena);
    hti_store_close(store);
    return status;
}

static ht_status open_some(const char *dir, ht_error *err)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < OPENINGS; i++) {
        hti_store *store;
        const uint64_t start = hti_clock_ns();
        HT_TRY(hti_store_open(dir, HTI_STORE_READ, &store, err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        hti_store_close(store);
    }
    print_line("open", (double)best / 1e6, "ms");
    return HT_OK;
}

static ht_status run(const char *dir, uint32_t n_docs, size_t text_bytes, ht_error *err)
{
    hti_store *store;
    char *text = hti_alloc(text_bytes);
    if (!text) return HTI_NO_MEMORY(err);
    memset(text, 'x', text_bytes);
    ht_status status = hti_store_open(dir, HTI_STORE_CREATE, &store, err);
    if (status == HT_OK && hti_store_n_docs(store) > 0) status = HT_FAIL(err, EXISTS, "%s: is there already", dir);
    if (status == HT_OK) status = add_all(store, n_docs, (ht_text){text, text_bytes}, err);
    hti_store_close(store);
    hti_free(text);
    if (status == HT_OK) status = open_some(dir, err);
    if (status == HT_OK) status = look_up_all(dir, n_docs, err);
    if (status == HT_OK) print_line("peak memory", (double)hti_peak_memory() / 1e6, "MB");
    return status;
}

int main(int n_args, char **args)
{
    ht_error err = {0};
    const unsigned long n_docs = n_args > 2 ? strtoul(args[2], NULL, 10) : 100000;
    const unsigned long text_bytes = n_args > 3 ? strtoul(args[3], NULL, 10) : 60;
    if (n_args < 2 || n_docs == 0 || n_docs > 100000000 || text_bytes > 1 << 24) {
        fprintf(stderr, "usage: bench_store DIR [N_DOCS [TEXT_BYTES]]\n");
        return 2;
    }
    const ht_status status = run(args[1], (uint32_t)n_docs, text_bytes, &err);
    if (status != HT_OK) fprintf(stderr, "bench_store: %s\n", err.message);
    return ht_status_exit_code(status);
}
