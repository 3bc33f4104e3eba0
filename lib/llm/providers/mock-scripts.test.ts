import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { isAppError } from "#lib/errors.ts";

import { commonMockOptions, mockScripts, parseMockModelName } from "./mock-scripts.ts";

describe("a mock model's name", () => {
  const names: readonly (readonly [modelName: string, script: string, settings: object])[] = [
    ["", "echo", { delayMs: 0, firstDelayMs: 0 }],
    ["echo", "echo", { delayMs: 0, firstDelayMs: 0 }],
    ["echo?", "echo", {}],
    ["?delay_ms=5", "echo", { delayMs: 5 }],
    ["echo?delay_ms=5&first_delay_ms=100", "echo", { delayMs: 5, firstDelayMs: 100 }],
    ["fixed", "fixed", { text: "Hello from the mock model." }],
    ["fixed?text=", "fixed", { text: "" }],
    ["fixed?text=a%20b+c%26d%3D%F0%9F%98%80?", "fixed", { text: "a b c&d=😀?" }],
    ["fixed?text=100%", "fixed", { text: "100%" }],
    ["stall", "stall", { after: 0 }],
    ["error?after=3", "error", { after: 3 }],
    ["long", "long", { tokens: 1000 }],
    ["long?tokens=100000", "long", { tokens: 100_000 }],
    ["tool-call?input=%7B%22a%22%3A1%7D", "tool-call", { input: '{"a":1}' }],
  ];
  for (const [modelName, script, settings] of names) {
    test(`reads "${modelName}"`, () => {
      const parsed = parseMockModelName(modelName);
      assert.equal(parsed.script.name, script);
      assert.partialDeepStrictEqual(parsed.settings, settings);
    });
  }

  const refused: readonly (readonly [modelName: string, message: RegExp])[] = [
    ["gpt-4", /no mock script "gpt-4".*echo, fixed, reasoning, .*long/],
    ["Echo", /no mock script "Echo"/],
    ["echo?text=a", /"echo" has no option "text".*delay_ms, first_delay_ms/],
    ["stall?tokens=1", /"stall" has no option "tokens".*after/],
    ["echo?constructor=1", /no option "constructor"/],
    ["long?tokens=1&tokens=2", /"tokens" is given twice/],
    ["long?tokens=-1", /"tokens" is a whole number from 0 to 100000/],
    ["long?tokens=100001", /"tokens" is a whole number/],
    ["long?tokens=1e3", /"tokens" is a whole number/],
    ["long?tokens=", /"tokens" is a whole number/],
    ["long?tokens", /"tokens" is a whole number/],
    ["echo?delay_ms=1.5", /"delay_ms" is a whole number from 0 to 60000/],
    ["echo?first_delay_ms=600001", /"first_delay_ms" is a whole number from 0 to 600000/],
    ["tool-call?input=%7B", /"input" is a JSON object/],
    ["tool-call?input=[]", /"input" is a JSON object/],
    ["tool-call?input=null", /"input" is a JSON object/],
  ];
  for (const [modelName, message] of refused) {
    test(`refuses "${modelName}" and says what is possible`, () => {
      assert.throws(
        () => parseMockModelName(modelName),
        (error) => {
          assert.ok(isAppError(error));
          assert.equal(error.code, "invalid_input");
          assert.match(error.message, message);
          assert.deepEqual(error.errors, [{ path: "model_name", message: error.message }]);
          return true;
        },
      );
    });
  }
});

describe("the table of mock scripts", () => {
  test("names each script and each of a script's options once", () => {
    const scripts = mockScripts.map(({ name }) => name);
    assert.equal(new Set(scripts).size, scripts.length);
    for (const { options } of mockScripts) {
      const names = [...options, ...commonMockOptions].map(({ name }) => name);
      assert.equal(new Set(names).size, names.length);
    }
  });

  test("describes defaults that a name can give, with the same effect", () => {
    for (const { name, options } of mockScripts) {
      for (const option of [...options, ...commonMockOptions]) {
        const query = new URLSearchParams({ [option.name]: String(option.default) });
        const { settings } = parseMockModelName(`${name}?${query}`);
        assert.deepEqual(settings, parseMockModelName(name).settings);
      }
    }
  });
});
