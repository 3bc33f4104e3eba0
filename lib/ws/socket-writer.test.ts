import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { Writable, type Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import { WebSocket } from "ws";

import { SocketWriter } from "./socket-writer.ts";

/** A socket that is taken from by hand, and the part of a WebSocket that writes to it. */
function open(t: TestContext, { maxBufferedBytes = 10, highWaterMark = 4 } = {}) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const taken: string[] = [];
  const pending: (() => void)[] = [];
  const socket = new Writable({
    highWaterMark,
    write(chunk: Buffer, _, done) {
      taken.push(String(chunk));
      pending.push(done);
    },
  });
  const closed: unknown[] = [];
  const readyState: number = WebSocket.OPEN;
  const webSocket = Object.assign(new EventEmitter(), {
    readyState,
    bufferedAmount: 0,
    send: (text: string) => void socket.write(text),
    close: (code: number, reason: string) => {
      closed.push([code, reason]);
      webSocket.readyState = WebSocket.CLOSING;
    },
    terminate: () => {
      closed.push("terminated");
      webSocket.readyState = WebSocket.CLOSED;
    },
  });
  Object.defineProperty(webSocket, "bufferedAmount", { get: () => socket.writableLength });
  const writer = new SocketWriter(
    webSocket as unknown as WebSocket,
    socket as unknown as Duplex,
    maxBufferedBytes,
  );
  /** The reader takes all that waits. */
  const drain = () => {
    const drained = new Promise((resolve) => socket.once("drain", resolve));
    const next = () => {
      pending.shift()?.();
      if (socket.writableLength + pending.length > 0) setImmediate(next);
    };
    next();
    return drained;
  };
  return { closed, drain, socket, taken, webSocket, writer };
}

describe("the writer of a socket", () => {
  test("sends in order and waits for nothing while there is room", async (t) => {
    const { socket, writer } = open(t);
    await writer.sendAll(["a", "b", "c"]);
    assert.equal(socket.writableLength, 3);
    assert.equal(socket.writableCorked, 0);
  });

  test("waits for its reader, and goes on where it was", async (t) => {
    const { drain, taken, writer } = open(t);
    const sent = writer.sendAll(["aaaaaa", "bbbbbb", "c"]);
    await drain();
    await sent;
    assert.equal(taken.join(""), "aaaaaabbbbbbc");
  });

  test("closes one that does not take anything with 1013", async (t) => {
    const { closed, taken, writer } = open(t);
    const sent = writer.sendAll(["aaaaaaaaaaaa", "never sent"]);
    t.mock.timers.tick(4999);
    assert.deepEqual(closed, []);
    t.mock.timers.tick(1);
    await sent;
    assert.deepEqual(closed[0], [1013, "slow_reader"]);
    assert.doesNotMatch(taken.join(""), /never/);
  });

  test("stops when the socket closes meanwhile", async (t) => {
    const { closed, webSocket, writer } = open(t);
    const sent = writer.sendAll(["aaaaaaaaaaaa", "never sent"]);
    webSocket.readyState = WebSocket.CLOSED;
    webSocket.emit("close");
    await sent;
    t.mock.timers.tick(60_000);
    assert.deepEqual(closed, []);
    writer.send({ type: "pong" });
  });

  test("does not wait for a socket that has room by its own measure", async (t) => {
    const { closed, writer } = open(t, { maxBufferedBytes: 2, highWaterMark: 100 });
    await writer.sendAll(["aaa", "bbb", "ccc"]);
    assert.deepEqual(closed, []);
  });
});
