import { randomUUID } from "node:crypto";
import { once } from "node:events";
import timers from "node:timers/promises";

import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4Content,
  type LanguageModelV4FinishReason,
  type LanguageModelV4GenerateResult,
  type LanguageModelV4Prompt,
  type LanguageModelV4StreamPart,
  type LanguageModelV4StreamResult,
  type LanguageModelV4Usage,
} from "@ai-sdk/provider";

import { type MockSettings, type MockStep, parseMockModelName, textOf } from "./mock-scripts.ts";

/**
 * Makes the scripted model that `modelName` describes (see `mockScripts`), for people who test their
 * own clients. It calls nobody, and the same call gives the same answer.
 *
 * It behaves as a provider does: an abort ends the stream at once with the signal's reason and
 * leaves no timer, `maxOutputTokens` cuts the answer with `length`, failures are error parts of the
 * stream, usage is counted. Tokens are words of the prompt and deltas or tool calls of the answer.
 * Nothing waits unless the name says so. Sampling parameters and stop sequences have no effect.
 *
 * @throws AppError `invalid_input` for the field `model_name`.
 */
export function createMockModel(modelName: string): LanguageModelV4 {
  const { script, settings } = parseMockModelName(modelName);

  async function doStream(
    options: LanguageModelV4CallOptions,
  ): Promise<LanguageModelV4StreamResult> {
    options.abortSignal?.throwIfAborted();
    const cancellation = new AbortController();
    const signal = AbortSignal.any([cancellation.signal, options.abortSignal ?? []].flat());
    const { prompt, maxOutputTokens } = options;
    const steps = script.play({
      settings,
      prompt,
      toolNames: toolNamesOf(options),
      mayCallTools: options.toolChoice?.type !== "none",
    });
    const timedSteps = inTime(steps, { settings, maxOutputTokens, signal });
    const parts = toParts(timedSteps, { modelName, prompt });
    const cancel = (reason: unknown) => cancellation.abort(reason);
    return { stream: toStream(parts, { signal, cancel }) };
  }

  return {
    specificationVersion: "v4",
    provider: "mock",
    modelId: modelName,
    supportedUrls: {},
    doStream,
    doGenerate: async (options) => collect((await doStream(options)).stream),
  };
}

/** What the script says, and at last why it says no more. */
type TimedStep =
  | Exclude<MockStep, { kind: "stall" }>
  | Readonly<{ kind: "finish"; reason: LanguageModelV4FinishReason["unified"] }>;

type Pace = Readonly<{
  settings: MockSettings;
  maxOutputTokens: number | undefined;
  signal: AbortSignal;
}>;

/** So many tokens without a delay, and the event loop gets a turn: a stop must be heard. */
const tokensPerTurn = 32;

async function* inTime(steps: Iterable<MockStep>, pace: Pace): AsyncGenerator<TimedStep> {
  const { settings, maxOutputTokens = Infinity, signal } = pace;
  let tokens = 0;
  let reason: LanguageModelV4FinishReason["unified"] = "stop";
  for (const step of steps) {
    if (step.kind === "stall") throw await abortReasonOf(signal);
    if (step.kind !== "error" && tokens >= maxOutputTokens) {
      reason = "length";
      break;
    }
    const delayMs = settings.delayMs + (tokens === 0 ? settings.firstDelayMs : 0);
    if (delayMs > 0) await timers.setTimeout(delayMs, undefined, { signal });
    else if (tokens % tokensPerTurn === tokensPerTurn - 1)
      await timers.setImmediate(undefined, { signal });
    yield step;
    tokens += 1;
    if (step.kind === "error") reason = "error";
    if (step.kind === "tool-call" && step.result === undefined) reason = "tool-calls";
  }
  yield { kind: "finish", reason };
}

async function abortReasonOf(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await once(signal, "abort");
  return signal.reason;
}

type Call = Readonly<{ modelName: string; prompt: LanguageModelV4Prompt }>;

