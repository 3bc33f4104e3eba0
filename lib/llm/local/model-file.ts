import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, resolve } from "node:path";

import { defaultDownloadTimeouts, type DownloadTimeouts } from "./download.ts";
import { findGgufProblem } from "./gguf-file.ts";
import { defaultHuggingFaceUrl, parseHuggingFaceReference } from "./hugging-face.ts";
import { fetchIntoCache, type CacheOptions } from "./model-cache.ts";
import { describeProblem, ModelFileError } from "./model-file-error.ts";
import { defaultModel, type RemoteModel } from "./model-sources.ts";
import { defaultPythonCommands, type PythonCommands } from "./pip-source.ts";
import { findModelProblem } from "./probe-model.ts";
import { createProgressReporter, type ModelProgress } from "./progress.ts";

export type ModelFile = Readonly<{
  path: string;
  /** The name the model goes by: the default model's, or the file's name without its ending. */
  modelId: string;
  sizeBytes: number;
  /** `LOCAL_MODEL`, `cache`, or the name of the source it was just fetched from. */
  source: string;
}>;

export type ObtainModelFileOptions = Readonly<{
  /** The setting LOCAL_MODEL: a path, `hf:owner/repository/file.gguf`, or nothing for the default model. */
  localModel?: string | undefined;
  /** The folder that keeps fetched models; made when it is missing. */
  modelDir: string;
  /** Takes each line a person should read; the error output by default. */
  log?: ((line: string) => void) | undefined;
  /** Takes the download's progress; by default a bar on a terminal, a few lines for `log` elsewhere. */
  onProgress?: ((progress: ModelProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** What to fetch when `localModel` is not set. */
  model?: RemoteModel | undefined;
  huggingFaceUrl?: string | undefined;
  timeouts?: DownloadTimeouts | undefined;
  pythonCommands?: PythonCommands | undefined;
}>;

/**
 * Finds or fetches the model file. A `localModel` that is set is used or refused, never replaced by
 * the default model: nobody should be answered by another model than the one the operator named.
 *
 * @throws ModelFileError `local_model_invalid` when LOCAL_MODEL names nothing usable,
 *   `model_dir_unusable`, `model_unavailable` when no source gave the file; the signal's reason.
 */
export async function obtainModelFile(options: ObtainModelFileOptions): Promise<ModelFile> {
  const localModel = options.localModel?.trim() ?? "";
  if (localModel === "") return fetchModel(options.model ?? defaultModel, options);
  if (/^hf:/i.test(localModel)) return fetchReference(localModel, options);
  return openLocalFile(localModel, options);
}

async function fetchModel(model: RemoteModel, options: ObtainModelFileOptions): Promise<ModelFile> {
  const { path, source } = await fetchIntoCache(model, toCacheOptions(options));
  const { size } = await stat(path);
  return { path, modelId: model.modelId, sizeBytes: size, source };
}

async function fetchReference(
  reference: string,
  options: ObtainModelFileOptions,
): Promise<ModelFile> {
  const model = parseHuggingFaceReference(
    reference,
    options.huggingFaceUrl ?? defaultHuggingFaceUrl,
  );
  try {
    const file = await fetchModel(model, options);
    await assertLoadable(reference, file.path, options);
    return file;
  } catch (error) {
    if (!(error instanceof ModelFileError) || error.code !== "model_unavailable") throw error;
    throw new ModelFileError(
      "model_unavailable",
      `LOCAL_MODEL is "${reference}", which could not be fetched. ${error.message} ` +
        "Check the name and the network, or give the path of a GGUF file.",
      { cause: error, attempts: error.attempts },
    );
  }
}

async function openLocalFile(
  localModel: string,
  options: ObtainModelFileOptions,
): Promise<ModelFile> {
  const path = resolve(localModel.replace(/^~(?=[/\\])/, homedir()));
  const problem = await findGgufProblem(path).catch(describeProblem);
  if (problem !== undefined) throw invalidLocalModel(localModel, problem);
  await assertLoadable(localModel, path, options);
  const { size } = await stat(path);
  return {
    path,
    modelId: basename(path).replace(/\.gguf$/i, ""),
    sizeBytes: size,
    source: "LOCAL_MODEL",
  };
}

async function assertLoadable(
  localModel: string,
  path: string,
  { modelDir, signal }: ObtainModelFileOptions,
): Promise<void> {
  const problem = await findModelProblem(path, { modelDir: resolve(modelDir), signal });
  if (problem !== undefined) throw invalidLocalModel(localModel, problem);
}

function invalidLocalModel(localModel: string, problem: string): ModelFileError {
  return new ModelFileError(
    "local_model_invalid",
    `LOCAL_MODEL is "${localModel}", which cannot be used: ${problem}. ` +
      "Give the path of a whole GGUF file or hf:owner/repository/file.gguf, or leave it unset for the default model.",
  );
}

function toCacheOptions(options: ObtainModelFileOptions): CacheOptions {
  const reporter = createProgressReporter(process.stderr, options.log);
  return {
    modelDir: resolve(options.modelDir),
    reporter: { ...reporter, onProgress: options.onProgress ?? reporter.onProgress },
    isTerminal: process.stderr.isTTY && options.onProgress === undefined,
    timeouts: options.timeouts ?? defaultDownloadTimeouts,
    pythonCommands: options.pythonCommands ?? defaultPythonCommands,
    signal: options.signal,
  };
}
