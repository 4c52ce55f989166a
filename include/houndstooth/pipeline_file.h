/*
 * houndstooth/pipeline_file.h - pipelines described in YAML (docs/pipeline_files.md).
 */
#ifndef HOUNDSTOOTH_PIPELINE_FILE_H
#define HOUNDSTOOTH_PIPELINE_FILE_H

#include "registry.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pipeline with its objects (instances, nothing loaded), bound inputs and the outputs that are wanted. */
typedef struct ht_pipeline_file ht_pipeline_file;
/*
 * Reads a file of at most 10 MB. PARSE: "PATH:LINE:COLUMN: reason", also for names that the registry does not know and
 * for wiring that does not fit. The registry must outlive the pipeline.
 */
HT_API HT_CHECKED ht_status ht_pipeline_file_load(const char *path, ht_registry *registry, ht_pipeline_file **out,
                                                  ht_error *err);
/* The same from text; `name` goes in front of messages. */
HT_API HT_CHECKED ht_status ht_pipeline_file_parse(ht_text text, const char *name, ht_registry *registry,
                                                   ht_pipeline_file **out, ht_error *err);
HT_API void ht_pipeline_file_free(ht_pipeline_file *file); /* NULL allowed */
/* The pipeline, whose inputs are bound as the file says; borrowed. It may be bound further. */
HT_API ht_pipeline *ht_pipeline_file_pipeline(ht_pipeline_file *file);
/* Outputs [*n] that the file asks for; none: all. Borrowed. */
HT_API const char *const *ht_pipeline_file_outputs(const ht_pipeline_file *file, size_t *n);

#ifdef __cplusplus
}
#endif

#endif
