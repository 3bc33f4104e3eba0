import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { MockLanguageModelV4 } from "ai/test";

import {
  collect,
  finish,
  openStores,
  providerUsage,
  reasoning,
  scriptedModel,
  text,
} from "#e2e/rig/chat-rig.ts";
import { completeTurn, endingOf, newMessage, turnLimits, turnOptions } from "#e2e/rig/turn-rig.ts";
import { AppError } from "../errors.ts";
import { runTurn } from "./turn.ts";

describe("a turn", () => {
  test("numbers its events without a hole from firstSeq and keeps the last number", async (t) => {
    const model = scriptedModel(text("He"), text("llo"), finish());
    const { events, session } = await completeTurn(t, { model, firstSeq: 41 });
    assert.deepEqual(
      events.map(({ seq, type }) => [seq, type]),
      [
        [41, "turn-start"],
        [42, "text-delta"],
        [43, "text-delta"],
        [44, "turn-end"],
      ],
    );
    assert.equal(session.lastSeq, 44);
    assert.equal(new Set(events.map(({ turnId }) => turnId)).size, 1);
  });

  test("has the user's message on disk before the model is called", async (t) => {
    const stores = await openStores(t);
    const session = await stores.newSession();
    const model = new MockLanguageModelV4({
      doStream: async () => {
        const rows = await stores.database.query.selectFrom("messages").selectAll().execute();
        assert.deepEqual(
          rows.map(({ role, content, status }) => `${role} ${status}: ${content}`).toSorted(),
          ["assistant streaming: ", "user complete: Hi"],
        );
        return scriptedModel(text("seen"), finish()).doStream({ prompt: [] });
      },
    });
    const events = await collect(runTurn(await turnOptions(stores, { session, model })));
    assert.deepEqual(
      events.map(({ type }) => type),
      ["turn-start", "text-delta", "turn-end"],
    );
  });

  test("sends its last event only when the answer is on disk", async (t) => {
    const stores = await openStores(t);
    const given = await turnOptions(stores);
    const states: string[] = [];
    for await (const event of runTurn(given)) {
      const row = await stores.messages.find(given.session.id, event.turnId);
      states.push(`${event.type}: ${row?.status} ${row?.content}`);
    }
    assert.deepEqual(states, [
      "turn-start: streaming ",
      "text-delta: streaming ",
      "turn-end: complete Hello",
    ]);
  });

  test("keeps text, reasoning, tool calls and figures of a complete answer", async (t) => {
    const model = scriptedModel(
      reasoning("hm"),
      text("a<think>b</think>c<|im_"),
      text("end|>"),
      { type: "tool-call", toolCallId: "7", toolName: "look", input: '{"at":1}' },
      { type: "tool-result", toolCallId: "7", toolName: "look", result: { found: 2 } },
      finish("stop", providerUsage(11, 5)),
    );
    const { last, row } = await completeTurn(t, { model });
    assert.equal(row.content, "ac");
    assert.equal(row.reasoning, "hmb");
    assert.deepEqual(JSON.parse(row.tool_calls_json ?? ""), [
      { id: "7", name: "look", input: { at: 1 }, output: { found: 2 } },
    ]);
    const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
    assert.deepEqual(JSON.parse(row.usage_json ?? ""), usage);
    assert.ok(last.type === "turn-end");
    assert.deepEqual(last.usage, usage);
    assert.deepEqual(JSON.parse(row.timings_json ?? ""), last.timings);
    assert.equal(row.token_count, 1);
  });

  test("says which figures are estimated and how many messages were left out", async (t) => {
    const stores = await openStores(t);
    const session = await stores.newSession({ systemPrompt: "Be brief.", systemPromptTokens: 3 });
    const first = await turnOptions(stores, { session });
    const [start] = await collect(runTurn({ ...first, message: newMessage("old") }));
    const message = { parentId: start?.turnId ?? "", depth: 3, text: "new", tokenCount: 5 };
    const small = { ...turnLimits, maxHistoryTokens: 8 };
    const { last } = await endingOf(
      stores,
      first,
      await collect(runTurn({ ...first, message, limits: small })),
    );
    assert.ok(last.type === "turn-end");
    assert.deepEqual(last.usage, {
      prompt_tokens: 8,
      completion_tokens: 1,
      total_tokens: 9,
      estimated: true,
      omitted_messages: 2,
    });
  });

  for (const [provider, cost] of [
    ["mock", 0],
    ["local", 0],
    ["openai", null],
    ["openai-compatible", null],
  ] as const) {
    test(`costs ${cost} with the provider ${provider}`, async (t) => {
      const stores = await openStores(t);
      const session = await stores.newSession({ provider });
      const given = await turnOptions(stores, { session });
      const { last, row } = await endingOf(stores, given, await collect(runTurn(given)));
      assert.ok(last.type === "turn-end");
      assert.deepEqual([last.cost, row.cost], [cost, cost]);
    });
  }
});

