/*
 * json.c - jansson behind the library's errors and allocator.
 *
 * jansson's allocator is process-wide, so it is set once, on first use; what it makes is counted and
 * can be made to fail like any block of ours. Thread rule: the flag that an allocation failed is per thread.
 * Easy to get wrong: without JSON_REJECT_DUPLICATES the last of two equal keys would win silently.
 */
#include "codec.h"

#include "os/os.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t json_once = PTHREAD_ONCE_INIT;

/*
 * jansson's allocator has no user data, and out of memory it may call a sound text malformed, lose a byte of a string,
 * or fail an assertion (an escape whose backslash found no room). So inside a parse it never sees a failure: what our
 * allocator refuses comes from libc, the flag is raised, and the parse ends as NO_MEMORY. A head tells the two apart.
 */
static _Thread_local bool json_starved, json_parsing;

typedef struct json_head {
    _Alignas(16) bool borrowed; /* from libc */
} json_head;

static void *json_malloc(size_t size)
{
    const size_t whole = hti_add(size, sizeof(json_head));
    json_head *made = hti_alloc(whole);
    const bool borrow = !made && json_parsing;
    if (!made) json_starved = true;
    if (borrow) made = malloc(whole);
    if (!made) return NULL;
    made->borrowed = borrow;
    return made + 1;
}

static void json_free(void *ptr)
{
    json_head *head = ptr ? (json_head *)ptr - 1 : NULL;
    if (head && head->borrowed)
        free(head);
    else
        hti_free(head);
}
static void use_our_allocator(void) { json_set_alloc_funcs(json_malloc, json_free); }

ht_status hti_json_parse(ht_text text, const char *name, uint64_t line, json_t **out, ht_error *err)
{
    (void)pthread_once(&json_once, use_our_allocator);
    json_error_t why;
    json_starved = false;
    json_parsing = true;
    *out = json_loadb(text.len ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    json_parsing = false;
    if (json_starved) {
        json_decref(*out);
        *out = NULL;
        return HTI_NO_MEMORY(err);
    }
    if (*out) return HT_OK;
    if (line > 0)
        return HT_FAIL(err, PARSE, "%s:%llu:%d: not valid JSON: %s", name, (unsigned long long)line, why.column,
                       why.text);
    return HT_FAIL(err, PARSE, "%s:%d:%d: not valid JSON: %s", name, why.line, why.column, why.text);
}

ht_status hti_json_load(const char *path, size_t max_bytes, json_t **out, ht_error *err)
{
    *out = NULL;
    hti_buffer text;
    hti_buffer_init(&text);
    ht_status status = hti_read_file(path, max_bytes, &text, err);
    if (status == HT_OK) status = hti_json_parse(hti_buffer_view(&text), path, 0, out, err);
    hti_buffer_deinit(&text);
    return status;
}

/* The member, or NULL when it is missing or null. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static ht_status wrong_type(const char *name, const char *key, const char *wanted, ht_error *err)
{
    return HT_FAIL(err, PARSE, "%s: \"%s\" must be %s", name, key, wanted);
}

ht_status hti_json_int(const json_t *object, const char *name, const char *key, int64_t otherwise, int64_t *out,
                       ht_error *err)
{
    const json_t *value = member(object, key);
    if (value && !json_is_integer(value)) return wrong_type(name, key, "an integer", err);
    *out = value ? json_integer_value(value) : otherwise;
    return HT_OK;
}

ht_status hti_json_real(const json_t *object, const char *name, const char *key, double otherwise, double *out,
                        ht_error *err)
{
    const json_t *value = member(object, key);
    if (value && !json_is_number(value)) return wrong_type(name, key, "a number", err);
    *out = value ? json_number_value(value) : otherwise;
    return HT_OK;
}

ht_status hti_json_bool(const json_t *object, const char *name, const char *key, bool otherwise, bool *out,
                        ht_error *err)
{
    const json_t *value = member(object, key);
    if (value && !json_is_boolean(value)) return wrong_type(name, key, "true or false", err);
    *out = value ? json_is_true(value) : otherwise;
    return HT_OK;
}

ht_status hti_json_text(const json_t *object, const char *name, const char *key, ht_text *out, ht_error *err)
{
    const json_t *value = member(object, key);
    *out = (ht_text){NULL, 0};
    if (!value) return HT_OK;
    if (!json_is_string(value)) return wrong_type(name, key, "a string", err);
    *out = (ht_text){json_string_value(value), json_string_length(value)};
    return HT_OK;
}

void hti_json_quote(hti_buffer *buffer, ht_text text)
{
    hti_buffer_append(buffer, "\"", 1);
    size_t at = 0;
    while (at < text.len) {
        size_t plain = at;
        while (plain < text.len && (unsigned char)text.data[plain] >= 0x20 && (unsigned char)text.data[plain] < 0x80 &&
               text.data[plain] != '"' && text.data[plain] != '\\')
            plain++;
        hti_buffer_append(buffer, text.data + at, plain - at);
        at = plain;
        if (at == text.len) break;
        const unsigned char c = (unsigned char)text.data[at];
        if (c == '"' || c == '\\') {
            hti_buffer_printf(buffer, "\\%c", c);
            at++;
        } else if (c < 0x20) {
            hti_buffer_printf(buffer, "\\u%04x", c);
            at++;
        } else {
            const size_t lead = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4, len = HTI_MIN(lead, text.len - at);
            const bool valid = hti_utf8_valid((ht_text){text.data + at, len}) == len && len == lead;
            hti_buffer_append(buffer, valid ? text.data + at : "\xEF\xBF\xBD", valid ? len : 3);
            at += valid ? len : 1;
        }
    }
    hti_buffer_append(buffer, "\"", 1);
}
