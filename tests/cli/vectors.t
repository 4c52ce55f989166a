A collection with vectors, made with the tiny BERT of the tests.

  $ M=$SOURCE/tests/data/golden/bert_tiny
  $ head -40 $SOURCE/data/cranfield/corpus.jsonl > small.jsonl
  $ hound index c.ht --corpus small.jsonl --model $M --quiet | head -1
  c.ht: 40 documents in [0-9.]+ s \(7269 tokens, 6685 vectors\) (re)
  $ hound info c.ht --json | tr , '\n' | grep -E 'documents|dim|"type"|mix'
  "documents":40
  "dim":32
  "type":"int8"
  "mix":0.5}}
  $ hound search c.ht "wing in a slipstream" -k 1 | head -1 | cut -c1-5
   1. 1
  $ hound search c.ht "wing in a slipstream" -k 3 --mode maxsim --json | tr , '\n' | grep -c '"id"'
  3
  $ for m in bm25 dense maxsim rrf hybrid rerank; do
  >   hound search c.ht --queries $SOURCE/data/cranfield/queries.jsonl --mode $m --run $m.run -k 40 --quiet; done
  $ cut -d' ' -f1 rrf.run | uniq -c | head -1
       40 1

One thread or several, one document at a time or many: the same bytes.

  $ hound index one.ht --corpus small.jsonl --model $M --jobs 1 --quiet > log
  $ hound index four.ht --corpus small.jsonl --model $M --jobs 4 --quiet > log
  $ cmp one.ht/segment-000001.vectors four.ht/segment-000001.vectors
  $ cmp one.ht/segment-000001.lexical four.ht/segment-000001.lexical
  $ hound search four.ht --queries $SOURCE/data/cranfield/queries.jsonl --run other.run -k 40 --quiet --jobs 3; cmp hybrid.run other.run

The model that made it, or none. The share of the pooled vector may differ on the query's side.

  $ hound search c.ht "wing in a slipstream" -k 1 --mode maxsim --mix 0 | wc -l
  3

  $ hound search c.ht wing --model $SOURCE/tests/data/golden/bert_tiny_f16 -k 1
  hound search: */tests/data/golden/bert_tiny_f16: not the model this collection was made with (digest *, not *); give --model DIR (glob)
  [2]
  $ hound index c.ht --corpus small.jsonl --model $M --mix 0.25
  hound index: the collection was made with mix = 0.5, not 0.25; use the same, or a new directory
  [2]
  $ hound index v.ht --corpus small.jsonl --model $M --no-lexical --quiet | head -1 | cut -c1-20
  v.ht: 40 documents i
  $ hound search v.ht wing
  hound search: mode hybrid needs a lexical index; this collection was made with --no-lexical
  [12]
  $ hound search v.ht wing --mode maxsim -k 4 | grep -c '^ [1-4]'
  4

Tokens and vectors.

  $ hound tokenize --model $M --text "Boundary layers"
  {"ids":[5,242,1083,6],"tokens":["[CLS]","boundary","layers","[SEP]"]}
  $ hound encode --model $M --text "wing" --role query --pooled | cut -c1-30
  {"ids":[5,300,6],"pooled":[-0.
  $ printf '{"text":"one"}\n{"text":"two"}\n' | hound encode --model $M --npy x.npy
  {"ids":[5,607,6],"first_row":0,"rows":3}
  {"ids":[5,352,6],"first_row":3,"rows":3}
  $ head -c 128 x.npy | tr -d '\0' | grep -a -o "shape.*)"
  shape': (6, 32)
  $ hound encode --model $M --text wing --role reader
  hound encode: --role "reader": it must be one of query, document
  [2]
