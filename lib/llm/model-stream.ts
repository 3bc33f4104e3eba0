import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4StreamPart,
} from "@ai-sdk/provider";
import { AppError } from "../errors.ts";
import { toUpstreamError } from "./providers/upstream-error.ts";

/** The longest a provider may keep us waiting. */
export type ModelTimeouts = Readonly<{
  firstTokenTimeoutMs: number;
  chunkTimeoutMs: number;
  turnTimeoutMs: number;
}>;

export type ModelStreamOptions = Readonly<{
  model: LanguageModelV4;
  call: Omit<LanguageModelV4CallOptions, "abortSignal">;
  /** Ends the stream from outside; its reason is thrown as it is. */
  signal: AbortSignal;
  timeouts: ModelTimeouts;
}>;

/** Reasons of a last part that say that the answer is not whole. */
const failedReasons: ReadonlySet<string> = new Set(["interrupted", "error"]);

/**
 * One call of a model, as its stream parts.
 *
 * Iterating throws the signal's reason when it aborts, `upstream_timeout` when the provider is
 * silent for too long (keep-alives and empty deltas are silence), and `upstream_error` or
 * `upstream_rejected` when it fails or ends without saying that it has finished. However iteration
 * ends, the provider's connection is closed by then.
 */
export class ModelStream implements AsyncIterable<LanguageModelV4StreamPart> {
  readonly #options: ModelStreamOptions;
  readonly #controller = new AbortController();
  #waitedMs = 0;

  constructor(options: ModelStreamOptions) {
    this.#options = options;
  }

  /** Time spent waiting for the provider so far; what is left of a turn's time is the service's own. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LanguageModelV4StreamPart> {
    const { signal, timeouts } = this.#options;
    const abort = () => this.#controller.abort(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    const total = this.#timer(timeouts.turnTimeoutMs);
    let silence = this.#timer(timeouts.firstTokenTimeoutMs);
    let hasToken = false;
    try {
      for await (const part of this.#parts()) {
        if (carriesContent(part)) {
          if (hasToken) silence.refresh();
          else {
            clearTimeout(silence);
            silence = this.#timer(timeouts.chunkTimeoutMs);
            hasToken = true;
          }
        }
        yield part;
      }
    } finally {
      clearTimeout(total);
      clearTimeout(silence);
      signal.removeEventListener("abort", abort);
      this.#controller.abort();
    }
  }

  async *#parts(): AsyncGenerator<LanguageModelV4StreamPart> {
    const { signal } = this.#controller;
    const reader = await this.#open();
    const cancel = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cancel);
    if (signal.aborted) cancel();
    let finished = false;
    try {
      for (;;) {
        const { done, value } = await this.#waiting(reader.read());
        signal.throwIfAborted();
        if (done) break;
        if (value.type === "error") throw value.error;
        finished ||= value.type === "finish" && !failedReasons.has(value.finishReason.unified);
        yield value;
      }
      if (!finished) throw new AppError("upstream_error");
    } catch (error) {
      throw signal.aborted ? signal.reason : toUpstreamError(error);
    } finally {
      signal.removeEventListener("abort", cancel);
      cancel();
    }
  }

  async #open() {
    const { model, call } = this.#options;
    const { signal } = this.#controller;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      // A provider that ignores the signal must not hold up the stop, hence the race.
      const opening = Promise.resolve(model.doStream({ ...call, abortSignal: signal }));
      void opening
        .then(({ stream }) => (signal.aborted ? stream.cancel() : undefined))
        .catch(() => {});
      const { stream } = await this.#waiting(Promise.race([opening, aborted.promise]));
      return stream.getReader();
    } catch (error) {
      throw signal.aborted ? signal.reason : toUpstreamError(error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #waiting<T>(promise: Promise<T>): Promise<T> {
    const since = performance.now();
    try {
      return await promise;
    } finally {
      this.#waitedMs += performance.now() - since;
    }
  }

  #timer(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#controller.abort(new AppError("upstream_timeout")), delayMs);
  }
}

function carriesContent(part: LanguageModelV4StreamPart): boolean {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
    case "tool-input-delta":
      return part.delta !== "";
    case "tool-call":
    case "tool-result":
      return true;
    default:
      return false;
  }
}
