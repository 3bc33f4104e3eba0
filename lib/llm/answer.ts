import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from "@ai-sdk/provider";
import type { FinishReason, ToolCall, Usage } from "../api/schemas.ts";
import {
  createSpecialTokenFilter,
  type Segment,
  type SpecialTokenFilter,
} from "./special-tokens.ts";
import { countTokens } from "./tokens.ts";
import type { TurnEventBody } from "./turn-event.ts";

const finishReasons: Readonly<Record<LanguageModelV4FinishReason["unified"], FinishReason>> = {
  stop: "stop",
  length: "length",
  "content-filter": "content_filter",
  "tool-calls": "tool_calls",
  error: "error",
  interrupted: "interrupted",
  other: "other",
};

/** Folds a model's stream parts into one answer and tells what each adds to it. */
export class Answer {
  readonly #filter = createSpecialTokenFilter();
  /** While the model reasons in parts of their own. */
  #reasoningFilter: SpecialTokenFilter | undefined;
  readonly #toolCalls: ToolCall[] = [];
  #text = "";
  #sizeBytes = 0;
  #reasoning = "";
  #usage: LanguageModelV4Usage | undefined;
  /** What the embedded model left out because its own context is smaller than the history's budget. */
  #omittedByModel = 0;
  finishReason: FinishReason = "other";

  get text(): string {
    return this.#text;
  }

  get reasoning(): string {
    return this.#reasoning;
  }

  get toolCalls(): readonly ToolCall[] {
    return this.#toolCalls;
  }

  /** Text and reasoning so far, in UTF-8. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get isEmpty(): boolean {
    return this.#text === "" && this.#reasoning === "" && this.#toolCalls.length === 0;
  }

  /** Takes the next part and returns the events that it makes, often none. */
  accept(part: LanguageModelV4StreamPart): TurnEventBody[] {
    switch (part.type) {
      case "text-delta":
        return [...this.#endReasoning(), ...this.#append(this.#filter.push(part.delta))];
      case "reasoning-delta":
        this.#reasoningFilter ??= createSpecialTokenFilter();
        return this.#reason(this.#reasoningFilter.push(part.delta));
      case "reasoning-end":
        return this.#endReasoning();
      case "tool-call":
        return [this.#callTool(part.toolCallId, part.toolName, parseInput(part.input))];
      case "tool-result":
        return [this.#takeResult(part.toolCallId, part.result)];
      case "finish":
        this.#usage = part.usage;
        this.#omittedByModel = Number(part.providerMetadata?.local?.omittedMessages ?? 0);
        this.finishReason = finishReasons[part.finishReason.unified];
        return [];
      default:
        return [];
    }
  }

  /** Returns what was held back to see whether it becomes a special token. */
  flush(): TurnEventBody[] {
    return [...this.#endReasoning(), ...this.#append(this.#filter.flush())];
  }

  /** The provider's own figures; where it sent none, counted and marked `estimated`. */
  async usage(promptTokens: number, omittedMessages: number): Promise<Usage> {
    const input = this.#usage?.inputTokens;
    const output = this.#usage?.outputTokens;
    const omitted = omittedMessages + this.#omittedByModel;
    const estimated = input?.total === undefined || output?.total === undefined;
    const prompt = input?.total ?? promptTokens;
    const completion = output?.total ?? (await countTokens(this.#text + this.#reasoning));
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      ...(output?.reasoning !== undefined && { reasoning_tokens: output.reasoning }),
      ...(input?.cacheRead !== undefined && { cached_tokens: input.cacheRead }),
      ...(estimated && { estimated }),
      ...(omitted > 0 && { omitted_messages: omitted }),
    };
  }

  #endReasoning(): TurnEventBody[] {
    const held = this.#reasoningFilter?.flush() ?? [];
    this.#reasoningFilter = undefined;
    return this.#reason(held);
  }

  #reason(segments: readonly Segment[]): TurnEventBody[] {
    return this.#append(segments.map(({ text }) => ({ kind: "reasoning", text })));
  }

  #append(segments: readonly Segment[]): TurnEventBody[] {
    const events: TurnEventBody[] = [];
    for (const { kind, text } of segments) {
      if (text === "") continue;
      if (kind === "text") this.#text += text;
      else this.#reasoning += text;
      this.#sizeBytes += Buffer.byteLength(text);
      events.push({ type: `${kind}-delta`, text });
    }
    return events;
  }

  #callTool(id: string, name: string, input: unknown): TurnEventBody {
    this.#toolCalls.push({ id, name, input });
    return { type: "tool-call", id, name, input };
  }

  #takeResult(id: string, output: unknown): TurnEventBody {
    const index = this.#toolCalls.findIndex((call) => call.id === id);
    const call = this.#toolCalls[index];
    if (call) this.#toolCalls[index] = { ...call, output };
    return { type: "tool-result", id, output };
  }
}

function parseInput(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    return input;
  }
}
