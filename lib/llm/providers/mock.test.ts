import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { describe, mock, test, type TestContext } from "node:test";

import {
  APICallError,
  type LanguageModelV4CallOptions,
  type LanguageModelV4Prompt,
  type LanguageModelV4StreamPart,
} from "@ai-sdk/provider";
import { jsonSchema, streamText, tool } from "ai";

import { createSpecialTokenFilter } from "../special-tokens.ts";
import { createMockModel } from "./mock.ts";
import { mockScripts } from "./mock-scripts.ts";

const ask = (text: string): LanguageModelV4Prompt => [
  { role: "system", content: "Be brief." },
  { role: "user", content: [{ type: "text", text: "earlier" }] },
  { role: "assistant", content: [{ type: "text", text: "answer" }] },
  { role: "user", content: [{ type: "text", text }] },
];

type Options = Partial<LanguageModelV4CallOptions>;

async function open(modelName: string, options: Options = {}) {
  const { stream } = await createMockModel(modelName).doStream({ prompt: ask("Hi"), ...options });
  return stream.getReader();
}

async function partsOf(modelName: string, options: Options = {}) {
  const { stream } = await createMockModel(modelName).doStream({ prompt: ask("Hi"), ...options });
  return await all(stream);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

function deltasOf(
  parts: readonly LanguageModelV4StreamPart[],
  kind: "text" | "reasoning",
): string[] {
  return parts.flatMap((part) => {
    const isDelta = part.type === "text-delta" || part.type === "reasoning-delta";
    return isDelta && part.type === `${kind}-delta` ? [part.delta] : [];
  });
}

function finishOf(parts: readonly LanguageModelV4StreamPart[]) {
  const last = parts.at(-1);
  assert.ok(last?.type === "finish");
  return last;
}

const generate = async (modelName: string) =>
  await createMockModel(modelName).doGenerate({ prompt: ask("Hi there") });

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}

async function readToEnd(reader: ReadableStreamDefaultReader): Promise<void> {
  while (!(await reader.read()).done);
}

