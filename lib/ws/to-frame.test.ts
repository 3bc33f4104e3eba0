import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { TurnEventBody } from "../llm/turn-event.ts";
import { PlainFrame, TurnFrame } from "./frames.ts";
import { serialiseEvent } from "./serialise-event.ts";
import { toFrame, toPlainFrame } from "./to-frame.ts";

const turnId = "01JTVRNAAAAAAAAAAAAAAAAAAA";
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const timings = { ttft_ms: 1, total_ms: 2, tokens_per_second: null, overhead_ms: 0 };

const rows: Record<TurnEventBody["type"], [body: TurnEventBody, frame: object, plain?: object]> = {
  "turn-start": [
    {
      type: "turn-start",
      userMessage: { id: turnId, parentId: null, text: "Hi", clientId: "c" },
      messageId: turnId,
      provider: "mock",
      model: "echo",
      createdAt: "2026-01-01T00:00:00.000Z",
    },
    {
      user_message: { id: turnId, parent_id: null, text: "Hi", client_id: "c" },
      message_id: turnId,
      provider: "mock",
      model: "echo",
      created_at: "2026-01-01T00:00:00.000Z",
    },
  ],
  "text-delta": [{ type: "text-delta", text: "a" }, { text: "a" }, { chunk: "a" }],
  "reasoning-delta": [{ type: "reasoning-delta", text: "a" }, { text: "a" }],
  "tool-call": [
    { type: "tool-call", id: "1", name: "look", input: { at: 1 } },
    { id: "1", name: "look", input: { at: 1 } },
  ],
  "tool-result": [
    { type: "tool-result", id: "1", output: [2] },
    { id: "1", output: [2] },
  ],
  "turn-end": [
    { type: "turn-end", finishReason: "stop", usage, cost: null, timings },
    { finish_reason: "stop", usage, cost: null, timings },
    { done: true, finish_reason: "stop", message_id: turnId, usage },
  ],
  "turn-error": [
    { type: "turn-error", code: "upstream_error", message: "It failed.", retryable: true },
    { code: "upstream_error", message: "It failed.", retryable: true },
    { error: "It failed.", code: "upstream_error" },
  ],
};

describe("the frame of an event", () => {
  for (const [type, [body, frame, plain]] of Object.entries(rows)) {
    test(`has all of ${type} under the names of the contract`, () => {
      const event = { seq: 7, turnId, ...body };
      const expected = { type, seq: 7, turn_id: turnId, ...frame };
      assert.deepEqual(toFrame(event), expected);
      assert.deepEqual(TurnFrame.parse(expected), expected);
      assert.deepEqual(JSON.parse(serialiseEvent(event)), expected);
      assert.equal(serialiseEvent(event), serialiseEvent(event));
    });

    test(`is ${plain ? JSON.stringify(plain).slice(0, 12) : "nothing"} for ${type} in the plain protocol`, () => {
      const made = toPlainFrame({ seq: 7, turnId, ...body });
      assert.deepEqual(made, plain);
      if (plain) assert.deepEqual(PlainFrame.parse(plain), plain);
    });
  }
});
