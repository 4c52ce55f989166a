/*
 * postings_codec.c - bit packing of posting blocks, four lanes at a time, and the varint tail.
 *
 * Layout of 128 values packed to `bits`: value i stands in lane i % 4, row i / 4; a lane is a little-endian
 * stream of bits over 32-bit words, and the four lanes' words alternate: 16 * bits bytes, no padding.
 * A row of four values thus comes out with one shift or two and one mask, whatever the width, in the
 * 128-bit vectors that every x86-64 has. Documents are stored as gap - 1, frequencies as tf - 1.
 * Invariant: decoded documents ascend strictly from base + 1 to `last`. Widths up to 24 cannot wrap
 * (128 * 2^24 = 2^31, and documents stay below 2^31), so comparing the last one suffices; wider
 * blocks are summed in 64 bits first.
 * Workload: 1e4..1e6 postings a query, nearly all in blocks; decoding takes about .3 ns a posting.
 * Easy to get wrong: a damaged width makes a block longer than its file; lengths are checked before
 * the first load.
 */
#include "postings_codec.h"

#include "codec/codec.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packed blocks are little-endian words; a big-endian machine needs swapping loads here"
#endif

enum { LANES = 4, ROWS = HTI_BLOCK_DOCS / LANES, WORD = 32, SAFE_BITS = 24, TF_ONE = 1 };

typedef uint32_t lanes __attribute__((vector_size(16)));

static inline lanes load_lanes(const unsigned char *at)
{
    lanes value;
    memcpy(&value, at, sizeof value);
    return value;
}

static size_t packed_size(unsigned bits) { return (size_t)LANES * sizeof(uint32_t) * bits; }

static unsigned bits_of(const uint32_t *values)
{
    uint32_t any = 0;
    for (size_t i = 0; i < HTI_BLOCK_DOCS; i++) any |= values[i];
    return any ? WORD - (unsigned)__builtin_clz(any) : 0;
}

static void pack(const uint32_t *values, unsigned bits, unsigned char *into)
{
    for (size_t lane = 0; lane < LANES; lane++) {
        uint64_t pending = 0;
        unsigned n_pending = 0;
        unsigned char *at = into + lane * sizeof(uint32_t);
        for (size_t row = 0; row < ROWS; row++) {
            pending |= (uint64_t)values[row * LANES + lane] << n_pending;
            n_pending += bits;
            if (n_pending < WORD) continue;
            hti_put_u32(at, (uint32_t)pending);
            at += LANES * sizeof(uint32_t);
            pending >>= WORD;
            n_pending -= WORD;
        }
    }
}

/* One row out of a packed block; with constant arguments two loads at most, two shifts and a mask. */
static inline __attribute__((always_inline)) lanes unpack_row(const unsigned char *from, unsigned bits, unsigned row)
{
    const unsigned at = row * bits, word = at / WORD, shift = at % WORD;
    lanes value = load_lanes(from + word * sizeof(lanes)) >> shift;
    if (shift + bits > WORD) value |= load_lanes(from + (word + 1) * sizeof(lanes)) << (WORD - shift);
    return bits == WORD ? value : value & (uint32_t)(((uint64_t)1 << bits) - 1);
}

static inline __attribute__((always_inline)) void unpack_plain(const unsigned char *from, unsigned bits, uint32_t *into)
{
#pragma GCC unroll 32
    for (unsigned row = 0; row < ROWS; row++) {
        const lanes value = unpack_row(from, bits, row);
        memcpy(into + row * LANES, &value, sizeof value);
    }
}

/* Unpacks gaps - 1 and sums them up from `base`: prefix sums inside a row, then the row before's last lane. */
static inline __attribute__((always_inline)) void unpack_sums(const unsigned char *from, unsigned bits, uint32_t base,
                                                              uint32_t *into)
{
    const lanes zero = {0, 0, 0, 0};
    lanes before = {base, base, base, base};
#pragma GCC unroll 32
    for (unsigned row = 0; row < ROWS; row++) {
        lanes value = (bits ? unpack_row(from, bits, row) : zero) + 1;
        value += __builtin_shufflevector(zero, value, 0, 4, 5, 6);
        value += __builtin_shufflevector(zero, value, 0, 0, 4, 5);
        value += before;
        before = __builtin_shufflevector(value, value, 3, 3, 3, 3);
        memcpy(into + row * LANES, &value, sizeof value);
    }
}

/* The widths as constants, so that each becomes straight code. */
/* clang-format off */
#define FOR_EACH_WIDTH(X)                           \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)         \
    X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)  \
    X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) \
    X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)
/* clang-format on */

static void unpack_frequencies(const unsigned char *from, unsigned bits, uint32_t *into)
{
    switch (bits) {
#define WIDTH(b) \
    case b: unpack_plain(from, b, into); return;
        FOR_EACH_WIDTH(WIDTH)
#undef WIDTH
    default: memset(into, 0, HTI_BLOCK_DOCS * sizeof *into); return;
    }
}

