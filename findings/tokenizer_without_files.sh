#!/usr/bin/env bash
# transformers 5.23.0: a model folder without any tokenizer file still gives a tokenizer, and what it gives is useless.
#
# A good guess: AutoTokenizer raises where a folder holds config.json (and weights) but neither tokenizer.json nor a
# vocabulary. What happens: no error and no warning. BERT's tokenizer turns every word into [UNK], RoBERTa's turns every
# text into the two marks at its ends, GPT-2's into nothing; a network then trains on texts that all look alike. Only the
# length of the tokenizer (5 or 1, against the config's vocab_size) gives it away.
#
# Output seen:
#   bert: BertTokenizer, 5 tokens known, 'the cat sat' -> ['[CLS]', '[UNK]', '[UNK]', '[UNK]', '[SEP]']
#   roberta: RobertaTokenizer, 5 tokens known, 'the cat sat' -> ['<s>', '</s>']
#   gpt2: GPT2Tokenizer, 1 tokens known, 'the cat sat' -> []
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q transformers==5.23.0 tokenizers==0.23.3 2> /dev/null
HF_HUB_OFFLINE=1 PLACE="$place" "$place/venv/bin/python" - <<'PY'
import json
import os
import pathlib
import warnings

import transformers

warnings.simplefilter("error")
transformers.logging.set_verbosity_error()
print("transformers", transformers.__version__)
expected = {
    "bert": (5, ["[CLS]", "[UNK]", "[UNK]", "[UNK]", "[SEP]"]),
    "roberta": (5, ["<s>", "</s>"]),
    "gpt2": (1, []),
}
for kind, (size, tokens) in expected.items():
    folder = pathlib.Path(os.environ["PLACE"], kind)
    folder.mkdir()
    config = {"model_type": kind, "vocab_size": 30522, "bos_token_id": 0, "eos_token_id": 0}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = tokenizer.convert_ids_to_tokens(tokenizer("the cat sat")["input_ids"])
    print(f"{kind}: {type(tokenizer).__name__}, {len(tokenizer)} tokens known, 'the cat sat' -> {found}")
    assert (len(tokenizer), found) == (size, tokens)
PY
