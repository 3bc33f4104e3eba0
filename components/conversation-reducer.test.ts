import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Message } from "#lib/api/schemas.ts";
import type { ServerFrame, TurnFrame } from "#lib/ws/frames.ts";
import {
  emptyConversation,
  missesSomething,
  reduceConversation,
  runningAnswer,
  type Conversation,
} from "./conversation-reducer.ts";

const created_at = "2026-11-22T16:28:00.000Z";
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const timings = { ttft_ms: 12, total_ms: 40, tokens_per_second: 50, overhead_ms: 1 };

type StartOptions = { turn?: string; answer?: string; user?: string; parent?: string | null };

function start(seq: number, options: StartOptions = {}): TurnFrame {
  const { turn = "t1", answer = "a1", user = "u1", parent = null } = options;
  return {
    type: "turn-start",
    seq,
    turn_id: turn,
    user_message: { id: user, parent_id: parent, text: `question ${user}` },
    message_id: answer,
    provider: "mock",
    model: "echo",
    created_at,
  };
}

function text(seq: number, content: string, turn = "t1"): TurnFrame {
  return { type: "text-delta", seq, turn_id: turn, text: content };
}

function end(seq: number, turn = "t1"): TurnFrame {
  return {
    type: "turn-end",
    seq,
    turn_id: turn,
    finish_reason: "stop",
    usage,
    cost: null,
    timings,
  };
}

function stored(id: string, content: string, change: Partial<Message> = {}): Message {
  return {
    id,
    parent_id: null,
    role: id.startsWith("u") ? "user" : "assistant",
    content,
    status: "complete",
    created_at,
    ...change,
  };
}

function fold(conversation: Conversation, ...frames: ServerFrame[]): Conversation {
  return frames.reduce(
    (folded, frame) => reduceConversation(folded, { type: "frame", frame }),
    conversation,
  );
}

function load(
  conversation: Conversation,
  session: { last_seq: number; running: boolean },
  ...messages: Message[]
): Conversation {
  return reduceConversation(conversation, {
    type: "loaded",
    session: { id: "s1", ...session },
    messages,
  });
}

const contents = ({ messages }: Conversation) => messages.map(({ content }) => content);

