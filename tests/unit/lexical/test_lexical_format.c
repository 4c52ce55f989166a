/*
 * test_lexical_format.c - segment files cut short, with flipped bytes, and of other versions.
 *
 * A damaged file must fail to open, fail while it is searched, or be harmless; every flipped byte that
 * matters to a reader is found by ht_lexical_verify. Run under ASan and UBSan for the "no crash" half.
 */
#include "lexical_support.h"

#include "lexical/inverter.h"
#include "lexical/lexical_int.h"
#include "lexical/lexical_writer.h"

static unsigned char *bytes;
static size_t n_bytes;
static folder files;

static void write_file(const char *path, const unsigned char *data, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A segment with packed blocks, tails, several term groups and all kinds of lengths. */
static int set_up(void **unused)
{
    (void)unused;
    uint64_t state = 11;
    ht_error err = {0};
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    corpus c = random_corpus(&state, 400, 60, 9);
    make_folder(&files);
    assert_ht_ok(build_segment(&c, 0, c.n_docs, files.paths[0], &info, &err));
    free_corpus(&c);
    FILE *file = fopen(files.paths[0], "r");
    assert_non_null(file);
    n_bytes = (size_t)info.size_bytes;
    bytes = malloc(n_bytes + 1);
    assert_int_equal(fread(bytes, 1, n_bytes + 1, file), n_bytes); /* size_bytes is the file's size */
    (void)fclose(file);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    free(bytes);
    drop_folder(&files);
    return 0;
}

typedef enum outcome { REFUSED, FAILED_LATER, HARMLESS } outcome;

static bool is_damage(ht_status status)
{
    return status == HT_CORRUPT || status == HT_VERSION || status == HT_NOT_FOUND;
}

/* Opens the file and uses all of it. *verified tells what ht_lexical_verify said. */
static outcome use_file(const char *path, ht_status *verified)
{
    ht_error err = {0};
    ht_lexical *lexical;
    ht_lexical_session *session;
    ht_hit hits[20];
    double scores[40];
    uint32_t docs[40];
    outcome result = HARMLESS;
    *verified = HT_CORRUPT;
    ht_status status = ht_lexical_open(&path, 1, &lexical, &err);
    if (status != HT_OK) {
        assert_true(is_damage(status));
        assert_null(lexical);
        assert_non_null(strstr(err.message, path)); /* the file is named */
        return REFUSED;
    }
    assert_ht_ok(ht_lexical_session_new(lexical, &session, &err));
    for (uint32_t word = 0; word < 60; word++) {
        char query[64];
        size_t n;
        (void)snprintf(query, sizeof query, "w%u w%u w%u none", word, (word * 7) % 60, word / 2);
        const ht_text text = {query, strlen(query)};
        for (uint32_t i = 0; i < 40; i++) docs[i] = (i * 9 + word) % 400;
        status = ht_lexical_search(session, text, NULL, NULL, 20, hits, &n, &err);
        if (status == HT_OK) status = ht_lexical_score(session, text, NULL, docs, 40, scores, &err);
        const uint32_t last_docs[] = {399, 398}; /* straight to the last block, whatever the ones before hold */
        if (status == HT_OK) status = ht_lexical_score(session, text, NULL, last_docs, 2, scores, &err);
        for (size_t i = 0; status == HT_OK && i < n; i++) assert_true(hits[i].doc < 400 && isfinite(hits[i].score));
        if (status == HT_OK) continue;
        assert_int_equal(status, HT_CORRUPT);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, "byte "));
        result = FAILED_LATER;
    }
    *verified = ht_lexical_verify(lexical, NULL, &err);
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
    return result;
}

static void test_the_whole_file_is_accepted(void **unused)
{
    (void)unused;
    ht_status verified;
    assert_int_equal(use_file(files.paths[0], &verified), HARMLESS);
    assert_int_equal(verified, HT_OK);
}

static void test_every_truncation_is_refused(void **unused)
{
    (void)unused;
    ht_status verified;
    const char *path = files.paths[1];
    write_file(path, bytes, n_bytes);
    for (size_t len = n_bytes; len-- > 0;) {
        assert_int_equal(truncate(path, (off_t)len), 0);
        assert_int_equal(use_file(path, &verified), REFUSED);
    }
    write_file(path, bytes, n_bytes);
    FILE *file = fopen(path, "a");
    (void)fputc('x', file);
    (void)fclose(file);
    assert_int_equal(use_file(path, &verified), REFUSED); /* longer is wrong, too */
}