function timerCount(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

const typesOf = (parts: readonly LanguageModelV4StreamPart[]) => parts.map(({ type }) => type);

describe("the mock model", () => {
  test("echoes the last user message word by word, and begins and ends as a provider does", async () => {
    const parts = await partsOf("echo", { prompt: ask(" Hello  there,\nworld! ") });
    assert.deepEqual(parts, [
      { type: "stream-start", warnings: [] },
      { type: "response-metadata", modelId: "echo" },
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: " Hello" },
      { type: "text-delta", id: "1", delta: "  there," },
      { type: "text-delta", id: "1", delta: "\nworld! " },
      { type: "text-end", id: "1" },
      {
        type: "finish",
        finishReason: { unified: "stop", raw: "stop" },
        usage: {
          inputTokens: { total: 7, noCache: 7, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 3, text: 3, reasoning: 0 },
        },
      },
    ]);
  });

  for (const message of ["", " ", "\n\n a", "one", "a b ", "漢字 😀"]) {
    test(`loses nothing of ${JSON.stringify(message)}`, async () => {
      const parts = await partsOf("echo", { prompt: ask(message) });
      assert.equal(deltasOf(parts, "text").join(""), message);
      assert.equal(finishOf(parts).finishReason.unified, "stop");
    });
  }

  test("says a fixed text", async () => {
    const deltas = deltasOf(await partsOf("fixed?text=Good%20day+to%20you"), "text");
    assert.deepEqual(deltas, ["Good", " day", " to", " you"]);
  });

  test("gives reasoning parts before the text and counts them apart", async () => {
    const parts = await partsOf("reasoning");
    const [reasoning, text] = [deltasOf(parts, "reasoning"), deltasOf(parts, "text")];
    assert.ok(reasoning.length > 1 && text.length > 0);
    assert.deepEqual(
      typesOf(parts).filter((type) => /-(start|end)$/.test(type)),
      ["stream-start", "reasoning-start", "reasoning-end", "text-start", "text-end"],
    );
    assert.deepEqual(finishOf(parts).usage.outputTokens, {
      total: reasoning.length + text.length,
      text: text.length,
      reasoning: reasoning.length,
    });
  });

  test("cuts think tags over deltas, which the filter puts together again", async () => {
    const deltas = deltasOf(await partsOf("think-tags"), "text");
    assert.ok(deltas.every((delta) => !/<\/?think>/.test(delta)));
    const filter = createSpecialTokenFilter();
    const segments = [...deltas.flatMap((delta) => filter.push(delta)), ...filter.flush()];
    const textOf = (kind: string) =>
      segments.flatMap((segment) => (segment.kind === kind ? [segment.text] : [])).join("");
    assert.deepEqual([textOf("reasoning"), textOf("text")], ["A short one.", "Forty-two."]);
  });

  test("cuts deltas inside characters of a well-formed text", async () => {
    const deltas = deltasOf(await partsOf("split-character"), "text");
    assert.ok(deltas.some((delta) => !delta.isWellFormed()));
    assert.ok(deltas.join("").isWellFormed());
    assert.match(deltas.join(""), /\p{Emoji_Modifier}.*\p{Script=Han}.*\u200d/u);
  });

  test("counts as far as it is told", async () => {
    assert.deepEqual(deltasOf(await partsOf("long?tokens=3"), "text"), ["1", " 2", " 3"]);
    assert.equal(deltasOf(await partsOf("long?tokens=2500"), "text").at(-1), " 2500");
    assert.deepEqual(deltasOf(await partsOf("long?tokens=0"), "text"), []);
  });

  test("lets the event loop turn during a long answer", async () => {
    const progress = { isDone: false, turns: 0 };
    const answer = partsOf("long?tokens=3200").finally(() => (progress.isDone = true));
    for (; !progress.isDone; progress.turns += 1) await setImmediate();
    await answer;
    assert.ok(progress.turns >= 99, `${progress.turns} turns`);
  });

  test("cuts the answer at maxOutputTokens and says so only if there was more", async () => {
    const cut = await partsOf("long?tokens=5", { maxOutputTokens: 4 });
    assert.deepEqual(deltasOf(cut, "text"), ["1", " 2", " 3", " 4"]);
    assert.equal(finishOf(cut).finishReason.unified, "length");
    assert.equal(finishOf(cut).usage.outputTokens.total, 4);
    const whole = await partsOf("long?tokens=5", { maxOutputTokens: 5 });
    assert.equal(finishOf(whole).finishReason.unified, "stop");
  });

  for (const after of [0, 2]) {
    test(`fails after ${after} tokens with an error part`, async () => {
      const parts = await partsOf(`error?after=${after}`);
      assert.equal(deltasOf(parts, "text").length, after);
      const [error] = parts.flatMap((part) => (part.type === "error" ? [part.error] : []));
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 500);
      assert.equal(finishOf(parts).finishReason.unified, "error");
      assert.equal(finishOf(parts).usage.outputTokens.total, after);
    });
  }

  test("generates the same answer without a stream", async () => {
    const echo = await generate("echo");
    assert.deepEqual(echo.content, [{ type: "text", text: "Hi there" }]);
    assert.equal(echo.usage.outputTokens.total, 2);
    const { content, finishReason } = await generate("reasoning");
    assert.deepEqual(
      content.map(({ type }) => type),
      ["reasoning", "text"],
    );
    assert.equal(finishReason.unified, "stop");
    const toolCall = await generate("tool-call");
    assert.deepEqual(
      toolCall.content.map(({ type }) => type),
      ["tool-call", "tool-result", "text"],
    );
    await assert.rejects(generate("error?after=1"), (error) => APICallError.isInstance(error));
  });
});

