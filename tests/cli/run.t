Pipelines in YAML: run, planned, listed; the same on every engine; a cache; and what is wrong told with its place.

  $ cp -r $SOURCE/examples/bm25.yaml . && ln -s $SOURCE/data data
  $ hound run bm25.yaml
  ndcg_score: 0.366244
  $ for e in sequential threads processes; do hound run bm25.yaml --engine $e --workers 2 --json; done | sort -u | wc -l
  1
  $ hound run bm25.yaml --input ndcg_k=20 --input top_k=100 --cache c --trace t.json && ls t.json c/cache.db
  ndcg_score: 0.405112
  c/cache.db
  t.json
  $ hound run bm25.yaml --input ndcg_k=20 --input top_k=100 --cache c
  ndcg_score: 0.405112
  $ hound plan bm25.yaml --cache c --input ndcg_k=20 --input top_k=50
  step                                              hits    misses   unknown
  load_ground_truths                                   1         0         0
  load_passages                                        1         0         0
  build_bm25_index                                     1         0         0
  load_queries                                         1         0         0
  retrieve_queries/retrieve_bm25                       0       225         0  changed: top_k (225)
  retrieve_queries/hits_to_predictions                 0         0       225
  flatten_predictions                                  0         0         1
  compute_ndcg                                         0         0         1
  $ hound plan bm25.yaml --cache nowhere
  hound plan: nowhere: there is no such cache
  [3]
  $ ls nowhere 2>/dev/null
  [2]
  $ hound run bm25.yaml -o queries
  queries: a list of 225
  $ hound plan bm25.yaml | head -3
  1. load_ground_truths(qrels_path) -> ground_truths  [row]
  2. load_passages(corpus_path) -> passages  [row]
  3. build_bm25_index(passages) -> bm25_index  [row]
  $ hound plan bm25.yaml --format dot | head -1
  digraph pipeline {
  $ hound nodes RRFFusion
  class RRFFusion: reciprocal rank fusion of lists of hits
    k            int     of 1 / (k + rank); default 60
    .fuse: 1 input, in batches
  $ hound nodes nothing
  hound nodes: no class or node "nothing"; `hound nodes` lists them
  [3]

What took how long: counts are exact, times are masked

  $ masked() { sed -E 's/(^| +)[0-9]+\.[0-9]{3}( |$)/ T\2/g; s/ +[0-9.]+%/ %/; s/  +/ /g' | sort; }
  $ hound trace bm25.yaml > t.txt && head -1 t.txt && sed 1d t.txt | masked
  kind   name                   calls     rows rows/call     total ms   share    waited ms
   T ms, 685 spans
  batch BM25Index.search 1 225 225.0 T % T
  load BM25Index 1 1 1.0 T % -
  map retrieve_queries 1 225 225.0 T % -
  node build_bm25_index 1 1 1.0 T % -
  node compute_ndcg 1 1 1.0 T % -
  node flatten_predictions 1 1 1.0 T % -
  node hits_to_predictions 225 225 1.0 T % -
  node load_ground_truths 1 1 1.0 T % -
  node load_passages 1 1 1.0 T % -
  node load_queries 1 1 1.0 T % -
  node retrieve_bm25 225 225 1.0 T % -
  $ hound trace bm25.yaml --no-batch --output bm25_index | sed 1d | masked
   T ms, 2 spans
  node build_bm25_index 1 1 1.0 T % -
  node load_passages 1 1 1.0 T % -
  $ hound trace bm25.yaml --json | python3 -c '
  > import json, sys
  > told = json.load(sys.stdin)
  > rows = told["totals"]
  > print(sorted(told), sorted(rows[0]), rows == sorted(rows, key=lambda r: -r["total_ns"]))
  > print([r["rows"] for r in rows if r["kind"] == "batch"], all(0 <= r["total_ns"] <= told["wall_ns"] for r in rows))'
  ['lost', 'spans', 'totals', 'wall_ns'] ['calls', 'kind', 'longest_ns', 'longest_wait_ns', 'name', 'rows', 'share', 'total_ns'] True
  [225] True
  $ hound trace bm25.yaml -o w.html && hound trace bm25.yaml -o w.json && head -qn1 w.html w.json | cut -c1-12
  <!doctype ht
  {"otherData"
  $ hound trace bm25.yaml -o - | head -c 12
  {"otherData"
  $ hound trace bm25.yaml -o none/w.json
  hound trace: none/w.json: cannot be written
  [8]
  $ hound trace bm25.yaml --input ndcg_k=0
  hound trace: node 'compute_ndcg': 'ndcg_k' must be a whole number of at least 1
  [2]
  $ hound trace bm25.yaml --viz p.png
  hound trace: p.png: a picture ends in .svg, .html, .mmd or .dot
  [2]

Pictures: well-formed, standing alone, the same each time, with times after a run

  $ well_formed() { python3 -c 'import sys, xml.etree.ElementTree as e; print(e.parse(sys.argv[1]).getroot().tag)' $1; }
  $ hound viz bm25.yaml > a.svg && hound viz bm25.yaml -o b.svg && cmp a.svg b.svg && well_formed a.svg
  {http://www.w3.org/2000/svg}svg
  $ grep -c 'class="item node"' a.svg && hound viz bm25.yaml --depth 1 --orient td --style dark | grep -c 'class="item node"'
  8
  6
  $ grep -o 'for each [^<]*' a.svg && grep -o 'ndcg_k</tspan>[^<]*' a.svg
  for each query in queries
  ndcg_k</tspan> = 10
  $ hound viz bm25.yaml -o p.html && hound viz bm25.yaml -o p.mmd && hound viz bm25.yaml -o p.dot && head -qn1 p.*
  digraph pipeline {
  <!doctype html>
  flowchart TB
  $ grep -cE '(src|href)=|url\(|@import' p.html
  0
  [1]
  $ hound run bm25.yaml --viz r.svg && well_formed r.svg && grep -oE '225 (items|calls)' r.svg | sort | uniq -c
  ndcg_score: 0.366244
  {http://www.w3.org/2000/svg}svg
        2 225 calls
        1 225 items
  $ hound viz bm25.yaml -o p.png
  hound viz: p.png: a picture ends in .svg, .html, .mmd or .dot
  [2]
  $ hound run bm25.yaml --viz p.png
  hound run: p.png: a picture ends in .svg, .html, .mmd or .dot
  [2]
  $ hound viz bm25.yaml --orient up
  hound viz: * (glob)
  [2]
  $ hound viz bm25.yaml -o none/p.svg
  hound viz: none/p.svg: cannot be written
  [8]

Bad files

  $ bad() { printf "$1" > bad.yaml; hound run bad.yaml; }
  $ bad 'nodes:\n  - node: load_pasages\n'
  hound run: bad.yaml:2:11: no node type 'load_pasages'; there is * (glob)
  [5]
  $ bad 'nodes:\n  - node: load_passages\n    inputs: {corpus: x}\n'
  hound run: bad.yaml:3:13: no input 'corpus'; there is corpus_path
  [5]
  $ bad 'nodes:\n  - node: load_passages\n    colour: red\n'
  hound run: bad.yaml:3:5: * "colour"* (glob)
  [5]
  $ bad 'objects:\n  e: {class: Encodr}\nnodes:\n  - node: load_passages\n'
  hound run: bad.yaml:2:14: no class 'Encodr'; there is BM25Index, Encoder, HTTPClient, MinMaxFusion, RRFFusion, TokenIndex
  [5]
  $ bad 'objects:\n  r: {class: RRFFusion, q: 1}\nnodes:\n  - node: load_passages\n'
  hound run: bad.yaml:2:6: class 'RRFFusion': no parameter 'q'; there is k
  [5]
  $ bad 'objects:\n  r: {class: RRFFusion, k: many}\nnodes:\n  - node: load_passages\n'
  hound run: bad.yaml:2:6: class 'RRFFusion': 'k' is of type int, not a string
  [5]
  $ bad 'objects:\n  r: {class: RRFFusion}\nnodes:\n  - node: load_passages\n'
  hound run: bad.yaml:2:6: the object "r" is used by no node
  [5]
  $ bad 'objects:\n  r: {class: RRFFusion}\nnodes:\n  - {method: r.fuze, inputs: [a], output: b}\n'
  hound run: bad.yaml:4:14: class 'RRFFusion' has no method 'fuze'; there is fuse
  [5]
  $ bad 'nodes:\n  - node: load_passages\n  - {node: load_passages, name: again}\n'
  hound run: bad.yaml:2:3: * 'passages'* (glob)
  [5]
  $ bad 'nodes:\n  - node: load_passages\ninputs: {corpse: 1}\n'
  hound run: bad.yaml:3:18: pipeline 'pipeline': no node takes the input 'corpse'
  [5]
  $ bad 'nodes:\n  - node: load_passages\noutputs: pasages\n'
  hound run: bad.yaml:3:10: no node makes the output 'pasages'
  [5]
  $ bad 'nodes:\n  - node: flatten_predictions\n    inputs: {all_query_predictions: all_predictions}\n'
  hound run: bad.yaml:2:3: *flatten_predictions* (glob)
  [5]
  $ bad 'nodes:\n  - node: load_passages\n  - node: load_queries\n'
  hound run: pipeline 'pipeline': missing inputs: corpus_path, queries_path
  [2]
  $ bad 'nodes:\n  - node: load_passages\n    node: load_queries\n'
  hound run: bad.yaml:3:5: * (glob)
  [5]
  $ bad 'a: &a [x,x]\nb: &b [*a,*a]\nnodes: []\n'
  hound run: bad.yaml:1:1: * (glob)
  [5]
  $ bad ''
  hound run: bad.yaml:1:1: * (glob)
  [5]
  $ hound run nothing.yaml
  hound run: nothing.yaml: cannot open: No such file or directory
  [3]
  $ hound run $SOURCE
  hound run: *: cannot read: Is a directory (glob)
  [8]
  $ hound run bm25.yaml --input ndcg_k
  hound run: --input is NAME=VALUE, not "ndcg_k"
  [2]
  $ hound run bm25.yaml --input ndcg_k=0
  hound run: node 'compute_ndcg': 'ndcg_k' must be a whole number of at least 1
  [2]
  $ hound run bm25.yaml --engine cloud
  hound run: * (glob)
  [2]
  $ hound run bm25.yaml --plugin ./none.so
  hound run: ./none.so: cannot be loaded as a plug-in
  [3]
Bars are lines where there is no terminal, and only where they are asked for.
  $ hound run bm25.yaml --progress 2>&1 >/dev/null
  retrieve_queries: 225 items
  retrieve_queries: done in * s (glob)
  $ hound run bm25.yaml 2>&1 >/dev/null
