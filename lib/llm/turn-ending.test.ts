import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  finish,
  liveModel,
  openStores,
  scriptedModel,
  text,
  upstreamFailure,
  type Part,
} from "#e2e/rig/chat-rig.ts";
import { completeTurn, endingOf, turnOptions } from "#e2e/rig/turn-rig.ts";
import { runTurn } from "./turn.ts";
import { turnAbort, type TurnAbort, type TurnEvent } from "./turn-event.ts";

const outage = upstreamFailure(500);

describe("the end of a turn", () => {
  const endings: Record<string, [parts: Part[], status: string, reason: string, code?: string]> = {
    "a whole answer": [[text("a"), finish()], "complete", "stop"],
    "an answer that was cut for its length": [[text("a"), finish("length")], "complete", "length"],
    "an empty answer": [[finish()], "complete", "stop"],
    "a failure after text": [
      [text("a"), { type: "error", error: outage }],
      "incomplete",
      "error",
      "upstream_error",
    ],
    "a failure before any text": [
      [{ type: "error", error: outage }],
      "error",
      "error",
      "upstream_error",
    ],
    "a stream that just ends": [[text("a")], "incomplete", "error", "upstream_error"],
    "an empty stream": [[], "error", "error", "upstream_error"],
    "a finish that means interrupted": [
      [text("a"), finish("interrupted")],
      "incomplete",
      "error",
      "upstream_error",
    ],
    "a finish that means error": [
      [text("a"), finish("error")],
      "incomplete",
      "error",
      "upstream_error",
    ],
  };
  for (const [name, [parts, status, reason, code]] of Object.entries(endings)) {
    test(`marks ${name} as ${status}`, async (t) => {
      const { last, row } = await completeTurn(t, { model: scriptedModel(...parts) });
      assert.deepEqual(
        [row.status, row.finish_reason, row.error_code],
        [status, reason, code ?? null],
      );
      assert.equal(last.type === "turn-error" ? last.code : last.type, code ?? "turn-end");
      assert.doesNotMatch(JSON.stringify(last), /secret upstream text/);
    });
  }
});

describe("a turn that is ended from outside", () => {
  const causes: Record<TurnAbort["cause"], [status: string, reason: string, last: string]> = {
    stopped: ["stopped", "stopped", "turn-end"],
    interrupted: ["incomplete", "interrupted", "turn-end"],
    shutting_down: ["incomplete", "interrupted", "shutting_down"],
  };
  for (const [cause, [status, reason, lastEvent]] of Object.entries(causes)) {
    for (const before of [true, false]) {
      test(`is ${status} when ${cause} ${before ? "before" : "after"} the first token`, async (t) => {
        const stores = await openStores(t);
        const live = liveModel();
        const stop = new AbortController();
        const given = await turnOptions(stores, { model: live.model, signal: stop.signal });
        const abort = () => stop.abort(turnAbort(cause as TurnAbort["cause"]));
        const events: TurnEvent[] = [];
        void live.opened.then(() => (before ? abort() : live.push(text("part <"))));
        for await (const event of runTurn(given)) {
          events.push(event);
          if (event.type === "text-delta" && event.text === "part ") abort();
        }
        await live.cancelled;
        const { last, row } = await endingOf(stores, given, events);
        assert.deepEqual([row.status, row.finish_reason], [status, reason]);
        assert.equal(row.content, before ? "" : "part <");
        assert.equal(last.type === "turn-error" ? last.code : last.type, lastEvent);
      });
    }
  }

  test("never calls the model when it was stopped before", async (t) => {
    const model = scriptedModel(text("a"), finish());
    const { row } = await completeTurn(t, {
      model,
      signal: AbortSignal.abort(turnAbort("stopped")),
    });
    assert.equal(row.status, "stopped");
    assert.equal(model.doStreamCalls.length, 0);
  });
});
