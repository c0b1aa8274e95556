#!/usr/bin/env python3
"""Makes tests/reference/adapters.json: what llama.cpp says with the LoRA adapters of tests/adapters.rs.

    cargo test --test adapters -- --ignored write_adapters     # writes target/tmp/adapters
    python -m venv venv && venv/bin/pip install llama-cpp-python==0.3.36 numpy
    venv/bin/python tests/tools/adapter_reference.py target/tmp/adapters tests/reference/adapters.json

LLAMA_CPP_LIB_PATH may name a folder with a libllama of your own build. llama.cpp runs on one thread, its cache in f32,
without flash attention. Of each model are kept: the SHA-256 of the model and of its two adapters as GGUF, and the
logits after the prompt's last token, without adapters and with both.
"""

import ctypes
import hashlib
import json
import pathlib
import sys

import numpy as np
import llama_cpp.llama_cpp as llama

PROMPT = [73, 275, 281, 310, 44, 45, 223, 243, 235, 225, 245, 11, 63, 172, 124, 113, 123, 106, 265, 117, 71, 98, 113, 94]
MODELS = ["llama2", "qwen2", "phi3"]
STRENGTHS = [1.0, -0.5]


@llama.llama_log_callback
def quiet(_level, _text, _data):
    pass


def read(model, adapters):
    """The logits after the prompt's last token."""
    params = llama.llama_context_default_params()
    params.n_ctx = 0
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # GGML_TYPE_F32
    params.flash_attn_type = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama.llama_init_from_model(model, params)
    if adapters:
        use = llama._lib.llama_set_adapters_lora
        use.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        pointers = (ctypes.c_void_p * len(adapters))(*[ctypes.cast(a, ctypes.c_void_p).value for a in adapters])
        if use(context, pointers, len(adapters), (ctypes.c_float * len(adapters))(*STRENGTHS)) != 0:
            raise SystemExit("llama_set_adapters_lora failed")
    batch = llama.llama_batch_init(len(PROMPT), 0, 1)
    batch.n_tokens = len(PROMPT)
    for i, token in enumerate(PROMPT):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, i, 1, 0
        batch.logits[i] = i + 1 == len(PROMPT)
    if llama.llama_decode(context, batch) != 0:
        raise SystemExit("llama_decode failed")
    count = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), shape=(count,)).copy()
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    return logits


def facts(folder, name):
    files = [folder / f"{name}.gguf", folder / f"{name}.one.gguf", folder / f"{name}.two.gguf"]
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(str(files[0]).encode(), params)
    plain = read(model, [])
    adapters = [llama.llama_adapter_lora_init(model, str(path).encode()) for path in files[1:]]
    if not all(adapters):
        raise SystemExit(f"llama.cpp does not load an adapter of {name}")
    adapted = read(model, adapters)
    print(f"{name}: the adapters change the logits by {np.abs(adapted - plain).max() / np.abs(plain).max():.2f} of the largest")
    short = lambda logits: [float(f"{x:.7g}") for x in logits]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return {"sha256": hashes, "plain": short(plain), "adapted": short(adapted)}


def main():
    folder, reference = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    lines = [f'  "{name}": {json.dumps(facts(folder, name), separators=(",", ":"))}' for name in MODELS]
    head = (
        '{"maker": "tests/tools/adapter_reference.py, llama.cpp of llama-cpp-python 0.3.36 built by its CMakeLists '
        '(Release), one thread, cache in f32, no flash attention",\n'
        f' "prompt": {json.dumps(PROMPT)},\n "models": {{\n'
    )
    reference.write_text(head + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main()
