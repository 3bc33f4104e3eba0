import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import type { Script } from "../rig/scripted-provider.ts";
import {
  assertContiguous,
  history,
  isTerminal,
  like,
  limits,
  newSession,
  newUser,
  openV1,
  startStack,
  takeTurn,
  textOf,
} from "./support.ts";

const { service, provider } = await startStack({ TURN_TIMEOUT_MS: "4000" });

const chunks = (count: number): Script =>
  Array.from({ length: count }, (_, index) => ({ text: `${index} ` }));
const textOfChunks = (count: number) =>
  Array.from({ length: count }, (_, index) => `${index} `).join("");

type Fault = Readonly<{
  script: Script;
  code: string;
  /** What is kept of the answer. */
  kept?: string;
  withinMs?: number;
}>;

const sse = { "content-type": "text/event-stream" };
const rejection = (status: number): Fault => ({
  script: [{ status, body: { error: { message: "secret-host.internal said no" } } }],
  code: "upstream_rejected",
});

const faults: Readonly<Record<string, Fault>> = {
  "a reset at once": { script: [{ reset: true }], code: "upstream_error" },
  "a reset after the headers": {
    script: [{ status: 200 }, { waitFor: "read" }, { reset: true }],
    code: "upstream_error",
  },
  "a reset after one chunk": {
    script: [...chunks(1), { waitFor: "read" }, { reset: true }],
    code: "upstream_error",
    kept: textOfChunks(1),
  },
  "a reset after 50 chunks": {
    script: [...chunks(50), { waitFor: "read" }, { reset: true }],
    code: "upstream_error",
    kept: textOfChunks(50),
  },
  "an end without a finish": {
    script: [...chunks(2), { end: true }],
    code: "upstream_error",
    kept: textOfChunks(2),
  },
  "an end before the first chunk": {
    script: [{ status: 200 }, { end: true }],
    code: "upstream_error",
  },
  "an HTML page": {
    script: [{ status: 200, headers: { "content-type": "text/html" }, body: "<h1>Hello</h1>" }],
    code: "upstream_error",
  },
  "a JSON document": { script: [{ status: 200, body: { answer: 42 } }], code: "upstream_error" },
  "no content": { script: [{ status: 204, body: "" }], code: "upstream_error" },
  "data that is no JSON": {
    script: [...chunks(1), { raw: "data: {broken\n\n" }, { text: "never" }],
    code: "upstream_error",
    kept: textOfChunks(1),
  },
  "data of another shape": {
    script: [{ raw: 'data: {"choices": "none"}\n\n' }],
    code: "upstream_error",
  },
  "an error among the data": {
    script: [...chunks(1), { raw: 'data: {"error":{"message":"secret-host.internal"}}\n\n' }],
    code: "upstream_error",
    kept: textOfChunks(1),
  },
  "bytes that lie about their encoding": {
    script: [{ status: 200, headers: { ...sse, "content-encoding": "gzip" } }, { raw: "no gzip" }],
    code: "upstream_error",
  },
  "a small gzip bomb": {
    script: [
      { status: 200, headers: { ...sse, "content-encoding": "gzip" } },
      { raw: gzipSync(Buffer.alloc(16 * 2 ** 20, "x")) },
      { end: true },
    ],
    code: "upstream_error",
  },
  "status 500": {
    script: [{ status: 500, body: { error: { message: "secret-host.internal is down" } } }],
    code: "upstream_error",
  },
  "status 503 as HTML": {
    script: [{ status: 503, body: "<h1>Oops</h1>" }],
    code: "upstream_error",
  },
  "status 429": {
    script: [
      { status: 429, headers: { "retry-after": "3600" }, body: { error: { message: "slow" } } },
    ],
    code: "upstream_error",
  },
  "status 400": rejection(400),
  "status 401": rejection(401),
  "status 403": rejection(403),
  "status 404": rejection(404),
  "status 422": rejection(422),
  "silence before the headers": {
    script: [{ stall: true }],
    code: "upstream_timeout",
    withinMs: limits.firstTokenMs + 1000,
  },
  "pings and empty deltas instead of a first token": {
    script: [
      { repeat: 40, steps: [{ comment: "ping" }, { text: "" }, { delayMs: 100 }] },
      { text: "late" },
    ],
    code: "upstream_timeout",
    withinMs: limits.firstTokenMs + 1000,
  },
  "silence after ten chunks": {
    script: [...chunks(10), { stall: true }],
    code: "upstream_timeout",
    kept: textOfChunks(10),
    withinMs: limits.chunkMs + 1000,
  },
  "a trickle past the longest turn": {
    script: [{ repeat: 100, steps: [{ text: "x" }, { delayMs: 400 }] }],
    code: "upstream_timeout",
    kept: "x".repeat(10),
    withinMs: 5000,
  },
};

