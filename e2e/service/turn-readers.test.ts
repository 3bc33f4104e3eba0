import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { openRefused, readServerSentEvents, type Frame } from "../rig/client.ts";
import type { Script } from "../rig/scripted-provider.ts";
import { opcodes, RawSocket } from "./raw-socket.ts";
import {
  arrived,
  assertContiguous,
  history,
  historyOnce,
  isTerminal,
  like,
  limits,
  newSession,
  newUser,
  numbered,
  openV1,
  resumeV1,
  startStack,
  takeTurn,
  textOf,
} from "./support.ts";

/** Long enough that it is the readers, not the provider's silence, that ends a turn. */
const patience = { FIRST_TOKEN_TIMEOUT_MS: "20000", CHUNK_TIMEOUT_MS: "20000" };
const { service, provider } = await startStack(patience);

/** An answer of which each chunk waits to be let through the gate "chunk". */
function gatedAnswer(chunks: number): Script {
  return Array.from({ length: chunks }, (_, index) => [
    { waitFor: "chunk" },
    { text: `${index} ` },
  ]).flat();
}

function wholeText(chunks: number): string {
  return Array.from({ length: chunks }, (_, index) => `${index} `).join("");
}

/** A user with a session whose next answer is gated, and its message sent by a first reader. */
async function beginGated(chunks: number) {
  const user = await newUser(service);
  const sessionId = await newSession(user);
  provider.scriptNext(gatedAnswer(chunks));
  const socket = await openV1(service, user, sessionId);
  socket.send({ type: "message", text: "Count" });
  await socket.next(like({ type: "turn-start" }));
  return { user, sessionId, socket, request: await provider.nextRequest() };
}

/** Whole numbers below a bound, the same ones for the same seed (mulberry32). */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

describe("resume", () => {
  it("gives a reader that drops at 20 random points every frame once and in order", async (t) => {
    const seed = Date.now() % 2 ** 31;
    t.diagnostic(`seed ${seed}`);
    const random = randomBelow(seed);
    const chunks = 300;
    const { user, sessionId, socket: first } = await beginGated(chunks);
    const taken: Frame[] = first.frames.filter(({ type }) => type === "turn-start");
    let reader = first;
    for (let drop = 0; drop < 20; drop += 1) {
      const [here, away] = [1 + random(10), random(5)];
      provider.pass("chunk", here);
      const reads = random(here + 1);
      for (let read = 0; read < reads; read += 1) taken.push(await reader.next(isNumbered));
      reader.raw.terminate();
      provider.pass("chunk", away);
      reader = await resumeV1(service, user, sessionId, taken.at(-1)?.seq ?? 0);
    }
    provider.open("chunk");
    while (!taken.at(-1) || !isTerminal(taken.at(-1) ?? {})) {
      taken.push(await reader.next(isNumbered));
    }
    await reader.close();
    assert.equal(taken.length, chunks + 2);
    assertContiguous(taken, 1);
    assert.equal(textOf(taken), wholeText(chunks));
    assert.ok(reader.frames.every(({ type }) => type !== "gap"));
    const [, answer] = await history(user, sessionId);
    assert.deepEqual([answer?.content, answer?.status], [wholeText(chunks), "complete"]);
    assert.equal(provider.requests.length, 1);
  });

  it("gives the rest of a turn after its end, then what comes", async () => {
    const { user, sessionId, socket: opened } = await beginGated(3);
    using socket = opened;
    provider.open("chunk");
    await socket.next(isTerminal);
    using again = await resumeV1(service, user, sessionId, 2);
    await again.next(isTerminal);
    assert.deepEqual(numbered(again.frames), numbered(socket.frames).slice(2));
    using upToDate = await resumeV1(service, user, sessionId, 5);
    await arrived(upToDate);
    await takeTurn(socket, "Another");
    await upToDate.next(isTerminal);
    assertContiguous(upToDate.frames, 6);
    assert.ok(upToDate.frames.every(({ type }) => type !== "gap"));
  });

  it("tells a gap, then the whole last turn, where the number is not its own", async () => {
    const { user, sessionId, socket: opened } = await beginGated(3);
    using socket = opened;
    provider.open("chunk");
    await socket.next(isTerminal);
    await takeTurn(socket, "Another");
    const turn = numbered(socket.frames).slice(5);
    for (const after of [0, 3, 11, 9_007_199_254_740_991]) {
      using reader = await resumeV1(service, user, sessionId, after);
      assert.deepEqual(await reader.next(like({ type: "gap" })), {
        type: "gap",
        after,
        next_seq: 6,
      });
      await reader.next(isTerminal);
      assert.deepEqual(numbered(reader.frames), turn);
    }
  });

  it("is not for another user", async () => {
    const { sessionId, socket } = await beginGated(1);
    const { token } = await newUser(service);
    const refused = await openRefused(service.wsOrigin, `/ws/${sessionId}`, { token });
    assert.equal(refused.status, 404);
    provider.open("chunk");
    assert.equal((await socket.next(isTerminal)).finish_reason, "stop");
    await socket.close();
  });
});

