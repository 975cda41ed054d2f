// node run.mjs WASM FUNCTION WEIGHTS INPUT OUTPUT COUNT: what a compiled predict.c makes of an input.
// It has no C library: expf and the like are imports, which Math gives here.
import { readFileSync, writeFileSync } from "node:fs";

const [wasm, name, weights, input, output, count] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(wasm));
const needed = WebAssembly.Module.imports(module).map((each) => each.name);
const rounded = (f) => (...u) => Math.fround(f(...u));
const env = Object.fromEntries(needed.map((each) => [each, rounded(Math[each.slice(0, -1)])]));
const { exports } = new WebAssembly.Instance(module, { env });
const blobs = [readFileSync(weights), readFileSync(input)];
const base = exports.__heap_base.value;
const [x, y] = [base + blobs[0].length, base + blobs[0].length + blobs[1].length];
exports.memory.grow(Math.ceil((y + 4 * count) / 65536));
new Uint8Array(exports.memory.buffer).set(blobs[0], base);
new Uint8Array(exports.memory.buffer).set(blobs[1], x);
exports[name](base, x, y);
writeFileSync(output, new Uint8Array(exports.memory.buffer, y, 4 * count));
console.log(needed.sort().join(" "));
