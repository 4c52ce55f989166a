/*
 * houndstooth/bridge.h - the processes engine on a cluster: slices of maps go to Dask or Daft (native or Ray).
 *
 * Small Python processes of the houndstooth package submit slices through those systems' public interfaces. Each worker
 * there loads the package, and with it this library, and runs its slice in the library's own scheduler. What travels is
 * the plan, specs of instances, and values by the codec (docs/formats/slices.md): no Python objects where all nodes are
 * the library's or a plug-in's. Files that nodes name must be where the workers look for them too.
 */
#ifndef HOUNDSTOOTH_BRIDGE_H
#define HOUNDSTOOTH_BRIDGE_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_bridge ht_bridge;

typedef struct ht_bridge_options {
    uint32_t size;
    const char *python;         /* that has the package; NULL: the variable HOUND_PYTHON, else "python3" */
    size_t n_workers;           /* slices under way at most; 0: one a CPU, at most 16 */
    const char *const *plugins; /* [n_plugins] paths that workers load too */
    size_t n_plugins;
} ht_bridge_options;

/* A Dask cluster by its scheduler's address, "tcp://host:8786"; NULL: one of this machine, ended with the bridge. */
HT_API HT_CHECKED ht_status ht_engine_dask(const char *address, const ht_bridge_options *options, ht_bridge **out,
                                           ht_error *err);
/* Daft's runner: "native" or "ray"; NULL: native. */
HT_API HT_CHECKED ht_status ht_engine_daft(const char *runner, const ht_bridge_options *options, ht_bridge **out,
                                           ht_error *err);
/* For ht_run_options.elsewhere, with the processes engine; lives as long as the bridge, which must outlive its runs. */
HT_API const ht_elsewhere *ht_bridge_elsewhere(ht_bridge *bridge);
HT_API void ht_bridge_close(ht_bridge *bridge); /* NULL allowed */

/*
 * The other end, in a bridge's process: serves at descriptor 3 until the parent ends; the exit code. slice->job is NULL
 * where this key came before: PARKED asks for it again. slice->done is NULL: the reply is what `serve` writes.
 */
HT_API int ht_bridge_serve(ht_status (*serve)(void *ud, const ht_slice *slice, ht_writer *reply, ht_error *err),
                           void *ud);

#ifdef __cplusplus
}
#endif

#endif
