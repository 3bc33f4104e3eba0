import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
} from "@ai-sdk/provider";

import type { CompletionPrompt } from "./completion-prompt.ts";
import type { CompletionResult } from "./run-completion.ts";

/** A turn whose prompt is ready. `run` may be called once. */
export type PreparedTurn = Readonly<{
  prompt: CompletionPrompt;
  run: (onText: (text: string) => void) => Promise<CompletionResult>;
  abort: (reason: unknown) => void;
  /** Aborts when the caller, the reader or the service gives up. */
  signal: AbortSignal;
}>;

export type LanguageModelOptions = Readonly<{
  modelId: string;
  /** Loads the model where that is still to be done. Rejects with an AppError. */
  prepare: (options: LanguageModelV4CallOptions) => Promise<PreparedTurn>;
}>;

const textId = "0";

/**
 * The embedded model as the AI SDK's language model. `doStream` rejects when the model cannot be
 * loaded or the prompt does not fit; afterwards the stream ends with `finish`, or errors with the
 * abort's reason at once. `finish.providerMetadata.local.omittedMessages` counts the messages the
 * context had no room for.
 */
export function createLanguageModel({ modelId, prepare }: LanguageModelOptions): LanguageModelV4 {
  async function doStream(
    options: LanguageModelV4CallOptions,
  ): Promise<LanguageModelV4StreamResult> {
    const turn = await prepare(options);
    const stream = new ReadableStream<LanguageModelV4StreamPart>({
      start: (controller) => {
        controller.enqueue({ type: "stream-start", warnings: [...turn.prompt.warnings] });
        controller.enqueue({ type: "response-metadata", modelId, timestamp: new Date() });
        void pump(turn, controller);
      },
      cancel: turn.abort,
    });
    return { stream };
  }

  return {
    specificationVersion: "v4",
    provider: "local",
    modelId,
    supportedUrls: {},
    doStream,
    doGenerate: async (options) => collect((await doStream(options)).stream),
  };
}

async function pump(
  turn: PreparedTurn,
  controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>,
): Promise<void> {
  let isOpen = true;
  let hasText = false;
  // A batch that is being evaluated cannot be interrupted, but nobody has to wait for its end.
  const fail = (reason: unknown): void => {
    if (isOpen) controller.error(reason);
    isOpen = false;
  };
  const onAbort = (): void => fail(turn.signal.reason);
  turn.signal.addEventListener("abort", onAbort, { once: true });
  try {
    const result = await turn.run((delta) => {
      if (!isOpen) return;
      if (!hasText) controller.enqueue({ type: "text-start", id: textId });
      hasText = true;
      controller.enqueue({ type: "text-delta", id: textId, delta });
    });
    if (!isOpen) return;
    if (hasText) controller.enqueue({ type: "text-end", id: textId });
    controller.enqueue(toFinish(result, turn.prompt));
    controller.close();
    isOpen = false;
  } catch (error) {
    fail(error);
  } finally {
    turn.signal.removeEventListener("abort", onAbort);
  }
}

type FinishPart = Extract<LanguageModelV4StreamPart, { type: "finish" }>;

function toFinish(result: CompletionResult, prompt: CompletionPrompt): FinishPart {
  return {
    type: "finish",
    finishReason: { unified: result.finishReason, raw: result.finishReason },
    usage: {
      inputTokens: {
        total: result.promptTokens,
        noCache: result.promptTokens - result.cachedTokens,
        cacheRead: result.cachedTokens,
        cacheWrite: undefined,
      },
      outputTokens: {
        total: result.completionTokens,
        text: result.completionTokens,
        reasoning: undefined,
      },
    },
    providerMetadata: { local: { omittedMessages: prompt.omittedMessages } },
  };
}

async function collect(
  stream: ReadableStream<LanguageModelV4StreamPart>,
): Promise<LanguageModelV4GenerateResult> {
  let text = "";
  let warnings: LanguageModelV4GenerateResult["warnings"] = [];
  let finish: FinishPart | undefined;
  let response: LanguageModelV4GenerateResult["response"];
  for await (const part of stream) {
    if (part.type === "text-delta") text += part.delta;
    else if (part.type === "stream-start") warnings = part.warnings;
    else if (part.type === "response-metadata") response = part;
    else if (part.type === "finish") finish = part;
  }
  if (finish === undefined) throw new Error("the stream ended without a finish part");
  const { finishReason, usage, providerMetadata } = finish;
  return {
    content: text === "" ? [] : [{ type: "text", text }],
    finishReason,
    usage,
    warnings,
    ...(providerMetadata === undefined ? {} : { providerMetadata }),
    ...(response === undefined ? {} : { response }),
  };
}
