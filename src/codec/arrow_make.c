/*
 * arrow_make.c - schemas and arrays for others, in our memory, released by our callbacks.
 *
 * Every schema and array has its own private block, children too, so that a consumer may move a child out of its parent
 * (copy the struct, mark the original released) and release the two in any order. The struct of a child lies in its
 * parent's block: it goes with the parent, its content only if it is still there.
 * Thread rule: a release may come from any thread, once.
 * Easy to get wrong: release must mark the struct that it was called with, which after a move is not the one
 * that was made; so nothing in the private block points back to it.
 */
#include "arrow.h"

#include <string.h>

/* ---- schemas ---- */

typedef struct schema_private {
    char format[HTI_ARROW_FORMAT_CAP];
    char *name;
    struct ArrowSchema **children; /* [n], in front of the children themselves */
} schema_private;

static void release_schema(struct ArrowSchema *schema)
{
    schema_private *mine = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++) hti_arrow_schema_release(schema->children[i]);
    hti_free(mine->children);
    hti_free(mine->name);
    hti_free(mine);
    schema->private_data = NULL;
    schema->release = NULL;
}

static char *copy_name(const char *name)
{
    const size_t size = name ? strlen(name) + 1 : 1;
    char *copy = hti_alloc(size);
    if (copy) memcpy(copy, name ? name : "", size);
    return copy;
}

/* Pointers to n zeroed, hence released, structs of `size` bytes that lie behind them, aligned to 64. */
static void *make_children(int64_t n, size_t size)
{
    const size_t count = (size_t)n, lead = (hti_mul(count, sizeof(void *)) | 63) + 1;
    char *block = hti_alloc_zero(hti_add(lead, hti_mul(count, size)));
    if (!block) return NULL;
    for (size_t i = 0; i < count; i++) {
        void *child = block + lead + i * size;
        memcpy(block + i * sizeof child, &child, sizeof child);
    }
    return block;
}

static bool right_children(hti_arrow_type type, int64_t n)
{
    if (type == HTI_ARROW_STRUCT) return n >= 0 && n <= HTI_ARROW_MAX_FIELDS;
    return n == (type >= HTI_ARROW_LIST ? 1 : 0);
}

ht_status hti_arrow_schema_make(const hti_arrow_field *field, struct ArrowSchema *out, ht_error *err)
{
    *out = (struct ArrowSchema){0};
    const int64_t n = field->type == HTI_ARROW_STRUCT ? field->n_children : field->type >= HTI_ARROW_LIST;
    if (!right_children(field->type, n) || field->list_len < 0)
        return HT_FAIL(err, INVALID, "an Arrow %s of %lld children and list length %lld",
                       hti_arrow_type_name(field->type), (long long)n, (long long)field->list_len);
    schema_private *mine = HTI_NEW(schema_private);
    if (!mine) return HTI_NO_MEMORY(err);
    mine->name = copy_name(field->name);
    if (n > 0) mine->children = make_children(n, sizeof(struct ArrowSchema));
    if (!mine->name || (n > 0 && !mine->children)) {
        hti_free(mine->name);
        hti_free(mine->children);
        hti_free(mine);
        return HTI_NO_MEMORY(err);
    }
    hti_arrow_format_make(field->type, field->list_len, mine->format);
    *out = (struct ArrowSchema){.format = mine->format,
                                .name = mine->name,
                                .flags = field->nullable ? ARROW_FLAG_NULLABLE : 0,
                                .n_children = n,
                                .children = mine->children,
                                .release = release_schema,
                                .private_data = mine};
    return HT_OK;
}

/* ---- arrays ---- */

enum { MAX_BUFFERS = 3 };

typedef struct array_private {
    const void *buffers[MAX_BUFFERS];
    void *owned[MAX_BUFFERS];
    struct ArrowArray **children; /* [n], in front of the children themselves */
    void (*keeper)(void *ud);
    void *ud;
} array_private;

static void release_array(struct ArrowArray *array)
{
    array_private *mine = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) hti_arrow_array_release(array->children[i]);
    for (size_t i = 0; i < MAX_BUFFERS; i++) hti_free(mine->owned[i]);
    if (mine->keeper) mine->keeper(mine->ud);
    hti_free(mine->children);
    hti_free(mine);
    array->private_data = NULL;
    array->release = NULL;
}

static int64_t buffers_of(hti_arrow_type type)
{
    static const int n_buffers[] = {
#define ROW(name, format, text, n, width, offset_width, n_children) n,
        HTI_ARROW_TYPES(ROW)
#undef ROW
    };
    return n_buffers[type];
}

ht_status hti_arrow_array_make(hti_arrow_type type, int64_t length, int64_t n_children, struct ArrowArray *out,
                               ht_error *err)
{
    *out = (struct ArrowArray){0};
    if (length < 0 || !right_children(type, n_children))
        return HT_FAIL(err, INVALID, "an Arrow array %s of %lld rows and %lld children", hti_arrow_type_name(type),
                       (long long)length, (long long)n_children);
    array_private *mine = HTI_NEW(array_private);
    if (!mine) return HTI_NO_MEMORY(err);
    if (n_children > 0) mine->children = make_children(n_children, sizeof(struct ArrowArray));
    if (n_children > 0 && !mine->children) {
        hti_free(mine);
        return HTI_NO_MEMORY(err);
    }
    *out = (struct ArrowArray){.length = length,
                               .null_count = type == HTI_ARROW_NULL ? length : -1,
                               .n_buffers = buffers_of(type),
                               .n_children = n_children,
                               .buffers = mine->buffers,
                               .children = mine->children,
                               .release = release_array,
                               .private_data = mine};
    return HT_OK;
}

void hti_arrow_array_lend(struct ArrowArray *array, int64_t at, const void *memory)
{
    array_private *mine = array->private_data;
    HT_ASSERT(at >= 0 && at < array->n_buffers && array->release == release_array);
    hti_free(mine->owned[at]);
    mine->owned[at] = NULL;
    mine->buffers[at] = memory;
}

void hti_arrow_array_take(struct ArrowArray *array, int64_t at, void *block)
{
    hti_arrow_array_lend(array, at, block);
    array_private *mine = array->private_data;
    mine->owned[at] = block;
}

void hti_arrow_array_keep(struct ArrowArray *array, void (*release)(void *ud), void *ud)
{
    array_private *mine = array->private_data;
    HT_ASSERT(array->release == release_array && !mine->keeper);
    mine->keeper = release;
    mine->ud = ud;
}

void hti_arrow_array_finish(struct ArrowArray *array)
{
    if (array->n_buffers == 0) return;
    const uint8_t *validity = array->buffers[0];
    int64_t n_nulls = 0;
    for (int64_t i = array->offset; validity && i < array->offset + array->length; i++)
        n_nulls += !(validity[i / 8] >> (i % 8) & 1);
    array->null_count = n_nulls;
}

/* ---- moving and releasing ---- */

void hti_arrow_schema_move(struct ArrowSchema *from, struct ArrowSchema *to)
{
    *to = *from;
    from->release = NULL;
}

void hti_arrow_array_move(struct ArrowArray *from, struct ArrowArray *to)
{
    *to = *from;
    from->release = NULL;
}

void hti_arrow_schema_release(struct ArrowSchema *schema)
{
    if (schema->release) schema->release(schema);
}

void hti_arrow_array_release(struct ArrowArray *array)
{
    if (array->release) array->release(array);
}
