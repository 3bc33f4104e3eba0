import { availableParallelism } from "node:os";
import { basename } from "node:path";

import type { LanguageModelV4, LanguageModelV4CallOptions } from "@ai-sdk/provider";

import { AppError } from "#lib/errors.ts";

import { buildCompletionPrompt } from "./completion-prompt.ts";
import { openEngine, type Engine } from "./engine.ts";
import { createLanguageModel, type PreparedTurn } from "./language-model.ts";
import { runCompletion, type CompletionResult } from "./run-completion.ts";

export type EmbeddedModelOptions = Readonly<{
  /** A GGUF file, as {@link obtainModelFile} returns it. */
  modelPath: string;
  /** The file's name without its ending by default. */
  modelId?: string | undefined;
  /** Tokens a turn may hold, prompt and answer together. */
  contextSize?: number | undefined;
  /** Turns that are answered at the same time; the rest wait in line. */
  parallelTurns?: number | undefined;
  /** Turns that may wait in line before the next is refused. */
  maxWaitingTurns?: number | undefined;
  threads?: number | undefined;
  log?: ((line: string) => void) | undefined;
}>;

export type EmbeddedModel = Readonly<{
  modelId: string;
  /** Tokens a turn may hold; a model trained on less reports it once it is loaded. */
  readonly contextLength: number;
  /** Loads the model now rather than at the first turn. @throws AppError model_unavailable */
  load: () => Promise<void>;
  /** Ends all turns with `shutting_down`, then frees the memory. Turns that start later are refused. */
  dispose: () => Promise<void>;
  languageModel: () => LanguageModelV4;
}>;

const defaultContextSize = 4096;
const defaultParallelTurns = 4;
const defaultMaxWaitingTurns = 64;

/**
 * Makes the embedded model. Nothing is loaded until the first turn or `load`, and then only once,
 * however many turns arrive meanwhile; a load that failed is tried again by the next turn.
 */
export function createEmbeddedModel(options: EmbeddedModelOptions): EmbeddedModel {
  return new LlamaEmbeddedModel(options);
}

/**
 * llama.cpp's threads wait for each other by spinning, so a thread too many costs more than it
 * brings: on 2 cores one thread gave 70 tokens a second with and without other work beside it; two
 * gave 50, and 13 as soon as another process was busy (3 with four turns at once); the library's
 * default of four did not finish a sentence in minutes. Half the cores leave room for the service.
 */
function defaultThreads(): number {
  return Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2)));
}

type ActiveTurn = { abort: (reason: unknown) => void; settled: Promise<unknown> };

class LlamaEmbeddedModel implements EmbeddedModel {
  readonly modelId: string;
  readonly #options: EmbeddedModelOptions;
  readonly #activeTurns = new Set<ActiveTurn>();
  #engine: Promise<Engine> | undefined;
  #contextLength: number;
  #isDisposed = false;

  constructor(options: EmbeddedModelOptions) {
    this.#options = options;
    this.modelId = options.modelId ?? basename(options.modelPath).replace(/\.gguf$/i, "");
    this.#contextLength = options.contextSize ?? defaultContextSize;
  }

  get contextLength(): number {
    return this.#contextLength;
  }

  readonly load = async (): Promise<void> => {
    await this.#loadOnce();
  };

  readonly dispose = async (): Promise<void> => {
    this.#isDisposed = true;
    const engine = await this.#engine?.catch(() => undefined);
    const turns = [...this.#activeTurns];
    for (const turn of turns) turn.abort(new AppError("shutting_down"));
    await Promise.all(turns.map(({ settled }) => settled));
    await engine?.dispose();
  };

  readonly languageModel = (): LanguageModelV4 =>
    createLanguageModel({ modelId: this.modelId, prepare: (options) => this.#prepare(options) });

  #loadOnce(): Promise<Engine> {
    if (this.#isDisposed) return Promise.reject(new AppError("shutting_down"));
    this.#engine ??= this.#open().catch((cause: unknown) => {
      this.#engine = undefined;
      throw cause;
    });
    return this.#engine;
  }

  async #open(): Promise<Engine> {
    const { modelPath, contextSize, parallelTurns, threads, log } = this.#options;
    const startedAtMs = performance.now();
    const settings = {
      modelPath,
      contextSize: contextSize ?? defaultContextSize,
      parallelTurns: parallelTurns ?? defaultParallelTurns,
      threads: threads ?? defaultThreads(),
      log: log ?? (() => undefined),
    };
    try {
      const engine = await openEngine(settings);
      this.#contextLength = engine.contextSize;
      settings.log(
        `Loaded ${this.modelId} in ${Math.round(performance.now() - startedAtMs)} ms: ` +
          `${engine.sequences.size} parallel turns of ${engine.contextSize} tokens, ${settings.threads} thread(s).`,
      );
      return engine;
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : String(cause);
      settings.log(`The embedded model ${modelPath} could not be loaded: ${problem}`);
      throw new AppError("model_unavailable", undefined, { cause });
    }
  }

  async #prepare(options: LanguageModelV4CallOptions): Promise<PreparedTurn> {
    const engine = await unlessAborted(this.#loadOnce(), options.abortSignal);
    if (this.#isDisposed) throw new AppError("shutting_down");
    const maxWaiting = this.#options.maxWaitingTurns ?? defaultMaxWaitingTurns;
    if (engine.sequences.waitingCount >= maxWaiting) throw new AppError("service_unavailable");
    const prompt = buildCompletionPrompt(engine, options);
    const controller = new AbortController();
    const { signal } = controller;
    const abort = (reason: unknown): void => controller.abort(reason);
    return {
      prompt,
      signal,
      abort,
      run: (onText) =>
        this.#track(abort, options.abortSignal, () =>
          runCompletion({ engine, prompt, options, signal, onText }),
        ),
    };
  }

  /** Keeps the turn among the active ones, bound to the caller's signal, until it has ended. */
  async #track(
    abort: (reason: unknown) => void,
    outer: AbortSignal | undefined,
    run: () => Promise<CompletionResult>,
  ): Promise<CompletionResult> {
    const onAbort = (): void => abort(outer?.reason);
    outer?.addEventListener("abort", onAbort, { once: true });
    if (outer?.aborted === true) onAbort();
    if (this.#isDisposed) abort(new AppError("shutting_down"));
    const result = run();
    const turn = { abort, settled: result.catch(() => undefined) };
    this.#activeTurns.add(turn);
    try {
      return await result;
    } finally {
      outer?.removeEventListener("abort", onAbort);
      this.#activeTurns.delete(turn);
    }
  }
}

/** Stops waiting, not what is waited for. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
