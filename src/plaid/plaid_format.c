/*
 * plaid_format.c - head and layout of a token-vector segment file.
 *
 *     0  8  magic "HTTOKVEC"
 *     8  4  version                12  4  byte-order mark 0x01020304
 *    16  4  dim                    20  4  vector type (0 int8, 1 f16)
 *    24  8  documents              32  8  vectors
 *    40  4  flags (1: pooled)      44  4  bytes of a vector row
 *    48  4  number of sections     52  4  zero
 *    56  8  XXH3-64 of bytes [0, 192), these eight taken as zero
 *    64 4x32 sections: kind (part + 1) u32, zero u32, offset u64, size u64, XXH3-64 u64
 *
 * Invariant: the layout follows from dim, type, flags and counts alone, so the reader compares and never trusts an
 * offset. Every byte of the file is under a checksum or compared: sections hash their padding too.
 * Arrays are used in place, so both sides need a little-endian machine; the mark makes another one refuse.
 * Easy to get wrong: version comes before checksum, or a newer file would be called damaged.
 */
#include "plaid_format.h"

#include "kernel/kernel.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "segment arrays are mapped and used as they lie");

static const char magic[8] = {'H', 'T', 'T', 'O', 'K', 'V', 'E', 'C'};
enum { BYTE_ORDER_MARK = 0x01020304, FLAG_POOLED = 1, AT_HASH = 56, AT_SECTIONS = 64, SECTION_BYTES = 32 };

const char *hti_plaid_part_name(hti_plaid_part part)
{
    static const char *const names[HTI_PLAID_N_PARTS] = {"vectors", "scales", "offsets", "pooled vectors"};
    return names[part];
}

/* n elements of `size` bytes, rounded up to the alignment; SIZE_MAX when that overflows. */
static uint64_t padded_size(uint64_t n, uint64_t size)
{
    const size_t bytes = hti_add(hti_mul((size_t)n, (size_t)size), HTI_PLAID_ALIGN - 1);
    return bytes == SIZE_MAX ? UINT64_MAX : bytes & ~(uint64_t)(HTI_PLAID_ALIGN - 1);
}

ht_status hti_plaid_layout(hti_plaid_head *head, ht_error *err)
{
    const bool int8 = head->vector_type == HT_VECTOR_INT8;
    head->row_bytes = (uint32_t)(int8 ? hti_int8_row_bytes(head->dim) : hti_f16_row_bytes(head->dim));
    const uint64_t sizes[HTI_PLAID_N_PARTS] = {
        [HTI_PLAID_VECTORS] = padded_size(head->n_vectors, head->row_bytes),
        [HTI_PLAID_SCALES] = int8 ? padded_size(head->n_vectors, sizeof(float)) : 0,
        [HTI_PLAID_OFFSETS] = padded_size(hti_add((size_t)head->n_docs, 1), sizeof(uint64_t)),
        [HTI_PLAID_POOLED] =
            head->has_pooled ? padded_size(head->n_docs, sizeof(float) * hti_f32_row_floats(head->dim)) : 0,
    };
    uint64_t off = HTI_PLAID_HEAD_BYTES;
    for (size_t i = 0; i < HTI_PLAID_N_PARTS; i++) {
        if (sizes[i] > (uint64_t)INT64_MAX - off)
            return HT_FAIL(err, LIMIT, "a segment of %llu documents and %llu vectors is too large",
                           (unsigned long long)head->n_docs, (unsigned long long)head->n_vectors);
        head->parts[i].off = off;
        head->parts[i].size_bytes = sizes[i];
        off += sizes[i];
    }
    return HT_OK;
}

static uint64_t head_hash(const unsigned char *bytes)
{
    unsigned char copy[HTI_PLAID_HEAD_BYTES];
    memcpy(copy, bytes, sizeof copy);
    memset(copy + AT_HASH, 0, 8);
    return hti_hash(copy, sizeof copy);
}

void hti_plaid_encode_head(const hti_plaid_head *head, unsigned char *bytes)
{
    memset(bytes, 0, HTI_PLAID_HEAD_BYTES);
    memcpy(bytes, magic, sizeof magic);
    hti_put_u32(bytes + 8, HTI_PLAID_VERSION);
    hti_put_u32(bytes + 12, BYTE_ORDER_MARK);
    hti_put_u32(bytes + 16, head->dim);
    hti_put_u32(bytes + 20, (uint32_t)head->vector_type);
    hti_put_u64(bytes + 24, head->n_docs);
    hti_put_u64(bytes + 32, head->n_vectors);
    hti_put_u32(bytes + 40, head->has_pooled ? FLAG_POOLED : 0);
    hti_put_u32(bytes + 44, head->row_bytes);
    hti_put_u32(bytes + 48, HTI_PLAID_N_PARTS);
    for (uint32_t i = 0; i < HTI_PLAID_N_PARTS; i++) {
        unsigned char *row = bytes + AT_SECTIONS + i * SECTION_BYTES;
        hti_put_u32(row, i + 1);
        hti_put_u64(row + 8, head->parts[i].off);
        hti_put_u64(row + 16, head->parts[i].size_bytes);
        hti_put_u64(row + 24, head->parts[i].hash);
    }
    hti_put_u64(bytes + AT_HASH, head_hash(bytes));
}

