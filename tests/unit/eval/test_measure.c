/*
 * test_measure.c - names of measures: both styles, every alias, and what is refused.
 */
#include "eval_testing.h"

static void test_names(void **unused)
{
    (void)unused;
    static const char *const rows[][2] = {
        {"nDCG@10", "ndcg@10"},
        {"ndcg_cut_10", "ndcg@10"},
        {"ndcg_cut.10", "ndcg@10"},
        {"ndcg", "ndcg"},
        {"NDCG_5", "ndcg@5"},
        {"P@5", "P@5"},
        {"P_5", "P@5"},
        {"p.5", "P@5"},
        {"Precision@5", "P@5"},
        {"Recall@100", "recall@100"},
        {"R@100", "recall@100"},
        {"recall_1000", "recall@1000"},
        {"map", "map"},
        {"AP", "map"},
        {"AP@100", "map@100"},
        {"map_cut_100", "map@100"},
        {"recip_rank", "mrr"},
        {"MRR@10", "mrr@10"},
        {"RR", "mrr"},
        {"success_1", "success@1"},
        {"Success@20", "success@20"},
        {"hit@5", "success@5"},
        {"hit_rate@5", "success@5"},
        {"Rprec", "Rprec"},
        {"r-prec", "Rprec"},
        {"bpref", "bpref"},
        {"iprec_at_recall_0.10", "iprec@0.10"},
        {"iprec@1", "iprec@1.00"},
        {"iprec_at_recall_0.00", "iprec@0.00"},
        {"11pt_avg", "11pt_avg"},
        {"judged@10", "judged@10"},
        {"Judged", "judged"},
        {"set_P", "set_P"},
        {"SetP", "set_P"},
        {"set_recall", "set_recall"},
        {"set_F", "set_F"},
        {"set_map", "set_map"},
        {"num_ret", "num_ret"},
        {"num_rel", "num_rel"},
        {"NumRelRet", "num_rel_ret"},
        {"success@2147483647", "success@2147483647"},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        const ht_measure measure = measure_of(rows[i][0]);
        assert_string_equal(measure.name, rows[i][1]);
        assert_string_equal(measure_of(measure.name).name, rows[i][1]); /* canonical names name themselves */
    }
}

static void test_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *message;
        ht_status status;
    } rows[] = {
        {"P", "measure \"P\" needs a depth; write for example \"P@10\"", HT_INVALID},
        {"ndcg_cut", "measure \"ndcg_cut\" needs a depth; write for example \"ndcg@10\"", HT_INVALID},
        {"ndcg@", "measure \"ndcg@\": the depth must be a whole number from 1, for example \"ndcg@10\"", HT_INVALID},
        {"ndcg@0", "measure \"ndcg@0\": the depth must be a whole number from 1, for example \"ndcg@10\"", HT_INVALID},
        {"ndcg@-3", "measure \"ndcg@-3\": the depth must be a whole number from 1, for example \"ndcg@10\"",
         HT_INVALID},
        {"map@99999999999",
         "measure \"map@99999999999\": the depth must be a whole number from 1, for example \"map@10\"", HT_INVALID},
        {"bpref@10", "measure \"bpref@10\" takes no depth; write \"bpref\"", HT_INVALID},
        {"iprec", "measure \"iprec\": write a recall level from 0.00 to 1.00, for example \"iprec@0.10\"", HT_INVALID},
        {"iprec@1.5", "measure \"iprec@1.5\": write a recall level from 0.00 to 1.00, for example \"iprec@0.10\"",
         HT_INVALID},
        {"iprec@0.123", "measure \"iprec@0.123\": write a recall level from 0.00 to 1.00, for example \"iprec@0.10\"",
         HT_INVALID},
        {"dcg@10",
         "no measure \"dcg@10\"; there are: ndcg[@k], P@k, recall@k, map[@k], mrr[@k], success@k, Rprec, "
         "bpref, iprec@x, "
         "11pt_avg, judged[@k], set_P, set_recall, set_F, set_map, num_ret, num_rel, num_rel_ret",
         HT_NOT_FOUND},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        ht_measure measure;
        ht_error why = {0};
        assert_int_equal(ht_measure_parse(text_of(rows[i].name), &measure, &why), rows[i].status);
        assert_string_equal(why.message, rows[i].message);
    }
    static const char *const unknown[] = {"", "@", "@10", "_10", "10", ".", "ndcg10", "ndcg@10@5", "_", "0.10"};
    for (size_t i = 0; i < HTI_LEN(unknown); i++) {
        ht_measure measure;
        assert_int_equal(ht_measure_parse(text_of(unknown[i]), &measure, NULL), HT_NOT_FOUND);
    }
}

static void test_table(void **unused)
{
    (void)unused;
    const char *meaning, *name;
    size_t n = 0;
    for (; (name = ht_measure_at(n, &meaning)); n++) {
        assert_non_null(meaning);
        ht_measure measure;
        const ht_status status = ht_measure_parse(text_of(name), &measure, NULL);
        assert_true(status == HT_OK ? measure.kind == (int)n
                                    : status == HT_INVALID); /* refused only for want of a depth */
    }
    assert_int_equal(n, 18);
    assert_null(meaning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_table)};
    return cmocka_run_group_tests_name("measure", tests, NULL, NULL);
}
