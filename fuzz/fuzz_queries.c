/*
 * fuzz_queries.c - files of queries in both forms: ids fit for a run, no id twice.
 */
#include "eval/eval_int.h"
#include "memory_file.h"

static void require(bool held)
{
    if (!held) abort();
}

static void walk(const ht_queries *queries)
{
    for (size_t i = 0; i < ht_queries_len(queries); i++) {
        ht_text text;
        require(!hti_id_fault(ht_queries_at(queries, i, &text)));
        require(hti_utf8_valid(text) == text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory_file file = memory_file_open(data, size);
    for (int lenient = 0; lenient <= 1; lenient++) {
        const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = lenient};
        ht_queries *queries;
        ht_error err = {0};
        if (ht_queries_read(file.path, &opts, &queries, &err) == HT_OK)
            walk(queries);
        else
            require(!queries && err.message[0]);
        ht_queries_free(queries);
    }
    memory_file_close(&file);
    return 0;
}
