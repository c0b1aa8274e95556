#!/usr/bin/env python3
"""Makes tests/reference/quantize.json: the hashes of what llama.cpp's quantiser writes.

    cargo test --test quantize -- --ignored write_models     # writes target/tmp/quantize/
    python -m venv venv && venv/bin/pip install llama-cpp-python==0.3.36 numpy
    venv/bin/python tests/tools/quantize_reference.py target/tmp/quantize tests/reference/quantize.json

LLAMA_CPP_LIB_PATH may name a folder with a libllama of your own build.
"""

import ctypes
import hashlib
import json
import pathlib
import sys
import tempfile

import numpy as np
import llama_cpp.llama_cpp as llama

RECIPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "BF16": 32,
}  # fmt: skip
# Number, weights and bytes of a block.
TYPES = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
    "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110),
    "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210),
}  # fmt: skip


@llama.llama_log_callback
def quiet(_level, _text, _data):
    pass


def quantised(path, file_type, folder):
    out = pathlib.Path(folder) / "out.gguf"
    params = llama.llama_model_quantize_default_params()
    params.nthread, params.ftype = 1, file_type
    if llama.llama_model_quantize(str(path).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp does not quantise {path}")
    return hashlib.sha256(out.read_bytes()).hexdigest()


def blocks(path):
    weights = np.fromfile(path, "<f4")
    # ggml's functions are in a library that libllama has loaded already.
    chunk = ctypes.CDLL(None, ctypes.RTLD_GLOBAL) if sys.platform == "darwin" else llama._lib
    found = {}
    for name, (number, length, size) in TYPES.items():
        out = np.zeros(weights.size // length * size, np.uint8)
        call = chunk.ggml_quantize_chunk
        call.restype = ctypes.c_size_t
        call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
        call(number, weights.ctypes.data, out.ctypes.data, 0, weights.size // 256, 256, None)
        found[name] = hashlib.sha256(out.tobytes()).hexdigest()
    return found


def main():
    models, reference = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    with tempfile.TemporaryDirectory() as folder:
        files = {
            path.name: {name: quantised(path, number, folder) for name, number in RECIPES.items()}
            for path in sorted(models.glob("*.gguf"))
        }
    maker = "tests/tools/quantize_reference.py, llama.cpp of llama-cpp-python 0.3.36"
    found = {"maker": maker, "files": files, "blocks": blocks(models / "awkward.f32")}
    reference.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