describe("several readers", () => {
  it("ten see identical bytes, also those who come later and never say resume", async () => {
    const { user, sessionId, socket: opened } = await beginGated(40);
    using socket = opened;
    provider.pass("chunk", 20);
    await socket.next(like({ text: "19 " }));
    const readers = await Promise.all(
      Array.from({ length: 10 }, async (_nothing, index) => {
        const reader = await openV1(service, user, sessionId);
        const texts: string[] = [];
        reader.raw.on("message", (data: Buffer) => texts.push(data.toString()));
        if (index % 2 === 0) reader.send({ type: "resume", after: 0 });
        return { reader, texts };
      }),
    );
    provider.open("chunk");
    await Promise.all(readers.map(({ reader }) => reader.next(isTerminal)));
    const turns = readers.map(({ texts }) => texts.filter((text) => text.includes('"seq":')));
    assert.equal(turns[0]?.length, 42);
    for (const turn of turns) assert.deepEqual(turn, turns[0]);
    const closing = readers.map(({ reader }) => reader.close());
    await Promise.all(closing);
  });

  it("one that never says resume is told the turn that its hello announced, also ended", async () => {
    const { user, sessionId, socket: opened } = await beginGated(1);
    using socket = opened;
    using silent = await openV1(service, user, sessionId);
    const hello = await silent.next(like({ type: "hello" }));
    assert.equal(hello.turn_id, socket.frames.at(-1)?.turn_id);
    provider.open("chunk");
    await socket.next(isTerminal);
    await silent.next(isTerminal);
    assert.deepEqual(numbered(silent.frames), numbered(socket.frames));
  });

  it("one that leaves does not end what another reads", async () => {
    const { user, sessionId, socket, request } = await beginGated(2);
    using stays = await resumeV1(service, user, sessionId, 0);
    await stays.next(like({ type: "turn-start" }));
    socket.raw.terminate();
    await socket.closed;
    provider.open("chunk");
    assert.equal((await stays.next(isTerminal)).finish_reason, "stop");
    assert.equal((await request.closed).aborted, false);
  });
});

