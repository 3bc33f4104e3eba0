import type { ProviderRequest } from "./provider-request.ts";

/** Token counts as OpenAI's chat completions write them. */
export type ProviderUsage = Readonly<{
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  [detail: string]: unknown;
}>;

/** `arguments` is sent as it stands when it is text, so that it may be broken JSON. */
export type ToolCallPiece = Readonly<{
  name: string;
  arguments: string | Readonly<Record<string, unknown>>;
  id?: string;
}>;

/** Cuts the bytes of one chunk into writes of this size, also inside a UTF-8 character. */
type Cut = Readonly<{ bytesPerWrite?: number }>;

type StepTable = {
  /** One chunk of the answer. */
  text: Readonly<{ text: string }> & Cut;
  /** One chunk of `reasoning_content`. */
  reasoning: Readonly<{ reasoning: string }> & Cut;
  toolCall: Readonly<{ toolCall: ToolCallPiece }>;
  /** Counts for the ending, which then carries them also when the client did not ask. */
  usage: Readonly<{ usage: ProviderUsage }>;
  /** The finish reason of the ending; without it `stop`, or `tool_calls` after a tool call. */
  finish: Readonly<{ finish: string }>;
  delayMs: Readonly<{ delayMs: number }>;
  /** Waits for the gate of that name: see ScriptedProvider.open and .pass. */
  waitFor: Readonly<{ waitFor: string }>;
  /** Sends nothing more and keeps the connection until the client leaves. */
  stall: Readonly<{ stall: true }>;
  /** An SSE comment: `: ping`. */
  comment: Readonly<{ comment: string }>;
  /** These bytes as they are. */
  raw: Readonly<{ raw: string | Uint8Array }>;
  /**
   * Status and headers, sent at once. With a `body` (text, or an object sent as JSON) it is the whole
   * answer; without, the steps that follow fill it.
   */
  status: Readonly<{
    status: number;
    headers?: Readonly<Record<string, string>>;
    body?: string | object;
  }>;
  /** TCP RST. Chunks that the client has not read yet may be lost with it: put a gate before. */
  reset: Readonly<{ reset: true }>;
  /** Ends the answer here, without finish reason, usage or `[DONE]`. */
  end: Readonly<{ end: true }>;
  repeat: Readonly<{ repeat: number; steps: Script }>;
};

export type StepKind = keyof StepTable;
export type StepOf<Kind extends StepKind> = StepTable[Kind];
export type Step = StepOf<StepKind>;

/**
 * What the provider does for one request, in order. Headers go out with the first thing written. A
 * script that runs to its end closes the answer as a provider does: finish reason, usage where the
 * client asked for it, `[DONE]`.
 */
export type Script = readonly Step[];

/** A script, or what makes one from the request that it answers. */
export type ScriptSource = Script | ((request: ProviderRequest) => Script);

/** Every kind of step; a step is of the kind whose key it has. */
export const stepKinds: readonly StepKind[] = [
  "text",
  "reasoning",
  "toolCall",
  "usage",
  "finish",
  "delayMs",
  "waitFor",
  "stall",
  "comment",
  "raw",
  "status",
  "reset",
  "end",
  "repeat",
];
