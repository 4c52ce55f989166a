A lexical collection from the command line: index, search, explain, judge, refuse.

  $ CORPUS=$SOURCE/data/cranfield
  $ hound index c.ht --corpus $CORPUS/corpus.jsonl --no-vectors --quiet | head -1
  c.ht: 1400 documents in [0-9.]+ s (re)
  $ hound info c.ht
  c.ht: generation 1, 1400 documents, 1 segments, * ?B (glob)
    lexical  analyzer english, 5171 terms, 94782 postings, 154931 tokens, 180.4 kB
  $ hound check c.ht
  c.ht: whole
  $ hound search c.ht "boundary layer" --mode bm25 -k 2 --explain
   1. 4              2.0430  approximate solutions of the incompressible laminar boundary layer equations for a plate in shear flow .
       the two-dimensional steady boundary-layer problem for a flat plate in a shear flow of incompressible fluid is 
       bm25 2.0430 = boundari 0.9664 (tf 6, df 469) + layer 1.0766 (tf 6, df 414)
   2. 899            2.0316  aerodynamic effects on boundary layer unsteadiness .
       with a view to the study of aerodynamic problems, a review is made of boundary layer theory for a flat plate m
       bm25 2.0316 = boundari 0.9610 (tf 9, df 469) + layer 1.0706 (tf 9, df 414)
  2 hits in .* (re)
  $ hound search c.ht "boundary layer" --mode bm25 -k 1 --json | tr , '\n' | head -3
  {"query":"boundary layer"
  "hits":[{"rank":1
  "id":"4"

A run, judged with trec_eval's measures; the same run again changes nothing.

  $ hound search c.ht --queries $CORPUS/queries.jsonl --mode bm25 --run a.run --quiet
  $ hound search c.ht --queries $CORPUS/queries.jsonl --mode bm25 --run b.run --quiet --jobs 1
  $ cmp a.run b.run
  $ wc -l < a.run; head -2 a.run
  200561
  1 Q0 51 1 10.718870555596132 bm25
  1 Q0 486 2 9.6421191534561981 bm25
  $ hound evaluate --qrels $CORPUS/qrels/test.tsv --run a.run --metrics ndcg@10,recall@100,success@10,map
  ndcg@10          all                  0.3662
  recall@100       all                  0.7356
  success@10       all                  0.8578
  map              all                  0.3049
  $ hound search c.ht --queries $CORPUS/queries.jsonl --mode bm25 --preset anserini --run c.run --quiet
  $ hound evaluate --qrels $CORPUS/qrels/test.tsv --run c.run --run2 a.run --metrics ndcg@10
  ndcg@10          all                  0.3514
  
  measure               run     run2    change   wins losses   ties  t-test p    flip p
  ndcg@10            0.3514   0.3662   +0.0148     90     63     72  0.003584   0.00302
  $ hound fuse a.run c.run -k 1 | head -2
  1 Q0 51 1 0.032786885246 fused
  2 Q0 12 1 0.032786885246 fused

Compressed input and standard input give the same collection.

  $ head -20 $CORPUS/corpus.jsonl | gzip > small.jsonl.gz
  $ hound index gz.ht --corpus small.jsonl.gz --no-vectors --quiet | head -1
  gz.ht: 20 documents in [0-9.]+ s (re)
  $ gzip -dc small.jsonl.gz | hound index in.ht --corpus - --no-vectors --quiet | head -1
  in.ht: 20 documents in [0-9.]+ s (re)
  $ hound info gz.ht | tail -1; hound info in.ht | tail -1
    lexical  analyzer english, 681 terms, 1287 postings, 1956 tokens, 8.8 kB
    lexical  analyzer english, 681 terms, 1287 postings, 1956 tokens, 8.8 kB

What a mode needs, and what is not there.

  $ hound search c.ht "boundary layer"
  hound search: mode hybrid needs vectors; this collection was made with --no-vectors (bm25 works)
  [12]
  $ hound search c.ht "zzzz" --mode bm25
  no hits: no document holds a term of the query
  0 hits in .* (re)
  $ hound search none.ht "x"
  hound search: none.ht: no collection here (no such directory); make one with `hound index`
  [3]
  $ hound search c.ht
  hound search: give either a QUERY or --queries FILE; see hound search --help
  [2]
  $ hound search c.ht x --mode best
  hound search: no search mode "best"; there are bm25, dense, maxsim, rrf, hybrid, rerank
  [3]
  $ hound index c.ht --corpus $CORPUS/corpus.jsonl --no-vectors --quiet
  hound index: */data/cranfield/corpus.jsonl:1: c.ht: a document with id "1" is there already; delete it first or use another id (glob)
  [4]
  $ hound index c.ht --corpus small.jsonl.gz --no-vectors --analyzer standard
  hound index: the collection was made with analyzer = english, not standard; use the same, or a new directory
  [2]
  $ hound index new.ht --corpus nothing.jsonl --no-vectors
  hound index: nothing.jsonl: cannot open: No such file or directory
  [3]
  $ hound index new.ht --no-vectors
  hound index: no --corpus FILE given; see hound index --help
  [2]
