import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ShownMessage } from "./answer-reducer.ts";
import { endingOf } from "./ending.ts";

function answer(change: Partial<ShownMessage>): ShownMessage {
  return {
    id: "a1",
    parent_id: "u1",
    role: "assistant",
    content: "text",
    status: "complete",
    created_at: "2026-11-22T16:28:00.000Z",
    ...change,
  };
}

describe("endingOf", () => {
  it("says nothing of an answer that simply finished", () => {
    assert.equal(endingOf(answer({ finish_reason: "stop" })), null);
  });

  it("says what stopped or cut an answer, and which can be retried", () => {
    assert.match(endingOf(answer({ finish_reason: "length" }))?.text ?? "", /most tokens/);
    assert.equal(endingOf(answer({ status: "stopped" }))?.isRetryable, false);
    assert.equal(endingOf(answer({ status: "incomplete" }))?.isRetryable, true);
  });

  it("prefers the server's words for a failure and the usual ones for a stored one", () => {
    const failure = { code: "upstream_rejected", text: "Wrong key.", retryable: false };
    assert.deepEqual(endingOf(answer({ status: "error", failure })), {
      text: "Wrong key.",
      isFailure: true,
      isRetryable: false,
    });
    const stored = endingOf(answer({ status: "error", error_code: "upstream_timeout" }));
    assert.match(stored?.text ?? "", /in time/);
    assert.equal(stored?.isRetryable, true);
    const partial = endingOf(answer({ status: "incomplete", error_code: "upstream_error" }));
    assert.match(partial?.text ?? "", /provider failed/);
    const unnamed = endingOf(answer({ status: "error" }));
    assert.match(unnamed?.text ?? "", /went wrong/);
  });
});