/* Padding between sections is the only place where a change may go unseen. */
static bool is_padding(size_t at)
{
    if (at < HTI_HEADER_BYTES + HTI_N_SECTIONS * HTI_SECTION_BYTES) return false;
    for (size_t i = 0; i < HTI_N_SECTIONS; i++) {
        const unsigned char *record = bytes + HTI_HEADER_BYTES + i * HTI_SECTION_BYTES;
        const uint64_t off = hti_get_u64(record + HTI_AT_OFF), size = hti_get_u64(record + HTI_AT_SIZE);
        if (at >= off && at < off + size) return false;
    }
    return true;
}

/* Changes one byte of a file in place. */
static void poke(const char *path, size_t at, unsigned char value)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(value, file), value);
    assert_int_equal(fclose(file), 0);
}

static void flip_bytes(unsigned char mask, size_t step)
{
    size_t counts[3] = {0};
    const char *path = files.paths[1];
    write_file(path, bytes, n_bytes);
    for (size_t at = 0; at < n_bytes; at += step) {
        ht_status verified;
        poke(path, at, bytes[at] ^ mask);
        counts[use_file(path, &verified)]++;
        if (verified == HT_OK && !is_padding(at)) fail_msg("byte %zu: changed by %02x, and nobody noticed", at, mask);
        poke(path, at, bytes[at]);
    }
    assert_true(counts[REFUSED] > 0 && counts[FAILED_LATER] > 0 && counts[HARMLESS] > 0);
}

static void test_every_flipped_byte_is_found(void **unused)
{
    (void)unused;
    flip_bytes(0xFF, 1);
    flip_bytes(0x01, 3);
    flip_bytes(0x80, 7);
}

/* The same with a header checksum that fits: what the checksum would have caught is checked by value. */
static void test_header_values_are_checked_by_themselves(void **unused)
{
    (void)unused;
    const char *path = files.paths[1];
    unsigned char *copy = malloc(n_bytes);
    for (size_t at = 0; at < HTI_HEADER_BYTES + HTI_N_SECTIONS * HTI_SECTION_BYTES; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            ht_status verified;
            memcpy(copy, bytes, n_bytes);
            copy[at] = (unsigned char)(copy[at] ^ 1u << bit);
            const uint32_t n_sections = hti_get_u32(copy + HTI_AT_N_SECTIONS);
            if (n_sections <= HTI_MAX_SECTIONS)
                hti_put_u64(copy + HTI_AT_CHECKSUM, hti_header_checksum(copy, n_sections));
            write_file(path, copy, n_bytes);
            (void)use_file(path, &verified);
        }
    }
    free(copy);
}

static void put_header(unsigned char *copy)
{
    hti_put_u64(copy + HTI_AT_CHECKSUM, hti_header_checksum(copy, HTI_N_SECTIONS));
    write_file(files.paths[1], copy, n_bytes);
}

static unsigned char *section_record(unsigned char *copy, hti_section kind)
{
    return copy + HTI_HEADER_BYTES + (size_t)kind * HTI_SECTION_BYTES;
}

/* What a search for w0 says once the header claims other counts of documents. */
static ht_status search_claimed(const unsigned char *whole, size_t len, uint64_t n_docs, uint64_t with_tokens)
{
    ht_error err = {0};
    ht_lexical *lexical;
    ht_lexical_session *session;
    ht_hit hits[300];
    size_t n;
    unsigned char *copy = malloc(len);
    memcpy(copy, whole, len);
    hti_put_u64(copy + HTI_AT_N_DOCS, n_docs);
    hti_put_u64(copy + HTI_AT_N_DOCS_WITH_TOKENS, with_tokens);
    hti_put_u64(section_record(copy, HTI_SECTION_DOC_LENGTHS) + HTI_AT_SIZE, n_docs * 2);
    hti_put_u64(copy + HTI_AT_CHECKSUM, hti_header_checksum(copy, HTI_N_SECTIONS));
    write_file(files.paths[1], copy, len);
    assert_ht_ok(ht_lexical_open(&files.list[1], 1, &lexical, &err));
    assert_ht_ok(ht_lexical_session_new(lexical, &session, &err));
    const ht_status status = ht_lexical_search(session, (ht_text){"w0", 2}, NULL, NULL, 300, hits, &n, &err);
    for (size_t i = 0; status == HT_OK && i < n; i++) assert_true(hits[i].doc < n_docs && hits[i].score > 0.0);
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
    free(copy);
    return status;
}

