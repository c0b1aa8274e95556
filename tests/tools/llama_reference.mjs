// Makes tests/reference/smollm2.json anew: greedy tokens, margins and prompt tokens from llama.cpp.
//
//   npm install node-llama-cpp@3.22.1 && node llama_reference.mjs SmolLM2-135M-Instruct.Q4_1.gguf > smollm2.json
//
// A margin is the difference between the first and the second logit; where it is small, engines may part.
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
const context = await model.createContext({contextSize: 512, sequences: 1, threads: 2, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
const sequence = context.getSequence();
const out = {maker: "llama.cpp in npm's node-llama-cpp 3.22.1, release " + (llama._bindings?.getBuildInfo?.()?.release ?? llama.llamaCppRelease?.release ?? "unknown"), prompts: [], texts: []};
for (const prompt of PROMPTS) {
    await sequence.clearHistory();
    const tokens = model.tokenize(prompt, false);
    const ids = [...tokens].map(Number);
    const greedy = [], margins = [];
    let feed = tokens.map((t, i) => (i + 1 < tokens.length ? t : [t, {generateNext: {probabilities: true}}]));
    for (let step = 0; step < 24; step++) {
        const res = await sequence.controlledEvaluate(feed);
        const probabilities = [...res[res.length - 1].next.probabilities.entries()].sort((a, b) => b[1] - a[1]);
        greedy.push(Number(probabilities[0][0]));
        margins.push(Number(Math.log(probabilities[0][1] / probabilities[1][1]).toFixed(4)));
        feed = [[probabilities[0][0], {generateNext: {probabilities: true}}]];
    }
    out.prompts.push({prompt, ids, greedy, margins});
}
for (const text of TEXTS) out.texts.push({text, ids: [...model.tokenize(text, false)].map(Number)});
console.log(JSON.stringify(out, null, 1));
process.exit(0);
