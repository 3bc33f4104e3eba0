/**
 * Run as a program of its own with the path of a model file: loads it, evaluates one token and ends
 * with status 0, or ends some other way. What llama.cpp says goes to the error output.
 */
import { openEngine } from "./engine.ts";

const engine = await openEngine({
  modelPath: process.argv[2] ?? "",
  contextSize: 256,
  parallelTurns: 1,
  threads: 1,
  log: (line) => process.stderr.write(`${line}\n`),
});
const tokens = engine.model.tokenize("Hello");
const lease = await engine.sequences.acquire(tokens, new AbortController().signal);
await lease.sequence.evaluate(tokens).next();
await engine.dispose();
