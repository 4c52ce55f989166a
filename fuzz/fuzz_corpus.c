/*
 * fuzz_corpus.c - JSON lines: records are sound, and the plain reader of a line agrees with jansson.
 */
#include "eval/eval_int.h"
#include "memory_file.h"

static void require(bool held)
{
    if (!held) abort();
}

static bool same_value(const hti_value *a, const hti_value *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind != HTI_VALUE_TEXT && a->kind != HTI_VALUE_INT) return true;
    return a->text.len == b->text.len && (a->text.len == 0 || memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

/* The whole input as one line. */
static void compare_readers(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    require(copy != NULL);
    if (size) memcpy(copy, data, size);
    const ht_text line = {copy, size};
    hti_buffer a, b;
    hti_json_record plain, slow;
    hti_buffer_init(&a);
    hti_buffer_init(&b);
    if (hti_utf8_valid(line) == size && hti_json_record_plain(line, &a, &plain)) {
        require(hti_json_record_slow(line, (hti_where){"fuzz", 1}, &b, &slow, NULL) == HT_OK);
        for (size_t i = 0; i < HTI_N_MEMBERS; i++) require(same_value(&plain.members[i], &slow.members[i]));
    }
    hti_buffer_deinit(&a);
    hti_buffer_deinit(&b);
    free(copy);
}

static void read_records(const char *path, bool lenient)
{
    const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = lenient};
    ht_corpus_reader *reader;
    if (ht_corpus_open(path, &opts, &reader, NULL) != HT_OK) return;
    bool more = true;
    while (more) {
        ht_record record;
        ht_error err = {0};
        if (ht_corpus_next(reader, &record, &more, &err) != HT_OK) {
            require(!more && err.message[0]);
            break;
        }
        if (!more) break;
        require(record.id.len > 0 && record.line > 0);
        require(hti_utf8_valid(record.id) == record.id.len && hti_utf8_valid(record.title) == record.title.len);
        require(hti_utf8_valid(record.text) == record.text.len);
    }
    ht_corpus_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    compare_readers(data, size);
    memory_file file = memory_file_open(data, size);
    read_records(file.path, false);
    read_records(file.path, true);
    memory_file_close(&file);
    return 0;
}
