import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { MockLanguageModelV4 } from "ai/test";

import {
  collect,
  finish,
  liveModel,
  reasoning,
  scriptedModel,
  text,
  upstreamFailure,
  type Part,
} from "#e2e/rig/chat-rig.ts";
import { AppError } from "../errors.ts";
import { ModelStream } from "./model-stream.ts";

const timeouts = { firstTokenTimeoutMs: 1000, chunkTimeoutMs: 100, turnTimeoutMs: 5000 };
const never = new AbortController().signal;

function open(model: MockLanguageModelV4, signal: AbortSignal = never): ModelStream {
  return new ModelStream({ model, call: { prompt: [] }, signal, timeouts });
}

/** node:test's mock timers, with the `refresh` that they lack. */
function mockTimers(t: TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const running = new Map<object, NodeJS.Timeout>();
  t.mock.method(globalThis, "setTimeout", (fire: () => void, delayMs: number) => {
    const timer = {
      refresh: () => running.set(timer, (clear(running.get(timer)), set(fire, delayMs))),
    };
    timer.refresh();
    return timer;
  });
  t.mock.method(globalThis, "clearTimeout", (timer: object) => clear(running.get(timer)));
  return (ms) => t.mock.timers.tick(ms);
}

/** Reads in the background; `got` resolves when so many parts have come. */
function read(stream: ModelStream) {
  const parts: Part[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const ended = (async () => {
    for await (const part of stream) {
      parts.push(part);
      for (const { count, resolve } of waiting) if (parts.length >= count) resolve();
    }
  })();
  ended.catch(() => {});
  const got = (count: number) =>
    new Promise<void>((resolve) => {
      if (parts.length >= count) resolve();
      else waiting.push({ count, resolve });
    });
  return { parts, ended, got };
}

describe("the stream of a model", () => {
  test("passes every part on and the call as it is", async () => {
    const parts = [text("a"), reasoning("b"), finish()];
    const model = scriptedModel(...parts);
    const call = { prompt: [], temperature: 0.5 };
    const stream = new ModelStream({ model, call, signal: never, timeouts });
    assert.deepEqual(await collect(stream), parts);
    const { abortSignal, ...rest } = model.doStreamCalls[0] ?? { prompt: [] };
    assert.deepEqual(rest, call);
    assert.ok(abortSignal?.aborted);
  });

  const failures: Record<string, [doStream: () => Promise<never>, code: string]> = {
    "a refused key": [() => Promise.reject(upstreamFailure(401)), "upstream_rejected"],
    "an outage": [() => Promise.reject(upstreamFailure(503)), "upstream_error"],
    "a broken connection": [() => Promise.reject(new TypeError("fetch failed")), "upstream_error"],
    "our own refusal": [
      () => Promise.reject(new AppError("model_unavailable")),
      "model_unavailable",
    ],
    "a client that throws": [
      () => {
        throw new Error("not even a promise");
      },
      "upstream_error",
    ],
  };
  for (const [name, [doStream, code]] of Object.entries(failures)) {
    test(`throws ${code} for ${name}`, async () => {
      const model = new MockLanguageModelV4();
      model.doStream = doStream;
      await assert.rejects(collect(open(model)), { code });
    });
  }

  test("throws upstream_error and closes nothing twice when the stream breaks", async () => {
    const live = liveModel();
    const { got, ended } = read(open(live.model));
    live.push(text("a"));
    await got(1);
    live.fail(new Error("reset"));
    await assert.rejects(ended, { code: "upstream_error" });
  });

  const partsThatFail: Record<string, Part[]> = {
    "an error part": [text("a"), { type: "error", error: "overloaded" }, text("b"), finish()],
    "no finish": [text("a")],
    "an interrupted finish": [text("a"), finish("interrupted")],
  };
  for (const [name, parts] of Object.entries(partsThatFail)) {
    test(`throws upstream_error after ${name}`, async () => {
      const { parts: got, ended } = read(open(scriptedModel(...parts)));
      await assert.rejects(ended, { code: "upstream_error" });
      assert.deepEqual(got[0], text("a"));
      assert.ok(!got.some((part) => part.type === "text-delta" && part.delta === "b"));
    });
  }

  test("counts only the time that the provider took", async () => {
    const stream = open(scriptedModel(text("a"), text("b"), finish()));
    let busyMs = 0;
    for await (const part of stream) {
      assert.ok(part.type);
      const since = performance.now();
      while (performance.now() - since < 5);
      busyMs += performance.now() - since;
    }
    assert.ok(busyMs >= 15 && stream.waitedMs < busyMs, `${stream.waitedMs} ms`);
    assert.ok(stream.waitedMs > 0);
  });
});

describe("the end of a model's stream", () => {
  const reason = new Error("stopped by the test");

  test("closes the provider's stream when the reader leaves in the middle", async () => {
    const live = liveModel();
    live.push(text("a"));
    for await (const part of open(live.model)) if (part.type === "text-delta") break;
    await live.cancelled;
  });

  test("comes at once with the signal's reason, whatever the model does", async () => {
    const live = liveModel();
    const stop = new AbortController();
    const { got, ended } = read(open(live.model, stop.signal));
    live.push(text("a"));
    await got(1);
    stop.abort(reason);
    await assert.rejects(ended, reason);
    await live.cancelled;
  });

  test("comes at once while the model still connects, and closes what arrives late", async () => {
    const late = Promise.withResolvers<{ stream: ReadableStream<Part> }>();
    const asked = Promise.withResolvers<void>();
    const model = new MockLanguageModelV4({
      doStream: () => {
        asked.resolve();
        return late.promise;
      },
    });
    const stop = new AbortController();
    const { ended } = read(open(model, stop.signal));
    await asked.promise;
    stop.abort(reason);
    await assert.rejects(ended, reason);
    const closed = Promise.withResolvers<void>();
    late.resolve({ stream: new ReadableStream({ cancel: () => closed.resolve() }) });
    await closed.promise;
  });

  test("comes wherever in the opening the signal aborts", { timeout: 5000 }, async () => {
    for (let steps = 0; steps < 40; steps += 1) {
      const live = liveModel();
      const stop = new AbortController();
      const { ended } = read(open(live.model, stop.signal));
      await live.opened;
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      stop.abort(reason);
      await assert.rejects(ended, reason, `after ${steps} microtasks`);
      await live.cancelled;
    }
  });
});

describe("a silent model", () => {
  const silence: Record<string, Part[]> = {
    "nothing at all": [],
    "pings and empty deltas": [
      { type: "stream-start", warnings: [] },
      { type: "ping" },
      { type: "raw", rawValue: ": keep-alive" },
      text(""),
      reasoning(""),
      { type: "tool-input-delta", id: "1", delta: "" },
    ],
  };
  for (const [name, parts] of Object.entries(silence)) {
    for (const before of [true, false]) {
      const limit = before ? timeouts.firstTokenTimeoutMs : timeouts.chunkTimeoutMs;
      const when = before ? "before the first token" : "after a token";
      test(`is given up after ${limit} ms with ${name} ${when}`, async (t) => {
        const tick = mockTimers(t);
        const live = liveModel();
        const { got, ended } = read(open(live.model));
        const first = before ? [] : [text("a")];
        live.push(...first, ...parts);
        await live.opened;
        await got(first.length + parts.length);
        tick(limit - 1);
        live.push(...parts);
        await got(first.length + 2 * parts.length);
        tick(1);
        await assert.rejects(ended, { code: "upstream_timeout" });
        await live.cancelled;
      });
    }
  }

  test("is given up while it connects", async (t) => {
    const tick = mockTimers(t);
    const model = new MockLanguageModelV4({ doStream: () => new Promise(() => {}) });
    const { ended } = read(open(model));
    tick(timeouts.firstTokenTimeoutMs);
    await assert.rejects(ended, { code: "upstream_timeout" });
  });

  test("has its whole time again after each token, but not more than the turn's", async (t) => {
    const tick = mockTimers(t);
    const live = liveModel();
    const { got, ended } = read(open(live.model));
    await live.opened;
    const tokens = [text("a"), reasoning("b"), { type: "tool-input-delta", id: "1", delta: "c" }];
    let count = 0;
    for (let passed = 0; passed < timeouts.turnTimeoutMs - 99; passed += 99) {
      live.push(tokens[count % 3] as Part);
      await got((count += 1));
      tick(99);
    }
    assert.ok(count > 40);
    live.push(text("last"));
    await got(count + 1);
    tick(99);
    await assert.rejects(ended, { code: "upstream_timeout" });
    await live.cancelled;
  });

  test("leaves no timer behind when it has finished", async (t) => {
    const tick = mockTimers(t);
    const model = scriptedModel(text("a"), finish());
    await collect(open(model));
    const signal = model.doStreamCalls[0]?.abortSignal;
    const before: unknown = signal?.reason;
    tick(100_000);
    assert.equal(signal?.reason, before);
  });
});
