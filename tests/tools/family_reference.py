#!/usr/bin/env python3
"""Makes tests/reference/families/*.json: what llama.cpp says about the random models of tests/common/families.rs.

    cargo test --test families -- --ignored write_models     # writes target/tmp/families/*.gguf
    python -m venv venv && venv/bin/pip install llama-cpp-python==0.3.36 numpy
    venv/bin/python tests/tools/family_reference.py target/tmp/families tests/reference/families [family ...]

LLAMA_CPP_LIB_PATH may name a folder with a libllama of your own build. llama.cpp runs on one thread, its cache in f32,
without flash attention, and reads the context length from the file. Of each file are kept: the SHA-256, 64 greedy tokens
after the prompt, and at each of them the margin between the first and the second logit. Of F32 files besides: at each
token the largest magnitude of a logit, the eight largest logits and four fixed ones. Of all others: all logits at every
eighth token, as f16 in base64, for the divergence.
"""

import base64
import ctypes
import hashlib
import json
import pathlib
import sys

import numpy as np
import llama_cpp.llama_cpp as llama

PROMPT = [73, 275, 281, 310, 44, 45, 223, 243, 235, 225, 245, 11, 63, 172, 124, 113, 123, 106, 265, 117, 71, 98, 113, 94]
NEW_TOKENS = 64
EVERY = 8
FIXED = [0, 100, 200, 316]


@llama.llama_log_callback
def quiet(_level, _text, _data):
    pass


class Model:
    """A file, opened by llama.cpp."""

    def __init__(self, path, callback=None):
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp does not open {path}")
        context = llama.llama_context_default_params()
        context.n_ctx = 0
        context.n_batch = context.n_ubatch = 512
        context.n_threads = context.n_threads_batch = 1
        context.type_k = context.type_v = 0  # GGML_TYPE_F32
        context.flash_attn_type = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED
        if callback:
            context.cb_eval = callback
        self.context = llama.llama_init_from_model(self.model, context)
        self.vocab_size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.at = 0

    def read(self, tokens):
        """The logits after the last of `tokens`."""
        batch = llama.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.at + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i + 1 == len(tokens)
        if llama.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        llama.llama_batch_free(batch)
        self.at += len(tokens)
        found = llama.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(found, shape=(self.vocab_size,)).copy()

    def close(self):
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)


def short(x):
    return float(f"{x:.7g}")


def facts(path):
    model = Model(path)
    logits = model.read(PROMPT)
    tokens, margins, spreads, kept = [], [], [], []
    is_f32 = ".F32." in path.name
    for step in range(NEW_TOKENS):
        order = np.argsort(-logits, kind="stable")
        tokens.append(int(order[0]))
        margins.append(round(float(logits[order[0]] - logits[order[1]]), 4))
        spreads.append(float(logits.std()))
        if is_f32:
            ids = [int(i) for i in order[:8]] + FIXED
            kept.append([short(np.abs(logits).max()), ids, [short(logits[i]) for i in ids]])
        elif step % EVERY == EVERY - 1:
            kept.append(base64.b64encode(logits.astype("<f2").tobytes()).decode())
        if step + 1 < NEW_TOKENS:
            logits = model.read([tokens[-1]])
    model.close()
    wide = sum(m > 0.05 for m in margins)
    print(f"{path.name:32} spread {np.mean(spreads):.2f}  {len(set(tokens)):2} different tokens  {wide} margins above 0.05")
    found = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "tokens": tokens, "margins": margins}
    found["values" if is_f32 else "logits"] = kept
    return found


def main():
    models, references = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:]
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    families = {}
    for path in sorted(models.glob("*.gguf")):
        family, kind, _ = path.name.rsplit(".", 2)
        if (not wanted or family in wanted) and not family.endswith("-split"):
            families.setdefault(family, {})[kind] = facts(path)
    for family, kinds in families.items():
        lines = [f'  "{kind}": {json.dumps(found, separators=(",", ":"))}' for kind, found in kinds.items()]
        head = (
            '{"maker": "tests/tools/family_reference.py, llama.cpp of llama-cpp-python 0.3.36 built by its CMakeLists '
            '(Release), one thread, cache in f32, no flash attention",\n'
            f' "prompt": {json.dumps(PROMPT)},\n "types": {{\n'
        )
        (references / f"{family}.json").write_text(head + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main()
