import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import type { LlamaContextSequence, Token } from "node-llama-cpp";

import type { CompletionPrompt } from "./completion-prompt.ts";
import type { Engine } from "./engine.ts";
import { toEvaluateOptions } from "./sampling.ts";
import { StopSequenceFilter } from "./stop-sequence-filter.ts";
import { TokenDecoder } from "./token-decoder.ts";

export type CompletionResult = Readonly<{
  finishReason: "stop" | "length";
  promptTokens: number;
  /** Of the prompt's tokens, those that were still evaluated from an earlier turn. */
  cachedTokens: number;
  completionTokens: number;
}>;

export type CompletionRun = Readonly<{
  engine: Pick<Engine, "model" | "sequences">;
  prompt: CompletionPrompt;
  options: LanguageModelV4CallOptions;
  signal: AbortSignal;
  onText: (text: string) => void;
}>;

/**
 * How much of a prompt is evaluated at a time. A running batch cannot be stopped, so this bounds
 * what an aborted turn still costs (128 tokens took 0.8 s) and, while others are answering, how
 * long they wait for their next token.
 */
const promptPieceTokens = { alone: 128, shared: 32 } as const;

/**
 * Waits for a sequence, evaluates the prompt and generates the answer, handing out its text as it
 * comes. After an abort it gives the sequence back at the next batch and rejects with the reason.
 */
export async function runCompletion(run: CompletionRun): Promise<CompletionResult> {
  const { engine, prompt, signal } = run;
  const lease = await engine.sequences.acquire(prompt.tokens, signal);
  let isDamaged = false;
  try {
    const restTokens = prompt.tokens.slice(lease.cachedTokens);
    const lastTokens = await evaluatePrompt(lease.sequence, restTokens, run);
    const answer = await generate(lease.sequence, lastTokens, run);
    return { ...answer, promptTokens: prompt.tokens.length, cachedTokens: lease.cachedTokens };
  } catch (error) {
    isDamaged = error !== signal.reason;
    throw error;
  } finally {
    await lease.release(isDamaged);
  }
}

/** Evaluates all pieces but the last, which generating the first token evaluates. */
async function evaluatePrompt(
  sequence: LlamaContextSequence,
  tokens: readonly Token[],
  { engine, signal }: CompletionRun,
): Promise<Token[]> {
  for (let start = 0; ;) {
    signal.throwIfAborted();
    const size = promptPieceTokens[engine.sequences.busyCount > 1 ? "shared" : "alone"];
    const piece = tokens.slice(start, start + size);
    start += size;
    if (start >= tokens.length) return piece;
    await sequence.evaluateWithoutGeneratingNewTokens(piece);
  }
}

type Answer = Pick<CompletionResult, "finishReason" | "completionTokens">;

async function generate(
  sequence: LlamaContextSequence,
  tokens: Token[],
  { engine, prompt, options, signal, onText }: CompletionRun,
): Promise<Answer> {
  const decoder = new TokenDecoder(engine.model);
  const stops = new StopSequenceFilter(prompt.stopTexts);
  const emit = trimStart(onText);
  const answerTokens: Token[] = [];
  const finish = (finishReason: Answer["finishReason"]): Answer => {
    const rest = stops.push(decoder.flush());
    emit(rest.isStopped ? rest.text : rest.text + stops.flush());
    return { finishReason, completionTokens: answerTokens.length };
  };
  for await (const token of sequence.evaluate(tokens, toEvaluateOptions(options, answerTokens))) {
    signal.throwIfAborted();
    if (prompt.stopTokens.has(token)) return finish("stop");
    answerTokens.push(token);
    const { text, isStopped } = stops.push(decoder.push(token));
    emit(text);
    if (isStopped) return { finishReason: "stop", completionTokens: answerTokens.length };
    if (answerTokens.length >= prompt.maxTokens) return finish("length");
  }
  return finish("stop");
}

/** Passes non-empty text on, without the white space that some models begin an answer with. */
function trimStart(onText: (text: string) => void): (text: string) => void {
  let hasStarted = false;
  return (text) => {
    const rest = hasStarted ? text : text.trimStart();
    hasStarted ||= rest !== "";
    if (rest !== "") onText(rest);
  };
}
