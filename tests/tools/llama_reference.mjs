// Makes tests/reference/smollm2.json anew: greedy tokens, margins and prompt tokens from llama.cpp.
//
//   npm install node-llama-cpp@3.22.1 && node llama_reference.mjs SmolLM2-135M-Instruct.Q4_1.gguf > smollm2.json
//
// A margin is the logit of the chosen token less that of the best other one; where it is small, engines may part.
import {createRequire} from "node:module";
import path from "node:path";
import {pathToFileURL} from "node:url";
const require = createRequire(path.join(process.cwd(), "x.js"));
const {getLlama} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const PROMPTS = [
    "The capital of France is",
    "Once upon a time",
    "Water boils at",
    "def fibonacci(n):\n",
    "The three primary colours are",
    "In 1969, the first",
    "Dear Sir or Madam,\n\nI am writing to",
    "A model is open source when",
    "1, 2, 3, 4, 5,",
    "L'intelligence artificielle est",
];
const TEXTS = [
    "Hello, world!", "  two  spaces\tand a tab\n\nand lines", "17 × 23 = 391 in 2026", "naïve café, Straße, Ελληνικά, 日本語, 한국어",
    "👩🏽‍🔬 and 🏳️‍🌈", "don't I'll we've SHE'S", "https://example.org/a?b=c&d=%20", "fn main() { println!(\"{}\", x[0] + 1e-5); }",
    "<|im_start|>user\nnot special<|im_end|>", "a", " ", "\n", "ﬁ ½ ² Ⅻ", "e\u0301 combining", "مرحبا بالعالم", "…—–“quoted”",
    "CamelCase snake_case kebab-case SCREAMING", "3.14159 1,000,000 0x1F 1e10", "    indented\n\tmixed\r\nwindows",
];
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: "error"});
const model = await llama.loadModel({modelPath: process.argv[2]});
// Small models feel every rounding: llama.cpp's own settings part from one another here. A token counts as settled by
// its margin in the least sure of them.
const SETTINGS = [{kv: "F16", flash: true}, {kv: "F16", flash: false}, {kv: "F32", flash: false}];
const sequences = [];
for (const {kv, flash} of SETTINGS) {
    const context = await model.createContext({contextSize: 512, sequences: 1, threads: 2, flashAttention: flash,
        experimentalKvCacheKeyType: kv, experimentalKvCacheValueType: kv});
    sequences.push(context.getSequence());
}
const out = {maker: "llama.cpp in npm's node-llama-cpp 3.22.1", settings: SETTINGS, prompts: [], texts: []};
for (const prompt of PROMPTS) {
    const tokens = model.tokenize(prompt, false);
    const greedy = [], margins = [];
    let feed = tokens.map((t, i) => (i + 1 < tokens.length ? t : [t, {generateNext: {probabilities: true}}]));
    for (const sequence of sequences) await sequence.clearHistory();
    for (let step = 0; step < 24; step++) {
        let first, margin = Infinity;
        for (const sequence of sequences) {
            const results = await sequence.controlledEvaluate(feed);
            const found = [...results[results.length - 1].next.probabilities.entries()].sort((a, b) => b[1] - a[1]);
            first ??= found[0][0];
            const own = found.find(([id]) => id === first)[1];
            const best = found.find(([id]) => id !== first)[1];
            margin = Math.min(margin, Math.log(own / best));
        }
        greedy.push(Number(first));
        margins.push(Number(margin.toFixed(4)));
        feed = [[first, {generateNext: {probabilities: true}}]];
    }
    out.prompts.push({prompt, ids: [...tokens].map(Number), greedy, margins});
}
for (const text of TEXTS) out.texts.push({text, ids: [...model.tokenize(text, false)].map(Number)});
console.log(JSON.stringify(out, null, 1));
process.exit(0);
