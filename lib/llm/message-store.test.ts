import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { openStores, strangerId, userId, type Stores } from "#e2e/rig/chat-rig.ts";
import { countTokens } from "./tokens.ts";

/** Writes one whole turn behind `parentId` and gives the ids of its two messages. */
async function turn(
  { messages, sessions }: Stores,
  sessionId: string,
  { parentId = null as string | null, depth = 1, text = "Hi", answer = "Hello", tokens = 10 } = {},
) {
  const session = await sessions.get(userId, sessionId);
  const userMessage = { parentId, depth, text, tokenCount: tokens };
  const begun = await messages.beginTurn({ session, userMessage, provider: "mock", model: "m" });
  const ending = { content: answer, status: "complete", token_count: tokens, lastSeq: 9 } as const;
  await messages.finishTurn(sessionId, begun.messageId, ending);
  return { userMessageId: begun.userMessage.id, messageId: begun.messageId };
}

/** A session of `count` turns in a row. */
async function conversation(stores: Stores, count: number, tokens = 10) {
  const { id } = await stores.newSession();
  let parentId: string | null = null;
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const texts = { text: `q${index}`, answer: `a${index}` };
    const written = await turn(stores, id, { parentId, depth: index * 2 + 1, tokens, ...texts });
    parentId = written.messageId;
    ids.push(written.userMessageId, written.messageId);
  }
  return { session: await stores.sessions.get(userId, id), ids };
}

const contents = (rows: readonly { content: string }[]) => rows.map(({ content }) => content);

