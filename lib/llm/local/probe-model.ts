import { createHash } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { describeResult, runCommand } from "./run-command.ts";

const probeTimeoutMs = 5 * 60_000;

export type ProbeOptions = Readonly<{
  /** Where it is noted that a file passed. */
  modelDir: string;
  signal?: AbortSignal | undefined;
}>;

/**
 * Tries a model file that nobody vouches for in a process of its own and says in words why it cannot
 * be used, or `undefined`. llama.cpp ends the whole process when an assertion fails, which some
 * well-formed files bring about, and that must not be the service's. A file is tried once.
 */
export async function findModelProblem(
  path: string,
  { modelDir, signal }: ProbeOptions,
): Promise<string | undefined> {
  const pathHash = createHash("sha256").update(path).digest("hex").slice(0, 8);
  const markerPath = join(modelDir, `${basename(path)}-${pathHash}.probed`);
  const { size, mtimeMs } = await stat(path);
  const marker = `${size} ${mtimeMs}\n`;
  if ((await readFile(markerPath, "utf8").catch(() => undefined)) === marker) return undefined;
  const child = fileURLToPath(import.meta.resolve("./probe-child.ts"));
  const result = await runCommand([process.execPath, child, path], {
    signal,
    timeoutMs: probeTimeoutMs,
  });
  if (result?.exitCode !== 0) {
    return `llama.cpp cannot load it: ${result === undefined ? "no Node to try it with" : describeResult(result)}`;
  }
  await mkdir(modelDir, { recursive: true })
    .then(() => writeFile(markerPath, marker))
    .catch(() => undefined);
  return undefined;
}
