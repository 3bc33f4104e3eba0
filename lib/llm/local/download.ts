import { open, rm, stat } from "node:fs/promises";

import { describeProblem, SourceError } from "./model-file-error.ts";
import { Watchdog } from "./watchdog.ts";

/** How long a host may stay silent before the next source is tried. */
export type DownloadTimeouts = Readonly<{
  /** From the request to the answer's headers, redirects included. */
  connectMs: number;
  /** Between two pieces of the body. */
  stallMs: number;
}>;

export const defaultDownloadTimeouts: DownloadTimeouts = { connectMs: 5_000, stallMs: 10_000 };

/** A connection that is cut is continued, but not for ever, and not when it keeps bringing nothing. */
const maxAttempts = 20;
const maxVainAttempts = 3;

export type DownloadOptions = Readonly<{
  url: string;
  /** Where the bytes go. What is already there is kept, and only the rest is asked for. */
  partPath: string;
  expectedSizeBytes: number | undefined;
  timeouts: DownloadTimeouts;
  signal?: AbortSignal | undefined;
  onProgress?: ((receivedBytes: number, totalBytes: number | undefined) => void) | undefined;
}>;

/**
 * Downloads a file with HTTP Range requests (RFC 9110, section 14) and continues after a cut.
 * Returns how many bytes were there from an earlier run, which the caller may have to distrust.
 *
 * @throws SourceError when the host refuses, stays silent or sends something else; the signal's reason.
 */
export async function downloadFile(options: DownloadOptions): Promise<{ resumedBytes: number }> {
  const resumedBytes = await usableBytes(options);
  let partBytes = resumedBytes;
  let vainAttempts = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      await transfer(options, partBytes);
      return { resumedBytes };
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof CutError) || attempt === maxAttempts) throw error;
      const previousBytes = partBytes;
      partBytes = await sizeOf(options.partPath);
      vainAttempts = partBytes > previousBytes ? 0 : vainAttempts + 1;
      if (vainAttempts === maxVainAttempts) throw error;
    }
  }
}

/** The connection ended before the file did: asking for the rest may help. */
class CutError extends SourceError {}

/** A part that is longer than the whole was not written by us, and cannot be continued. */
async function usableBytes({ partPath, expectedSizeBytes }: DownloadOptions): Promise<number> {
  const partBytes = await sizeOf(partPath);
  if (partBytes <= (expectedSizeBytes ?? partBytes)) return partBytes;
  await rm(partPath);
  return 0;
}

async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.size ?? 0;
}

async function transfer(options: DownloadOptions, partBytes: number): Promise<void> {
  if (partBytes > 0 && partBytes === options.expectedSizeBytes) return;
  using watchdog = new Watchdog(options.signal);
  try {
    const { connectMs } = options.timeouts;
    watchdog.arm(connectMs, `it did not answer within ${connectMs} ms`);
    const response = await fetch(options.url, {
      signal: watchdog.signal,
      // A compressed body would make byte positions meaningless.
      headers: { "accept-encoding": "identity", ...rangeHeader(partBytes) },
    });
    await writeBody(response, { ...options, partBytes, watchdog });
  } catch (error) {
    if (watchdog.problem !== undefined) throw new SourceError(watchdog.problem);
    throw error;
  }
}

function rangeHeader(partBytes: number): Record<string, string> {
  return partBytes > 0 ? { range: `bytes=${partBytes}-` } : {};
}

type Transfer = DownloadOptions & Readonly<{ partBytes: number; watchdog: Watchdog }>;

async function writeBody(response: Response, options: Transfer): Promise<void> {
  const { startBytes, totalBytes } = await readAnswer(response, options);
  const { watchdog, onProgress } = options;
  const { stallMs } = options.timeouts;
  const rearm = (): void => watchdog.arm(stallMs, `it sent nothing for ${stallMs} ms`);
  await using file = await open(options.partPath, startBytes > 0 ? "a" : "w");
  let receivedBytes = startBytes;
  rearm();
  onProgress?.(receivedBytes, totalBytes);
  for await (const chunk of orCut(response.body)) {
    await file.writeFile(chunk);
    receivedBytes += chunk.byteLength;
    rearm();
    onProgress?.(receivedBytes, totalBytes);
    if (receivedBytes > (totalBytes ?? receivedBytes)) throw new SourceError("it sends too much");
  }
  if (receivedBytes < (totalBytes ?? 0)) throw new CutError("the connection was cut");
  await file.sync();
}

/** Tells a body that breaks off from a disk that fails: only the first is worth another attempt. */
async function* orCut(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  try {
    if (body !== null) yield* body;
  } catch (cause) {
    throw new CutError(`the connection was cut: ${describeProblem(cause)}`, { cause });
  }
}

type Answer = Readonly<{ startBytes: number; totalBytes: number | undefined }>;

/** @throws SourceError unless the answer is the file, or the rest of it, in the size expected. */
async function readAnswer(response: Response, options: Transfer): Promise<Answer> {
  const answer = parseAnswer(response, options.partBytes);
  const { expectedSizeBytes } = options;
  if (typeof answer !== "string") {
    const totalBytes = answer.totalBytes ?? expectedSizeBytes;
    if (totalBytes === (expectedSizeBytes ?? totalBytes)) {
      return { startBytes: answer.startBytes, totalBytes };
    }
  }
  await response.body?.cancel();
  if (response.status === 416) await rm(options.partPath, { force: true });
  throw new SourceError(
    typeof answer === "string"
      ? answer
      : `it offers ${answer.totalBytes} bytes instead of ${expectedSizeBytes}`,
  );
}

function parseAnswer(response: Response, partBytes: number): Answer | string {
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (Number(range?.[1]) !== partBytes) return "it answered with a part that was not asked for";
    return { startBytes: partBytes, totalBytes: toBytes(range?.[2]) };
  }
  if (response.status !== 200) return `it answered with status ${response.status}`;
  return { startBytes: 0, totalBytes: toBytes(response.headers.get("content-length")) };
}

function toBytes(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
