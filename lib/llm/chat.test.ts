import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { liveModel, finish, openStores, strangerId, text, userId } from "#e2e/rig/chat-rig.ts";
import { turnLimits } from "#e2e/rig/turn-rig.ts";
import { Sealer } from "../db/sealer.ts";
import { parseEnv } from "../env.ts";
import { Chat, type TurnRequest } from "./chat.ts";
import { ModelCatalog } from "./model-catalog.ts";
import { isTerminal, type TurnEvent } from "./turn-event.ts";

const retentionMs = 60_000;
const ask = (words: string): TurnRequest => ({ kind: "message", text: words });

async function open(t: TestContext) {
  const stores = await openStores(t);
  const local = {
    modelId: "local-model",
    status: () => ({ status: "off" }) as const,
    languageModel: () => assert.fail("the embedded model was asked for"),
  };
  const catalog = new ModelCatalog({ env: parseEnv({}), local, guardedFetch: fetch });
  const sealer = new Sealer("s".repeat(32));
  const limits = { ...turnLimits, maxMessageBytes: 8 };
  const chat = new Chat({ ...stores, catalog, sealer, limits, retentionMs });
  const session = await stores.newSession({ provider: "mock", modelName: "echo" });
  /** Without a reader a turn would be ended as soon as it begins. */
  const leave = chat.channel(session).join();
  const start = (request: TurnRequest, changes: { userId?: string; sessionId?: string } = {}) =>
    chat.start({ userId, sessionId: session.id, request, receivedAtMs: 0, ...changes });
  /** The contents of the shown branch. */
  const shown = async () => {
    const current = await stores.sessions.get(userId, session.id);
    return (await stores.messages.all(current)).map(({ content }) => content);
  };
  const useLiveModel = () => {
    const live = liveModel();
    t.mock.method(catalog, "open", () => live.model);
    return live;
  };
  return { ...stores, catalog, chat, leave, sealer, session, shown, start, useLiveModel };
}

type Rig = Awaited<ReturnType<typeof open>>;

/** Starts a turn and waits for its end. */
async function whole({ chat, session, start }: Rig, request: TurnRequest) {
  const first = await start(request);
  assert.ok(first.type === "turn-start");
  await chat.channel(session).ended();
  return first;
}

async function lastEvent({ chat, session }: Rig, after: number): Promise<TurnEvent | undefined> {
  for await (const followed of chat.channel(session).follow({
    after,
    signal: new AbortController().signal,
  })) {
    const last = followed.kind === "events" ? followed.events.find(isTerminal) : undefined;
    if (last) return last;
  }
  return undefined;
}

describe("a chat", () => {
  test("puts a message behind the head", async (t) => {
    const rig = await open(t);
    await whole(rig, ask("one"));
    await whole(rig, ask("two"));
    assert.deepEqual(await rig.shown(), ["one", "one", "two", "two"]);
  });

  test("puts an edited message beside the old one", async (t) => {
    const rig = await open(t);
    const first = await whole(rig, ask("one"));
    const second = await whole(rig, ask("two"));
    const edit = (messageId: string, words: string) =>
      whole(rig, { kind: "edit", messageId, text: words });
    const edited = await edit(second.userMessage.id, "2nd");
    assert.equal(edited.userMessage.parentId, first.messageId);
    assert.deepEqual(await rig.shown(), ["one", "one", "2nd", "2nd"]);
    await edit(first.userMessage.id, "1st");
    assert.deepEqual(await rig.shown(), ["1st", "1st"]);
  });

  test("answers the same message again: the last, or the one that is named", async (t) => {
    const rig = await open(t);
    const first = await whole(rig, ask("one"));
    const second = await whole(rig, ask("two"));
    const again = await whole(rig, { kind: "regenerate" });
    assert.equal(again.userMessage.id, second.userMessage.id);
    assert.notEqual(again.messageId, second.messageId);
    assert.deepEqual(await rig.shown(), ["one", "one", "two", "two"]);
    const named = await whole(rig, { kind: "regenerate", messageId: first.messageId });
    assert.equal(named.userMessage.id, first.userMessage.id);
    assert.deepEqual(await rig.shown(), ["one", "one"]);
  });

  test("refuses what is not there, writes nothing and stays free", async (t) => {
    const rig = await open(t);
    const { start } = rig;
    await assert.rejects(start({ kind: "regenerate" }), { code: "not_found" }, "an empty session");
    const first = await whole(rig, ask("one"));
    const other = await rig.newSession({ provider: "mock", modelName: "echo" });
    const [asked, answer] = [first.userMessage.id, first.messageId];
    const refused: [TurnRequest, object][] = [
      [{ kind: "edit", messageId: answer, text: "x" }, {}],
      [{ kind: "edit", messageId: "unknown", text: "x" }, {}],
      [{ kind: "regenerate", messageId: asked }, {}],
      [{ kind: "regenerate", messageId: "unknown" }, {}],
      [{ kind: "edit", messageId: asked, text: "x" }, { sessionId: other.id }],
      [{ kind: "regenerate", messageId: answer }, { sessionId: other.id }],
      [ask("x"), { userId: strangerId }],
      [ask("x"), { sessionId: "unknown" }],
    ];
    for (const [request, changes] of refused) {
      await assert.rejects(start(request, changes), { code: "not_found" });
    }
    assert.equal(rig.chat.runningTurns, 0);
    assert.deepEqual(await rig.shown(), ["one", "one"]);
    await whole(rig, ask("two"));
  });

  for (const [words, fits] of [
    ["12345678", true],
    ["123456789", false],
    ["éééé", true],
    ["ééééé", false],
    ["😀😀", true],
    ["😀😀a", false],
  ] as const) {
    test(`${fits ? "takes" : "refuses"} ${words} where 8 bytes are allowed`, async (t) => {
      const rig = await open(t);
      const started = rig.start(ask(words));
      if (fits) return void (await started);
      await assert.rejects(started, { code: "payload_too_large" });
      assert.deepEqual(await rig.shown(), []);
    });
  }

  test("opens the session's own key, and refuses one that does not open", async (t) => {
    const rig = await open(t);
    const opened: (string | undefined)[] = [];
    const { model } = liveModel();
    t.mock.method(rig.catalog, "open", (_: unknown, key: string | undefined) => {
      opened.push(key);
      return model;
    });
    const { config } = rig.session;
    const keep = async (sealedApiKey: string) =>
      rig.sessions.reconfigure(rig.session, { config, sealedApiKey });
    await keep(await rig.sealer.seal("sk-own", "another session"));
    await assert.rejects(rig.start(ask("x")), { code: "provider_not_configured" });
    await keep(await rig.sealer.seal("sk-own", rig.session.id));
    await rig.start(ask("x"));
    assert.deepEqual(opened, ["sk-own"]);
    await rig.chat.end(rig.session.id);
  });
});

