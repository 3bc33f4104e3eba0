import assert from "node:assert/strict";
import { test } from "node:test";

import type { ChatHistoryItem } from "node-llama-cpp";

import { fitHistory, type FittedHistory } from "./fit-history.ts";

/** One token a word, and one for each message. */
function fit(items: readonly ChatHistoryItem[], limitTokens: number): FittedHistory<string[]> {
  return fitHistory({
    items,
    limitTokens,
    render: (kept) => kept.map(textOf),
    countRendered: (texts) => texts.join(" ").split(" ").length + texts.length,
    countText: (text) => text.split(/\s+/).length,
  });
}

function textOf(item: ChatHistoryItem): string {
  const parts = item.type === "model" ? item.response : [item.text];
  return parts.filter((part) => typeof part === "string").join("");
}

function talk(turns: number): ChatHistoryItem[] {
  const items: ChatHistoryItem[] = [{ type: "system", text: "system" }];
  for (let turn = 1; turn <= turns; turn++) {
    items.push({ type: "user", text: `question ${turn}` });
    items.push({ type: "model", response: [turn === turns ? "" : `answer ${turn}`] });
  }
  return items;
}

test("keeps a history that fits", () => {
  const { rendered, omittedMessages } = fit(talk(3), 100);
  assert.equal(rendered.length, 7);
  assert.equal(omittedMessages, 0);
});

test("drops the oldest whole turns, never the system message or the last question", () => {
  for (let limit = 1; limit < 60; limit++) {
    const { rendered, omittedMessages } = fit(talk(10), limit);
    assert.equal(rendered[0], "system");
    assert.deepEqual(rendered.slice(-2), ["question 10", ""]);
    assert.equal(omittedMessages % 2, 0);
    assert.equal(rendered.length + omittedMessages, 21);
    const isLastTurnAlone = rendered.length === 3;
    const tokens = rendered.join(" ").split(" ").length + rendered.length;
    assert.ok(isLastTurnAlone || tokens <= limit, `${tokens} tokens in ${limit}`);
  }
});

test("starts the prompts of most following turns alike", () => {
  const starts = Array.from({ length: 20 }, (_, index) => fit(talk(20 + index), 80).rendered[1]);
  const changes = starts.filter((start, index) => index > 0 && start !== starts[index - 1]).length;
  assert.ok(changes > 0 && changes <= 8, `the start changed ${changes} times in 20 turns`);
});

test("keeps messages of the same user together", () => {
  const items: ChatHistoryItem[] = [
    { type: "user", text: "first" },
    { type: "model", response: ["answer"] },
    { type: "user", text: "second" },
    { type: "user", text: "and more" },
    { type: "model", response: [""] },
  ];
  assert.deepEqual(fit(items, 8).rendered, ["second", "and more", ""]);
});
