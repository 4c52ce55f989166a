/*
 * bridge.c - slices to a cluster by way of Python processes (<houndstooth/bridge.h>).
 *
 * A bridge is a set of worker processes that do not serve slices themselves but hand each to a cluster and wait for it;
 * so as many slices are under way as there are processes. Crashes of one are dealt with as of every worker.
 */
#include "registry_int.h"

#include <houndstooth/bridge.h>

#include <stdlib.h>

enum { MOST = 16 };

struct ht_bridge {
    hti_workers *workers;
    ht_elsewhere elsewhere;
};

/* A slice under way; done tells the one that waits for it. */
typedef struct passage {
    void (*done)(void *ud, ht_status status, const void *reply, size_t len, const char *message);
    void *ud;
    ht_text data;
} passage;

static void work_done(void *ud, ht_status status, const hti_body *reply, const char *message)
{
    passage *p = ud;
    p->done(p->ud, status, reply ? reply->data : NULL, reply ? reply->len : 0, message);
    hti_free(p);
}

static ht_status submit(void *ud, const ht_slice *slice, ht_error *err)
{
    ht_bridge *bridge = ud;
    passage *p = HTI_NEW(passage);
    if (!p) return HTI_NO_MEMORY(err);
    *p = (passage){slice->done, slice->done_ud, {slice->data, slice->data_len}};
    const hti_work work = {.key = slice->key,
                           .job = slice->job,
                           .job_len = slice->job_len,
                           .data = {&p->data, slice->data_len ? 1 : 0, slice->data_len},
                           .crashes = 1,
                           .done = work_done,
                           .ud = p};
    const ht_status status = hti_workers_submit(bridge->workers, &work, err);
    if (status != HT_OK) hti_free(p);
    return status;
}

static const char *python_of(const ht_bridge_options *options)
{
    const char *named = options && options->python ? options->python : getenv("HOUND_PYTHON");
    return named && *named ? named : "python3";
}

static ht_status open_bridge(const char *system, const char *where, const ht_bridge_options *options, ht_bridge **out,
                             ht_error *err)
{
    const size_t n_plugins = options ? options->n_plugins : 0;
    const size_t n = options && options->n_workers ? options->n_workers : hti_cpu_count();
    size_t k = 0;
    *out = NULL;
    ht_bridge *bridge = HTI_NEW(ht_bridge);
    const char **argv = HTI_NEW_ARRAY(const char *, 8 + n_plugins);
    ht_status status = bridge && argv ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        argv[k++] = python_of(options);
        argv[k++] = "-u";
        argv[k++] = "-m";
        argv[k++] = "houndstooth._bridge";
        argv[k++] = system;
        argv[k++] = where ? where : "";
        for (size_t i = 0; i < n_plugins; i++) argv[k++] = options->plugins[i];
        argv[k] = NULL;
        const hti_workers_options how = {.argv = argv, .n = HTI_MIN(n, MOST)};
        status = hti_workers_new(&how, &bridge->workers, err);
    }
    hti_free(argv);
    if (status != HT_OK) {
        hti_free(bridge);
        return status;
    }
    bridge->elsewhere = (ht_elsewhere){.ud = bridge, .n_workers = HTI_MIN(n, MOST), .submit = submit};
    *out = bridge;
    return HT_OK;
}

ht_status ht_engine_dask(const char *address, const ht_bridge_options *options, ht_bridge **out, ht_error *err)
{
    return open_bridge("dask", address, options, out, err);
}

ht_status ht_engine_daft(const char *runner, const ht_bridge_options *options, ht_bridge **out, ht_error *err)
{
    *out = NULL;
    if (runner && strcmp(runner, "native") != 0 && strcmp(runner, "ray") != 0)
        return HT_FAIL(err, INVALID, "Daft's runner is native or ray, not '%.100s'", runner);
    return open_bridge("daft", runner, options, out, err);
}

const ht_elsewhere *ht_bridge_elsewhere(ht_bridge *bridge) { return &bridge->elsewhere; }

void ht_bridge_close(ht_bridge *bridge)
{
    if (!bridge) return;
    hti_workers_free(bridge->workers);
    hti_free(bridge);
}

/* ---- the other end ---- */

typedef struct other_end {
    ht_status (*serve)(void *ud, const ht_slice *slice, ht_writer *reply, ht_error *err);
    void *ud;
} other_end;

static void free_reply(void *ud) { ht_writer_free(ud); }

static ht_status pass_on(void *ud, ht_key key, const hti_body *job, const hti_body *data, hti_reply *reply,
                         ht_error *err)
{
    const other_end *end = ud;
    const ht_slice slice = {.key = key,
                            .job = job ? job->data : NULL,
                            .job_len = job ? job->len : 0,
                            .data = data->data,
                            .data_len = data->len};
    ht_writer *writer;
    HT_TRY(ht_writer_new(&writer, err));
    ht_status status = end->serve(end->ud, &slice, writer, err);
    hti_writer_gather(writer);
    if (status == HT_OK) status = hti_writer_pieces(writer, &reply->pieces, err);
    *reply = (hti_reply){reply->pieces, free_reply, writer};
    return status;
}

int ht_bridge_serve(ht_status (*serve)(void *ud, const ht_slice *slice, ht_writer *reply, ht_error *err), void *ud)
{
    other_end end = {serve, ud};
    return hti_worker_serve(HTI_WORKER_FD, pass_on, &end);
}
