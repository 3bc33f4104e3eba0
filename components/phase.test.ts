import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Message } from "#lib/api/schemas.ts";
import type { ConnectionStatus } from "./chat-socket.ts";
import { emptyConversation } from "./conversation-reducer.ts";
import { phaseOf } from "./phase.ts";

function answer(change: Partial<Message>): Message {
  return {
    id: "a1",
    parent_id: "u1",
    role: "assistant",
    content: "",
    status: "streaming",
    created_at: "2026-11-22T16:28:00.000Z",
    ...change,
  };
}

function phase(status: ConnectionStatus, waiting: number, ...messages: Message[]) {
  const outbox = Array.from({ length: waiting }, (_, index) => ({
    clientId: String(index),
    text: "hi",
  }));
  return phaseOf({
    conversation: { ...emptyConversation("s1"), messages },
    connection: { status, outbox },
    history: { status: "ready" },
    returnedText: null,
  });
}

describe("phaseOf", () => {
  it("tells connecting, sending and waiting apart", () => {
    assert.equal(phase("connecting", 1), "connecting");
    assert.equal(phase("open", 1), "sending");
    assert.equal(phase("signed-out", 1), "queued");
    assert.equal(phase("open", 0, answer({})), "waiting");
  });

  it("follows an answer from thinking to its end", () => {
    assert.equal(phase("open", 0, answer({ reasoning: "Hm" })), "thinking");
    assert.equal(phase("open", 0, answer({ reasoning: "Hm", content: "Yes" })), "writing");
    for (const [status, expected] of [
      ["complete", "complete"],
      ["stopped", "stopped"],
      ["incomplete", "incomplete"],
      ["error", "failed"],
    ] as const) {
      assert.equal(phase("open", 0, answer({ status, content: "Yes" })), expected);
    }
  });

  it("shows a lost connection before anything else, and nothing in an empty conversation", () => {
    assert.equal(phase("reconnecting", 1, answer({ content: "Yes" })), "reconnecting");
    assert.equal(phase("open", 0), null);
    assert.equal(phase("connecting", 0), null);
  });
});