/* w0 stands in 128 documents, every second one: a single packed block whose last document is 254. */
static void test_counts_that_do_not_fit_the_postings(void **unused)
{
    (void)unused;
    enum { DOCS = 256 };
    ht_error err = {0};
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    corpus c = {DOCS, 2, malloc((DOCS + 1) * sizeof *c.starts), malloc(DOCS * sizeof *c.words)};
    for (uint32_t d = 0; d <= DOCS; d++) c.starts[d] = d;
    for (uint32_t d = 0; d < DOCS; d++) c.words[d] = d % 2;
    assert_ht_ok(build_segment(&c, 0, DOCS, files.paths[2], &info, &err));
    free_corpus(&c);
    unsigned char *whole = malloc((size_t)info.size_bytes);
    FILE *file = fopen(files.paths[2], "r");
    assert_non_null(file);
    assert_int_equal(fread(whole, 1, (size_t)info.size_bytes, file), info.size_bytes);
    (void)fclose(file);
    assert_int_equal(search_claimed(whole, (size_t)info.size_bytes, DOCS, DOCS), HT_OK);
    assert_int_equal(search_claimed(whole, (size_t)info.size_bytes, 200, 200),
                     HT_CORRUPT); /* a document behind the last */
    assert_int_equal(search_claimed(whole, (size_t)info.size_bytes, DOCS, 100), HT_CORRUPT); /* df > N: idf below 0 */
    free(whole);
}

/* Written wrong, but with checksums that fit: verify compares the lengths with the postings. */
static void test_verify_adds_up_the_lengths(void **unused)
{
    (void)unused;
    ht_status verified;
    unsigned char *copy = malloc(n_bytes);
    memcpy(copy, bytes, n_bytes);
    unsigned char *record = section_record(copy, HTI_SECTION_DOC_LENGTHS);
    unsigned char *numbers = copy + hti_get_u64(record + HTI_AT_OFF);
    size_t other = 1;
    while (hti_get_u16(numbers) == hti_get_u16(numbers + 2 * other)) other++;
    const uint16_t first = hti_get_u16(numbers); /* two documents change lengths: all sums stay */
    hti_put_u16(numbers, hti_get_u16(numbers + 2 * other));
    hti_put_u16(numbers + 2 * other, first);
    hti_put_u64(record + HTI_AT_SECTION_CHECKSUM, hti_hash(numbers, (size_t)hti_get_u64(record + HTI_AT_SIZE)));
    put_header(copy);
    assert_int_equal(use_file(files.paths[1], &verified), HARMLESS);
    assert_int_equal(verified, HT_CORRUPT);
    free(copy);
}

static void test_versions_and_analyzers(void **unused)
{
    (void)unused;
    ht_error err = {0};
    ht_lexical *lexical;
    unsigned char *copy = malloc(n_bytes);
    memcpy(copy, bytes, n_bytes);
    hti_put_u32(copy + HTI_AT_VERSION, 2);
    put_header(copy);
    assert_int_equal(ht_lexical_open(&files.list[1], 1, &lexical, &err), HT_VERSION);
    memcpy(copy, bytes, n_bytes);
    copy[HTI_AT_FINGERPRINT] ^= 1; /* the same name, other tokens */
    put_header(copy);
    assert_int_equal(ht_lexical_open(&files.list[1], 1, &lexical, &err), HT_VERSION);
    assert_non_null(strstr(err.message, "whitespace"));
    assert_int_equal(ht_lexical_open(files.list, 2, &lexical, &err), HT_INVALID); /* two analyzers in one index */
    memcpy(copy, bytes, n_bytes);
    memcpy(copy + HTI_AT_ANALYZER, "klingon", 8);
    put_header(copy);
    assert_int_equal(ht_lexical_open(&files.list[1], 1, &lexical, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, files.paths[1]));
    assert_int_equal(ht_lexical_open((const char *const[]){"/nonexistent"}, 1, &lexical, &err), HT_NOT_FOUND);
    free(copy);
}

