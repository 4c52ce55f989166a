/*
 * main.c - `hound`: finds the command, runs it, reports its failure in one line.
 */
#include "hound.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static const hound_command commands[] = {
    {"index", "add documents to a collection", hound_index},
    {"search", "search a collection for a query or a file of queries", hound_search},
    {"evaluate", "judge a run by qrels, or compare two runs", hound_evaluate},
    {"fuse", "fuse runs into one", hound_fuse},
    {"tokenize", "text to the ids a model sees", hound_tokenize},
    {"encode", "text to token vectors", hound_encode},
    {"analyze", "text to the terms an analyzer makes", hound_analyze},
    {"info", "what a collection holds", hound_info},
    {"check", "read every byte of a collection and report damage", hound_check},
    {"model", "find, list or fetch models", hound_model},
    {"run", "run a pipeline described in YAML", hound_run},
    {"plan", "what a pipeline would run, and how", hound_plan},
    {"viz", "a pipeline as a picture: SVG, interactive HTML, Mermaid, DOT", hound_viz},
    {"trace", "run a pipeline and tell what took how long", hound_trace},
    {"nodes", "classes and nodes that pipelines may name", hound_nodes},
    {"demo", "the main job on the Cranfield collection", hound_demo},
};

static void print_usage(FILE *out)
{
    (void)fprintf(out,
                  "usage: hound COMMAND [arguments]\n\n"
                  "Retrieval on ordinary CPUs: BM25, token vectors, fusion, reranking, evaluation.\n\ncommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(out, "\n`hound COMMAND --help` tells its options. Exit codes: 0 success");
#define EXIT_LINE(name, number, text, exit_code, http, python) \
    if (number) (void)fprintf(out, ", %d %s", exit_code, text);
    HT_STATUS_LIST(EXIT_LINE)
#undef EXIT_LINE
    (void)fprintf(out, ".\n");
}

static void log_to_stderr(void *ud, ht_log_level level, const char *message)
{
    (void)ud;
    (void)fprintf(stderr, "hound: %s%s\n", level == HT_LOG_WARNING ? "warning: " : "", message);
}

static int run_command(const hound_command *command, int argc, char **argv)
{
    ht_error err;
    memset(&err, 0, sizeof err);
    ht_status status = command->run(argc, argv, &err);
    if (status == HT_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = fail(&err, HT_NO_SPACE, "cannot write all results to standard output");
    if (status == HT_OK) return EXIT_SUCCESS;
    const char *text = err.message[0] ? err.message : ht_status_text(status);
    (void)fflush(stdout);
    (void)fprintf(stderr, "hound %s: %s\n", command->name, text);
    return ht_status_exit_code(status);
}

int main(int argc, char **argv)
{
    ht_log_set(log_to_stderr, NULL);
    /* Arrays of some hundred kilobytes come and go: the heap keeps their pages instead of asking for new ones. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    if (argc > 1 && strcmp(argv[1], "--hound-worker") == 0) return hound_worker(argc, argv);
    catch_signals();
    if (argc < 2) {
        print_usage(stderr);
        return ht_status_exit_code(HT_INVALID);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("hound %s (%s kernels)\n", ht_version(), ht_cpu_name());
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return run_command(&commands[i], argc - 1, argv + 1);
    (void)fprintf(stderr, "hound: no command \"%s\"; `hound --help` lists them\n", argv[1]);
    return ht_status_exit_code(HT_INVALID);
}
