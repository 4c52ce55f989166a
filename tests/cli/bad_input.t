Every bad corpus gives one line with file, line and reason; nothing of it is kept.

  $ ix() { hound index bad.ht --corpus $1 --no-vectors --quiet; }
  $ printf '{"_id":"1","text":"a"}\nnot json\n' > not_json.jsonl; ix not_json.jsonl
  hound index: not_json.jsonl:2:3: not valid JSON: '[' or '{' expected near 'not'; write one JSON object a line
  [5]
  $ printf '{"text":"a"}\n' > no_id.jsonl; ix no_id.jsonl
  hound index: no_id.jsonl:1:1: no "_id"; give every record an "_id" (or "id"), a text or a whole number
  [5]
  $ printf '{"_id":"1","text":"a"}\n{"_id":"1","text":"b"}\n' > repeated.jsonl; ix repeated.jsonl
  hound index: repeated.jsonl:2: bad.ht: a document with id "1" is there already; delete it first or use another id
  [4]
  $ printf '{"_id":"1","text":"caf\351"}\n' > latin1.jsonl; ix latin1.jsonl
  hound index: latin1.jsonl:1:23: byte 0xE9 is not valid UTF-8; convert the file to UTF-8
  [5]
  $ printf '{"_id":"1","text":5}\n' > number.jsonl; ix number.jsonl
  hound index: number.jsonl:1:1: "text" must be a text; put it in quotes
  [5]
  $ printf '{"_id":"","text":"a"}\n' > empty_id.jsonl; ix empty_id.jsonl
  hound index: empty_id.jsonl:1:1: "_id" is empty; give every record an id of its own
  [5]
  $ ix $SOURCE
  hound index: *: cannot read: Is a directory (glob)
  [8]
  $ ls -d bad.ht 2>/dev/null; hound info bad.ht
  bad.ht
  bad.ht: generation 0, 0 documents, 0 segments, * ?B (glob)

Empty text, an empty corpus and a very long line are fine.

  $ printf '{"_id":"1","title":"","text":""}\n{"_id":"2","text":"plain"}\n' > empty.jsonl
  $ hound index ok.ht --corpus empty.jsonl --no-vectors --quiet | head -1
  ok.ht: 2 documents in [0-9.]+ s (re)
  $ hound search ok.ht plain --mode bm25 | head -1
   1. 2              0.1308  
  $ : > nothing.jsonl; hound index none.ht --corpus nothing.jsonl --no-vectors --quiet | head -1
  none.ht: 0 documents in [0-9.]+ s (re)
  $ hound search none.ht plain --mode bm25
  no hits: no document holds a term of the query
  0 hits in .* (re)
  $ (printf '{"_id":"1","text":"'; head -c 10000000 /dev/zero | tr '\0' 'a'; printf ' word"}\n') > long.jsonl
  $ hound index long.ht --corpus long.jsonl --no-vectors --quiet | head -1
  long.ht: 1 documents in [0-9.]+ s (re)
  $ hound search long.ht word --mode bm25 | head -1 | cut -c1-20
   1. 1              0

Runs and judgements.

  $ printf '1 0 d 1\n' > q.txt; printf '1 Q0 d 1 nan tag\n' > nan.run; hound evaluate --qrels q.txt --run nan.run
  hound evaluate: nan.run:1:10: the score "nan" is not a finite decimal number; correct it or remove the line
  [5]
  $ printf '1 Q0 d 1 0.5\n' > five.run; hound evaluate --qrels q.txt --run five.run
  hound evaluate: five.run:1:1: 5 fields where a run has 6; write "qid Q0 docid rank score tag"
  [5]
  $ printf '1 Q0 d 1 0.5 t\n1 Q0 d 2 0.4 t\n' > twice.run; hound evaluate --qrels q.txt --run twice.run
  hound evaluate: twice.run:2: query "1" holds document "d" already; keep one of the two
  [4]
  $ printf '1 Q0 d 1 0.5 t\nrubbish\n' > rubbish.run; hound evaluate --qrels q.txt --run rubbish.run --lenient --metrics map
  hound: warning: rubbish.run: skipped 1 bad line; the first: rubbish.run:2:1: 1 field where a run has 6; write "qid Q0 docid rank score tag"
  map              all                  1.0000
  $ printf '1 0 d x\n' > bad.qrels; hound evaluate --qrels bad.qrels --run twice.run
  hound evaluate: bad.qrels:1:7: the grade "x" is not a whole number of 32 bits; correct it or remove the line
  [5]
  $ hound evaluate --qrels q.txt --run five.run --metrics nonsense
  hound evaluate: no measure "nonsense"; there are: ndcg[@k], P@k, recall@k, map[@k], mrr[@k], success@k, Rprec, bpref, iprec@x, 11pt_avg, judged[@k], set_P, set_recall, set_F, set_map, num_ret, num_rel, num_rel_ret
  [3]

A damaged file is named; the file of the database too.

  $ f=$(ls ok.ht/*.lexical); printf 'x' | dd of=$f bs=1 seek=100 conv=notrunc status=none; hound check ok.ht
  ok.ht/segment-000001.lexical: its content does not match its checksum
  hound check: ok.ht: 1 problem
  [6]
  $ rm $f; hound search ok.ht plain --mode bm25
  hound search: ok.ht/segment-000001.lexical: missing, generation 1 needs it; no older generation is whole
  [6]
  $ printf 'not a database, just text that is long enough to be read as one' > none.ht/houndstooth.db; hound info none.ht
  hound info: none.ht/houndstooth.db: cannot open: file is not a database (SQLite 26); restore a copy or make it anew
  [6]

Options.

  $ hound nonsense
  hound: no command "nonsense"; `hound --help` lists them
  [2]
  $ hound search --nonsense
  hound search: unknown option --nonsense; see hound search --help
  [2]
  $ hound search ok.ht plain -k few
  hound search: --k takes a whole number, not "few"
  [2]
  $ hound index x.ht --corpus empty.jsonl --model nowhere
  hound index: model "nowhere" is not a folder, not in */.cache/houndstooth/models and not in the Hugging Face cache; get the default model with `hound model get`, or give --model DIR (glob)
  [3]
  $ hound index x.ht --corpus empty.jsonl --model $SOURCE/docs
  hound index: */docs: not a model folder: it has no config.json (glob)
  [3]
