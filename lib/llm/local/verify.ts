import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

import { SourceError } from "./model-file-error.ts";
import type { ExpectedFile } from "./model-sources.ts";

type Marker = Readonly<{ sizeBytes: number; modifiedMs: number; sha256: string }>;

/** The SHA-256 of a file, in lower-case hexadecimal, read in pieces. */
export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
  return hash.digest("hex");
}

/** @throws SourceError that says what differs, when the file is not the expected one. */
export async function assertExpected(
  path: string,
  expected: ExpectedFile,
  signal?: AbortSignal,
): Promise<void> {
  const { size } = await stat(path);
  if (expected.sizeBytes !== undefined && size !== expected.sizeBytes) {
    throw new SourceError(`the file has ${size} bytes instead of ${expected.sizeBytes}`);
  }
  if (expected.sha256 === undefined) return;
  const actual = await sha256OfFile(path, signal);
  if (actual !== expected.sha256) {
    throw new SourceError(`the file's SHA-256 is ${actual} instead of ${expected.sha256}`);
  }
}

/**
 * Notes beside the file that it was verified, so that the next start need not read it: hashing
 * 98 MB took 108 to 151 ms on 2 cores of 2026 and takes several times that on older machines.
 */
export async function markVerified(path: string, expected: ExpectedFile): Promise<void> {
  if (expected.sha256 === undefined) return;
  const { size, mtimeMs } = await stat(path);
  const marker: Marker = { sizeBytes: size, modifiedMs: mtimeMs, sha256: expected.sha256 };
  await writeFile(markerPath(path), `${JSON.stringify(marker)}\n`);
}

/** Whether the file was verified before and has the same size and time of change as it had then. */
export async function isMarkedVerified(path: string, expected: ExpectedFile): Promise<boolean> {
  try {
    const marker = JSON.parse(await readFile(markerPath(path), "utf8")) as Partial<Marker>;
    const { size, mtimeMs } = await stat(path);
    return (
      marker.sha256 === expected.sha256 &&
      marker.sizeBytes === size &&
      marker.modifiedMs === mtimeMs
    );
  } catch {
    return false;
  }
}

function markerPath(path: string): string {
  return `${path}.verified`;
}
