/*
 * failure.c - a failed item as a value that stands in its place.
 *
 * An opaque object of a type that every registry has, so that nothing else is taken for one and it comes home from
 * other processes.
 */
#include "fields.h"
#include "registry_int.h"
#include "run_int.h"

typedef struct failure {
    ht_failure view;
    char text[]; /* node, NUL, message, NUL */
} failure;

static void release_failure(void *object) { hti_free(object); }

static void describe_failure(const void *object, char *text, size_t cap)
{
    const failure *f = object;
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    hti_buffer_printf(&buffer, "Failure(item %llu, %s: %.200s)", (unsigned long long)f->view.item,
                      ht_status_name(f->view.status), f->view.message);
    const ht_text view = hti_buffer_view(&buffer);
    const size_t len = cap ? HTI_MIN(view.len, cap - 1) : 0;
    if (cap) {
        memcpy(text, view.data, len);
        text[len] = '\0';
    }
    hti_buffer_deinit(&buffer);
}

static ht_status encode_failure(const void *object, ht_writer *writer, ht_error *err)
{
    const failure *f = object;
    ht_value value = ht_value_null();
    hti_fields fields = {.err = err};
    hti_fields_take(&fields, "status", ht_value_int(f->view.status));
    hti_fields_take(&fields, "item", ht_value_int((int64_t)f->view.item));
    hti_fields_text(&fields, "node", f->view.node);
    hti_fields_text(&fields, "message", f->view.message);
    HT_TRY(hti_fields_end(&fields, &value));
    const ht_status status = ht_value_encode(value, writer, err);
    ht_value_release(value);
    return status;
}

static ht_status make(uint64_t item, const char *node, const ht_error *why, failure **out, ht_error *err)
{
    const size_t n_node = strlen(node) + 1, n_message = strlen(why->message) + 1;
    failure *f = hti_alloc(hti_add(sizeof *f, hti_add(n_node, n_message)));
    *out = f;
    if (!f) return HTI_NO_MEMORY(err);
    memcpy(f->text, node, n_node);
    memcpy(f->text + n_node, why->message, n_message);
    f->view = (ht_failure){why->status, item, f->text, f->text + n_node, why->cause};
    return HT_OK;
}

static ht_status decode_failure(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err)
{
    ht_value value, status = ht_value_null(), item = status, node = status, message = status;
    failure *made = NULL;
    HT_TRY(ht_value_decode(data, len, registry, &value, err));
    const bool whole = ht_value_field(value, "status", &status) && ht_value_field(value, "item", &item) &&
                       ht_value_field(value, "node", &node) && ht_value_field(value, "message", &message) &&
                       status.kind == HT_KIND_INT && item.kind == HT_KIND_INT && node.kind == HT_KIND_STRING &&
                       message.kind == HT_KIND_STRING;
    ht_error why = {0};
    if (whole) (void)hti_fail(&why, (ht_status)status.as.integer, "%s", ht_value_text(message).data);
    const ht_status done = whole ? make((uint64_t)item.as.integer, ht_value_text(node).data, &why, &made, err)
                                 : HT_FAIL(err, PARSE, "a failure that is not whole");
    ht_value_release(value);
    *object = made;
    return done;
}

static const ht_type failure_type = {HT_DESC(ht_type),           .name = "houndstooth.Failure",
                                     .release = release_failure, .encode = encode_failure,
                                     .decode = decode_failure,   .describe = describe_failure};
const ht_type *hti_failure_type(void) { return &failure_type; }

ht_status hti_failure_new(uint64_t item, const char *node, const ht_error *why, ht_value *out, ht_error *err)
{
    failure *made;
    *out = ht_value_null();
    HT_TRY(make(item, node, why, &made, err));
    return ht_value_opaque(&failure_type, made, out, err);
}

const ht_failure *ht_value_failure(ht_value value)
{
    const failure *found = ht_value_object(value, &failure_type);
    return found ? &found->view : NULL;
}

bool hti_run_collects(const hti_run *run, ht_status status)
{
    return run->options->errors == HT_ERRORS_COLLECT && status != HT_CANCELLED && status != HT_NO_MEMORY;
}

/* ---- time ---- */

uint64_t hti_run_now(const hti_run *run)
{
    const ht_clock *clock = run->options->clock;
    return clock ? clock->now(clock->ud) : hti_clock_ns();
}

ht_status hti_run_check(const hti_run *run, ht_error *err)
{
    const ht_monitor *monitor = run->options->monitor;
    if (monitor && monitor->cancelled && monitor->cancelled(monitor->ud)) return HT_FAIL(err, CANCELLED, "cancelled");
    if (run->deadline != UINT64_MAX && hti_run_now(run) >= run->deadline)
        return HT_FAIL(err, TIMEOUT, "the run's %llu ms are over", (unsigned long long)run->options->timeout_ms);
    return HT_OK;
}
