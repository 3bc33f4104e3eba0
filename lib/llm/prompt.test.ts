import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { openStores, plainConfig } from "#e2e/rig/chat-rig.ts";
import { loadPrompt, toCall } from "./prompt.ts";
import type { LlmConfig, Session } from "./session.ts";

function sessionWith(config: Partial<LlmConfig>): Session {
  const nothing = { title: null, sealedApiKey: null, headId: null };
  const numbers = { lastSeq: 0, createdAtMs: 0, updatedAtMs: 0 };
  return { id: "S", userId: "U", ...nothing, ...numbers, config: { ...plainConfig, ...config } };
}

describe("the call of a model", () => {
  test("has the system prompt first and the messages as text", () => {
    const session = sessionWith({ systemPrompt: "Be brief." });
    assert.deepEqual(toCall(session, [{ role: "user", content: "Hi" }]), {
      prompt: [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "Hi" }] },
      ],
    });
    assert.deepEqual(toCall(sessionWith({ systemPrompt: "" }), []), { prompt: [] });
  });

  test("has every parameter under the provider interface's name", () => {
    const parameters = {
      temperature: 0,
      max_tokens: 5,
      top_p: 0.5,
      presence_penalty: -1,
      frequency_penalty: 1,
      seed: 0,
      stop: ["\n"],
      reasoning_effort: "low",
    } as const;
    assert.deepEqual(toCall(sessionWith({ parameters: { ...parameters, stop: ["\n"] } }), []), {
      prompt: [],
      temperature: 0,
      maxOutputTokens: 5,
      topP: 0.5,
      presencePenalty: -1,
      frequencyPenalty: 1,
      seed: 0,
      stopSequences: ["\n"],
      reasoning: "low",
    });
  });

  test("takes overrides before the session's own, and only those that are set", () => {
    const session = sessionWith({ parameters: { temperature: 1, seed: 7 } });
    assert.deepEqual(toCall(session, [], { temperature: 0.1 }), {
      prompt: [],
      temperature: 0.1,
      seed: 7,
    });
  });
});

/** Rows of a branch, each of ten tokens unless it is blank. */
async function branch(stores: Awaited<ReturnType<typeof openStores>>, texts: readonly string[]) {
  const { id } = await stores.newSession();
  const ids = texts.map((_, index) => String(index).padStart(26, "0"));
  const rows = texts.map((content, index) => ({
    id: ids[index] ?? "",
    session_id: id,
    parent_id: ids[index - 1] ?? null,
    depth: index + 1,
    role: index % 2 === 0 ? ("user" as const) : ("assistant" as const),
    content,
    reasoning: "never sent",
    status: "complete" as const,
    token_count: content === "" ? 0 : 10,
    created_at: 0,
  }));
  await stores.database.write([stores.database.query.insertInto("messages").values(rows)]);
  return ids.at(-1) ?? "";
}

describe("the prompt of a session", () => {
  type Row = [
    texts: string[],
    limit: number,
    systemTokens: number,
    sent: string[],
    tokens: number,
    omitted: number,
  ];
  const rows: Record<string, Row> = {
    "is everything that fits": [["a", "b", "c"], 30, 0, ["a", "b", "c"], 30, 0],
    "leaves the oldest turns out": [["a", "b", "c", "d", "e"], 30, 0, ["c", "d", "e"], 30, 2],
    "counts the system prompt": [["a", "b", "c"], 30, 5, ["c"], 15, 2],
    "always has the last message": [["a", "b", "c"], 3, 0, ["c"], 10, 2],
    "joins questions around a blank answer": [["a", "", "c"], 30, 0, ["a\n\nc"], 20, 0],
    "counts only what is sent behind a blank answer": [
      ["a", "", "c", "d", "e"],
      45,
      25,
      ["e"],
      35,
      3,
    ],
  };
  for (const [name, [texts, limit, systemTokens, sent, tokens, omitted]] of Object.entries(rows)) {
    test(name, async (t) => {
      const stores = await openStores(t);
      const last = await branch(stores, texts);
      const session = sessionWith({ systemPromptTokens: systemTokens });
      const limits = { maxHistoryTokens: limit };
      const prompt = await loadPrompt(session, last, { store: stores.messages, limits });
      assert.deepEqual(
        prompt.messages.map(({ content }) => content),
        sent,
      );
      assert.deepEqual([prompt.tokens, prompt.omittedMessages], [tokens, omitted]);
      assert.doesNotMatch(JSON.stringify(toCall(session, prompt.messages)), /never sent/);
    });
  }
});
