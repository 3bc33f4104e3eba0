import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertContiguous,
  isTerminal,
  like,
  newSession,
  newUser,
  openPlain,
  openV1,
  startStack,
  textOf,
  type User,
} from "./support.ts";
import {
  closePayload,
  encodeFrame,
  opcodes,
  RawSocket,
  upgrade,
  type RawFrame,
} from "./raw-socket.ts";

/** As in the service's default; a heartbeat would only add pings between the vectors. */
const maxMessageBytes = 65_536;
const { service, provider } = await startStack({ HEARTBEAT_INTERVAL_MS: "60000" });

async function openRaw(user: User, sessionId: string): Promise<RawSocket> {
  const authorization = `Bearer ${user.token}`;
  return RawSocket.open(service.origin, `/ws/${sessionId}`, { authorization });
}

const { continuation, text, binary, close, ping, pong } = opcodes;
const badUtf8 = Buffer.from([0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xed, 0xa0, 0x80, 0x65]);
const closeWith = (code: number, reason?: string | Uint8Array): readonly RawFrame[] => [
  { opcode: close, payload: closePayload(code, reason) },
];

type Vector = readonly [name: string, frames: readonly RawFrame[], code: number];

/** The Autobahn test suite's cases 3 to 7, one of each kind, with the close code that RFC 6455 asks for. */
const vectors: readonly Vector[] = [
  ["an unmasked text", [{ masked: false, payload: "hello" }], 1002],
  ["an unmasked ping", [{ masked: false, opcode: ping }], 1002],
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv): Vector => [
    `RSV bits ${rsv} on a text`,
    [{ rsv, payload: "hello" }],
    1002,
  ]),
  ["RSV1 on a ping", [{ rsv: 4, opcode: ping }], 1002],
  ["RSV1 on a close", [{ rsv: 4, opcode: close }], 1002],
  [
    "RSV1 on a continuation",
    [
      { fin: false, payload: "a" },
      { rsv: 4, opcode: 0 },
    ],
    1002,
  ],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): Vector => [
    `reserved opcode ${opcode}`,
    [{ opcode, payload: "x" }],
    1002,
  ]),
  ["a ping of 126 bytes", [{ opcode: ping, payload: "x".repeat(126) }], 1002],
  ["a pong of 126 bytes", [{ opcode: pong, payload: "x".repeat(126) }], 1002],
  ["a close of 126 bytes", closeWith(1000, "x".repeat(124)), 1002],
  ["a fragmented ping", [{ opcode: ping, fin: false }], 1002],
  ["a fragmented pong", [{ opcode: pong, fin: false }], 1002],
  ["a fragmented close", [{ opcode: close, fin: false }], 1002],
  ["a stray continuation", [{ opcode: continuation, payload: "x" }], 1002],
  ["a stray first continuation", [{ opcode: continuation, fin: false, payload: "x" }], 1002],
  ["a text inside a fragmented text", [{ fin: false, payload: "a" }, { payload: "b" }], 1002],
  ["a binary inside a fragmented text", [{ fin: false }, { opcode: binary }], 1002],
  [
    "a continuation after the end",
    [{ fin: false, opcode: binary }, { opcode: 0 }, { opcode: 0 }],
    1003,
  ],
  ["a length of 64 bits with the first one set", [{ declaredLength: 2n ** 63n }], 1009],
  ["a length beyond 2^53", [{ declaredLength: 2n ** 54n }], 1009],
  ["bad UTF-8", [{ payload: badUtf8 }], 1007],
  ["a lone continuation byte", [{ payload: Uint8Array.of(0x80) }], 1007],
  ["an overlong slash", [{ payload: Uint8Array.of(0xc0, 0xaf) }], 1007],
  ["a surrogate half", [{ payload: Uint8Array.of(0xed, 0xa0, 0x80) }], 1007],
  ["a code point beyond Unicode", [{ payload: Uint8Array.of(0xf4, 0x90, 0x80, 0x80) }], 1007],
  ["a character cut at the end", [{ payload: Uint8Array.of(0xe2, 0x82) }], 1007],
  [
    "bad UTF-8 split over fragments",
    [
      { fin: false, payload: badUtf8.subarray(0, 6) },
      { opcode: continuation, payload: badUtf8.subarray(6) },
    ],
    1007,
  ],
  ["a close of one byte", [{ opcode: close, payload: "x" }], 1002],
  ["a close whose reason is bad UTF-8", closeWith(1000, badUtf8), 1007],
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535].map((code): Vector => [
    `the close code ${code}`,
    closeWith(code),
    1002,
  ]),
];

/** What a correct client may do that looks odd, and the code its close is answered with. */
const lawful: readonly Vector[] = [
  ["a close without a code", [{ opcode: close }], 1005],
  ...[1000, 1001, 1003, 1007, 1009, 1011, 3000, 3999, 4000, 4999].map((code): Vector => [
    `the close code ${code}`,
    closeWith(code),
    code,
  ]),
  ["a pong nobody asked for", [{ opcode: pong, payload: "x" }, ...closeWith(1000)], 1000],
];