async function* toParts(
  steps: AsyncIterable<TimedStep>,
  { modelName, prompt }: Call,
): AsyncGenerator<LanguageModelV4StreamPart> {
  const tokens = { text: 0, reasoning: 0, toolCall: 0 };
  let block: { kind: "text" | "reasoning"; id: string } | undefined;
  let blockCount = 0;
  yield { type: "stream-start", warnings: [] };
  yield { type: "response-metadata", modelId: modelName };
  for await (const step of steps) {
    if (block !== undefined && block.kind !== step.kind) {
      yield { type: `${block.kind}-end`, id: block.id };
      block = undefined;
    }
    if (step.kind === "finish") {
      const finishReason = { unified: step.reason, raw: step.reason };
      yield { type: "finish", finishReason, usage: usageOf(prompt, tokens) };
    } else if (step.kind === "error") {
      yield { type: "error", error: providerFailure() };
    } else if (step.kind === "tool-call") {
      tokens.toolCall += 1;
      yield* toolParts(step);
    } else {
      tokens[step.kind] += 1;
      if (block === undefined) {
        block = { kind: step.kind, id: String((blockCount += 1)) };
        yield { type: `${block.kind}-start`, id: block.id };
      }
      yield { type: `${block.kind}-delta`, id: block.id, delta: step.delta };
    }
  }
}

function* toolParts(
  step: Extract<MockStep, { kind: "tool-call" }>,
): Generator<LanguageModelV4StreamPart> {
  const { toolName, input, result } = step;
  const id = `call_${randomUUID()}`;
  const owner = result === undefined ? {} : { providerExecuted: true, dynamic: true };
  yield { type: "tool-input-start", id, toolName, ...owner };
  yield { type: "tool-input-delta", id, delta: input };
  yield { type: "tool-input-end", id };
  yield { type: "tool-call", toolCallId: id, toolName, input, ...owner };
  if (result === undefined) return;
  yield { type: "tool-result", toolCallId: id, toolName, result, dynamic: true };
}

/** Runs the parts as they are read; nothing is produced ahead, and an abort wins over all else. */
function toStream(
  parts: AsyncIterator<LanguageModelV4StreamPart>,
  { signal, cancel }: { signal: AbortSignal; cancel: (reason: unknown) => void },
): ReadableStream<LanguageModelV4StreamPart> {
  async function pull(controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>) {
    try {
      signal.throwIfAborted();
      const next = await parts.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
}

async function collect(
  stream: ReadableStream<LanguageModelV4StreamPart>,
): Promise<LanguageModelV4GenerateResult> {
  const content: LanguageModelV4Content[] = [];
  for await (const part of stream) {
    const last = content.at(-1);
    if (part.type === "text-start") content.push({ type: "text", text: "" });
    if (part.type === "reasoning-start") content.push({ type: "reasoning", text: "" });
    if (part.type === "text-delta" && last?.type === "text") last.text += part.delta;
    if (part.type === "reasoning-delta" && last?.type === "reasoning") last.text += part.delta;
    if (part.type === "tool-call" || part.type === "tool-result") content.push(part);
    if (part.type === "error") throw part.error;
    if (part.type === "finish") {
      return { content, finishReason: part.finishReason, usage: part.usage, warnings: [] };
    }
  }
  throw providerFailure();
}

function toolNamesOf({ tools = [], toolChoice }: LanguageModelV4CallOptions): string[] {
  const names = tools.filter((tool) => tool.type === "function").map(({ name }) => name);
  return toolChoice?.type === "tool" ? names.filter((name) => name === toolChoice.toolName) : names;
}

function usageOf(
  prompt: LanguageModelV4Prompt,
  tokens: { text: number; reasoning: number; toolCall: number },
): LanguageModelV4Usage {
  const promptWords = prompt.flatMap((message) => textOf(message).match(/\S+/g) ?? []).length;
  const { text, reasoning, toolCall } = tokens;
  return {
    inputTokens: { total: promptWords, noCache: promptWords, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: text + reasoning + toolCall, text, reasoning },
  };
}

function providerFailure(): APICallError {
  return new APICallError({
    message: "The mock model failed, as its script says.",
    url: "mock:",
    requestBodyValues: {},
    statusCode: 500,
  });
}
