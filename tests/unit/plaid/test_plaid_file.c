/*
 * test_plaid_file.c - the segment file: its bytes against docs/formats/token-vectors.md, damage of every kind, and
 * builders that are used wrongly or given up.
 */
#include "plaid_scene.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- a second writer, by the specification alone ---- */

typedef struct bytes {
    unsigned char data[4096];
    size_t len;
} bytes;

static void put(bytes *out, const void *data, size_t len)
{
    assert_true(out->len + len <= sizeof out->data);
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void put_u32(bytes *out, uint32_t value) { put(out, &value, 4); }
static void put_u64(bytes *out, uint64_t value) { put(out, &value, 8); }
static void put_f32(bytes *out, float value) { put(out, &value, 4); }

/* Zeros up to a multiple of 64, then a section row in the head. */
static void end_section(bytes *out, uint32_t kind, size_t start)
{
    static const unsigned char zeros[64];
    put(out, zeros, (64 - out->len % 64) % 64);
    unsigned char *row = out->data + 64 + (kind - 1) * 32;
    const uint64_t off = start, size = out->len - start, hash = hti_hash(out->data + start, out->len - start);
    memcpy(row, &kind, 4);
    memcpy(row + 8, &off, 8);
    memcpy(row + 16, &size, 8);
    memcpy(row + 24, &hash, 8);
}

/*
 * Three documents of dim 3: vectors (1, 0, -.5), (0, 0, 0); none; (0, 2/127, 1). Pooled (1, 2, 3), (4, 5, 6),
 * (7, 8, 9).
 */
static void write_by_specification(bytes *out)
{
    static const unsigned char codes[3][3] = {{255, 128, 64}, {128, 128, 128}, {128, 130, 255}};
    memset(out, 0, sizeof *out);
    put(out, "HTTOKVEC", 8);
    put_u32(out, 1);          /* version */
    put_u32(out, 0x01020304); /* byte order */
    put_u32(out, 3);          /* dim */
    put_u32(out, 0);          /* int8 */
    put_u64(out, 3);          /* documents */
    put_u64(out, 3);          /* vectors */
    put_u32(out, 1);          /* pooled */
    put_u32(out, 64);         /* bytes of a row */
    put_u32(out, 4);          /* sections */
    put_u32(out, 0);
    out->len = 192;
    size_t start = out->len;
    for (size_t i = 0; i < 3; i++) {
        unsigned char row[64];
        memset(row, 128, sizeof row);
        memcpy(row, codes[i], 3);
        put(out, row, sizeof row);
    }
    end_section(out, 1, start);
    start = out->len;
    put_f32(out, 1.0f / 127.0f);
    put_f32(out, 0.0f);
    put_f32(out, 1.0f / 127.0f);
    end_section(out, 2, start);
    start = out->len;
    put_u64(out, 0);
    put_u64(out, 2);
    put_u64(out, 2);
    put_u64(out, 3);
    end_section(out, 3, start);
    start = out->len;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 16; k++) put_f32(out, k < 3 ? (float)(3 * i + k + 1) : 0.0f);
    }
    end_section(out, 4, start);
    const uint64_t hash = hti_hash(out->data, 192); /* the field itself is still zero */
    memcpy(out->data + 56, &hash, 8);
}

static const float spec_vectors[9] = {1.0f, 0.0f, -0.5f, 0.0f, 0.0f, 0.0f, 0.0f, 2.0f / 127.0f, 1.0f};
static const float spec_pooled[9] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f};

static char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];

static int set_up(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    (void)temp_dir_path(dir, "segment", path);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    return 0;
}