#define DAMAGED(at, ...) damaged(err, path, (at), __VA_ARGS__)
static ht_status damaged(ht_error *err, const char *path, size_t at, const char *what)
{
    return HT_FAIL(err, CORRUPT, "%s: byte %zu: %s; restore the file or index again", path, at, what);
}

static ht_status check_start(const char *path, const unsigned char *data, size_t len, ht_error *err)
{
    if (len < HTI_PLAID_HEAD_BYTES)
        return DAMAGED(len, "a token-vector segment has at least 192 bytes, this file ends here");
    if (memcmp(data, magic, sizeof magic) != 0) return DAMAGED(0, "not a finished token-vector segment (no magic)");
    const uint32_t version = hti_get_u32(data + 8);
    if (version != HTI_PLAID_VERSION)
        return HT_FAIL(err, VERSION, "%s: byte 8: token-vector format version %u; this program reads version %d", path,
                       version, HTI_PLAID_VERSION);
    if (hti_get_u64(data + AT_HASH) != head_hash(data))
        return DAMAGED(AT_HASH, "the header does not match its checksum");
    if (hti_get_u32(data + 12) != BYTE_ORDER_MARK) return DAMAGED(12, "unknown byte order");
    return HT_OK;
}

static ht_status check_fields(const char *path, const unsigned char *data, hti_plaid_head *head, ht_error *err)
{
    const uint32_t type = hti_get_u32(data + 20), flags = hti_get_u32(data + 40);
    *head = (hti_plaid_head){
        .dim = hti_get_u32(data + 16),
        .vector_type = (ht_vector_type)type,
        .has_pooled = flags & FLAG_POOLED,
        .n_docs = hti_get_u64(data + 24),
        .n_vectors = hti_get_u64(data + 32),
    };
    if (head->dim < 1 || head->dim > HTI_PLAID_MAX_DIM) return DAMAGED(16, "the dimension is not in 1..4096");
    if (type != HT_VECTOR_INT8 && type != HT_VECTOR_F16) return DAMAGED(20, "unknown vector type");
    if (head->n_docs >= UINT32_MAX) return DAMAGED(24, "more documents than a segment may hold");
    if (head->n_vectors > 0 && head->n_docs == 0) return DAMAGED(32, "vectors without documents");
    if (flags & ~(uint32_t)FLAG_POOLED) return DAMAGED(40, "unknown flags");
    if (hti_get_u32(data + 48) != HTI_PLAID_N_PARTS || hti_get_u32(data + 52) != 0)
        return DAMAGED(48, "wrong number of sections");
    return HT_OK;
}

static ht_status check_sections(const char *path, const unsigned char *data, size_t len, hti_plaid_head *head,
                                ht_error *err)
{
    if (hti_plaid_layout(head, NULL) != HT_OK) return DAMAGED(24, "the counts overflow any file");
    if (hti_get_u32(data + 44) != head->row_bytes) return DAMAGED(44, "wrong size of a vector row");
    for (uint32_t i = 0; i < HTI_PLAID_N_PARTS; i++) {
        const size_t at = AT_SECTIONS + (size_t)i * SECTION_BYTES;
        hti_plaid_section *part = &head->parts[i];
        if (hti_get_u32(data + at) != i + 1 || hti_get_u32(data + at + 4) != 0) return DAMAGED(at, "unknown section");
        if (hti_get_u64(data + at + 8) != part->off || hti_get_u64(data + at + 16) != part->size_bytes)
            return DAMAGED(at, "a section is not where the counts put it");
        part->hash = hti_get_u64(data + at + 24);
    }
    const hti_plaid_section *last = &head->parts[HTI_PLAID_N_PARTS - 1];
    if (last->off + last->size_bytes == len) return HT_OK;
    return HT_FAIL(err, CORRUPT,
                   "%s: the file has %zu bytes, its header describes %llu; restore the file or index again", path, len,
                   (unsigned long long)(last->off + last->size_bytes));
}

ht_status hti_plaid_decode_head(const char *path, const unsigned char *data, size_t len, hti_plaid_head *out,
                                ht_error *err)
{
    HT_TRY(check_start(path, data, len, err));
    HT_TRY(check_fields(path, data, out, err));
    return check_sections(path, data, len, out, err);
}
