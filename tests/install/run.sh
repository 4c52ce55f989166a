#!/bin/sh
# Installs a build into a temporary prefix, builds every example against it with pkg-config, runs them.
#   run.sh BUILD_DIR SOURCE_DIR
set -eu
build=$(cd "$1" && pwd) source=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
DESTDIR='' cmake --install "$build" --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
pc=$(dirname "$(find "$work/prefix" -name houndstooth.pc)")
cp -r "$source/examples" "$work/examples"
PKG_CONFIG_PATH=$pc make -s -C "$work/examples"
LD_LIBRARY_PATH=$(dirname "$pc"); export LD_LIBRARY_PATH
cd "$work/examples"
model=$source/tests/data/golden/bert_tiny

./tokenize "$model" "boundary layer" | grep -q '\[CLS\]'
./encode "$model" "boundary layer" "the boundary layer of a wing" | grep -q 'x [0-9]* vectors of 32: MaxSim'
head -50 "$source/data/cranfield/corpus.jsonl" >"$work/corpus.jsonl"
./index_search "$work/c.ht" "$work/corpus.jsonl" "$model" "boundary layer" | grep -q '^50 documents'
gzip -dc "$source/tests/data/golden_eval/cranfield.k0.9b0.4.top100.run.gz" >"$work/a.run"
./judge_run "$source/data/cranfield/qrels/test.tsv" "$work/a.run" | grep -q '^ndcg@10 *0\.3510'
./retrieval_mock >"$work/mock.txt"
grep -q '^evaluation_results: {"ndcg": 0.85, "ndcg_k": 20, .*"recall@500": 5.7}' "$work/mock.txt"
grep -q '"id": "p0", "score": 0.003992015968063872' "$work/mock.txt"
grep -q '^encoder: 1 object, 0 row calls, 2 batch calls of 7 rows' "$work/mock.txt"
./retrieval_mock --no-batch --threads | sed '/^encoder/d; /^ran/d; /^batch/d' >"$work/rows.txt"
sed '/^encoder/d; /^ran/d; /^batch/d' "$work/mock.txt" | diff - "$work/rows.txt"
./retrieval_mock --processes | sed '/^encoder/d; /^ran/d; /^batch/d' | diff - "$work/rows.txt"
./retrieval_mock --no-batch | grep -q '^encoder: 1 object, 7 row calls, 0 batch calls'
guide/01_encoder 100 2>"$work/loads" | grep -q 'results equal'
[ "$(grep -c 'loading my-model' "$work/loads")" = 3 ] # one object for each of three instances
guide/02_predict 100000 | grep -q '^automatic  *1  *0  *1 .*' # one call of the series form
guide/02_predict --json 1000 | grep -q '"same": true'
guide/03_fetch 20 >"$work/fetch.txt"
grep -q 'the server answered 401' "$work/fetch.txt"
grep -q 'results equal' "$work/fetch.txt"
guide/04_index 20 >"$work/index.txt"
grep -q '^threads and two processes find the same' "$work/index.txt"
grep -q '^override=false over other passages: .*override=true replaces it' "$work/index.txt"
grep -q '^automatic  *1  *0  *1 ' "$work/index.txt"
guide/05_encode --model "$model" 40 >"$work/encode.txt"
grep -q '^threads and two processes give the same vectors' "$work/encode.txt"
grep -q '^automatic  *1  *0  *1 ' "$work/encode.txt"
guide/06_plain_struct 100 | grep -c 'as it must be' | grep -qx 3
guide/07_retrieval --model "$model" --data "$source/data/cranfield" >"$work/graph.txt"
grep -q '^threads and two processes: the same figures' "$work/graph.txt"
grep -q '^automatic  *1  *0  *30 ' "$work/graph.txt" # 1,850 rows in calls of at most 64
hound=$work/prefix/bin/hound
# The page's commands print what the page shows, times aside.
{
    printf '  $ export LD_LIBRARY_PATH=%s && ln -s %s/examples %s/data .\n' "$LD_LIBRARY_PATH" "$work" "$source"
    awk '/^```/ { shown = /^```console$/; next }
         shown && /[0-9]\.[0-9][0-9][0-9]( ms|  )/ { gsub(/ +[0-9]+\.[0-9]+[ %]/, "*"); $0 = $0 " (glob)" }
         shown { print "  " $0 }' "$source/docs/guide_pipelines.md"
} >"$work/page.t"
python3 "$source/tests/cli/run.py" --hound "$hound" "$work/page.t"
"$hound" nodes --plugin ./plugin.so Counter | grep -q 'counts words of texts'
counted() { "$hound" run --plugin ./plugin.so plugin.yaml --input corpus_path="$work/corpus.jsonl" --json "$@"; }
counted >"$work/counts.json"
grep -q '^{"counts": \[[0-9]' "$work/counts.json"
counted --engine threads | cmp - "$work/counts.json"
counted --engine processes --workers 2 | cmp - "$work/counts.json" # workers load the plug-in, too
"$hound" nodes --plugin ./Makefile 2>&1 | grep -q 'Makefile: cannot be loaded as a plug-in'
"$work/prefix/bin/hound" --version | grep -q '^hound 0'
"$work/prefix/bin/hound" info "$work/c.ht" | grep -q '50 documents'
echo "installed, built and ran: the guide, the steps, tokenize encode index_search judge_run retrieval_mock hound"
