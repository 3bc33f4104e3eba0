import type { ChatHistoryItem } from "node-llama-cpp";

/** A dropped start is a multiple of this share of the context. */
const dropShare = 4;

export type FitOptions<TRendered> = Readonly<{
  items: readonly ChatHistoryItem[];
  /** Tokens the prompt may have. */
  limitTokens: number;
  /** Renders a history with the model's template. */
  render: (items: readonly ChatHistoryItem[]) => TRendered;
  countRendered: (rendered: TRendered) => number;
  countText: (text: string) => number;
}>;

export type FittedHistory<TRendered> = Readonly<{ rendered: TRendered; omittedMessages: number }>;

/**
 * Drops the oldest whole turns until the history fits: never a system message, never the last
 * user's message and what follows it. What is left may still be too long when that alone is.
 *
 * Turns are dropped in lots of a quarter of the context, so that the prompt of the next turns
 * starts the same and need not be evaluated anew each time.
 */
export function fitHistory<TRendered>(options: FitOptions<TRendered>): FittedHistory<TRendered> {
  const { items, limitTokens, render, countRendered } = options;
  const whole = render(items);
  const wholeTokens = countRendered(whole);
  if (wholeTokens <= limitTokens) return { rendered: whole, omittedMessages: 0 };
  const turns = splitTurns(items);
  for (let dropped = turnsToDrop(turns, wholeTokens, options); ; dropped++) {
    const kept = keepTurns(items, turns, dropped);
    const rendered = render(kept);
    if (countRendered(rendered) <= limitTokens || dropped >= turns.length - 1) {
      return { rendered, omittedMessages: items.length - kept.length };
    }
  }
}

type Turn = readonly ChatHistoryItem[];

/** A turn starts with a user's message that does not follow another one. */
function splitTurns(items: readonly ChatHistoryItem[]): readonly Turn[] {
  const turns: ChatHistoryItem[][] = [];
  let previous: ChatHistoryItem | undefined;
  for (const item of items.filter(({ type }) => type !== "system")) {
    const startsTurn = item.type === "user" && previous?.type !== "user";
    if (startsTurn || turns.length === 0) turns.push([]);
    turns.at(-1)?.push(item);
    previous = item;
  }
  return turns;
}

function turnsToDrop(
  turns: readonly Turn[],
  wholeTokens: number,
  {
    items,
    limitTokens,
    countText,
  }: Pick<FitOptions<unknown>, "items" | "limitTokens" | "countText">,
): number {
  const textTokens = new Map(items.map((item) => [item, countText(textOf(item))]));
  const allTextTokens = [...textTokens.values()].reduce((sum, tokens) => sum + tokens, 0);
  const templateTokens = Math.max(0, wholeTokens - allTextTokens) / items.length;
  const lotTokens = Math.max(1, Math.floor(limitTokens / dropShare));
  const targetTokens = Math.ceil((wholeTokens - limitTokens) / lotTokens) * lotTokens;
  let droppedTokens = 0;
  let count = 0;
  while (droppedTokens < targetTokens && count < turns.length - 1) {
    for (const item of turns[count] ?? []) {
      droppedTokens += (textTokens.get(item) ?? 0) + templateTokens;
    }
    count++;
  }
  return count;
}

function keepTurns(
  items: readonly ChatHistoryItem[],
  turns: readonly Turn[],
  droppedTurns: number,
): readonly ChatHistoryItem[] {
  const dropped = new Set(turns.slice(0, droppedTurns).flat());
  return items.filter((item) => !dropped.has(item));
}

function textOf(item: ChatHistoryItem): string {
  if (item.type === "model")
    return item.response.filter((part) => typeof part === "string").join("");
  return typeof item.text === "string" ? item.text : "";
}
