/*
 * fuzz_qrels.c - files of judgements: what is read is sound; lenient reading finds at least as many rows.
 */
#include "memory_file.h"

#include <houndstooth/eval.h>

static void require(bool held)
{
    if (!held) abort();
}

static size_t count_rows(const ht_qrels *qrels)
{
    size_t sum = 0;
    for (size_t q = 0; q < ht_qrels_n_queries(qrels); q++) {
        size_t n;
        require(ht_qrels_query(qrels, q, &n).len > 0 && n > 0);
        sum += n;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory_file file = memory_file_open(data, size);
    size_t n_rows[2] = {0, 0};
    for (int lenient = 0; lenient <= 1; lenient++) {
        const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = lenient};
        ht_qrels *qrels;
        ht_error err = {0};
        if (ht_qrels_read(file.path, &opts, &qrels, &err) != HT_OK) {
            require(!qrels && err.message[0]);
            continue;
        }
        n_rows[lenient] = count_rows(qrels);
        ht_qrels_free(qrels);
    }
    require(n_rows[1] >= n_rows[0]);
    memory_file_close(&file);
    return 0;
}