describe("a running turn", () => {
  test("is stopped by its session, and only that one", async (t) => {
    const rig = await open(t);
    const live = rig.useLiveModel();
    assert.equal(rig.chat.stop(rig.session.id), false);
    const first = await rig.start(ask("x"));
    await live.opened;
    assert.ok(rig.chat.isRunning(rig.session.id) && !rig.chat.isRunning("other"));
    assert.equal(rig.chat.stop("other"), false);
    assert.equal(rig.chat.stop(rig.session.id), true);
    const last = await lastEvent(rig, first.seq);
    assert.ok(last?.type === "turn-end" && last.finishReason === "stopped");
    await live.cancelled;
    assert.equal(rig.chat.lastSeq(rig.session), last.seq);
  });

  test("has written its answer when it is ended for good", async (t) => {
    const rig = await open(t);
    const live = rig.useLiveModel();
    live.push(text("part"));
    const first = await rig.start(ask("x"));
    await rig.chat.end(rig.session.id);
    const row = await rig.messages.find(rig.session.id, first.turnId);
    assert.equal(row?.status, "incomplete");
  });

  test("does not outlive a session that was deleted while it began", async (t) => {
    const rig = await open(t);
    const live = rig.useLiveModel();
    await rig.start(ask("x"));
    await live.opened;
    const channel = rig.chat.channel(rig.session);
    rig.chat.forget(rig.session.id);
    assert.ok(channel.deleted.aborted);
    await live.cancelled;
    await channel.ended();
  });
});

describe("draining", () => {
  test("refuses new turns and waits for running ones", async (t) => {
    const rig = await open(t);
    const live = rig.useLiveModel();
    const first = await rig.start(ask("x"));
    const drained = rig.chat.drain(60_000);
    await assert.rejects(rig.start(ask("y")), { code: "shutting_down" });
    live.push(text("whole"), finish());
    live.end();
    await drained;
    const row = await rig.messages.find(rig.session.id, first.turnId);
    assert.deepEqual([row?.status, row?.content], ["complete", "whole"]);
  });

  test("refuses a turn that was about to begin", async (t) => {
    const rig = await open(t);
    const starting = rig.start(ask("x"));
    const drained = rig.chat.drain(60_000);
    await assert.rejects(starting, { code: "shutting_down" });
    await drained;
    assert.equal(rig.chat.runningTurns, 0);
  });

  test("cuts and marks what runs when the time is over", async (t) => {
    const rig = await open(t);
    const live = rig.useLiveModel();
    const first = await rig.start(ask("x"));
    await live.opened;
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const drained = rig.chat.drain(1000);
    t.mock.timers.tick(1000);
    await drained;
    const row = await rig.messages.find(rig.session.id, first.turnId);
    assert.deepEqual([row?.status, row?.error_code], ["incomplete", "shutting_down"]);
  });
});

describe("the channel of a session", () => {
  test("is one for all who ask, and is dropped after a whole retention without use", async (t) => {
    const rig = await open(t);
    const { chat, newSession } = rig;
    t.mock.timers.enable({ apis: ["setInterval"] });
    const session = await newSession();
    const channel = chat.channel(session);
    const leave = channel.join();
    t.mock.timers.tick(retentionMs * 3 - 1);
    assert.equal(chat.channel(session), channel);
    leave(0);
    t.mock.timers.tick(retentionMs - 1);
    assert.equal(chat.channel(session), channel, "kept for the retention after its last reader");
    channel.join()(0);
    t.mock.timers.tick(retentionMs - 1);
    assert.equal(chat.channel(session), channel, "kept for the retention after each");
    t.mock.timers.tick(retentionMs * 2);
    assert.notEqual(chat.channel(session), channel);
  });

  test("goes on counting where the database stopped", async (t) => {
    const rig = await open(t);
    await whole(rig, ask("one"));
    rig.chat.forget(rig.session.id);
    const stored = await rig.sessions.get(userId, rig.session.id);
    assert.equal(rig.chat.lastSeq(stored), 3);
    rig.chat.channel(stored).join();
    assert.equal((await rig.start(ask("two"))).seq, 4);
  });
});
