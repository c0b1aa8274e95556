"""Makes tests/reference/tokenizers.json anew: small tokenizers of each kind with the tokens that Hugging Face's own
library cuts.

    pip install tokenizers==0.23.3
    python tests/tools/tokenizer_reference.py > tests/reference/tokenizers.json

Trained on osai's own lessons, so the vocabularies are ours. With the path of a Hugging Face folder it prints the facts
of that folder instead, which the program `folder-tokens` in vocabulary_vectors compares.
"""

import json
import pathlib
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = [line for path in sorted(ROOT.glob("lessons/*.md")) for line in path.read_text().splitlines(keepends=True)]
TEXTS = [
    "", "Hello, world!", "the model reads tokens", "  two  spaces\tand a tab\n\nand lines\r\n", "17 × 23 = 391 in 2026",
    "naïve café, Straße, Ελληνικά, 日本語, 한국어", "NAÏVE", "👩🏽‍🔬 and 🏳️‍🌈", "don't I'll we've SHE'S", "https://example.org/a?b=c&d=%20",
    "<|im_start|>user\nnot special<|im_end|>", "a <think> b </think>c", "a", " ", "\n", "ﬁ ½ ² Ⅻ", "e\u0301 combining",
    "مرحبا بالعالم", "…—–“quoted”", "▁ and ▁▁", "[CLS] [MASK] word", "x\u0000y\u200bz", "unbelievablyinterconnectedness" * 4,
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SIZE = 420
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level():
    """Llama 3, Qwen, SmolLM."""
    made = Tokenizer(models.BPE(ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=SIZE, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    made.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    return made, {"bos_token": "<|begin|>", "eos_token": "<|im_end|>"}


def byte_fallback(made, special):
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE + 256, special_tokens=special + BYTES, limit_alphabet=90, show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    # The byte tokens are tokens like others, not special ones.
    whole = json.loads(made.to_str())
    whole["added_tokens"] = [token for token in whole["added_tokens"] if token["content"] not in BYTES]
    return Tokenizer.from_str(json.dumps(whole))


def sentencepiece():
    """Llama 2, Mistral 7B: a space before the text, characters that are not there as bytes."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made = byte_fallback(made, ["<unk>", "<s>", "</s>"])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made, {"bos_token": {"content": "<s>"}, "eos_token": {"content": "</s>"}, "add_bos_token": True}


def gemma():
    """Gemma: no space before the text, cut at spaces."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made = byte_fallback(made, ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"])
    made.add_tokens([AddedToken(" " * n, normalized=False) for n in range(2, 5)])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return made, {"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": True}


def metaspace():
    """Newer conversions of Llama 2 and Mistral."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    made = byte_fallback(made, ["<unk>", "<s>", "</s>"])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made, {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}


def unigram():
    """T5, XLM-R."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=SIZE, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made, {"eos_token": "</s>"}


def wordpiece():
    """BERT, all-MiniLM-L6-v2."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special, show_progress=False))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made, {"cls_token": "[CLS]", "sep_token": "[SEP]"}


def texts(made):
    # Names of special tokens are cut like other text, as osai cuts what somebody typed.
    made.encode_special_tokens = True
    facts = []
    for text in TEXTS:
        ids = made.encode(text, add_special_tokens=False).ids
        facts.append({"text": text, "ids": ids, "decoded": made.decode(ids, skip_special_tokens=True)})
    return facts


maker = f"tokenizers {tokenizers.__version__}"
kinds = []
for folder in sys.argv[1:]:
    made = Tokenizer.from_file(f"{folder}/tokenizer.json")
    made.no_truncation()
    made.no_padding()
    kinds.append({"name": folder, "folder": folder, "around": made.encode("a").ids, "texts": texts(made)})
for make in [] if kinds else [byte_level, sentencepiece, gemma, metaspace, unigram, wordpiece]:
    made, config = make()
    whole = json.loads(made.to_str())
    around = made.encode("a").ids
    kinds.append({"name": make.__name__, "tokenizer": whole, "tokenizer_config": config, "around": around, "texts": texts(made)})
print(f'{{"maker": {json.dumps(maker)}, "kinds": [')
print(",\n".join(json.dumps(kind, ensure_ascii=False, separators=(",", ":")) for kind in kinds))
print("]}")
