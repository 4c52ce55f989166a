/*
 * away.c - one call of a class whose objects live in processes of their own: rows out, results back.
 *
 * The job is the instance's spec, so a child makes the object at its first call; docs/formats/slices.md has the bytes.
 */
#include "fields.h"
#include "registry_int.h"
#include "value_int.h"

typedef struct waiting {
    hti_mutex *lock;
    hti_cond *ended;
    bool done;
    ht_status status;
    hti_kept reply;
    hti_buffer message; /* of a failure */
} waiting;

static void call_done(void *ud, ht_status status, const hti_body *reply, const char *message)
{
    waiting *w = ud;
    if (status == HT_OK)
        hti_kept_take(&w->reply, reply);
    else
        hti_buffer_text(&w->message, message);
    hti_mutex_lock(w->lock);
    w->status = status;
    w->done = true;
    hti_cond_signal(w->ended);
    hti_mutex_unlock(w->lock);
}

static ht_status encode_call(const hti_target *target, size_t n, const ht_column *in, ht_writer *writer, ht_error *err)
{
    ht_value columns[HTI_MAX_INPUTS], constant[HTI_MAX_INPUTS], list = ht_value_null(), flags = ht_value_null(),
                                                                call = flags;
    hti_fields f = {.err = err};
    size_t made = 0;
    char name[HTI_METHOD_NAME];
    hti_method_name(target->name, target->whole, name);
    hti_fields_text(&f, "method", name);
    hti_fields_take(&f, "n", ht_value_int((int64_t)n));
    for (; f.status == HT_OK && made < target->n_inputs; made += f.status == HT_OK) {
        constant[made] = ht_value_bool(in[made].constant);
        f.status = ht_value_list(in[made].rows, in[made].constant ? 1 : n, &columns[made], err);
    }
    if (f.status == HT_OK) f.status = ht_value_list(columns, made, &list, err);
    hti_values_release(columns, made);
    hti_fields_take(&f, "columns", list);
    if (f.status == HT_OK) f.status = ht_value_list(constant, made, &flags, err);
    hti_fields_take(&f, "constant", flags);
    HT_TRY(hti_fields_end(&f, &call));
    hti_writer_gather(writer);
    const ht_status status = hti_value_encode_whole(call, writer, err);
    ht_value_release(call);
    return status;
}

static ht_status take_reply(const waiting *w, ht_registry *registry, size_t n, ht_value *out, ht_error *err)
{
    ht_value list;
    size_t n_rows;
    HT_TRY(hti_buffer_status(&w->message, err));
    if (w->status != HT_OK) return hti_fail(err, w->status, "%s", hti_buffer_view(&w->message).data);
    HT_TRY(hti_kept_status(&w->reply, err));
    HT_TRY(hti_value_decode_body(&w->reply.body, registry, &list, err));
    const ht_value *rows = ht_value_items(list, &n_rows);
    ht_status status = hti_take_failure(list, err);
    if (status == HT_OK)
        status = n_rows == n ? HT_OK : HT_FAIL(err, INTERNAL, "%zu results came back for %zu rows", n_rows, n);
    for (size_t i = 0; status == HT_OK && i < n; i++) out[i] = ht_value_retain(rows[i]);
    ht_value_release(list);
    return status;
}

static ht_status call_and_wait(const hti_target *target, waiting *w, ht_writer *data, ht_error *err)
{
    hti_workers *workers;
    hti_work work = {.timeout_ns = (uint64_t)target->forms->timeout_ms * 1000000, .done = call_done, .ud = w};
    HT_TRY(hti_writer_pieces(data, &work.data, err));
    HT_TRY(hti_instance_workers(target->instance, &workers, &work, err));
    HT_TRY(hti_workers_submit(workers, &work, err));
    hti_mutex_lock(w->lock);
    while (!w->done) hti_cond_wait(w->ended, w->lock);
    hti_mutex_unlock(w->lock);
    return HT_OK;
}

ht_status hti_target_call_away(const hti_target *target, size_t n, const ht_column *in, ht_value *const *out,
                               ht_error *err)
{
    waiting w = {.lock = hti_mutex_new(), .ended = hti_cond_new()};
    ht_writer *data = NULL;
    hti_kept_init(&w.reply);
    hti_buffer_init(&w.message);
    ht_status status = w.lock && w.ended ? ht_writer_new(&data, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK) status = encode_call(target, n, in, data, err);
    if (status == HT_OK) status = call_and_wait(target, &w, data, err);
    if (status == HT_OK) status = take_reply(&w, hti_instance_registry(target->instance), n, out[0], err);
    ht_writer_free(data);
    hti_kept_deinit(&w.reply);
    hti_buffer_deinit(&w.message);
    hti_cond_free(w.ended);
    hti_mutex_free(w.lock);
    return status;
}
