import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { plainConfig } from "#e2e/rig/chat-rig.ts";
import { titleFrom, toPublicConfig, type Session } from "./session.ts";
import { Stopwatch } from "./stopwatch.ts";

describe("the title of a session", () => {
  for (const [text, title] of [
    ["  Why is\tthe  sky blue?\nTell me.", "Why is the sky blue?"],
    ["a".repeat(60), "a".repeat(60)],
    ["a".repeat(61), `${"a".repeat(59)}…`],
    ["😀".repeat(61), `${"😀".repeat(59)}…`],
    [`${"a".repeat(58)} bcd`, `${"a".repeat(58)}…`],
    [" ", ""],
  ] as const) {
    test(`is "${title}"`, () => assert.equal(titleFrom(text), title));
  }
});

test("what clients see of a configuration is whether a key is set, never the key", () => {
  const config = { ...plainConfig, parameters: { seed: 0 }, baseUrl: "https://a.test" };
  const session = { config, sealedApiKey: "sealed" } as unknown as Session;
  assert.deepEqual(toPublicConfig(session), {
    provider: "openai",
    model_name: "test-model",
    seed: 0,
    base_url: "https://a.test",
    api_key_set: true,
  });
});

describe("a stopwatch", () => {
  test("tells the times of a turn from the message's arrival", (t) => {
    let now = 1000;
    t.mock.method(performance, "now", () => now);
    const stopwatch = new Stopwatch(1000);
    now = 1250;
    stopwatch.token();
    now = 2250;
    stopwatch.token();
    now = 2300;
    assert.deepEqual(stopwatch.read(20, 1290), {
      ttft_ms: 250,
      total_ms: 1300,
      tokens_per_second: 20,
      overhead_ms: 10,
    });
  });

  test("tells nothing of tokens that never came, and no time below zero", (t) => {
    t.mock.method(performance, "now", () => 5);
    const timings = { ttft_ms: null, total_ms: 5, tokens_per_second: null, overhead_ms: 0 };
    assert.deepEqual(new Stopwatch(0).read(0, 99), timings);
  });
});