describe("the mock model's tool call", () => {
  const weather = { type: "function", name: "weather", inputSchema: {} } as const;

  test("is made and answered by itself when no tool is offered, then comes text", async () => {
    const parts = await partsOf("tool-call");
    const [call] = parts.filter((part) => part.type === "tool-call");
    const [result] = parts.filter((part) => part.type === "tool-result");
    assert.deepEqual([call?.toolName, call?.input], ["get_weather", '{"city":"Oslo"}']);
    assert.equal(call?.providerExecuted, true);
    assert.equal(result?.toolCallId, call.toolCallId);
    assert.equal(deltasOf(parts, "text").join(""), "The weather is sunny.");
    assert.equal(finishOf(parts).finishReason.unified, "stop");
  });

  test("is left to the client when it offers a tool", async () => {
    const parts = await partsOf("tool-call?input={}", { tools: [weather] });
    assert.deepEqual(typesOf(parts).slice(2), [
      "tool-input-start",
      "tool-input-delta",
      "tool-input-end",
      "tool-call",
      "finish",
    ]);
    const [call] = parts.filter((part) => part.type === "tool-call");
    assert.deepEqual([call?.toolName, call?.input], ["weather", "{}"]);
    assert.equal(finishOf(parts).finishReason.unified, "tool-calls");
    assert.equal(finishOf(parts).usage.outputTokens.total, 1);
  });

  test("obeys the tool choice", async () => {
    const tools = [weather, { ...weather, name: "clock" }];
    const chosen = await partsOf("tool-call", {
      tools,
      toolChoice: { type: "tool", toolName: "clock" },
    });
    assert.ok(chosen.some((part) => part.type === "tool-call" && part.toolName === "clock"));
    const none = await partsOf("tool-call", { tools, toolChoice: { type: "none" } });
    assert.ok(none.every(({ type }) => type !== "tool-call"));
    assert.equal(finishOf(none).finishReason.unified, "stop");
  });

  test("is run and its result quoted through streamText", async () => {
    const result = streamText({
      model: createMockModel("tool-call"),
      prompt: "How is the weather?",
      tools: {
        weather: tool({
          inputSchema: jsonSchema<{ city: string }>({ type: "object" }),
          execute: async ({ city }) => `rain in ${city}`,
        }),
      },
      stopWhen: ({ steps }) => steps.length === 2,
    });
    assert.match(await result.text, /The tool answered .*rain in Oslo/);
  });

  test("made by itself passes through streamText without an error", async () => {
    const result = streamText({ model: createMockModel("tool-call"), prompt: "Hi" });
    const parts = await all(result.fullStream);
    const types = parts.map(({ type }) => type);
    assert.ok(types.includes("tool-call") && types.includes("tool-result"));
    assert.ok(!types.includes("error") && !types.includes("tool-error"));
    assert.ok(parts.every((part) => part.type !== "tool-call" || part.invalid !== true));
    assert.equal(await result.text, "The weather is sunny.");
  });
});