/* A section of an unknown kind is for later versions and is left alone. */
static void test_unknown_sections_are_skipped(void **unused)
{
    (void)unused;
    ht_status verified;
    const size_t table_end = HTI_HEADER_BYTES + HTI_N_SECTIONS * HTI_SECTION_BYTES, shift = HTI_SECTION_ALIGN;
    unsigned char *copy = calloc(1, n_bytes + shift);
    memcpy(copy, bytes, table_end);
    memcpy(copy + table_end + shift, bytes + table_end, n_bytes - table_end);
    for (size_t i = 0; i < HTI_N_SECTIONS; i++) {
        unsigned char *off = copy + HTI_HEADER_BYTES + i * HTI_SECTION_BYTES + HTI_AT_OFF;
        hti_put_u64(off, hti_get_u64(off) + shift);
    }
    hti_put_u32(copy + table_end + HTI_AT_KIND, 77);
    hti_put_u64(copy + table_end + HTI_AT_OFF, 0);
    hti_put_u64(copy + table_end + HTI_AT_SIZE, 0);
    hti_put_u64(copy + table_end + HTI_AT_SECTION_CHECKSUM, hti_hash(NULL, 0));
    hti_put_u32(copy + HTI_AT_N_SECTIONS, HTI_N_SECTIONS + 1);
    hti_put_u64(copy + HTI_AT_FILE_SIZE, n_bytes + shift);
    hti_put_u64(copy + HTI_AT_CHECKSUM, hti_header_checksum(copy, HTI_N_SECTIONS + 1));
    write_file(files.paths[1], copy, n_bytes + shift);
    assert_int_equal(use_file(files.paths[1], &verified), HARMLESS);
    assert_int_equal(verified, HT_OK);
    free(copy);
}

/* More than 65,536 distinct lengths: places of 4 bytes. Written through the inverter, as no test has 2e9 words. */
static void test_more_lengths_than_16_bits(void **unused)
{
    (void)unused;
    enum { DOCS = 66000 };
    ht_error err = {0};
    hti_inverter inverter;
    hti_file *file;
    ht_lexical_info info;
    uint64_t fingerprint;
    const ht_analyzer *whitespace;
    hti_inverter_init(&inverter);
    for (uint32_t d = 0; d < DOCS; d++) {
        assert_ht_ok(hti_inverter_token(&inverter, (ht_text){"w", 1}, &err));
        for (uint32_t i = 0; d == 40000 && i < 9; i++)
            assert_ht_ok(hti_inverter_token(&inverter, (ht_text){"w", 1}, &err));
        assert_ht_ok(hti_inverter_end_doc(&inverter, DOCS + 10 - d, &err));
    }
    assert_ht_ok(ht_analyzer_find("whitespace", &whitespace, &err));
    assert_ht_ok(hti_analyzer_fingerprint(whitespace, &fingerprint, &err));
    assert_ht_ok(hti_file_create(files.paths[2], &file, &err));
    assert_ht_ok(hti_lexical_write(file, &inverter, "whitespace", fingerprint, &info, &err));
    assert_ht_ok(hti_file_close(file, false, &err));
    const double n = DOCS, average = (double)inverter.n_tokens / n, idf = log(1.0 + .5 / (n + .5));
    hti_inverter_deinit(&inverter);
    ht_lexical *lexical;
    ht_lexical_session *session;
    ht_hit *hits = malloc(DOCS * sizeof *hits);
    size_t n_hits;
    assert_ht_ok(ht_lexical_open(&files.list[2], 1, &lexical, &err));
    assert_ht_ok(ht_lexical_session_new(lexical, &session, &err));
    assert_ht_ok(ht_lexical_search(session, (ht_text){"w", 1}, NULL, NULL, DOCS, hits, &n_hits, &err));
    assert_int_equal(n_hits, DOCS);
    for (size_t i = 0; i < n_hits; i++) {
        const double len = DOCS + 10 - hits[i].doc, tf = hits[i].doc == 40000 ? 10.0 : 1.0;
        const double want = idf * tf / (tf + 1.2 * (.25 + .75 * len / average));
        assert_true(fabs(hits[i].score - want) < 1e-9 * want);
    }
    free(hits);
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_whole_file_is_accepted),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_flipped_byte_is_found),
        cmocka_unit_test(test_header_values_are_checked_by_themselves),
        cmocka_unit_test(test_counts_that_do_not_fit_the_postings),
        cmocka_unit_test(test_verify_adds_up_the_lengths),
        cmocka_unit_test(test_versions_and_analyzers),
        cmocka_unit_test(test_unknown_sections_are_skipped),
        cmocka_unit_test(test_more_lengths_than_16_bits),
    };
    return cmocka_run_group_tests_name("lexical_format", tests, set_up, tear_down);
}