describe("the message store", () => {
  test("begins a turn as one commit that moves the head and names the session", async (t) => {
    const stores = await openStores(t);
    const { id } = await stores.newSession();
    const { messageId, userMessageId } = await turn(stores, id, { text: "  First line\nsecond" });
    const session = await stores.sessions.get(userId, id);
    assert.deepEqual(
      [session.title, session.headId, session.lastSeq],
      ["First line", messageId, 9],
    );
    const asked = await stores.messages.find(id, userMessageId);
    assert.deepEqual([asked?.content, asked?.token_count], ["  First line\nsecond", 10]);
  });

  test("writes nothing for a client_id that is known", async (t) => {
    const stores = await openStores(t);
    const session = await stores.newSession();
    const userMessage = { parentId: null, depth: 1, text: "Hi", tokenCount: 1, clientId: "c" };
    const beginning = { session, userMessage, provider: "mock", model: "m" } as const;
    const first = await stores.messages.beginTurn(beginning);
    await assert.rejects(stores.messages.beginTurn(beginning), { code: "turn_in_progress" });
    const known = await stores.messages.findByClientId(session.id, "c");
    assert.equal(known?.id, first.userMessage.id);
    assert.equal((await stores.sessions.get(userId, session.id)).headId, first.messageId);
    const other = await stores.newSession();
    await stores.messages.beginTurn({ ...beginning, session: other });
  });

  test("says not_found when the session was deleted before the turn began", async (t) => {
    const stores = await openStores(t);
    const session = await stores.newSession();
    await stores.sessions.delete(userId, session.id);
    const userMessage = { parentId: null, depth: 1, text: "Hi", tokenCount: 1 };
    const beginning = { session, userMessage, provider: "mock", model: "m" } as const;
    await assert.rejects(stores.messages.beginTurn(beginning), { code: "not_found" });
  });

  test("finds a message in its own session only", async (t) => {
    const stores = await openStores(t);
    const { ids } = await conversation(stores, 1);
    const other = await stores.newSession();
    assert.equal(await stores.messages.find(other.id, ids[0] ?? ""), undefined);
  });

  test("shows the branch that leads to the head", async (t) => {
    const stores = await openStores(t);
    const { session, ids } = await conversation(stores, 2);
    await turn(stores, session.id, {
      parentId: ids[1] ?? "",
      depth: 3,
      text: "q1'",
      answer: "a1'",
    });
    const current = await stores.sessions.get(userId, session.id);
    assert.deepEqual(contents(await stores.messages.all(current)), ["q0", "a0", "q1'", "a1'"]);
    assert.deepEqual(contents(await stores.messages.all(session)), ["q0", "a0", "q1", "a1"]);
    assert.deepEqual(await stores.messages.all(await stores.newSession()), []);
  });

  test("pages the branch, oldest first, without a hole or a repeat", async (t) => {
    const stores = await openStores(t);
    const { session } = await conversation(stores, 3);
    const pages: string[][] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await stores.messages.page(session, { limit: 4, cursor });
      pages.push(contents(page.messages));
      cursor = page.nextCursor;
    }
    assert.deepEqual(pages, [
      ["q0", "a0", "q1", "a1"],
      ["q2", "a2"],
    ]);
    const whole = await stores.messages.page(session, { limit: 6 });
    assert.equal(whole.nextCursor, null);
    for (const bad of ["", "x", "-1", "1.5", "9".repeat(10)]) {
      const refused = stores.messages.page(session, { limit: 1, cursor: bad });
      await assert.rejects(refused, { code: "invalid_input" }, bad);
    }
  });

  for (const [budget, expected] of [
    [0, ["a2"]],
    [9, ["a2"]],
    [10, ["q2", "a2"]],
    [29, ["q2", "a2"].toSpliced(0, 0, "a1")],
    [1000, ["q0", "a0", "q1", "a1", "q2", "a2"]],
  ] as const) {
    test(`reads ${expected.length} of six messages to fill ${budget} tokens`, async (t) => {
      const stores = await openStores(t);
      const { ids } = await conversation(stores, 3);
      const { rows, depth } = await stores.messages.recent(ids.at(-1) ?? "", budget);
      assert.deepEqual(contents(rows), expected);
      assert.equal(depth, 6);
    });
  }

  test("marks what a crash cut off, counts its tokens and leaps over lost numbers", async (t) => {
    const stores = await openStores(t);
    const { session: whole } = await conversation(stores, 1);
    const session = await stores.newSession();
    const userMessage = { parentId: null, depth: 1, text: "Hi", tokenCount: 1 };
    const beginning = { session, userMessage, provider: "mock", model: "m" } as const;
    const { messageId } = await stores.messages.beginTurn(beginning);
    const content = "A partial answer of a few words";
    await stores.messages.saveAnswer(messageId, { content, reasoning: "hm" });
    assert.equal(await stores.messages.recover(), 1);
    const row = await stores.messages.find(session.id, messageId);
    assert.deepEqual(
      [row?.status, row?.finish_reason, row?.content, row?.reasoning],
      ["incomplete", "interrupted", content, "hm"],
    );
    assert.equal(row?.token_count, await countTokens(content));
    const { lastSeq } = await stores.sessions.get(userId, session.id);
    assert.ok(lastSeq >= 1_000_000);
    assert.equal((await stores.sessions.get(userId, whole.id)).lastSeq, whole.lastSeq);
    assert.equal(await stores.messages.recover(), 0);
    assert.equal((await stores.sessions.get(userId, session.id)).lastSeq, lastSeq);
  });

  test("copies a branch into another session and leaves the original", async (t) => {
    const stores = await openStores(t);
    const { session, ids } = await conversation(stores, 2);
    const rows = (await stores.messages.all(session)).slice(0, 3);
    const copy = await stores.newSession();
    await stores.messages.copyInto(copy, rows);
    await stores.messages.copyInto(await stores.newSession(), []);
    const forked = await stores.sessions.get(userId, copy.id);
    const copies = await stores.messages.all(forked);
    assert.deepEqual(contents(copies), ["q0", "a0", "q1"]);
    assert.ok(copies.every(({ id, session_id }) => !ids.includes(id) && session_id === copy.id));
    assert.equal((await stores.messages.all(session)).length, 4);
  });

  test("deletes the messages with their session", async (t) => {
    const stores = await openStores(t);
    const { session } = await conversation(stores, 2);
    await assert.rejects(stores.sessions.delete(strangerId, session.id), { code: "not_found" });
    await stores.sessions.delete(userId, session.id);
    const left = await stores.database.query.selectFrom("messages").select("id").execute();
    assert.deepEqual(left, []);
  });
});
