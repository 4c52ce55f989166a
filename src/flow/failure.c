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
    ht_error why = {0};
    (void)hti_fail(&why, f->view.status, "%s", f->view.message);
    why.cause = f->view.cause;
    hti_fields_take(&fields, "item", ht_value_int((int64_t)f->view.item));
    hti_fields_text(&fields, "node", f->view.node);
    hti_put_failure(&fields, f->view.status, &why);
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
    ht_value value, item = ht_value_null(), node = item;
    failure *made = NULL;
    ht_error why = {0};
    HT_TRY(ht_value_decode(data, len, registry, &value, err));
    const bool whole = ht_value_field(value, "item", &item) && ht_value_field(value, "node", &node) &&
                       item.kind == HT_KIND_INT && node.kind == HT_KIND_STRING &&
                       hti_take_failure(value, &why) != HT_OK;
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

/* ---- in replies ---- */

void hti_put_failure(hti_fields *f, ht_status status, const ht_error *why)
{
    const ht_face *face = hti_face();
    ht_value cause = ht_value_null();
    ht_writer *writer = NULL;
    size_t len;
    hti_fields_take(f, "failed", ht_value_int(status));
    hti_fields_text(f, "message", why->message);
    if (!face || !why->cause) return;
    ht_status given = ht_writer_new(&writer, NULL); /* one that cannot be told is lost, the message is not */
    if (given == HT_OK) given = face->give_cause(face->ud, why->cause, writer, NULL);
    if (given == HT_OK) {
        const void *data = ht_writer_data(writer, &len);
        given = ht_value_bytes(data, len, &cause, NULL);
    }
    ht_writer_free(writer);
    if (given == HT_OK) hti_fields_take(f, "cause", cause);
}

ht_status hti_take_failure(ht_value reply, ht_error *err)
{
    const ht_face *face = hti_face();
    ht_value failed, message = ht_value_null(), cause;
    if (!ht_value_field(reply, "failed", &failed)) return HT_OK;
    (void)ht_value_field(reply, "message", &message);
    if (failed.kind != HT_KIND_INT || failed.as.integer <= HT_OK || failed.as.integer > HT_TIMEOUT)
        return HT_FAIL(err, INTERNAL, "a worker's reply fails in an unknown way");
    const ht_status status = hti_fail(err, (ht_status)failed.as.integer, "%s", ht_value_text(message).data);
    if (err && face && ht_value_field(reply, "cause", &cause) && cause.kind == HT_KIND_BYTES)
        err->cause = face->take_cause(face->ud, ht_value_text(cause).data, ht_value_text(cause).len);
    return status;
}

/* ---- time ---- */

uint64_t hti_retry_wait_ns(uint32_t wait_ms, uint32_t tries, const ht_error *why)
{
    const ht_face *face = hti_face();
    const int64_t asked =
        why && why->cause && face && face->retry_after_ms ? face->retry_after_ms(face->ud, why->cause) : -1;
    return asked >= 0 ? (uint64_t)asked * 1000000 : (uint64_t)wait_ms * 1000000 << HTI_MIN(tries, 10);
}

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
