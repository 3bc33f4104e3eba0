import assert from "node:assert/strict";
import type { TestContext } from "node:test";

import { runTurn, type TurnOptions } from "#lib/llm/turn.ts";
import { isTerminal, type TurnEvent } from "#lib/llm/turn-event.ts";
import {
  collect,
  finish,
  openStores,
  scriptedModel,
  text,
  userId,
  type Stores,
} from "./chat-rig.ts";

export const turnLimits = {
  firstTokenTimeoutMs: 10_000,
  chunkTimeoutMs: 10_000,
  turnTimeoutMs: 60_000,
  maxHistoryTokens: 1000,
  maxAnswerBytes: 1_000_000,
};

export const newMessage = (content: string) =>
  ({ parentId: null, depth: 1, text: content, tokenCount: 1 }) as const;

/** What runTurn takes, with a model that says Hello. */
export async function turnOptions(
  stores: Stores,
  changes: Partial<TurnOptions> = {},
): Promise<TurnOptions> {
  return {
    session: await stores.newSession(),
    message: newMessage("Hi"),
    model: scriptedModel(text("Hello"), finish()),
    store: stores.messages,
    limits: turnLimits,
    signal: new AbortController().signal,
    firstSeq: 1,
    receivedAtMs: performance.now(),
    ...changes,
  };
}

/** Runs one turn to its end on a database of its own. */
export async function completeTurn(t: TestContext, changes: Partial<TurnOptions>) {
  const stores = await openStores(t);
  const given = await turnOptions(stores, changes);
  const events = await collect(runTurn(given));
  return { events, ...(await endingOf(stores, given, events)) };
}

/** The last event, which must be the only terminal one, and what the database has by then. */
export async function endingOf(
  stores: Stores,
  { session }: TurnOptions,
  events: readonly TurnEvent[],
) {
  const last = events.at(-1);
  assert.ok(last && isTerminal(last));
  assert.equal(events.filter(isTerminal).length, 1);
  const row = await stores.messages.find(session.id, last.turnId);
  assert.ok(row);
  const current = await stores.sessions.get(userId, session.id);
  return { last, row, session: current };
}