describe("the mock model's time", () => {
  /** Records the deltas of a stream as they come, under a clock that the test moves. */
  async function watch(t: TestContext, modelName: string, options: Options = {}) {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const seen: string[] = [];
    const reader = await open(modelName, options);
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        if (value.type === "text-delta") seen.push(value.delta);
        if (value.type === "error" || value.type === "finish") seen.push(value.type);
      }
    })();
    // A failure is looked at when the test awaits `reading`.
    reading.catch(() => {});
    const after = async (milliseconds: number) => {
      await settle();
      mock.timers.tick(milliseconds);
      await settle();
      return seen.join("");
    };
    return { after, reading, reader };
  }

  test("passes before each token", async (t) => {
    const { after, reading } = await watch(t, "long?tokens=3&delay_ms=10");
    assert.equal(await after(9), "");
    assert.equal(await after(1), "1");
    assert.equal(await after(9), "1");
    assert.equal(await after(1), "1 2");
    assert.equal(await after(10), "1 2 3finish");
    await reading;
  });

  test("is longer before the first token", async (t) => {
    const { after, reading } = await watch(t, "long?tokens=2&delay_ms=10&first_delay_ms=100");
    assert.equal(await after(109), "");
    assert.equal(await after(1), "1");
    assert.equal(await after(10), "1 2finish");
    await reading;
  });

  test("passes before an error, too", async (t) => {
    const { after, reading } = await watch(t, "error?first_delay_ms=100");
    assert.equal(await after(99), "");
    assert.equal(await after(1), "errorfinish");
    await reading;
  });

  test("stands still in a stall", async (t) => {
    const { after, reader } = await watch(t, "stall?after=2");
    assert.equal(await after(0), "1 2");
    assert.equal(await after(3_600_000), "1 2");
    await reader.cancel();
  });

  for (const modelName of [
    "stall",
    "stall?after=2",
    "echo?delay_ms=60000",
    "echo?first_delay_ms=600000",
  ]) {
    test(`ends ${modelName} at an abort with its reason`, async (t) => {
      const controller = new AbortController();
      const { after, reading } = await watch(t, modelName, { abortSignal: controller.signal });
      await after(0);
      controller.abort(new Error("stopped"));
      await assert.rejects(reading, { message: "stopped" });
    });

    test(`ends ${modelName} when its reader cancels`, async (t) => {
      const { after, reading, reader } = await watch(t, modelName);
      await after(0);
      await reader.cancel();
      await reading;
    });
  }

  test("leaves no timer behind after an abort or a cancel", async () => {
    const before = timerCount();
    const controller = new AbortController();
    const aborted = await open("echo?delay_ms=60000", { abortSignal: controller.signal });
    const cancelled = await open("echo?delay_ms=60000");
    const abortedRead = readToEnd(aborted);
    const cancelledRead = readToEnd(cancelled);
    await settle();
    assert.equal(timerCount(), before + 2);
    controller.abort();
    await cancelled.cancel();
    await assert.rejects(abortedRead, { name: "AbortError" });
    await cancelledRead;
    assert.equal(timerCount(), before);
  });

  test("stops a long answer between two tokens", async () => {
    const controller = new AbortController();
    const reader = await open("long?tokens=100000", { abortSignal: controller.signal });
    for (let count = 0; count < 50; count += 1) await reader.read();
    controller.abort(new Error("stopped"));
    await assert.rejects(reader.read(), { message: "stopped" });
  });

  test("does not begin after an abort", async () => {
    const abortSignal = AbortSignal.abort(new Error("too late"));
    await assert.rejects(open("echo", { abortSignal }), { message: "too late" });
  });
});

describe("the mock model behind streamText", () => {
  test("streams text, finish reason and usage", async () => {
    const result = streamText({
      model: createMockModel("long?tokens=5"),
      prompt: "Count to five",
      maxOutputTokens: 3,
    });
    assert.deepEqual(await all(result.textStream), ["1", " 2", " 3"]);
    assert.equal(await result.finishReason, "length");
    const usage = await result.usage;
    assert.deepEqual([usage.inputTokens, usage.outputTokens, usage.totalTokens], [3, 3, 6]);
  });

  test("ends a stall with an abort part and no error", async () => {
    const controller = new AbortController();
    const result = streamText({
      model: createMockModel("stall?after=1"),
      prompt: "Hi",
      abortSignal: controller.signal,
    });
    const types: string[] = [];
    for await (const part of result.fullStream) {
      types.push(part.type);
      if (part.type === "text-delta") controller.abort();
    }
    assert.equal(types.at(-1), "abort");
    assert.ok(!types.includes("error"));
  });

  test("reports the error of the script once", async () => {
    const errors: unknown[] = [];
    const result = streamText({
      model: createMockModel("error"),
      prompt: "Hi",
      onError: ({ error }) => void errors.push(error),
    });
    await result.consumeStream();
    assert.equal(errors.length, 1);
    assert.ok(APICallError.isInstance(errors[0]));
  });

  for (const { name } of mockScripts.filter(
    (script) => !["stall", "error"].includes(script.name),
  )) {
    test(`plays ${name} to its end`, async () => {
      const result = streamText({ model: createMockModel(name), prompt: "Hi" });
      assert.ok((await result.text).length > 0);
      assert.equal(await result.finishReason, "stop");
    });
  }
});