describe("raw frames", () => {
  it(`${vectors.length} broken ones close with 1002, 1003, 1007 or 1009; a neighbour loses nothing`, async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext(
      vectors.flatMap((_, index) => [{ waitFor: "vector" }, { text: `${index} ` }]),
    );
    using neighbour = await openV1(service, user, sessionId);
    neighbour.send({ type: "message", text: "Count" });
    for (const [index, [name, frames, code]] of vectors.entries()) {
      using raw = await openRaw(user, sessionId);
      raw.send(...frames);
      assert.equal(await raw.closeCode(), code, name);
      raw.socket.end();
      await raw.gone();
      provider.pass("vector");
      await neighbour.next(like({ text: `${index} ` }));
    }
    assert.equal((await neighbour.next(isTerminal)).finish_reason, "stop");
    assertContiguous(neighbour.frames, 1);
    assert.equal(textOf(neighbour.frames), vectors.map((_, index) => `${index} `).join(""));
  });

  it("answers every lawful close in kind", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    for (const [name, frames, code] of lawful) {
      using raw = await openRaw(user, sessionId);
      raw.send(...frames);
      assert.equal(await raw.closeCode(), code, name);
    }
  });

  it("answers pings of 0 and 125 bytes in kind, also between fragments", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using raw = await openRaw(user, sessionId);
    const longest = "p".repeat(125);
    raw.send(
      { opcode: ping },
      { fin: false, payload: "Hel" },
      { opcode: ping, payload: longest },
      { opcode: continuation, payload: "lo" },
    );
    await raw.text('"done":true');
    const pongs = raw.received.filter(({ opcode }) => opcode === pong);
    assert.deepEqual(
      pongs.map(({ payload }) => payload.toString()),
      ["", longest],
    );
    const request = await provider.nextRequest();
    assert.deepEqual(request.body.messages, [{ role: "user", content: "Hello" }]);
  });

  it("puts a character together that fragments cut", async () => {
    const user = await newUser(service);
    using raw = await openRaw(user, await newSession(user));
    const bytes = Buffer.from("κόσμε 👩‍👩‍👧‍👦");
    const last = bytes.length - 1;
    raw.send(
      ...Array.from(bytes, (byte, index): RawFrame => ({
        opcode: index === 0 ? text : continuation,
        fin: index === last,
        payload: Uint8Array.of(byte),
      })),
    );
    await raw.text('"done":true');
    const { body } = await provider.nextRequest();
    assert.deepEqual(body.messages, [{ role: "user", content: "κόσμε 👩‍👩‍👧‍👦" }]);
  });
});

describe("sizes", () => {
  it("takes a message of MAX_MESSAGE_BYTES and closes with 1009 for one byte more", async () => {
    const user = await newUser(service);
    using socket = await openPlain(service, user, await newSession(user));
    socket.send("x".repeat(maxMessageBytes));
    assert.equal((await socket.next(({ done }) => done === true)).finish_reason, "stop");
    socket.send("x".repeat(maxMessageBytes + 1));
    assert.equal((await socket.closed).code, 1009);
  });

  it("counts bytes, not characters, and all fragments", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using socket = await openPlain(service, user, sessionId);
    socket.send("ä".repeat(maxMessageBytes / 2 + 1));
    assert.equal((await socket.closed).code, 1009);
    using raw = await openRaw(user, sessionId);
    const half = "x".repeat(maxMessageBytes / 2);
    raw.send(
      { fin: false, payload: half },
      { fin: false, opcode: continuation, payload: half },
      { opcode: continuation, payload: "x" },
    );
    assert.equal(await raw.closeCode(), 1009);
  });

  it("refuses a length of 2^32 bytes before they come", async () => {
    const user = await newUser(service);
    using raw = await openRaw(user, await newSession(user));
    raw.send({ declaredLength: 2n ** 32n });
    assert.equal(await raw.closeCode(), 1009);
  });

  it("closes with 1008 on 200 000 fragments of one byte and keeps its memory", async (t) => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    const before = await service.rssBytes();
    using raw = await openRaw(user, sessionId);
    const fragment: RawFrame = { fin: false, opcode: continuation, payload: "x" };
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => encodeFrame(fragment)));
    raw.send({ fin: false, payload: "x" });
    for (let sent = 0; sent < 200; sent += 1) raw.socket.write(thousand);
    assert.ok([1008, 1009].includes(await raw.closeCode()));
    const grownMiB = ((await service.rssBytes()) - before) / 2 ** 20;
    t.diagnostic(`memory grew by ${grownMiB.toFixed(1)} MiB`);
    assert.ok(grownMiB < 50);
  });

  it("does not negotiate compression", async () => {
    const user = await newUser(service);
    const headers = {
      authorization: `Bearer ${user.token}`,
      "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
    };
    const { socket, head } = await upgrade(service.origin, "/ws/new", headers);
    socket.destroy();
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(head, /sec-websocket-extensions/i);
  });
});
