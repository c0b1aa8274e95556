"""Sentence vectors of a BERT folder, computed by hand in 64-bit numpy: the facts of tests/encoder.rs.

    OSAI_WRITE_BERT=/tmp/bert cargo test --test encoder -- --ignored      # writes the folder with random weights
    pip install numpy tokenizers && python bert_reference.py /tmp/bert "open weights" "a model"

Prints each text's token ids and the first eight numbers of its vector (mean over the tokens, length 1). A folder of
all-MiniLM-L6-v2 works as well. Written from Devlin et al., "BERT", 2018; no code of another engine is in it.
"""
import json
import math
import struct
import sys

import numpy as np
from tokenizers import Tokenizer

folder, texts = sys.argv[1], sys.argv[2:]
config = json.load(open(folder + "/config.json"))
raw = open(folder + "/model.safetensors", "rb").read()
size = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8 : 8 + size])
weights = {}
for name, info in header.items():
    if name != "__metadata__" and info["dtype"] == "F32":
        start, end = info["data_offsets"]
        numbers = np.frombuffer(raw[8 + size + start : 8 + size + end], "<f4")
        weights[name] = numbers.reshape(info["shape"]).astype(np.float64)
tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
tokenizer.no_padding()
tokenizer.no_truncation()
erf = np.vectorize(math.erf)


def norm(x, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    scaled = (x - mean) / np.sqrt(variance + config["layer_norm_eps"])
    return scaled * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


for text in texts:
    ids = tokenizer.encode(text).ids
    count, heads = len(ids), config["num_attention_heads"]
    dim = config["hidden_size"] // heads
    words = weights["embeddings.word_embeddings.weight"][ids]
    positions = weights["embeddings.position_embeddings.weight"][:count]
    x = norm(words + positions + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        parts = (linear(x, at + "attention.self." + part) for part in ("query", "key", "value"))
        q, k, v = (part.reshape(count, heads, dim).transpose(1, 0, 2) for part in parts)
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(dim)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ v).transpose(1, 0, 2).reshape(count, -1)
        x = norm(x + linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        wide = linear(x, at + "intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        x = norm(x + linear(wide, at + "output.dense"), at + "output.LayerNorm")
    vector = x.mean(0)
    vector /= np.linalg.norm(vector)
    print(ids, [round(float(number), 6) for number in vector[:8]])
