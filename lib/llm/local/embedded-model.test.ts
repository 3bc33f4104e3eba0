import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";

import type {
  LanguageModelV4CallOptions,
  LanguageModelV4Message,
  LanguageModelV4StreamPart,
} from "@ai-sdk/provider";

import {
  createEmbeddedModel,
  type EmbeddedModel,
  type EmbeddedModelOptions,
} from "./embedded-model.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { buildTinyGguf, writeTinyGguf, type TinyGgufOptions } from "./tiny-gguf.ts";

const emoji = Buffer.from("😀");
const script = ["Once", " upon", emoji.subarray(0, 2), emoji.subarray(2), " a time", " it ended"];
const spoken = "Once upon😀 a time it ended";
const endless = { script: ["tick ", "tock "], repeats: true };

type StartedModel = AsyncDisposable & Readonly<{ model: EmbeddedModel; lines: readonly string[] }>;

async function startModel(
  gguf: TinyGgufOptions,
  options: Partial<EmbeddedModelOptions> = {},
): Promise<StartedModel> {
  const directory = await temporaryDirectory();
  const modelPath = join(directory.path, "tiny.gguf");
  await writeTinyGguf(modelPath, gguf);
  const lines: string[] = [];
  const model = createEmbeddedModel({
    modelPath,
    threads: 1,
    log: (line) => lines.push(line),
    ...options,
  });
  return {
    model,
    lines,
    [Symbol.asyncDispose]: async () => {
      await model.dispose();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** For tests that do not care what the model was asked before. */
const shared = await startModel({ script });
after(() => shared[Symbol.asyncDispose]());

function talk(...texts: readonly string[]): LanguageModelV4Message[] {
  return texts.map((text, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: [{ type: "text", text }],
  }));
}

type Finish = Extract<LanguageModelV4StreamPart, { type: "finish" }>;
type Answer = Readonly<{ text: string; finish: Finish; types: readonly string[] }>;

async function ask(
  model: EmbeddedModel,
  prompt: LanguageModelV4Message[],
  options: Omit<LanguageModelV4CallOptions, "prompt"> = {},
): Promise<Answer> {
  const { stream } = await model.languageModel().doStream({ prompt, ...options });
  let text = "";
  let finish: Finish | undefined;
  const types: string[] = [];
  for await (const part of stream) {
    types.push(part.type);
    if (part.type === "text-delta") text += part.delta;
    if (part.type === "finish") finish = part;
  }
  assert.ok(finish !== undefined);
  return { text, finish, types };
}

/** Reads until the first text has come. */
async function readFirstText(
  reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart>,
): Promise<void> {
  for (;;) {
    const { value, done } = await reader.read();
    if (done || value.type === "text-delta") return;
  }
}

async function readToEnd(
  reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart>,
): Promise<void> {
  while (!(await reader.read()).done);
}

test("says that a damaged file cannot be loaded, and tries again at the next turn", async () => {
  await using directory = await temporaryDirectory();
  const modelPath = join(directory.path, "tiny.gguf");
  const whole = buildTinyGguf({ script });
  await writeFile(modelPath, whole.subarray(0, whole.length - 1000));
  const lines: string[] = [];
  const model = createEmbeddedModel({ modelPath, threads: 1, log: (line) => lines.push(line) });
  await assert.rejects(ask(model, talk("Hi")), { code: "model_unavailable" });
  assert.ok(
    lines.some((line) => line.startsWith("The embedded model") && line.includes(modelPath)),
  );
  await writeFile(modelPath, whole);
  assert.equal((await ask(model, talk("Hi"))).text, spoken);
  await model.dispose();
});

test("streams an answer from its start to a finish with real usage", async () => {
  await using started = await startModel({ script });
  const { text, finish, types } = await ask(started.model, talk("Hi"));
  assert.equal(text, spoken);
  assert.deepEqual(types, [
    "stream-start",
    "response-metadata",
    "text-start",
    ...Array.from({ length: 5 }, () => "text-delta"),
    "text-end",
    "finish",
  ]);
  assert.deepEqual(finish.finishReason, { unified: "stop", raw: "stop" });
  // One token a byte, and one for each of the three control tokens.
  const promptBytes = "user\nHi\nassistant\n".length;
  assert.deepEqual(finish.usage, {
    inputTokens: {
      total: promptBytes + 3,
      noCache: promptBytes + 3,
      cacheRead: 0,
      cacheWrite: undefined,
    },
    outputTokens: { total: script.length, text: script.length, reasoning: undefined },
  });
});

test("answers without streaming", async () => {
  const result = await shared.model.languageModel().doGenerate({ prompt: talk("Hi") });
  assert.deepEqual(result.content, [{ type: "text", text: spoken }]);
  assert.equal(result.finishReason.unified, "stop");
  assert.equal(result.usage.outputTokens.total, script.length);
  assert.equal(result.response?.modelId, "tiny");
});

test("loads the model once for turns that arrive together", async () => {
  await using started = await startModel({ script });
  const answers = await Promise.all([1, 2, 3].map((turn) => ask(started.model, talk(`${turn}`))));
  assert.deepEqual(
    answers.map(({ text }) => text),
    [spoken, spoken, spoken],
  );
  assert.equal(started.lines.filter((line) => line.startsWith("Loaded tiny")).length, 1);
  assert.equal(started.lines.length, 1);
});

test("ends at the most tokens allowed with the reason length", async () => {
  await using started = await startModel(endless);
  const { text, finish } = await ask(started.model, talk("Hi"), { maxOutputTokens: 3 });
  assert.equal(text, "tick tock tick ");
  assert.equal(finish.finishReason.unified, "length");
  assert.equal(finish.usage.outputTokens.total, 3);
});

test("ends a rambling answer by itself", async () => {
  await using started = await startModel({ ...endless, contextLength: 2048 });
  const { finish } = await ask(started.model, talk("Hi"));
  assert.equal(finish.finishReason.unified, "length");
  assert.equal(finish.usage.outputTokens.total, 512);
});

test("ends an answer before the context is full", async () => {
  await using started = await startModel({ ...endless, contextLength: 256 });
  const { finish } = await ask(started.model, talk("Hi"), { maxOutputTokens: 100_000 });
  assert.equal(finish.finishReason.unified, "length");
  const { inputTokens, outputTokens } = finish.usage;
  assert.equal((inputTokens.total ?? 0) + (outputTokens.total ?? 0), 255);
});

test("ends at a stop sequence and leaves it out", async () => {
  const { text, finish } = await ask(shared.model, talk("Hi"), { stopSequences: ["😀 a"] });
  assert.equal(text, "Once upon");
  assert.equal(finish.finishReason.unified, "stop");
});

test("answers more turns at once than it has room for, first come, first served", async () => {
  await using started = await startModel({ script }, { parallelTurns: 1 });
  await started.model.load();
  const firstTexts: number[] = [];
  await Promise.all(
    [1, 2, 3, 4].map(async (turn) => {
      const { stream } = await started.model.languageModel().doStream({ prompt: talk(`${turn}`) });
      const reader = stream.getReader();
      await readFirstText(reader);
      firstTexts.push(turn);
      await readToEnd(reader);
    }),
  );
  assert.deepEqual(firstTexts, [1, 2, 3, 4]);
});

test("lets turns at once advance together", async () => {
  await using started = await startModel({ ...endless, contextLength: 2048 }, { parallelTurns: 2 });
  const model = started.model.languageModel();
  const controller = new AbortController();
  const { signal } = controller;
  const long = await model.doStream({
    prompt: talk("long"),
    maxOutputTokens: 2000,
    abortSignal: signal,
  });
  const reader = long.stream.getReader();
  await readFirstText(reader);
  const { finish } = await ask(started.model, talk("short"), { maxOutputTokens: 5 });
  assert.equal(finish.usage.outputTokens.total, 5);
  assert.equal((await reader.read()).done, false);
  controller.abort(new Error("enough"));
  await assert.rejects(readToEnd(reader), /enough/);
});

test("refuses a turn when too many are waiting", async () => {
  await using started = await startModel(endless, { parallelTurns: 1, maxWaitingTurns: 1 });
  const model = started.model.languageModel();
  const running = (await model.doStream({ prompt: talk("one") })).stream.getReader();
  await readFirstText(running);
  const waiting = (await model.doStream({ prompt: talk("two") })).stream.getReader();
  await assert.rejects(async () => model.doStream({ prompt: talk("three") }), {
    code: "service_unavailable",
  });
  await Promise.all([running.cancel(), waiting.cancel()]);
});

test("stops in the middle of an answer and is ready for the next turn", async () => {
  await using started = await startModel(endless, { parallelTurns: 1 });
  const controller = new AbortController();
  const { stream } = await started.model.languageModel().doStream({
    prompt: talk("Hi"),
    abortSignal: controller.signal,
  });
  const reader = stream.getReader();
  await readFirstText(reader);
  const reason = new DOMException("stopped by a test", "AbortError");
  controller.abort(reason);
  await assert.rejects(readToEnd(reader), (error) => error === reason);
  assert.equal((await ask(started.model, talk("Hi"), { maxOutputTokens: 1 })).text, "tick ");
});

test("stops while the prompt is being evaluated and keeps what was evaluated", async () => {
  await using started = await startModel({ script, contextLength: 4096 }, { parallelTurns: 1 });
  await started.model.load();
  const controller = new AbortController();
  const prompt = talk("long ".repeat(600));
  const { stream } = await started.model.languageModel().doStream({
    prompt,
    abortSignal: controller.signal,
  });
  controller.abort(new Error("stopped"));
  await assert.rejects(readToEnd(stream.getReader()), /stopped/);
  const { text, finish } = await ask(started.model, prompt);
  assert.equal(text, spoken);
  assert.ok((finish.usage.inputTokens.cacheRead ?? 0) <= 256);
});

test("stops while waiting for its turn", async () => {
  await using started = await startModel(endless, { parallelTurns: 1 });
  const model = started.model.languageModel();
  const running = (await model.doStream({ prompt: talk("one") })).stream.getReader();
  await readFirstText(running);
  const controller = new AbortController();
  const waiting = await model.doStream({ prompt: talk("two"), abortSignal: controller.signal });
  controller.abort(new Error("stopped"));
  await assert.rejects(readToEnd(waiting.stream.getReader()), /stopped/);
  assert.equal((await running.read()).done, false);
  await running.cancel();
});

test("stops waiting for the model to be loaded, but loads it", async () => {
  await using started = await startModel({ script });
  const controller = new AbortController();
  const asked = ask(started.model, talk("Hi"), { abortSignal: controller.signal });
  controller.abort(new Error("stopped"));
  await assert.rejects(asked, /stopped/);
  await started.model.load();
  assert.equal(started.lines.length, 1);
});

test("does nothing for a turn that was stopped before it began", async () => {
  const abortSignal = AbortSignal.abort(new Error("stopped"));
  await assert.rejects(ask(shared.model, talk("Hi"), { abortSignal }), /stopped/);
});

test("stops when the reader goes away", async () => {
  await using started = await startModel(endless, { parallelTurns: 1 });
  const { stream } = await started.model.languageModel().doStream({ prompt: talk("Hi") });
  const reader = stream.getReader();
  await readFirstText(reader);
  await reader.cancel();
  assert.equal((await ask(started.model, talk("Hi"), { maxOutputTokens: 1 })).text, "tick ");
});

test("evaluates only what is new in a follow-up question", async () => {
  await using started = await startModel({ script });
  const first = await ask(started.model, talk("What is it?"));
  const other = await ask(started.model, talk("Quite another conversation"));
  const followUp = await ask(started.model, talk("What is it?", first.text, "And then?"));
  assert.equal(other.text, spoken);
  const { total = 0, cacheRead = 0, noCache = 0 } = followUp.finish.usage.inputTokens;
  assert.equal(cacheRead + noCache, total);
  const firstTokens = (first.finish.usage.inputTokens.total ?? 0) + script.length;
  assert.ok(cacheRead >= firstTokens - 4, `${cacheRead} of ${firstTokens} tokens were reused`);
});

test("answers a follow-up as if it had evaluated everything anew", async () => {
  const greedy = { temperature: 0, maxOutputTokens: 20 };
  await using warm = await startModel({});
  const first = await ask(warm.model, talk("What is it?"), greedy);
  const prompt = talk("What is it?", first.text, "And then?");
  const followUp = await ask(warm.model, prompt, greedy);
  assert.ok((followUp.finish.usage.inputTokens.cacheRead ?? 0) > 0);
  await using cold = await startModel({});
  const anew = await ask(cold.model, prompt, greedy);
  assert.equal(anew.finish.usage.inputTokens.cacheRead, 0);
  assert.equal(followUp.text, anew.text);
});

test("answers alike with the same seed and differently with another one", async () => {
  await using started = await startModel({});
  const sample = { temperature: 2, topP: 1, topK: 0, maxOutputTokens: 30 };
  const texts = [];
  for (const seed of [1, 1, 2]) {
    texts.push((await ask(started.model, talk("Hi"), { ...sample, seed })).text);
  }
  assert.equal(texts[0], texts[1]);
  assert.notEqual(texts[0], texts[2]);
});

test("never takes a user's text for a control token", async () => {
  const plain = await ask(shared.model, talk("0123456789"));
  const tricky = await ask(shared.model, talk("<|im_end|>"));
  assert.equal(tricky.finish.usage.inputTokens.total, plain.finish.usage.inputTokens.total);
});

test("drops the oldest turns of a long conversation and says how many messages", async () => {
  await using started = await startModel({ script, contextLength: 256 });
  const texts = Array.from({ length: 21 }, (_, index) => `message ${index}`);
  const { text, finish } = await ask(started.model, talk(...texts));
  assert.equal(text, spoken);
  assert.ok((finish.usage.inputTokens.total ?? 0) <= 192);
  const omitted = finish.providerMetadata?.["local"]?.["omittedMessages"];
  assert.ok(typeof omitted === "number" && omitted > 0 && omitted < 20 && omitted % 2 === 0);
});

test("refuses a message that is longer than the context", async () => {
  await using started = await startModel({ script, contextLength: 256 });
  await assert.rejects(ask(started.model, talk("long ".repeat(60))), {
    code: "context_length_exceeded",
  });
});

test("warns of what it cannot do", async () => {
  const { warnings } = await shared.model.languageModel().doGenerate({
    prompt: talk("Hi"),
    tools: [{ type: "function", name: "look", inputSchema: { type: "object" } }],
    responseFormat: { type: "json" },
  });
  assert.deepEqual(warnings, [
    { type: "unsupported", feature: "tools" },
    { type: "unsupported", feature: "responseFormat" },
  ]);
});

test("reports the context length of a model that was trained on less", async () => {
  await using started = await startModel({ script, contextLength: 256 });
  await started.model.load();
  assert.equal(started.model.contextLength, 256);
});

test("ends running and waiting turns when the service shuts down, and refuses new ones", async () => {
  await using started = await startModel(endless, { parallelTurns: 1 });
  const model = started.model.languageModel();
  const running = (await model.doStream({ prompt: talk("one") })).stream.getReader();
  await readFirstText(running);
  const waiting = (await model.doStream({ prompt: talk("two") })).stream.getReader();
  const disposed = started.model.dispose();
  await assert.rejects(readToEnd(running), { code: "shutting_down" });
  await assert.rejects(readToEnd(waiting), { code: "shutting_down" });
  await disposed;
  await assert.rejects(async () => model.doStream({ prompt: talk("three") }), {
    code: "shutting_down",
  });
});
