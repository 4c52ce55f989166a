/*
 * rows.h - options that several commands have: each is described here, once. `to` is where the value goes.
 */
#ifndef HOUND_ROWS_H
#define HOUND_ROWS_H

#include "hound.h"

#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }

#define JOBS_ROW(to) ROW("jobs", 'j', OPT_COUNT, (to), "N", "threads (default: one a CPU)")
#define QUIET_ROW(to) ROW("quiet", 'q', OPT_FLAG, (to), NULL, "no progress")
#define ANALYZER_ROW(to) ROW("analyzer", 'a', OPT_TEXT, (to), "NAME", "english (default), standard, whitespace")
#define ENCODER_ROW(to) ROW("model", 'm', OPT_TEXT, (to), "NAME|DIR", "encoder (default: " HT_DEFAULT_MODEL ")")
#define MODEL_ROW(to) ROW("model", 'm', OPT_TEXT, (to), "NAME|DIR", "model folder (default: " HT_DEFAULT_MODEL ")")
#define PRECISION_ROW(to) ROW("precision", 0, OPT_TEXT, (to), "P", "of the encoder: auto (default), f32, bf16")
#define ROLE_ROW(to) ROW("role", 0, OPT_TEXT, (to), "ROLE", "query or document (default)")
#define ONE_TEXT_ROW(to) ROW("text", 't', OPT_TEXT, (to), "TEXT", "one text, instead of a file")
#define RRF_K_ROW(to) ROW("rrf-k", 0, OPT_REAL, (to), "X", "constant of reciprocal rank fusion (default 60)")

/* ---- of commands that take a pipeline ---- */

#define INPUT_ROW(to) \
    ROW("input", 'i', OPT_LIST, (to), "NAME=VALUE", "an input; VALUE is JSON or text (may be repeated)")
#define OUTPUT_ROW(letter, to) ROW("output", (letter), OPT_LIST, (to), "NAME", "an output to compute (may be repeated)")
#define GIVEN_ROW(to) ROW("given", 0, OPT_LIST, (to), "NAME", "an input that a run will bring (may be repeated)")
#define PLUGIN_ROW(to) ROW("plugin", 0, OPT_LIST, (to), "LIB", "a shared library with ht_module_init (may be repeated)")

#endif
