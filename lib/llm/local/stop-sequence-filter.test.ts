import assert from "node:assert/strict";
import { test } from "node:test";

import { StopSequenceFilter } from "./stop-sequence-filter.ts";

function filterAll(sequences: readonly string[], pieces: readonly string[]): [string, boolean] {
  const filter = new StopSequenceFilter(sequences);
  let passed = "";
  for (const piece of pieces) {
    const { text, isStopped } = filter.push(piece);
    passed += text;
    if (isStopped) return [passed, true];
  }
  return [passed + filter.flush(), false];
}

test("passes text on at once while nothing looks like a stop sequence", () => {
  const filter = new StopSequenceFilter(["END"]);
  assert.deepEqual(filter.push("some text"), { text: "some text", isStopped: false });
});

test("leaves out a stop sequence, however it is split", () => {
  const text = "before END after";
  for (let cut = 0; cut <= text.length; cut++) {
    assert.deepEqual(filterAll(["END"], [text.slice(0, cut), text.slice(cut)]), ["before ", true]);
  }
  assert.deepEqual(filterAll(["END"], Array.from(text)), ["before ", true]);
});

test("passes on what only begins like a stop sequence", () => {
  assert.deepEqual(filterAll(["END"], Array.from("an ENvelope, the EN")), [
    "an ENvelope, the EN",
    false,
  ]);
});

test("stops at the earliest of several sequences", () => {
  assert.deepEqual(filterAll(["two", "one"], ["zero one two"]), ["zero ", true]);
});

test("ignores an empty stop sequence", () => {
  assert.deepEqual(filterAll([""], ["text"]), ["text", false]);
});