describe("a provider's fault", () => {
  for (const [
    name,
    { script, code, kept = "", withinMs = limits.chunkMs + 1000 },
  ] of Object.entries(faults)) {
    it(`${name} is one ${code}, one call, and no lost message`, async () => {
      const user = await newUser(service);
      const sessionId = await newSession(user);
      provider.scriptNext(script);
      using socket = await openV1(service, user, sessionId);
      socket.send({ type: "message", text: "Hello" });
      await socket.next(like({ type: "turn-start" }));
      const since = performance.now();
      const request = await provider.nextRequest();
      if (script.some((step) => "waitFor" in step)) {
        await provider.reached("read");
        if (kept !== "") await socket.next(({ text }) => text?.endsWith(kept.slice(-3)) === true);
        provider.open("read");
      }
      const last = await socket.next(isTerminal);
      assert.ok(performance.now() - since < withinMs, `took ${performance.now() - since} ms`);
      await request.closed;
      assert.equal(last.type, "turn-error");
      assert.equal(last.code, code);
      assert.doesNotMatch(String(last.message), /secret|internal|127\.0|<h1>/);
      assert.equal(textOf(socket.frames), kept);
      const [asked, answer] = await history(user, sessionId);
      assert.equal(asked?.content, "Hello");
      assert.deepEqual(
        [answer?.content, answer?.status, answer?.error_code],
        [kept, kept === "" ? "error" : "incomplete", code],
      );
      const frames = await takeTurn(socket, "Again");
      assert.equal(frames.at(-1)?.finish_reason, "stop");
      assertContiguous(socket.frames, 1);
      assert.equal(socket.frames.filter(isTerminal).length, 2);
      const posts = provider.requests;
      assert.equal(posts.length, 2, "exactly one call for each turn");
      const roles = posts[1]?.body.messages?.map(({ role }) => role);
      assert.deepEqual(roles, kept === "" ? ["user"] : ["user", "assistant", "user"]);
    });
  }

  it("ends a line without end by a timeout, within bounds of memory", async (t) => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    const before = await service.rssBytes();
    const piece = Buffer.alloc(2 ** 20, "x");
    provider.scriptNext([
      { raw: "data: " },
      { repeat: 1024, steps: [{ raw: piece }, { delayMs: 50 }] },
    ]);
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    const last = await socket.next(isTerminal);
    assert.match(String(last.code), /^upstream_(error|timeout)$/);
    const grownMiB = ((await service.rssBytes()) - before) / 2 ** 20;
    t.diagnostic(`${last.code}, memory grew by ${grownMiB.toFixed(1)} MiB`);
    await provider.idle();
  });

  it("is the status of POST /chat too", async () => {
    const user = await newUser(service);
    const statuses = [
      [faults["status 500"], 502],
      [faults["status 401"], 502],
      [faults["silence before the headers"], 504],
    ] as const;
    for (const [fault, status] of statuses) {
      provider.scriptNext(fault?.script ?? []);
      const answer = await user.api.json("POST", "/chat", { message: "Hello" });
      assert.deepEqual([answer.status, answer.body.code], [status, fault?.code]);
      assert.equal(answer.headers.get("content-type"), "application/problem+json");
    }
  });
});

