import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { encode } from "gpt-tokenizer/encoding/o200k_base";

import { countMessageTokens, countTokens, messageOverheadTokens } from "./tokens.ts";

const kibibytes64 = 65_536;

const asPlainText = (text: string) => encode(text, { disallowedSpecial: new Set() }).length;

/** A text of many ordinary words in several scripts, longer than one block. */
const prose = Array.from(
  { length: 900 },
  (_, index) =>
    `Zeile ${index}: the quick "fox"  doesn't jump;\n\n\tесли 世界, 你好 👋🏽 {"a": [${index}]}   \r\n`,
).join("");

describe("counting tokens", () => {
  const known: readonly (readonly [text: string, tokens: number])[] = [
    ["", 0],
    ["hello world", 2],
    ["Hello, how are you today?", 7],
    ["   ", 1],
    ["\ud83d", 1],
  ];
  for (const [text, tokens] of known) {
    test(`counts ${JSON.stringify(text)} as ${tokens}`, async () => {
      assert.equal(await countTokens(text), tokens);
    });
  }

  test("counts the spelling of special tokens as plain text", async () => {
    for (const token of ["<|endoftext|>", "<|im_start|>", "<|fim_prefix|>", "<|endofprompt|>"]) {
      const tokens = await countTokens(`a ${token} b`);
      assert.ok(tokens > 4, `${token} is ${tokens} tokens`);
      assert.equal(tokens, asPlainText(`a ${token} b`));
    }
  });

  test("is exact for ordinary text, however long", async () => {
    assert.ok(prose.length > 5 * 8192);
    assert.equal(await countTokens(prose), asPlainText(prose));
    for (let length = 8150; length < 8250; length += 1) {
      const text = prose.slice(0, length);
      assert.equal(await countTokens(text), asPlainText(text), `${length} units`);
    }
  });

  test("counts an overlong word exactly or somewhat too high", async () => {
    for (const unit of ["a", " ", "\n", "=-", "😀", "e\u0301", "漢字仮名交じり文章", "ภาษาไทย"]) {
      const text = `before ${unit.repeat(Math.ceil(1500 / unit.length))} after`;
      const exact = asPlainText(text);
      const counted = await countTokens(text);
      assert.ok(counted >= exact && counted <= 1.5 * exact, `${unit}: ${counted} for ${exact}`);
    }
  });

  test("never cuts a character in two", async () => {
    for (const before of ["", "!", "!!", "!!!"]) {
      const text = before + "😀".repeat(500);
      assert.equal(await countTokens(text), asPlainText(text));
    }
  });

  for (const unit of ["a", " ", "\n", "!", "😀", "👋🏽", "e\u0301\u0302", "漢", "\ud83d"]) {
    test(`counts 64 KiB of ${JSON.stringify(unit)} and leaves the event loop free`, async () => {
      const text = unit.repeat(Math.ceil(kibibytes64 / Buffer.byteLength(unit)));
      await countTokens("the vocabulary is loaded");
      const startedAt = performance.now();
      const progress = { isDone: false, turns: 0 };
      const counting = countTokens(text).finally(() => (progress.isDone = true));
      for (; !progress.isDone; progress.turns += 1) await setImmediate();
      assert.ok((await counting) > 0);
      // Some 60 ms here; uncut it takes more than three seconds.
      assert.ok(performance.now() - startedAt < 1500);
      assert.ok(progress.turns >= Math.floor(text.length / 8192) - 1, `${progress.turns} turns`);
    });
  }
});

describe("counting a message", () => {
  test("adds what the chat template adds, whatever the role", async () => {
    for (const role of ["system", "user", "assistant"] as const) {
      const tokens = await countMessageTokens({ role, content: "hello world" });
      assert.equal(tokens, messageOverheadTokens + 2);
    }
    assert.equal(await countMessageTokens({ role: "user", content: "" }), messageOverheadTokens);
  });
});
