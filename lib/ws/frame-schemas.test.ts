import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { frameSchemas } from "./frame-schemas.ts";
import { ClientFrame, PlainFrame, ServerFrame } from "./frames.ts";

const id = "01KC0ZJ3V8T9Q2M4N6P8R0S2T4";
const numbered = { seq: 1, turn_id: id };
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const timings = { ttft_ms: null, total_ms: 4.5, tokens_per_second: 20, overhead_ms: 0.4 };
const userMessage = { id, parent_id: null, text: "Hello" };

const samples = {
  ClientFrame: {
    zod: ClientFrame,
    valid: [
      { type: "message", text: "Hello" },
      { type: "message", text: "Hello", client_id: "a" },
      { type: "stop" },
      { type: "resume", after: 0 },
      { type: "regenerate" },
      { type: "regenerate", message_id: id },
      { type: "edit", message_id: id, text: "Hello" },
      { type: "ping" },
    ],
    invalid: [
      {},
      "stop",
      { type: "shout", text: "Hello" },
      { type: "message" },
      { type: "message", text: "Hello", client_id: "" },
      { type: "message", text: "Hello", session_id: id },
      { type: "resume", after: -1 },
      { type: "resume", after: 0.5 },
      { type: "edit", message_id: "1", text: "Hello" },
    ],
  },
  ServerFrame: {
    zod: ServerFrame,
    valid: [
      {
        type: "turn-start",
        ...numbered,
        user_message: userMessage,
        message_id: id,
        provider: "mock",
        model: "echo",
        created_at: "2026-11-22T16:28:00.000Z",
      },
      { type: "text-delta", ...numbered, text: "I'm" },
      { type: "reasoning-delta", ...numbered, text: "I'm" },
      { type: "tool-call", ...numbered, id: "1", name: "clock", input: { zone: "UTC" } },
      { type: "tool-result", ...numbered, id: "1", output: null },
      { type: "turn-end", ...numbered, finish_reason: "stop", usage, cost: null, timings },
      { type: "turn-error", ...numbered, code: "upstream_error", message: "No.", retryable: true },
      { type: "turn-error", code: "turn_in_progress", message: "Wait.", retryable: true },
      { type: "hello", session_id: id, last_seq: 0, turn_id: null },
      { type: "gap", after: 3, next_seq: 9 },
      { type: "pong" },
    ],
    invalid: [
      { type: "text-delta", text: "without a number" },
      { type: "text-delta", ...numbered, text: "" },
      { type: "text-delta", ...numbered, seq: 0, text: "I'm" },
      { type: "turn-end", ...numbered, finish_reason: "bored", usage, cost: null, timings },
      { type: "turn-error", ...numbered, code: "made_up", message: "No.", retryable: true },
      { chunk: "I'm" },
    ],
  },
  PlainFrame: {
    zod: PlainFrame,
    valid: [
      { session_id: id },
      { chunk: "I'm" },
      { done: true, finish_reason: "stop", message_id: id, usage },
      { error: "The model provider failed.", code: "upstream_error" },
    ],
    invalid: [
      { chunk: "" },
      { done: false, finish_reason: "stop", message_id: id, usage },
      { done: true, finish_reason: "stop", message_id: id },
      { error: "Something", code: "made_up" },
      { type: "pong" },
    ],
  },
} as const;

function compile(name: string) {
  const ajv = new Ajv2020({ keywords: ["example"], formats: { "date-time": true } });
  ajv.addSchema(frameSchemas(), "frames");
  return ajv.compile({ $ref: `frames#/$defs/${name}` });
}

describe("frameSchemas", () => {
  for (const [name, { zod, valid, invalid }] of Object.entries(samples)) {
    it(`accepts and refuses as ${name} what the zod schema in use does`, () => {
      const matches = compile(name);
      for (const [expected, frames] of [
        [true, valid],
        [false, invalid],
      ] as const) {
        for (const frame of frames) {
          assert.equal(matches(frame), expected, JSON.stringify(frame));
          assert.equal(zod.safeParse(frame).success, expected, JSON.stringify(frame));
        }
      }
    });
  }

  it("describes every type that the zod unions know", () => {
    const types = (frames: readonly object[]): string[] =>
      frames.flatMap((frame) => ("type" in frame ? [String(frame.type)] : []));
    const described = new Set(
      JSON.stringify(frameSchemas())
        .match(/"const":"[a-z-]+"/g)
        ?.map((text) => text.slice('"const":"'.length, -1)),
    );
    assert.deepEqual(
      described,
      new Set([...types(samples.ClientFrame.valid), ...types(samples.ServerFrame.valid)]),
    );
  });

  it("closes the server's frames, so that no field goes out undescribed", () => {
    assert.equal(compile("ServerFrame")({ type: "pong", api_key: "sk" }), false);
    assert.equal(compile("PlainFrame")({ chunk: "I'm", api_key: "sk" }), false);
  });

  it("is the same text each time, holding only shapes that a frame uses", () => {
    const text = JSON.stringify(frameSchemas());
    assert.equal(JSON.stringify(frameSchemas()), text);
    assert.doesNotMatch(text, /SetLlmRequest|"\$id"/);
  });
});
