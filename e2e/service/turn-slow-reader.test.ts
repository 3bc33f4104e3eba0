import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import {
  assertContiguous,
  isTerminal,
  like,
  newSession,
  newUser,
  numbered,
  openV1,
  resumeV1,
  startStack,
  textOf,
} from "./support.ts";

/** The heartbeat would end a paused reader before its buffer does. */
const { service, provider } = await startStack({
  HEARTBEAT_INTERVAL_MS: "60000",
  MAX_BUFFERED_BYTES: "16384",
  MAX_ANSWER_BYTES: "16777216",
  CHUNK_TIMEOUT_MS: "20000",
});

const chunk = "seventeen letters ".repeat(900);
const mebibyte = 2 ** 20;

describe("a slow reader", () => {
  it("is closed, can resume, and costs its neighbours nothing", async (t) => {
    const user = await newUser(service);
    const [slowSession, ownSession] = [await newSession(user, "flood"), await newSession(user)];
    const chunks = 600;
    provider.scriptModel("flood", [{ repeat: chunks, steps: [{ text: chunk }] }]);
    provider.scriptModel("scripted", [{ repeat: 300, steps: [{ text: "t" }, { delayMs: 25 }] }]);
    using neighbour = await openV1(service, user, ownSession);
    using reader = await openV1(service, user, slowSession);
    using slow = await openV1(service, user, slowSession);
    slow.send({ type: "resume", after: 0 });
    await slow.next(like({ type: "hello" }));
    slow.raw.pause();
    const rssBefore = await service.rssBytes();

    const gapsMs: number[] = [];
    let lastAtMs = performance.now();
    neighbour.raw.on("message", () => {
      gapsMs.push(performance.now() - lastAtMs);
      lastAtMs = performance.now();
    });
    neighbour.send({ type: "message", text: "Tick" });
    reader.send({ type: "message", text: "Flood" });
    const since = performance.now();
    await reader.next(isTerminal, 20_000);
    assert.equal(textOf(reader.frames).length, chunks * chunk.length);
    await neighbour.next(isTerminal, 20_000);
    const p99 = gapsMs.toSorted((a, b) => a - b)[Math.floor(gapsMs.length * 0.99)] ?? 0;
    const grownMiB = ((await service.rssBytes()) - rssBefore) / mebibyte;

    // The slow reader's buffer was full soon after the start, so its 5 s are over by the tick's end.
    const closing = once(slow.raw, "close", { signal: AbortSignal.timeout(5000) });
    slow.raw.resume();
    await closing;
    const { code } = await slow.closed;
    t.diagnostic(`closed with ${code} within ${(performance.now() - since).toFixed(0)} ms`);
    t.diagnostic(
      `neighbour's gap p99 ${p99.toFixed(0)} ms, memory grew by ${grownMiB.toFixed(1)} MiB`,
    );
    // A reader that reads nothing for a second more does not see the code any more.
    assert.ok([1013, 1006].includes(code));
    assert.ok(performance.now() - since < 15_000);
    assert.ok(p99 < 500, `the neighbour waited ${p99} ms`);
    const last = numbered(slow.frames).at(-1)?.seq ?? 0;
    using again = await resumeV1(service, user, slowSession, last);
    await again.next(isTerminal, 20_000);
    const all = [...numbered(slow.frames), ...numbered(again.frames)];
    assertContiguous(all, 1);
    assert.equal(textOf(all).length, chunks * chunk.length);
  });

  it("is not what a healthy reader with a small buffer is", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ repeat: 200, steps: [{ text: "y".repeat(700) }] }]);
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    await socket.next(isTerminal);
    const since = performance.now();
    using again = await resumeV1(service, user, sessionId, 0);
    await again.next(isTerminal);
    assert.ok(performance.now() - since < 2000);
    assert.equal(textOf(again.frames), textOf(socket.frames));
    again.send({ type: "ping" });
    await again.next(like({ type: "pong" }));
  });
});