describe("a turn whose model writes too much", () => {
  test("cuts the provider off and ends with length", async (t) => {
    const model = scriptedModel(text("äö"), text("ü"), text("never read"), finish());
    const limits = { ...turnLimits, maxAnswerBytes: 5 };
    const { last, row } = await completeTurn(t, { model, limits });
    assert.ok(last.type === "turn-end");
    assert.deepEqual([last.finishReason, row.status, row.content], ["length", "complete", "äöü"]);
    assert.equal(last.usage.estimated, true);
    assert.equal(model.doStreamCalls[0]?.abortSignal?.aborted, true);
  });
});

describe("a turn whose database fails", () => {
  test("throws before its first event when the beginning cannot be written", async (t) => {
    const stores = await openStores(t);
    t.mock.method(stores.messages, "beginTurn", () =>
      Promise.reject(new AppError("storage_unavailable")),
    );
    const given = await turnOptions(stores);
    await assert.rejects(collect(runTurn(given)), { code: "storage_unavailable" });
  });

  test("ends with storage_unavailable when the answer cannot be written", async (t) => {
    const stores = await openStores(t);
    t.mock.method(stores.messages, "finishTurn", () =>
      Promise.reject(new AppError("storage_unavailable")),
    );
    const events = await collect(runTurn(await turnOptions(stores)));
    const last = events.at(-1);
    assert.deepEqual(
      [last?.type, last?.type === "turn-error" && last.code, last?.seq],
      ["turn-error", "storage_unavailable", 3],
    );
  });

  test("stores the answer later, and never takes the session's number back", async (t) => {
    const stores = await openStores(t);
    const finishTurn = stores.messages.finishTurn.bind(stores.messages);
    const stored = Promise.withResolvers<void>();
    let attempts = 0;
    t.mock.method(
      stores.messages,
      "finishTurn",
      async (...answer: Parameters<typeof finishTurn>) => {
        attempts += 1;
        if (attempts === 1) throw new AppError("storage_unavailable");
        await finishTurn(...answer);
        stored.resolve();
      },
    );
    const given = await turnOptions(stores);
    const [start] = await collect(runTurn(given));
    await stores.database.write([
      stores.database.query.updateTable("sessions").set({ last_seq: 99 }),
    ]);
    await stored.promise;
    const row = await stores.messages.find(given.session.id, start?.turnId ?? "");
    assert.deepEqual([row?.status, row?.content], ["complete", "Hello"]);
    const session = await stores.sessions.get(given.session.userId, given.session.id);
    assert.equal(session.lastSeq, 99);
  });

  test("still ends when the history cannot be read", async (t) => {
    const stores = await openStores(t);
    t.mock.method(stores.messages, "recent", () => Promise.reject(new Error("disk I/O error")));
    const model = scriptedModel(text("a"), finish());
    const given = await turnOptions(stores, { model });
    const { last, row } = await endingOf(stores, given, await collect(runTurn(given)));
    assert.ok(last.type === "turn-error");
    assert.deepEqual([last.code, row.status], ["internal_error", "error"]);
    assert.doesNotMatch(last.message, /disk/);
    assert.equal(model.doStreamCalls.length, 0);
  });
});

describe("a turn's timings", () => {
  test("have no first token when there was none", async (t) => {
    const { last } = await completeTurn(t, { model: scriptedModel(finish()) });
    assert.ok(last.type === "turn-end");
    assert.deepEqual([last.timings.ttft_ms, last.timings.tokens_per_second], [null, null]);
  });

  test("know the first token of an answer that was held back to its end", async (t) => {
    const { last } = await completeTurn(t, { model: scriptedModel(text("<"), finish()) });
    assert.ok(last.type === "turn-end");
    assert.notEqual(last.timings.ttft_ms, null);
  });

  test("count from the message's arrival", async (t) => {
    const { last } = await completeTurn(t, { receivedAtMs: performance.now() - 5000 });
    assert.ok(last.type === "turn-end");
    const { ttft_ms, total_ms, overhead_ms } = last.timings;
    assert.ok(ttft_ms !== null && ttft_ms >= 5000 && total_ms >= ttft_ms && overhead_ms >= 5000);
    assert.ok(overhead_ms <= total_ms);
  });
});
