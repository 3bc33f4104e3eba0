import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RegisterRequest, SetLlmRequest } from "#lib/api/schemas.ts";
import { sentenceFor, validateFields } from "./field-errors.ts";

const labels = { model_name: "Model", temperature: "Temperature", max_tokens: "Most tokens" };

function textsOf(candidate: unknown): Record<string, string> {
  const { errors } = validateFields(SetLlmRequest, candidate, labels);
  return Object.fromEntries(Object.entries(errors ?? {}).map(([name, { text }]) => [name, text]));
}

describe("sentenceFor", () => {
  it("makes a sentence of a schema's words and leaves a sentence alone", () => {
    assert.equal(sentenceFor("Model", "must not be blank"), "Model must not be blank.");
    assert.equal(sentenceFor("Model", "There is none."), "There is none.");
  });
});

describe("validateFields", () => {
  it("returns the parsed value of a valid candidate", () => {
    const { value, errors } = validateFields(SetLlmRequest, { model_name: " echo " }, labels);
    assert.equal(errors, null);
    assert.deepEqual(value, { model_name: "echo" });
  });

  it("words each refused field as a sentence about its label", () => {
    assert.deepEqual(textsOf({ model_name: "", temperature: 3, max_tokens: 1.5 }), {
      model_name: "Model must not be empty.",
      temperature: "Temperature must be at most 2.",
      max_tokens: "Most tokens must be a whole number.",
    });
    assert.deepEqual(textsOf({ model_name: "x", temperature: Number.NaN, max_tokens: 0 }), {
      temperature: "Temperature must be a number.",
      max_tokens: "Most tokens must be at least 1.",
    });
    assert.deepEqual(textsOf({ model_name: "x", top_p: 0 }), {
      top_p: "top_p must be more than 0.",
    });
  });

  it("keeps the schema's own words and tells what typing on may mend", () => {
    const { errors } = validateFields(
      RegisterRequest,
      { username: "a!", password: "short" },
      { username: "Username", password: "Password" },
    );
    assert.deepEqual(errors?.["password"], {
      text: "Password must have at least 8 characters.",
      isUnfinished: true,
    });
    const { errors: wrong } = validateFields(
      RegisterRequest,
      { username: "ada!", password: "long enough" },
      { username: "Username" },
    );
    assert.match(wrong?.["username"]?.text ?? "", /^Username may hold letters/);
    assert.equal(wrong?.["username"]?.isUnfinished, false);
  });
});
