/** What trimming needs to know of a stored message; `tokenCount` was counted once, when it was stored. */
export type HistoryMessage = Readonly<{
  role: "user" | "assistant";
  content: string;
  tokenCount: number;
}>;

/** A message as a model gets it: nothing of reasoning, status or ids. */
export type PromptMessage = Readonly<{ role: "user" | "assistant"; content: string }>;

export type TrimHistoryInput = Readonly<{
  /** Always sent by the caller, so its tokens are taken off the budget first. */
  systemPrompt?: Readonly<{ tokenCount: number }> | undefined;
  /** The session's messages, oldest first; they are not changed. */
  messages: readonly HistoryMessage[];
  maxHistoryTokens: number;
}>;

export type TrimmedHistory = Readonly<{
  messages: readonly PromptMessage[];
  /** Stored messages with content that the model does not get. */
  omittedMessages: number;
}>;

/**
 * Chooses what of a session's history a model is sent.
 *
 * Whole turns (a user's message with the answers to it) go, oldest first, until the system prompt
 * and the rest fit the budget. The last turn always stays, even if it alone is over the budget.
 *
 * The result begins with a user's message and alternates, because chat templates and some providers
 * refuse anything else:
 * - blank answers (stopped or failed before any text) are left out, and nothing with them;
 * - neighbours of one role, as a failed answer leaves behind, become one message, in order, with a
 *   blank line in between, so that nothing the user asked is lost;
 * - an answer before the first user's message belongs to no turn and is omitted.
 */
export function trimHistory({
  systemPrompt,
  messages,
  maxHistoryTokens,
}: TrimHistoryInput): TrimmedHistory {
  const spoken = messages.filter(isSpoken);
  const budget = maxHistoryTokens - (systemPrompt?.tokenCount ?? 0);
  const start = firstKept(spoken, budget);
  return { messages: alternate(spoken.slice(start)), omittedMessages: start };
}

/** Whether a message says anything: an answer that was stopped before any text does not. */
export function isSpoken({ role, content }: Pick<HistoryMessage, "role" | "content">): boolean {
  return role === "user" || content.trim() !== "";
}

/** The index of the oldest message of the oldest turn that still fits. */
function firstKept(messages: readonly HistoryMessage[], budget: number): number {
  const last = messages.findLastIndex(({ role }) => role === "user");
  if (last === -1) return messages.length;
  let first = last;
  let tokens = 0;
  for (const [index, { role, tokenCount }] of [...messages.entries()].toReversed()) {
    tokens += tokenCount;
    if (tokens > budget) break;
    if (role === "user") first = index;
  }
  return first;
}

function alternate(messages: readonly HistoryMessage[]): PromptMessage[] {
  const alternating: PromptMessage[] = [];
  for (const { role, content } of messages) {
    const previous = alternating.at(-1);
    if (previous?.role === role) {
      alternating[alternating.length - 1] = { role, content: `${previous.content}\n\n${content}` };
    } else {
      alternating.push({ role, content });
    }
  }
  return alternating;
}