static void unpack_documents(const unsigned char *from, unsigned bits, uint32_t base, uint32_t *into)
{
    switch (bits) {
#define WIDTH(b) \
    case b: unpack_sums(from, b, base, into); return;
        FOR_EACH_WIDTH(WIDTH)
#undef WIDTH
    default: unpack_sums(from, 0, base, into); return;
    }
}

size_t hti_block_put(const hti_postings *postings, uint32_t base, unsigned char *into)
{
    uint32_t gaps[HTI_BLOCK_DOCS];
    for (size_t i = 0; i < HTI_BLOCK_DOCS; i++) gaps[i] = postings->docs[i] - (i ? postings->docs[i - 1] : base) - 1;
    const unsigned doc_bits = bits_of(gaps), tf_bits = bits_of(postings->tf_less_1);
    into[0] = (unsigned char)doc_bits;
    into[1] = (unsigned char)tf_bits;
    pack(gaps, doc_bits, into + HTI_BLOCK_HEAD);
    pack(postings->tf_less_1, tf_bits, into + HTI_BLOCK_HEAD + packed_size(doc_bits));
    return HTI_BLOCK_HEAD + packed_size(doc_bits) + packed_size(tf_bits);
}

/* Does the sum of wide gaps reach exactly `last`, with no wrap on the way? */
static bool wide_gaps_end_at(const unsigned char *from, unsigned bits, uint32_t base, uint32_t last)
{
    uint32_t gaps[HTI_BLOCK_DOCS];
    unpack_frequencies(from, bits, gaps);
    uint64_t sum = base == HTI_DOC_NONE ? 0 : (uint64_t)base + 1; /* documents below the next one */
    for (size_t i = 0; i < HTI_BLOCK_DOCS; i++) sum += (uint64_t)gaps[i] + 1;
    return sum == (uint64_t)last + 1;
}

const unsigned char *hti_block_get(const unsigned char *at, const unsigned char *end, uint32_t base, uint32_t last,
                                   hti_postings *out)
{
    if (end - at < HTI_BLOCK_HEAD) return NULL;
    const unsigned doc_bits = at[0], tf_bits = at[1];
    if (doc_bits > WORD || tf_bits > HTI_BLOCK_MAX_TF_BITS) return NULL;
    const unsigned char *docs = at + HTI_BLOCK_HEAD;
    if ((size_t)(end - docs) < packed_size(doc_bits) + packed_size(tf_bits)) return NULL;
    if (last >= HTI_DOC_LIMIT || (base != HTI_DOC_NONE && base >= HTI_DOC_LIMIT)) return NULL;
    if (doc_bits > SAFE_BITS && !wide_gaps_end_at(docs, doc_bits, base, last)) return NULL;
    unpack_documents(docs, doc_bits, base, out->docs);
    unpack_frequencies(docs + packed_size(doc_bits), tf_bits, out->tf_less_1);
    out->n = HTI_BLOCK_DOCS;
    out->tf_bits = tf_bits;
    return out->docs[HTI_BLOCK_DOCS - 1] == last ? docs + packed_size(doc_bits) + packed_size(tf_bits) : NULL;
}

size_t hti_tail_put(uint32_t gap, uint32_t tf, unsigned char *into)
{
    const uint32_t code = (gap - 1) << 1 | (tf == 1 ? TF_ONE : 0);
    size_t len = hti_varint_put(into, code);
    if (tf > 1) len += hti_varint_put(into + len, tf - 2);
    return len;
}

/* One byte is the rule; hti_varint_get takes the rest. */
static inline const unsigned char *get_varint(const unsigned char *at, const unsigned char *end, uint32_t *value)
{
    if (at < end && *at < 0x80) {
        *value = *at;
        return at + 1;
    }
    return hti_varint_get(at, end, value);
}

bool hti_tail_get(const unsigned char *at, const unsigned char *end, uint32_t base, uint32_t n, uint32_t n_docs,
                  hti_postings *out)
{
    uint64_t next = base == HTI_DOC_NONE ? 0 : (uint64_t)base + 1;
    uint32_t any = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code, tf_less_2, tf_less_1 = 0;
        at = get_varint(at, end, &code);
        if (!at) return false;
        if (!(code & TF_ONE)) {
            at = get_varint(at, end, &tf_less_2);
            if (!at || tf_less_2 >= HTI_DOC_LIMIT - 1) return false;
            tf_less_1 = tf_less_2 + 1;
        }
        next += code >> 1;
        if (next >= n_docs) return false;
        out->docs[i] = (uint32_t)next++;
        out->tf_less_1[i] = tf_less_1;
        any |= tf_less_1;
    }
    out->n = n;
    out->tf_bits = any ? WORD - (unsigned)__builtin_clz(any) : 0;
    return at == end;
}
