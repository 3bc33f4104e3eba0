import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Message } from "#lib/api/schemas.ts";
import { receiptParts } from "./receipt-parts.ts";

const answer: Message = {
  id: "a1",
  parent_id: "u1",
  role: "assistant",
  content: "Hello",
  status: "complete",
  created_at: "2026-11-22T16:28:00.000Z",
  model: "echo",
};

describe("receiptParts", () => {
  it("lists what the answer took, with units", () => {
    assert.deepEqual(
      receiptParts({
        ...answer,
        usage: { prompt_tokens: 1234, completion_tokens: 56, total_tokens: 1290 },
        timings: { ttft_ms: 212.4, total_ms: 1500, tokens_per_second: 41.6, overhead_ms: 1.84 },
        cost: 0.00042,
      }),
      [
        "echo",
        "212 ms to first token",
        "42 tokens/s",
        "1,234 in, 56 out",
        "1.8 ms overhead",
        "$0.00042",
      ],
    );
  });

  it("says what was counted here, left out or spent on thinking", () => {
    assert.deepEqual(
      receiptParts({
        ...answer,
        usage: {
          prompt_tokens: 10,
          completion_tokens: 5,
          total_tokens: 15,
          estimated: true,
          reasoning_tokens: 4,
          omitted_messages: 12,
        },
        timings: { ttft_ms: null, total_ms: 10, tokens_per_second: null, overhead_ms: 1200 },
        cost: null,
      }),
      [
        "echo",
        "about 10 in, 5 out",
        "4 for thinking",
        "12 earlier messages left out",
        "1.2 s overhead",
      ],
    );
  });
});