describe("reduceConversation", () => {
  it("folds a turn into a question and its answer with figures", () => {
    const folded = fold(emptyConversation(), start(1), text(2, "Hel"), text(3, "lo"), end(4));
    assert.deepEqual(contents(folded), ["question u1", "Hello"]);
    const answer = folded.messages.at(-1);
    assert.equal(answer?.status, "complete");
    assert.deepEqual(answer?.timings, timings);
    assert.equal(answer?.model, "echo");
    assert.equal(folded.lastSeq, 4);
    assert.equal(runningAnswer(folded), null);
  });

  it("keeps reasoning and tool calls apart from the text", () => {
    const folded = fold(
      emptyConversation(),
      start(1),
      { type: "reasoning-delta", seq: 2, turn_id: "t1", text: "Hm." },
      { type: "tool-call", seq: 3, turn_id: "t1", id: "c1", name: "clock", input: {} },
      { type: "tool-result", seq: 4, turn_id: "t1", id: "c1", output: "noon" },
      text(5, "Noon."),
    );
    const answer = runningAnswer(folded);
    assert.equal(answer?.reasoning, "Hm.");
    assert.equal(answer?.content, "Noon.");
    assert.deepEqual(answer?.tool_calls, [{ id: "c1", name: "clock", input: {}, output: "noon" }]);
  });

  it("ignores a frame that it has folded before", () => {
    const folded = fold(emptyConversation(), start(1), text(2, "once"));
    assert.equal(fold(folded, text(2, "once")), folded);
  });

  it("ignores the frames of a turn whose start it has not seen", () => {
    const empty = emptyConversation();
    assert.equal(fold(empty, text(7, "late", "t9")), empty);
  });

  it("replaces a partial answer by the replay of its turn, without ever showing less", () => {
    const partial = stored("a1", "Hello wor", { status: "streaming", parent_id: "u1" });
    let folded = load(
      emptyConversation("s1"),
      { last_seq: 5, running: true },
      stored("u1", "question u1"),
      partial,
    );
    assert.equal(folded.lastSeq, 0);
    let shown = "Hello wor";
    for (const frame of [start(2), text(3, "Hello "), text(4, "wor"), text(5, "ld"), end(6)]) {
      folded = fold(folded, frame);
      const [, content = ""] = contents(folded);
      assert.ok(content.startsWith(shown), `"${content}" goes on from "${shown}"`);
      shown = content;
    }
    assert.deepEqual(contents(folded), ["question u1", "Hello world"]);
    assert.equal(folded.messages.at(-1)?.status, "complete");
  });

  it("takes a replay's text for the truth at the end of the turn", () => {
    const partial = stored("a1", "a longer text", { status: "streaming" });
    const loaded = load(
      emptyConversation("s1"),
      { last_seq: 3, running: true },
      stored("u1", "question u1"),
      partial,
    );
    assert.equal(
      fold(loaded, start(1), text(2, "short"), end(3)).messages.at(-1)?.content,
      "short",
    );
  });

  it("marks stopped, interrupted and failed answers and keeps their text", () => {
    const begun = fold(emptyConversation(), start(1), text(2, "part"));
    for (const [finish_reason, status] of [
      ["stopped", "stopped"],
      ["interrupted", "incomplete"],
      ["length", "complete"],
    ] as const) {
      const ended = fold(begun, { ...end(3), finish_reason } as TurnFrame);
      assert.equal(ended.messages.at(-1)?.status, status);
      assert.equal(ended.messages.at(-1)?.content, "part");
    }
    const failed = fold(begun, {
      type: "turn-error",
      seq: 3,
      turn_id: "t1",
      code: "upstream_timeout",
      message: "No answer in time.",
      retryable: true,
    }).messages.at(-1);
    assert.equal(failed?.status, "incomplete");
    assert.equal(failed?.content, "part");
    assert.deepEqual(failed?.failure, {
      code: "upstream_timeout",
      text: "No answer in time.",
      retryable: true,
    });
  });

  it("marks an answer that failed before anything came as an error", () => {
    const failed = fold(emptyConversation(), start(1), {
      type: "turn-error",
      seq: 2,
      turn_id: "t1",
      code: "upstream_rejected",
      message: "Wrong key.",
      retryable: false,
    });
    assert.equal(failed.messages.at(-1)?.status, "error");
    assert.equal(failed.messages.at(-1)?.error_code, "upstream_rejected");
  });

  it("puts a regenerated answer in the place of the one before", () => {
    const answered = fold(emptyConversation(), start(1), text(2, "first"), end(3));
    const again = fold(answered, start(4, { turn: "t2", answer: "a2" }), text(5, "second", "t2"));
    assert.deepEqual(contents(again), ["question u1", "second"]);
  });

  it("cuts the branch where an edited message replaces another", () => {
    const loaded = load(
      emptyConversation("s1"),
      { last_seq: 9, running: false },
      stored("u1", "one"),
      stored("a1", "first"),
      stored("u2", "two"),
      stored("a2", "second"),
    );
    const edited = fold(loaded, start(10, { turn: "t3", user: "u3", parent: "a1", answer: "a3" }));
    assert.deepEqual(contents(edited), ["one", "first", "question u3", ""]);
    const root = fold(loaded, start(10, { turn: "t3", user: "u3", parent: null, answer: "a3" }));
    assert.deepEqual(contents(root), ["question u3", ""]);
  });

  it("keeps the live turn when messages arrive that were read before or during it", () => {
    const live = fold(emptyConversation("s1"), start(8), text(9, "fresh"));
    const stale = load(
      live,
      { last_seq: 8, running: true },
      stored("u0", "old"),
      stored("a0", "older"),
    );
    assert.deepEqual(contents(fold(stale, text(10, "er"))).slice(-2), ["question u1", "fresher"]);
    const within = load(
      live,
      { last_seq: 12, running: true },
      stored("u1", "question u1"),
      stored("a1", "fresher text", { status: "streaming" }),
    );
    assert.deepEqual(contents(fold(within, text(10, "er"))), ["question u1", "fresher"]);
  });

  it("trusts the stored messages after a gap", () => {
    const writing = fold(emptyConversation("s1"), start(8), text(9, "half"));
    const gap: ServerFrame = { type: "gap", after: 9, next_seq: 5 };
    assert.ok(missesSomething(writing, { after: 9, next_seq: 5 }));
    const healed = load(
      fold(writing, gap),
      { last_seq: 4, running: false },
      stored("u1", "question u1"),
      stored("a1", "ha", { status: "incomplete" }),
    );
    assert.equal(runningAnswer(healed), null);
    assert.deepEqual(contents(healed), ["question u1", "ha"]);
    assert.equal(healed.lastSeq, 4);
    assert.deepEqual(
      contents(fold(healed, start(5, { turn: "t2", user: "u2", parent: "a1", answer: "a2" }))),
      ["question u1", "ha", "question u2", ""],
    );
  });

  it("reads nothing again when a replay begins where the loaded messages end", () => {
    const loaded = load(emptyConversation("s1"), { last_seq: 20, running: true });
    assert.equal(missesSomething(loaded, { after: 0, next_seq: 15 }), false);
    assert.equal(missesSomething(loaded, { after: 0, next_seq: 21 }), false);
    assert.equal(missesSomething(loaded, { after: 0, next_seq: 22 }), true);
  });

  it("gives up a live turn that a restarted server knows nothing of", () => {
    const writing = fold(emptyConversation("s1"), start(1), text(2, "half"));
    const greeted = fold(writing, {
      type: "hello",
      session_id: "s1",
      last_seq: 2,
      turn_id: null,
    });
    const healed = load(
      greeted,
      { last_seq: 2, running: false },
      stored("u1", "question u1"),
      stored("a1", "half", { status: "incomplete" }),
    );
    assert.equal(healed.messages.at(-1)?.status, "incomplete");
  });

  it("shows a refusal until the next turn begins", () => {
    const refused = fold(emptyConversation("s1"), {
      type: "turn-error",
      code: "rate_limited",
      message: "Slow down.",
      retryable: true,
    });
    assert.equal(refused.refusal?.text, "Slow down.");
    assert.equal(fold(refused, start(1)).refusal, null);
  });
});
