import assert from "node:assert/strict";
import { test } from "node:test";

import { toChatHistory } from "./chat-history.ts";

test("ends the history where the answer goes", () => {
  const { items, warnings } = toChatHistory(
    [
      { role: "system", content: "Be kind." },
      { role: "user", content: [{ type: "text", text: "Hi" }] },
    ],
    "Default.",
  );
  assert.deepEqual(items, [
    { type: "system", text: "Be kind." },
    { type: "user", text: "Hi" },
    { type: "model", response: [""] },
  ]);
  assert.deepEqual(warnings, []);
});

test("puts the default system prompt before a conversation without one", () => {
  const { items } = toChatHistory(
    [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
    "Default.",
  );
  assert.deepEqual(items[0], { type: "system", text: "Default." });
});

test("continues an answer that the prompt ends with", () => {
  const { items } = toChatHistory(
    [{ role: "assistant", content: [{ type: "text", text: "Once upon" }] }],
    undefined,
  );
  assert.deepEqual(items, [{ type: "model", response: ["Once upon"] }]);
});

test("leaves out files and tools with a warning and reasoning without one", () => {
  const { items, warnings } = toChatHistory(
    [
      {
        role: "user",
        content: [
          { type: "text", text: "Look:" },
          { type: "file", mediaType: "text/plain", data: { type: "text", text: "a note" } },
          { type: "file", mediaType: "image/png", data: { type: "data", data: "AAAA" } },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "hm" },
          { type: "text", text: "Nice." },
          { type: "tool-call", toolCallId: "1", toolName: "look", input: {} },
        ],
      },
      { role: "tool", content: [] },
    ],
    undefined,
  );
  assert.deepEqual(items, [
    { type: "user", text: "Look:\n\na note" },
    { type: "model", response: ["Nice."] },
  ]);
  assert.deepEqual(
    warnings.map((warning) => "feature" in warning && warning.feature),
    ["file parts", "tool-call parts", "tool messages"],
  );
});