describe("when the last reader is gone", () => {
  it("ends the turn after the grace period and keeps the answer as incomplete", async (t) => {
    const { user, sessionId, socket, request } = await beginGated(2);
    provider.pass("chunk");
    await socket.next(like({ text: "0 " }));
    const since = performance.now();
    socket.raw.terminate();
    const closed = await request.closed;
    t.diagnostic(`grace ${limits.graceMs} ms, closed after ${(closed.atMs - since).toFixed(0)} ms`);
    assert.ok(closed.aborted);
    assertBetween(closed.atMs - since, limits.graceMs - 100, limits.graceMs + 1000);
    const isEnded = ([, answer]: { status: string }[]) => answer?.status !== "streaming";
    const [, answer] = await historyOnce(user, sessionId, isEnded);
    assert.deepEqual([answer?.content, answer?.status], ["0 ", "incomplete"]);
    assert.equal(answer?.finish_reason, "interrupted");
    using again = await resumeV1(service, user, sessionId, 2);
    assert.equal((await again.next(isTerminal)).finish_reason, "interrupted");
    assert.equal((await takeTurn(again, "Again")).at(-1)?.finish_reason, "stop");
  });

  it("goes on for one that comes back in time", async () => {
    const { user, sessionId, socket, request } = await beginGated(2);
    socket.raw.terminate();
    await socket.closed;
    using again = await resumeV1(service, user, sessionId, 1);
    await again.next(like({ type: "hello" }));
    // Three pings: the grace period is over for sure.
    for (let beat = 0; beat < 3; beat += 1) await once(again.raw, "ping");
    assert.equal(request.signal.aborted, false);
    provider.open("chunk");
    assert.equal((await again.next(isTerminal)).finish_reason, "stop");
    assert.equal(textOf(again.frames), "0 1 ");
  });

  const departures = {
    "llm-service.v1": {
      payload: JSON.stringify({ type: "message", text: "And gone" }),
      headers: { "sec-websocket-protocol": "llm-service.v1" },
    },
    plain: { payload: "And gone", headers: {} },
  };
  for (const [protocol, { payload, headers }] of Object.entries(departures)) {
    it(`ends also a turn that began after its only reader had left (${protocol})`, async () => {
      const user = await newUser(service);
      // The key is unsealed between the message's arrival and the turn's beginning.
      const key = { base_url: provider.baseUrl, api_key: "key-of-a-user" };
      const { body } = await user.api.json("POST", "/set-llm", { model_name: "scripted", ...key });
      const sessionId = String(body.session_id);
      provider.scriptNext([{ text: "a" }, { stall: true }]);
      const authorization = `Bearer ${user.token}`;
      const path = `/ws/${sessionId}`;
      const socket = await RawSocket.open(service.origin, path, { authorization, ...headers });
      socket.send({ payload }, { opcode: opcodes.close });
      socket.socket.end();
      const request = await provider.nextRequest();
      const closed = await request.closed;
      assertBetween(closed.atMs - request.arrivedAtMs, 0, limits.graceMs + 1000);
      const isEnded = ([, answer]: { status: string }[]) => answer?.status !== "streaming";
      const [, answer] = await historyOnce(user, sessionId, isEnded);
      assert.equal(answer?.status, "incomplete");
    });
  }

  it("keeps the grace period when a /chat is refused meanwhile", async () => {
    const { user, sessionId, socket, request } = await beginGated(2);
    const since = performance.now();
    socket.raw.terminate();
    await socket.closed;
    const chat = { session_id: sessionId, message: "Me too" };
    assert.equal((await user.api.json("POST", "/chat", chat)).status, 409);
    assertBetween((await request.closed).atMs - since, limits.graceMs - 100, limits.graceMs + 1000);
  });

  for (const accept of ["application/json", "text/event-stream"]) {
    it(`POST /chat (${accept}) that goes away ends its turn at once`, async (t) => {
      const user = await newUser(service);
      const sessionId = await newSession(user);
      provider.scriptNext([{ text: "a" }, { stall: true }]);
      const leaving = new AbortController();
      const { signal } = leaving;
      const body = { session_id: sessionId, message: "Hello" };
      const options = { signal, headers: { accept } };
      const answered = user.api.stream("POST", "/chat", body, options);
      const request = await provider.nextRequest();
      await request.sentChunks(1);
      if (accept === "text/event-stream") {
        for await (const { data } of readServerSentEvents(await answered)) {
          if ((JSON.parse(data) as Frame).type === "text-delta") break;
        }
      }
      const since = performance.now();
      leaving.abort();
      await answered.catch(() => undefined);
      const closed = await request.closed;
      t.diagnostic(`closed after ${(closed.atMs - since).toFixed(1)} ms`);
      assert.ok(closed.aborted && closed.atMs - since < 1000);
      const isEnded = ([, answer]: { status: string }[]) => answer?.status !== "streaming";
      const [, answer] = await historyOnce(user, sessionId, isEnded);
      assert.deepEqual([answer?.content, answer?.status], ["a", "incomplete"]);
    });
  }

  it("POST /chat that goes away before the provider answers ends its turn at once", async () => {
    const user = await newUser(service);
    provider.scriptNext([{ stall: true }]);
    const leaving = new AbortController();
    const answered = user.api.json("POST", "/chat", { message: "Hello" }, leaving);
    const request = await provider.nextRequest();
    const since = performance.now();
    leaving.abort();
    await assert.rejects(answered, { name: "AbortError" });
    assert.ok((await request.closed).atMs - since < 1000);
  });

  it("POST /chat that goes away leaves the turn to a socket that reads it", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext(gatedAnswer(2));
    using socket = await openV1(service, user, sessionId);
    const leaving = new AbortController();
    const body = { session_id: sessionId, message: "Hello" };
    const answered = user.api.json("POST", "/chat", body, leaving);
    provider.pass("chunk");
    await socket.next(like({ text: "0 " }));
    leaving.abort();
    await assert.rejects(answered, { name: "AbortError" });
    provider.open("chunk");
    assert.equal((await socket.next(isTerminal)).finish_reason, "stop");
  });
});

function isNumbered({ seq }: Frame): boolean {
  return seq !== undefined;
}

function assertBetween(value: number, low: number, high: number): void {
  assert.ok(value >= low && value <= high, `${value.toFixed(0)} is not in ${low} to ${high}`);
}
