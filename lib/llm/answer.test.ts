import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { finish, providerUsage, reasoning, text, type Part } from "#e2e/rig/chat-rig.ts";
import { Answer } from "./answer.ts";
import type { TurnEventBody } from "./turn-event.ts";

function fold(...parts: Part[]) {
  const answer = new Answer();
  const events: TurnEventBody[] = parts.flatMap((part) => answer.accept(part));
  events.push(...answer.flush());
  return { answer, events };
}

const rows: Record<string, [parts: Part[], text: string, reasoning: string]> = {
  "plain text": [[text("a"), text("b")], "ab", ""],
  "reasoning in tags": [[text("<think>a</th"), text("ink>b")], "b", "a"],
  "reasoning in parts of its own": [[reasoning("a"), text("b")], "b", "a"],
  "a special token split over chunks": [[text("a<|im_"), text("end|>b")], "ab", ""],
  "what only looks like one": [[text("a <thi"), text("s")], "a <this", ""],
  "an end that could have become one": [[text("a <|im_")], "a <|im_", ""],
  "a character split over chunks": [[text("a\ud83d"), text("\ude00b")], "a😀b", ""],
  "half a character": [[text("a\ud83d")], "a\ufffd", ""],
  "a character of the reasoning split over chunks": [
    [reasoning("a\ud83d"), reasoning("\ude00b"), text("c")],
    "c",
    "a😀b",
  ],
  "special tokens in the reasoning": [
    [reasoning("<thi"), reasoning("nk>a</think>"), reasoning("<|im_end|>"), text("c")],
    "c",
    "a",
  ],
  "an end of reasoning that could have become one": [
    [reasoning("a <|im_"), text("c"), reasoning("b")],
    "c",
    "a <|im_b",
  ],
  "empty deltas": [[text(""), reasoning("")], "", ""],
};

describe("an answer", () => {
  for (const [name, [parts, expectedText, expectedReasoning]] of Object.entries(rows)) {
    test(`keeps ${name}`, () => {
      const { answer, events } = fold(...parts);
      assert.deepEqual([answer.text, answer.reasoning], [expectedText, expectedReasoning]);
      assert.equal(answer.isEmpty, expectedText + expectedReasoning === "");
      for (const kind of ["text", "reasoning"] as const) {
        const deltas = events.filter((event) => event.type === `${kind}-delta`);
        const whole = deltas.map((event) => ("text" in event ? event.text : "")).join("");
        assert.equal(whole, kind === "text" ? expectedText : expectedReasoning);
      }
      for (const event of events) {
        assert.ok("text" in event && event.text !== "" && event.text.isWellFormed());
      }
    });
  }

  test("tells reasoning before the text that came after it", () => {
    const { events } = fold(reasoning("a <|im_"), text("b"));
    assert.deepEqual(
      events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]),
      ["reasoning-delta", "text-delta"],
    );
  });

  test("pairs tool calls with their results and keeps an input that is no JSON as text", () => {
    const call = { type: "tool-call", toolName: "look" } as const;
    const { answer, events } = fold(
      { ...call, toolCallId: "1", input: '{"at":1}' },
      { ...call, toolCallId: "2", input: "{broken" },
      { type: "tool-result", toolCallId: "1", toolName: "look", result: { found: true } },
      { type: "tool-result", toolCallId: "9", toolName: "look", result: "of nobody" },
    );
    assert.deepEqual(answer.toolCalls, [
      { id: "1", name: "look", input: { at: 1 }, output: { found: true } },
      { id: "2", name: "look", input: "{broken" },
    ]);
    assert.ok(!answer.isEmpty);
    assert.deepEqual(
      events.map((event) => [event.type, "id" in event && event.id]),
      [
        ["tool-call", "1"],
        ["tool-call", "2"],
        ["tool-result", "1"],
        ["tool-result", "9"],
      ],
    );
  });

  for (const [unified, expected] of [
    ["stop", "stop"],
    ["length", "length"],
    ["content-filter", "content_filter"],
    ["tool-calls", "tool_calls"],
    ["other", "other"],
  ] as const) {
    test(`names the finish reason ${unified} ${expected}`, () => {
      assert.equal(fold(finish(unified)).answer.finishReason, expected);
    });
  }
});

describe("an answer's usage", () => {
  const cases: Record<string, [Part[], omitted: number, usage: object]> = {
    "the provider's figures": [
      [text("one two"), finish("stop", providerUsage(7, 9))],
      0,
      { prompt_tokens: 7, completion_tokens: 9, total_tokens: 16 },
    ],
    "what was counted, where there are none": [
      [reasoning("one"), text(" two")],
      2,
      {
        prompt_tokens: 30,
        completion_tokens: 2,
        total_tokens: 32,
        estimated: true,
        omitted_messages: 2,
      },
    ],
    "what was counted beside what was sent": [
      [text("one two"), finish("stop", providerUsage(undefined, 9))],
      0,
      { prompt_tokens: 30, completion_tokens: 9, total_tokens: 39, estimated: true },
    ],
    "what the embedded model left out beside what we did": [
      [finish("stop", providerUsage(7, 9), { local: { omittedMessages: 4 } })],
      2,
      { prompt_tokens: 7, completion_tokens: 9, total_tokens: 16, omitted_messages: 6 },
    ],
    "reasoning and cached tokens": [
      [
        finish("stop", {
          inputTokens: { total: 7, noCache: 2, cacheRead: 5, cacheWrite: 0 },
          outputTokens: { total: 9, text: 1, reasoning: 8 },
        }),
      ],
      0,
      {
        prompt_tokens: 7,
        completion_tokens: 9,
        total_tokens: 16,
        reasoning_tokens: 8,
        cached_tokens: 5,
      },
    ],
  };
  for (const [name, [parts, omitted, usage]] of Object.entries(cases)) {
    test(`tells ${name}`, async () => {
      assert.deepEqual(await fold(...parts).answer.usage(30, omitted), usage);
    });
  }
});
