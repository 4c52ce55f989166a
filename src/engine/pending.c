/*
 * pending.c - stands in until workers.c is there: every engine of processes is refused. To be removed with it.
 */
#include "engine.h"

__attribute__((weak)) ht_status hti_workers_new(const hti_workers_options *options, hti_workers **out, ht_error *err)
{
    (void)options;
    *out = NULL;
    return HT_FAIL(err, UNSUPPORTED, "worker processes are not built in");
}
__attribute__((weak)) void hti_workers_free(hti_workers *workers) { (void)workers; }
__attribute__((weak)) ht_status hti_workers_submit(hti_workers *workers, const hti_work *work, ht_error *err)
{
    (void)workers;
    (void)work;
    return HT_FAIL(err, UNSUPPORTED, "worker processes are not built in");
}
__attribute__((weak)) int hti_worker_serve(int fd, hti_serve_fn serve, void *ud)
{
    (void)fd;
    (void)serve;
    (void)ud;
    return 1;
}