static void write_file(const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static ht_plaid_builder *new_builder(uint32_t dim, ht_vector_type type, bool has_pooled)
{
    ht_plaid_builder *builder;
    ht_plaid_build_opts opts;
    ht_plaid_build_opts_init(&opts);
    opts.dim = dim;
    opts.vector_type = type;
    opts.has_pooled = has_pooled;
    SCENE_OK(ht_plaid_builder_new(path, &opts, &builder, &scene_err));
    return builder;
}

static void build_spec_file(ht_plaid_info *info)
{
    ht_plaid_builder *builder = new_builder(3, HT_VECTOR_INT8, true);
    SCENE_OK(ht_plaid_builder_add(builder, spec_vectors, 2, spec_pooled, &scene_err));
    SCENE_OK(ht_plaid_builder_add(builder, NULL, 0, spec_pooled + 3, &scene_err));
    SCENE_OK(ht_plaid_builder_add(builder, spec_vectors + 6, 1, spec_pooled + 6, &scene_err));
    SCENE_OK(ht_plaid_builder_finish(builder, info, &scene_err));
}

static ht_status count_name(void *ud, const char *name, ht_error *err)
{
    (void)name;
    (void)err;
    ++*(size_t *)ud;
    return HT_OK;
}

static size_t n_files(void)
{
    size_t n = 0;
    SCENE_OK(hti_list_dir(dir, count_name, &n, &scene_err));
    return n;
}

static void test_bytes_follow_the_specification(void **unused)
{
    (void)unused;
    static bytes want, got;
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    write_by_specification(&want);
    build_spec_file(&info);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    got.len = fread(got.data, 1, sizeof got.data, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(got.len, want.len);
    for (size_t i = 0; i < want.len; i++)
        if (got.data[i] != want.data[i])
            fail_msg("byte %zu is %u, the specification says %u", i, got.data[i], want.data[i]);
    assert_true(info.n_docs == 3 && info.n_vectors == 3 && info.dim == 3 && info.has_pooled &&
                info.size_bytes == want.len);
    assert_int_equal(n_files(), 1); /* the side files are gone */
}

/* ---- damage ---- */

static ht_status open_one(ht_plaid **plaid)
{
    const char *const paths[1] = {path};
    return ht_plaid_open(paths, 1, plaid, &scene_err);
}

/* Everything a reader can ask of an open index, none of which may fault. */
static void use(const ht_plaid *plaid)
{
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    ht_plaid_session *session;
    const float query[2 * 64] = {1.0f, -0.5f, 0.25f, 0.1f, 0.2f, 1.0f};
    ht_hit hits[4];
    size_t n_hits;
    double scores[4];
    ht_plaid_match matches[2];
    ht_plaid_get_info(plaid, &info);
    if (info.dim > 64) return;
    SCENE_OK(ht_plaid_session_new(plaid, NULL, &session, &scene_err));
    SCENE_OK(ht_plaid_search(session, query, 2, NULL, 4, hits, &n_hits, &scene_err));
    for (uint32_t doc = 0; doc < info.n_docs && doc < 4; doc++) {
        SCENE_OK(ht_plaid_score(session, query, 2, &doc, 1, scores, &scene_err));
        if (ht_plaid_doc_len(plaid, doc) > 0) SCENE_OK(ht_plaid_matches(session, query, 2, doc, matches, &scene_err));
    }
    if (info.has_pooled) SCENE_OK(ht_plaid_search_pooled(session, query, NULL, 4, hits, &n_hits, &scene_err));
    ht_plaid_session_free(session);
}

static void test_truncated_at_every_byte(void **unused)
{
    (void)unused;
    static bytes whole;
    write_by_specification(&whole);
    for (size_t len = 0; len < whole.len; len++) {
        ht_plaid *plaid;
        write_file(whole.data, len);
        assert_int_equal(open_one(&plaid), HT_CORRUPT);
        assert_null(plaid);
        assert_non_null(strstr(scene_err.message, path));
    }
    put(&whole, "x", 1); /* and one byte too many */
    ht_plaid *plaid;
    write_file(whole.data, whole.len);
    assert_int_equal(open_one(&plaid), HT_CORRUPT);
}

/* Every byte lies under a checksum: open or verify sees any change, and what opens can be used. */
static void test_every_byte_flipped(void **unused)
{
    (void)unused;
    static bytes whole;
    for (int bit = 0; bit < 8; bit += 7) {
        write_by_specification(&whole);
        for (size_t at = 0; at < whole.len; at++) {
            ht_plaid *plaid;
            whole.data[at] ^= (unsigned char)(1 << bit);
            write_file(whole.data, whole.len);
            const ht_status status = open_one(&plaid);
            if (status == HT_OK) {
                use(plaid);
                assert_int_equal(ht_plaid_verify(plaid, NULL, &scene_err), HT_CORRUPT);
                assert_non_null(strstr(scene_err.message, path));
                ht_plaid_close(plaid);
            } else {
                assert_int_equal(status, at >= 8 && at < 12 ? HT_VERSION : HT_CORRUPT);
            }
            whole.data[at] ^= (unsigned char)(1 << bit);
        }
    }
}

/* A head whose checksum is right but whose fields lie: what a hostile file would do. */
static void test_lying_heads(void **unused)
{
    (void)unused;
    static const struct {
        size_t at;
        uint32_t value;
    } lies[] = {{12, 0x04030201}, {16, 0},           {16, 4097}, {16, 65},         {20, 2},        {20, 1}, {24, 4},
                {24, 0},          {28, 1},           {24, 2},    {32, 4},          {36, 1u << 31}, {32, 0}, {40, 0},
                {40, 3},          {44, 128},         {48, 3},    {52, 1},          {64, 2},        {68, 1}, {72, 128},
                {80, 0},          {80, 0xFFFFFFC0u}, {104, 448}, {76, 0x80000000u}};
    static bytes whole;
    for (size_t i = 0; i < HTI_LEN(lies); i++) {
        ht_plaid *plaid;
        write_by_specification(&whole);
        memcpy(whole.data + lies[i].at, &lies[i].value, 4);
        memset(whole.data + 56, 0, 8);
        const uint64_t hash = hti_hash(whole.data, 192);
        memcpy(whole.data + 56, &hash, 8);
        write_file(whole.data, whole.len);
        if (open_one(&plaid) != HT_CORRUPT) fail_msg("lie %zu, byte %zu: opened or wrong status", i, lies[i].at);
    }
}

/* Offsets that fall, overshoot or do not start at 0, under right checksums. */
static void test_lying_offsets(void **unused)
{
    (void)unused;
    static const uint64_t lies[][4] = {{1, 2, 2, 3}, {0, 2, 1, 3},          {0, 4, 4, 3},         {0, 2, 2, 2},
                                       {0, 2, 2, 4}, {0, UINT64_MAX, 2, 3}, {0, 0, 1ull << 33, 3}};
    static bytes whole;
    for (size_t i = 0; i < HTI_LEN(lies); i++) {
        ht_plaid *plaid;
        write_by_specification(&whole);
        const size_t at = 192 + 3 * 64 + 64;
        memcpy(whole.data + at, lies[i], sizeof lies[i]);
        write_file(whole.data, whole.len); /* the section's checksum is not looked at by open */
        assert_int_equal(open_one(&plaid), HT_CORRUPT);
        assert_non_null(strstr(scene_err.message, "offsets"));
    }
}

static void test_other_files(void **unused)
{
    (void)unused;
    ht_plaid *plaid;
    static bytes whole;
    const char *const missing[1] = {"/nonexistent/segment"}, *const folder[1] = {dir};
    assert_int_equal(ht_plaid_open(missing, 1, &plaid, &scene_err), HT_NOT_FOUND);
    assert_true(ht_plaid_open(folder, 1, &plaid, &scene_err) != HT_OK);
    write_by_specification(&whole);
    whole.data[8] = 2;
    write_file(whole.data, whole.len);
    assert_int_equal(open_one(&plaid), HT_VERSION);
    assert_non_null(strstr(scene_err.message, "version 2"));
    memset(whole.data, 0, 192); /* what an interrupted builder leaves */
    write_file(whole.data, whole.len);
    assert_int_equal(open_one(&plaid), HT_CORRUPT);
    assert_non_null(strstr(scene_err.message, "not a finished"));
}

/* One index holds one kind of vectors. */
static void test_mixed_kinds(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t dim;
        ht_vector_type type;
        bool has_pooled;
    } kinds[] = {{4, HT_VECTOR_INT8, true}, {3, HT_VECTOR_F16, true}, {3, HT_VECTOR_INT8, false}};
    char other[2 * TEMP_DIR_CAP];
    build_spec_file(NULL);
    (void)temp_dir_path(dir, "first", other);
    assert_int_equal(rename(path, other), 0);
    for (size_t i = 0; i < HTI_LEN(kinds); i++) {
        const char *const paths[2] = {other, path};
        ht_plaid *plaid;
        ht_plaid_builder *builder = new_builder(kinds[i].dim, kinds[i].type, kinds[i].has_pooled);
        SCENE_OK(ht_plaid_builder_finish(builder, NULL, &scene_err));
        assert_int_equal(ht_plaid_open(paths, 2, &plaid, &scene_err), HT_INVALID);
        assert_null(plaid);
        assert_non_null(strstr(scene_err.message, path));
        SCENE_OK(open_one(&plaid)); /* a segment without documents opens alone */
        use(plaid);
        SCENE_OK(ht_plaid_verify(plaid, NULL, &scene_err));
        ht_plaid_close(plaid);
    }
    assert_int_equal(unlink(other), 0);
}

/* A file that version 1 of the program wrote and every later one must read. */
static void test_past_versions(void **unused)
{
    (void)unused;
    static const struct {
        const char *file;
        ht_vector_type type;
    } past[] = {{HT_TEST_DATA "/plaid/int8.v1.segment", HT_VECTOR_INT8},
                {HT_TEST_DATA "/plaid/f16.v1.segment", HT_VECTOR_F16}};
    for (size_t i = 0; i < HTI_LEN(past); i++) {
        ht_plaid *plaid;
        ht_plaid_session *session;
        ht_hit hits[4];
        size_t n_hits;
        const float query[3] = {0.0f, 1.0f, 0.0f};
        SCENE_OK(ht_plaid_open(&past[i].file, 1, &plaid, &scene_err));
        SCENE_OK(ht_plaid_verify(plaid, NULL, &scene_err));
        SCENE_OK(ht_plaid_session_new(plaid, NULL, &session, &scene_err));
        SCENE_OK(ht_plaid_search(session, query, 1, NULL, 4, hits, &n_hits, &scene_err));
        ht_plaid_info info = {HT_DESC(ht_plaid_info)};
        ht_plaid_get_info(plaid, &info);
        assert_true(info.vector_type == past[i].type && info.dim == 3 && info.n_docs == 3 && info.n_vectors == 3);
        assert_int_equal(n_hits, 2);
        assert_int_equal(hits[0].doc, 2);
        assert_true(fabs(hits[0].score - 2.0 / 127.0) < 1e-5);
        assert_true(hits[1].doc == 0 && hits[1].score == 0.0);
        ht_plaid_session_free(session);
        ht_plaid_close(plaid);
    }
}

/* ---- builders ---- */

static void test_bad_documents_leave_the_builder_whole(void **unused)
{
    (void)unused;
    static bytes want, got;
    const float nan3[3] = {0.0f, NAN, 0.0f}, inf3[3] = {0.0f, 1.0f, -INFINITY};
    ht_plaid_builder *builder = new_builder(3, HT_VECTOR_INT8, true);
    assert_int_equal(ht_plaid_builder_add(builder, nan3, 1, spec_pooled, &scene_err), HT_INVALID);
    assert_non_null(strstr(scene_err.message, "document 0"));
    SCENE_OK(ht_plaid_builder_add(builder, spec_vectors, 2, spec_pooled, &scene_err));
    assert_int_equal(ht_plaid_builder_add(builder, inf3, 1, spec_pooled, &scene_err), HT_INVALID);
    assert_int_equal(ht_plaid_builder_add(builder, spec_vectors, 1, inf3, &scene_err), HT_INVALID);
    assert_int_equal(ht_plaid_builder_add(builder, spec_vectors, 1, NULL, &scene_err), HT_INVALID);
    SCENE_OK(ht_plaid_builder_add(builder, NULL, 0, spec_pooled + 3, &scene_err));
    SCENE_OK(ht_plaid_builder_add(builder, spec_vectors + 6, 1, spec_pooled + 6, &scene_err));
    SCENE_OK(ht_plaid_builder_finish(builder, NULL, &scene_err));
    write_by_specification(&want);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    got.len = fread(got.data, 1, sizeof got.data, file);
    assert_int_equal(fclose(file), 0);
    assert_true(got.len == want.len && memcmp(got.data, want.data, want.len) == 0);
}

static void test_builder_refuses(void **unused)
{
    (void)unused;
    ht_plaid_builder *builder;
    ht_plaid_build_opts opts;
    ht_plaid_build_opts_init(&opts);
    (void)unlink(path);
    const size_t before = n_files();
    assert_int_equal(ht_plaid_builder_new(path, &opts, &builder, &scene_err), HT_INVALID); /* dim 0 */
    opts.dim = 4097;
    assert_int_equal(ht_plaid_builder_new(path, &opts, &builder, &scene_err), HT_INVALID);
    opts.dim = 3;
    opts.vector_type = (ht_vector_type)7;
    assert_int_equal(ht_plaid_builder_new(path, &opts, &builder, &scene_err), HT_INVALID);
    opts.vector_type = HT_VECTOR_F16;
    assert_int_equal(ht_plaid_builder_new("/nonexistent/x", &opts, &builder, &scene_err), HT_NOT_FOUND);
    assert_null(builder);
    SCENE_OK(ht_plaid_builder_new(path, &opts, &builder, &scene_err));
    const float large[3] = {70000.0f, 0.0f, 0.0f};
    assert_int_equal(ht_plaid_builder_add(builder, large, 1, NULL, &scene_err), HT_INVALID); /* not a half */
    SCENE_OK(ht_plaid_builder_add(builder, spec_vectors, 3, NULL, &scene_err));
    ht_plaid_builder_abort(builder);
    ht_plaid_builder_abort(NULL);
    assert_int_equal(n_files(), before); /* nothing is left */
}

static bool say_cancelled(void *ud)
{
    ++*(int *)ud;
    return true;
}

static void note_progress(void *ud, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage;
    *(uint64_t *)ud = done == total ? total : 0;
}

static void test_verify_is_watched(void **unused)
{
    (void)unused;
    ht_plaid *plaid;
    int n_asked = 0;
    uint64_t whole = 0;
    build_spec_file(NULL);
    SCENE_OK(open_one(&plaid));
    const ht_monitor stopping = {&n_asked, say_cancelled, NULL}, watching = {&whole, NULL, note_progress};
    assert_int_equal(ht_plaid_verify(plaid, &stopping, &scene_err), HT_CANCELLED);
    assert_int_equal(n_asked, 1);
    SCENE_OK(ht_plaid_verify(plaid, &watching, &scene_err));
    assert_true(whole > 0);
    ht_plaid_close(plaid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_follow_the_specification),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_lying_heads),
        cmocka_unit_test(test_lying_offsets),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_mixed_kinds),
        cmocka_unit_test(test_past_versions),
        cmocka_unit_test(test_bad_documents_leave_the_builder_whole),
        cmocka_unit_test(test_builder_refuses),
        cmocka_unit_test(test_verify_is_watched),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