describe("200 turns of random chunks", () => {
  it("arrive byte for byte, numbered without a hole, and so they are stored", async (t) => {
    const seed = Date.now() % 2 ** 31;
    t.diagnostic(`seed ${seed}`);
    let state = seed;
    const random = (bound: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    const alphabet = [
      "a",
      "B",
      " ",
      "\n",
      "ß",
      "€",
      "漢",
      "👩‍👩‍👧‍👦",
      "𝒳",
      "é",
      '"',
      "\\",
      "<",
      "data: ",
    ];
    const user = await newUser(service);
    const turns = 200;
    const perSession = 20;
    for (let session = 0; session < turns / perSession; session += 1) {
      const sessionId = await newSession(user);
      using socket = await openV1(service, user, sessionId);
      const sent: string[] = [];
      for (let turn = 0; turn < perSession; turn += 1) {
        const pieces = Array.from({ length: 1 + random(20) }, () =>
          Array.from({ length: 1 + random(8) }, () => alphabet[random(alphabet.length)]).join(""),
        );
        const bytesPerWrite = [5, 17, 61, 211, 4096][random(5)] ?? 1;
        provider.scriptNext(pieces.map((text) => ({ text, bytesPerWrite })));
        const frames = await takeTurn(socket, `Turn ${turn}`);
        assert.equal(textOf(frames), pieces.join(""));
        assert.equal(frames.filter(isTerminal).length, 1);
        assert.equal(frames.at(-1)?.type, "turn-end");
        sent.push(pieces.join(""));
      }
      assertContiguous(socket.frames, 1);
      const answers = (await history(user, sessionId)).filter(({ role }) => role === "assistant");
      assert.deepEqual(
        answers.map(({ content }) => content),
        sent,
      );
    }
  });

  it("keep a character whose halves come in two chunks whole, and replace a lone half", async () => {
    const user = await newUser(service);
    const [high, low] = "😀".split("");
    using socket = await openV1(service, user, await newSession(user));
    const raw = (text: string) => {
      const delta = `{"choices":[{"index":0,"delta":{"content":"${text}"}}]}`;
      return { raw: `data: ${delta}\n\n` };
    };
    const escaped = (half = "") => `\\u${half.charCodeAt(0).toString(16)}`;
    provider.scriptNext([raw(escaped(high)), raw(escaped(low)), raw(`${escaped(high)}!`)]);
    const text = textOf(await takeTurn(socket, "Hello"));
    assert.equal(text, "😀\ufffd!");
  });
});

describe("two turns at once on one session", () => {
  it("one runs, the other is refused before any write, 25 times by two sockets", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using first = await openV1(service, user, sessionId);
    using second = await openV1(service, user, sessionId);
    for (let race = 0; race < 25; race += 1) {
      provider.scriptNext([{ waitFor: `race ${race}` }, { text: "x" }]);
      const [own, other] = race % 2 === 0 ? [first, second] : [second, first];
      own.send({ type: "message", text: "own", client_id: `own-${race}` });
      other.send({ type: "message", text: "other", client_id: `other-${race}` });
      const refusal = like({ code: "turn_in_progress" });
      const refused = await Promise.race([own.next(refusal), other.next(refusal)]);
      assert.match(String(refused.client_id), new RegExp(`-${race}$`));
      provider.open(`race ${race}`);
      const ended = like({ type: "turn-end" });
      await Promise.all([own.next(ended), other.next(ended)]);
    }
    await assertAlternates(25);

    async function assertAlternates(races: number): Promise<void> {
      const messages = await history(user, sessionId);
      assert.equal(messages.length, 2 * races);
      assert.ok(messages.every(({ role }, at) => role === (at % 2 === 0 ? "user" : "assistant")));
      assert.equal(provider.peakLiveRequests, 1);
      assert.equal(provider.requests.length, races);
    }
  });

  it("one runs, the other is refused before any write, 25 times by a socket and /chat", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using socket = await openV1(service, user, sessionId);
    for (let race = 0; race < 25; race += 1) {
      provider.scriptNext([{ waitFor: `race ${race}` }, { text: "x" }]);
      const before = socket.frames.length;
      const body = { session_id: sessionId, message: "by chat" };
      const chat = user.api.json("POST", "/chat", body);
      socket.send({ type: "message", text: "by socket" });
      const refused = await Promise.race([
        chat.then(({ status, body: problem }) => `${status} ${problem.code}`),
        socket.next(like({ type: "turn-error" })).then(({ code }) => String(code)),
      ]);
      assert.match(refused, /turn_in_progress/);
      provider.open(`race ${race}`);
      const { status } = await chat;
      const starts = () => socket.frames.slice(before).filter(like({ type: "turn-start" }));
      const ends = () => socket.frames.slice(before).some(like({ type: "turn-end" }));
      if (!ends()) await socket.next(like({ type: "turn-end" }));
      assert.equal(starts().length, 1);
      assert.ok([200, 409].includes(status));
    }
    const messages = await history(user, sessionId);
    assert.equal(messages.length, 50);
    assert.equal(provider.peakLiveRequests, 1);
    assert.equal(provider.requests.length, 25);
  });
});
