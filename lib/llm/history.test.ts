import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type HistoryMessage, type PromptMessage, trimHistory } from "./history.ts";

const user = (content: string, tokenCount = 10): HistoryMessage => ({
  role: "user",
  content,
  tokenCount,
});
const assistant = (content: string, tokenCount = 10): HistoryMessage => ({
  role: "assistant",
  content,
  tokenCount,
});
const prompt = (...messages: HistoryMessage[]): PromptMessage[] =>
  messages.map(({ role, content }) => ({ role, content }));

const threeTurns = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")];

describe("trimming the history", () => {
  const budgets: readonly (readonly [maxHistoryTokens: number, omitted: number])[] = [
    [1000, 0],
    [50, 0],
    [49, 2],
    [40, 2],
    [30, 2],
    [29, 4],
    [10, 4],
    [9, 4],
    [0, 4],
  ];
  for (const [maxHistoryTokens, omitted] of budgets) {
    test(`leaves out ${omitted} of 50 tokens' messages for a budget of ${maxHistoryTokens}`, () => {
      assert.deepEqual(trimHistory({ messages: threeTurns, maxHistoryTokens }), {
        messages: prompt(...threeTurns.slice(omitted)),
        omittedMessages: omitted,
      });
    });
  }

  test("takes the system prompt off the budget and never drops the last message for it", () => {
    const omitted = [0, 1, 20, 21, 5000].map((tokenCount) => {
      const input = { messages: threeTurns, maxHistoryTokens: 50 };
      return trimHistory({ ...input, systemPrompt: { tokenCount } }).omittedMessages;
    });
    assert.deepEqual(omitted, [0, 2, 2, 4, 4]);
  });

  test("drops older turns even if a newer one that does not fit is larger than they are", () => {
    const messages = [
      user("a", 1),
      assistant("b", 1),
      user("c", 99),
      assistant("d", 1),
      user("e", 1),
    ];
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 50 }), {
      messages: prompt(user("e")),
      omittedMessages: 4,
    });
  });

  test("keeps the whole last turn, also when the answer is over the budget", () => {
    const messages = [user("a"), assistant("b"), user("c"), assistant("d", 5000)];
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 20 }), {
      messages: prompt(user("c"), assistant("d")),
      omittedMessages: 2,
    });
  });

  test("does not give half a turn when only its answer fits", () => {
    const messages = [user("a", 50), assistant("b", 1), user("c", 1)];
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 10 }).messages, prompt(user("c")));
  });

  test("is empty for an empty history", () => {
    const empty = { messages: [], omittedMessages: 0 };
    assert.deepEqual(trimHistory({ messages: [], maxHistoryTokens: 10 }), empty);
  });
});

describe("what the model sees", () => {
  test("is role and content only", () => {
    const stored = { ...assistant("b"), id: "1", reasoning: "secret", status: "complete" };
    const { messages } = trimHistory({
      messages: [user("a"), stored, user("c")],
      maxHistoryTokens: 100,
    });
    assert.deepEqual(messages[1], { role: "assistant", content: "b" });
  });

  for (const blank of ["", " ", "\n\t"]) {
    test(`has no blank answer ${JSON.stringify(blank)} and keeps the questions around it`, () => {
      const messages = [user("a"), assistant(blank, 1000), user("c")];
      assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 20 }), {
        messages: [{ role: "user", content: "a\n\nc" }],
        omittedMessages: 0,
      });
    });
  }

  test("has one message for questions in a row, in order, and still trims them one by one", () => {
    const messages = [user("a"), user("b"), user("c"), assistant("d"), user("e"), user("f")];
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 100 }), {
      messages: prompt(user("a\n\nb\n\nc"), assistant("d"), user("e\n\nf")),
      omittedMessages: 0,
    });
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 50 }), {
      messages: prompt(user("b\n\nc"), assistant("d"), user("e\n\nf")),
      omittedMessages: 1,
    });
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 5 }), {
      messages: prompt(user("f")),
      omittedMessages: 5,
    });
  });

  test("has one message for answers in a row", () => {
    const messages = [user("a"), assistant("b"), assistant(""), assistant("c"), user("d")];
    assert.deepEqual(
      trimHistory({ messages, maxHistoryTokens: 100 }).messages,
      prompt(user("a"), assistant("b\n\nc"), user("d")),
    );
  });

  test("begins with a user's message", () => {
    const messages = [assistant("hello"), user("a"), assistant("b"), user("c")];
    assert.deepEqual(trimHistory({ messages, maxHistoryTokens: 100 }), {
      messages: prompt(user("a"), assistant("b"), user("c")),
      omittedMessages: 1,
    });
    assert.deepEqual(trimHistory({ messages: [assistant("hello")], maxHistoryTokens: 100 }), {
      messages: [],
      omittedMessages: 1,
    });
  });

  test("alternates and ends with the last question, whatever was stored and however it is cut", () => {
    const kinds = [user("u"), assistant("a"), assistant("")];
    const all = kinds.flatMap((a) => kinds.flatMap((b) => kinds.map((c) => [a, b, c])));
    for (const three of all) {
      for (let maxHistoryTokens = 0; maxHistoryTokens <= 50; maxHistoryTokens += 5) {
        const stored = [...three, user("last")];
        const before = structuredClone(stored);
        const { messages } = trimHistory({ messages: stored, maxHistoryTokens });
        messages.forEach(({ role, content }, index) => {
          assert.equal(role, index % 2 === 0 ? "user" : "assistant");
          assert.notEqual(content.trim(), "");
        });
        assert.match(messages.at(-1)?.content ?? "", /last$/);
        assert.equal(messages.length % 2, 1);
        assert.deepEqual(stored, before);
      }
    }
  });
});
