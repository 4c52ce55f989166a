/*
 * demo_report.c - what `hound demo` prints.
 */
#include "demo.h"

#include <string.h>

const char *const demo_measures[] = {"ndcg@10",     "ndcg@20",     "recall@100",  "success@20",
                                     "success@50",  "success@100", "success@200", "success@300",
                                     "success@400", "success@500", "map"};
static const char *const headings[] = {"nDCG@10", "nDCG@20", "rec@100", "suc@20",  "suc@50", "suc@100",
                                       "suc@200", "suc@300", "suc@400", "suc@500", "MAP"};

enum { FLIPS = 100000, MAX_QUERIES = 4096 };

ht_status demo_print_quality(const demo_data *data, ht_error *err)
{
    const bool bold = colours();
    printf(
        "\n%sQuality%s (%zu judged queries, trec_eval's measures; suc@k = share of queries with a relevant document\n"
        "in the top k)\n\n%-8s",
        bold ? "\033[1m" : "", bold ? "\033[0m" : "", data->modes[0].judged->n_queries, "mode");
    for (size_t m = 0; m < DEMO_MEASURES; m++) printf(" %7s", headings[m]);
    printf("   vs bm25        p\n");
    const ht_evaluation *base = data->modes[HT_MODE_BM25].judged;
    for (size_t i = 0; i < DEMO_MODES; i++) {
        const ht_evaluation *mine = data->modes[i].judged;
        printf("%-8s", ht_mode_name(data->modes[i].mode));
        for (size_t m = 0; m < DEMO_MEASURES; m++) printf(" %7.4f", mine->means[m]);
        double x[MAX_QUERIES], y[MAX_QUERIES];
        if (i == HT_MODE_BM25 || mine->n_queries != base->n_queries || mine->n_queries > MAX_QUERIES) {
            printf("         -        -\n");
            continue;
        }
        for (size_t q = 0; q < mine->n_queries; q++) {
            x[q] = base->values[q * DEMO_MEASURES];
            y[q] = mine->values[q * DEMO_MEASURES];
        }
        ht_significance test;
        TRY(ht_significance_test(y, x, mine->n_queries, FLIPS, 1, &test, err));
        printf("   %+.4f %8.2g\n", test.mean_difference, test.flip_p);
    }
    printf("(vs bm25: mean difference of nDCG@10; p: two-sided sign-flip randomisation, %d flips)\n", FLIPS);
    return HT_OK;
}

void demo_print_queries(const demo_data *data)
{
    printf("\n%-28s", "ms/query, 10 hits");
    for (size_t i = 0; i < DEMO_MODES; i++) printf(" %9s", ht_mode_name(data->modes[i].mode));
    printf("\n%-28s", "  p50");
    for (size_t i = 0; i < DEMO_MODES; i++) printf(" %9.2f", data->modes[i].ms_p50);
    printf("\n%-28s", "  mean");
    for (size_t i = 0; i < DEMO_MODES; i++) printf(" %9.2f", data->modes[i].ms_mean);
    printf("\n");
}

/* The strongest matches first, each word once; special tokens are left out. */
static void print_tokens(const ht_search_hit *hit)
{
    enum { SHOWN = 8 };
    bool used[512] = {false};
    printf("     matched");
    for (size_t n = 0; n < SHOWN; n++) {
        size_t best = hit->n_matches;
        for (size_t i = 0; i < hit->n_matches && i < 512; i++) {
            const bool special = hit->matches[i].query_token.len > 0 && hit->matches[i].query_token.data[0] == '[';
            if (used[i] || special) continue;
            if (best == hit->n_matches || hit->matches[i].score > hit->matches[best].score) best = i;
        }
        if (best == hit->n_matches) break;
        used[best] = true;
        const ht_token_match *match = &hit->matches[best];
        printf("  %.*s~%.*s %.2f", (int)match->query_token.len, match->query_token.data, (int)match->doc_token.len,
               match->doc_token.data, (double)match->score);
    }
    printf("\n");
}

/* Where the text speaks most of the query: the middle match of those that are words. */
static size_t focus_of(const ht_search_hit *hit)
{
    size_t at = 0;
    float best = 0;
    for (size_t i = 0; i < hit->n_matches; i++) {
        if (hit->matches[i].doc_end - hit->matches[i].doc_start < 4 || hit->matches[i].score <= best) continue;
        best = hit->matches[i].score;
        at = hit->matches[i].doc_start;
    }
    return at;
}

ht_status demo_print_sample(ht_search_session *session, const char *query, ht_error *err)
{
    const bool bold = colours();
    ht_search_opts opts;
    ht_search_opts_init(&opts);
    opts.k = 3;
    opts.explain = true;
    const ht_search_result *result;
    TRY(ht_search(session, (ht_text){query, strlen(query)}, &opts, &result, err));
    printf("\n%sSample%s, mode hybrid: \"%s\"\n", bold ? "\033[1m" : "", bold ? "\033[0m" : "", query);
    for (size_t i = 0; i < result->n_hits; i++) {
        const ht_search_hit *hit = &result->hits[i];
        char text[256];
        printf("%2zu. %-6.*s %.4f (bm25 %.2f, cosine %.3f, maxsim %.2f)  %.*s\n     ... %s ...\n", i + 1,
               (int)hit->id.len, hit->id.data, hit->score, hit->bm25, hit->cosine, hit->maxsim, (int)hit->title.len,
               hit->title.data ? hit->title.data : "",
               snippet(hit->encoded_text, focus_of(hit), 150, text, sizeof text));
        print_tokens(hit);
    }
    return HT_OK;
}
