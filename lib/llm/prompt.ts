import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import type { ModelParameters } from "../api/schemas.ts";
import { isSpoken, trimHistory, type PromptMessage } from "./history.ts";
import type { MessageStore } from "./message-store.ts";
import type { Session } from "./session.ts";

/** What of a session a model is shown. */
export type Prompt = Readonly<{
  messages: readonly PromptMessage[];
  tokens: number;
  omittedMessages: number;
}>;

/** Reads as much of the history as the model may see; what the branch holds beyond it is only counted. */
export async function loadPrompt(
  session: Session,
  lastMessageId: string,
  { store, limits }: Readonly<{ store: MessageStore; limits: { maxHistoryTokens: number } }>,
): Promise<Prompt> {
  const { systemPromptTokens } = session.config;
  const { rows, depth } = await store.recent(lastMessageId, limits.maxHistoryTokens);
  const trimmed = trimHistory({
    systemPrompt: { tokenCount: systemPromptTokens },
    messages: rows.map(({ role, content, token_count }) => ({
      role,
      content,
      tokenCount: token_count,
    })),
    maxHistoryTokens: limits.maxHistoryTokens,
  });
  const sentTokens = rows
    .filter(isSpoken)
    .slice(trimmed.omittedMessages)
    .reduce((sum, row) => sum + row.token_count, systemPromptTokens);
  return {
    messages: trimmed.messages,
    tokens: sentTokens,
    omittedMessages: trimmed.omittedMessages + depth - rows.length,
  };
}

/** The call that every provider understands: system prompt, history, and the parameters that are set. */
export function toCall(
  { config }: Session,
  messages: readonly PromptMessage[],
  overrides: ModelParameters = {},
): Omit<LanguageModelV4CallOptions, "abortSignal"> {
  const parameters = { ...config.parameters, ...overrides };
  const system = config.systemPrompt
    ? [{ role: "system" as const, content: config.systemPrompt }]
    : [];
  return {
    prompt: [
      ...system,
      ...messages.map(({ role, content }) => ({
        role,
        content: [{ type: "text" as const, text: content }],
      })),
    ],
    ...dropUndefined({
      temperature: parameters.temperature,
      maxOutputTokens: parameters.max_tokens,
      topP: parameters.top_p,
      presencePenalty: parameters.presence_penalty,
      frequencyPenalty: parameters.frequency_penalty,
      seed: parameters.seed,
      stopSequences: parameters.stop,
      reasoning: parameters.reasoning_effort,
    }),
  };
}

function dropUndefined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}
