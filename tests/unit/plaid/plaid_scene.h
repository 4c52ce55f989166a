/*
 * plaid_scene.h - a small random corpus of token vectors, its segment files, and MaxSim from the definition in double.
 */
#ifndef HT_TESTS_PLAID_SCENE_H
#define HT_TESTS_PLAID_SCENE_H

#include "os/os.h"
#include "plaid/plaid.h"

#include "temp_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SCENE_MAX_PATHS = 8 };

typedef struct plaid_scene {
    size_t n_docs, dim, n_query;
    size_t *starts;         /* [n_docs + 1]: vectors of a document */
    float *vectors;         /* [starts[n_docs], dim], unit length */
    float *pooled, *query;  /* [n_docs, dim], [n_query, dim], unit length */
    char dir[TEMP_DIR_CAP]; /* holds the segment files */
    char paths[SCENE_MAX_PATHS][2 * TEMP_DIR_CAP];
    size_t n_paths;
} plaid_scene;

static ht_error scene_err;
#define SCENE_OK(expr)                                                                                \
    do {                                                                                              \
        if ((expr) != HT_OK) fail_msg("%s: %s", ht_status_name(scene_err.status), scene_err.message); \
    } while (0)

static inline size_t scene_below(uint64_t *state, size_t n) { return (size_t)(hti_random_next(state) % n); }

static inline void scene_unit_vectors(uint64_t *state, float *rows, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        double norm = 0.0;
        for (size_t k = 0; k < dim; k++) {
            rows[i * dim + k] = (float)(hti_random_unit(state) + hti_random_unit(state) - 1.0);
            norm += (double)rows[i * dim + k] * (double)rows[i * dim + k];
        }
        for (size_t k = 0; k < dim; k++) rows[i * dim + k] = (float)((double)rows[i * dim + k] / sqrt(norm));
    }
}

static inline float *scene_floats(size_t n)
{
    float *made = malloc((n + 1) * sizeof *made);
    if (!made) abort();
    return made;
}

/* Documents have 0 to max_vectors - 1 vectors; document 1, if there, has none. */
static inline void scene_make(plaid_scene *scene, uint64_t seed, size_t n_docs, size_t dim, size_t max_vectors,
                              size_t n_query)
{
    uint64_t state = seed;
    *scene = (plaid_scene){.n_docs = n_docs, .dim = dim, .n_query = n_query};
    scene->starts = calloc(n_docs + 1, sizeof *scene->starts);
    if (!scene->starts) abort();
    for (size_t i = 0; i < n_docs; i++)
        scene->starts[i + 1] = scene->starts[i] + (i == 1 ? 0 : scene_below(&state, max_vectors));
    scene->vectors = scene_floats(scene->starts[n_docs] * dim);
    scene->pooled = scene_floats(n_docs * dim);
    scene->query = scene_floats(n_query * dim);
    scene_unit_vectors(&state, scene->vectors, scene->starts[n_docs], dim);
    scene_unit_vectors(&state, scene->pooled, n_docs, dim);
    scene_unit_vectors(&state, scene->query, n_query, dim);
    temp_dir_make(scene->dir);
}

static inline void scene_free(plaid_scene *scene)
{
    temp_dir_remove(scene->dir);
    free(scene->starts);
    free(scene->vectors);
    free(scene->pooled);
    free(scene->query);
}

/* Adds documents [first, first + n) to a builder. */
static inline ht_status scene_add(const plaid_scene *scene, ht_plaid_builder *builder, size_t first, size_t n,
                                  ht_error *err)
{
    for (size_t i = first; i < first + n; i++) {
        const ht_status status =
            ht_plaid_builder_add(builder, scene->vectors + scene->starts[i] * scene->dim,
                                 scene->starts[i + 1] - scene->starts[i], scene->pooled + i * scene->dim, err);
        if (status != HT_OK) return status;
    }
    return HT_OK;
}

static inline ht_status scene_try_build(const plaid_scene *scene, const char *path, ht_vector_type type, size_t first,
                                        size_t n, ht_error *err)
{
    ht_plaid_builder *builder;
    ht_plaid_build_opts opts;
    ht_plaid_build_opts_init(&opts);
    opts.dim = (uint32_t)scene->dim;
    opts.vector_type = type;
    opts.has_pooled = true;
    ht_status status = ht_plaid_builder_new(path, &opts, &builder, err);
    if (status != HT_OK) return status;
    status = scene_add(scene, builder, first, n, err);
    if (status == HT_OK) return ht_plaid_builder_finish(builder, NULL, err);
    ht_plaid_builder_abort(builder);
    return status;
}

/* One more segment file of documents [first, first + n). */
static inline void scene_segment(plaid_scene *scene, ht_vector_type type, size_t first, size_t n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "part%zu", scene->n_paths);
    char *path = scene->paths[scene->n_paths++];
    SCENE_OK(scene_try_build(scene, temp_dir_path(scene->dir, name, path), type, first, n, &scene_err));
}

static inline ht_plaid *scene_open(const plaid_scene *scene)
{
    const char *paths[SCENE_MAX_PATHS];
    ht_plaid *plaid;
    for (size_t i = 0; i < scene->n_paths; i++) paths[i] = scene->paths[i];
    SCENE_OK(ht_plaid_open(paths, scene->n_paths, &plaid, &scene_err));
    return plaid;
}

static inline double scene_dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) sum += (double)a[k] * (double)b[k];
    return sum;
}

/* Dot product of query vector t with its best vector of a document, -infinity without vectors. */
static inline double scene_best(const plaid_scene *scene, size_t doc, size_t t)
{
    double best = (double)-INFINITY;
    for (size_t j = scene->starts[doc]; j < scene->starts[doc + 1]; j++) {
        const double dot = scene_dot(scene->query + t * scene->dim, scene->vectors + j * scene->dim, scene->dim);
        best = dot > best ? dot : best;
    }
    return best;
}

static inline double scene_maxsim(const plaid_scene *scene, size_t doc)
{
    double sum = 0.0;
    for (size_t t = 0; t < scene->n_query; t++) sum += scene_best(scene, doc, t);
    return sum;
}

static inline float scene_largest(const float *values, size_t n)
{
    float largest = 0.0f;
    for (size_t i = 0; i < n; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    return largest;
}

/*
 * How far a stored dot product of unit vectors may lie from the true one. int8: components are off by half a scale,
 * so a vector by at most e = sqrt(dim) * max / 254, and the product by e_q + e_d + e_q * e_d. f16: 2^-11 relative a
 * component.
 */
static inline double scene_dot_bound(const plaid_scene *scene, ht_vector_type type)
{
    if (type == HT_VECTOR_F16) return 0x1p-11 + (double)scene->dim * 0x1p-24;
    const double root = sqrt((double)scene->dim) / 254.0;
    const double d = root * (double)scene_largest(scene->vectors, scene->starts[scene->n_docs] * scene->dim);
    const double q = root * (double)scene_largest(scene->query, scene->n_query * scene->dim);
    return d + q + d * q + 1e-6;
}

#endif
