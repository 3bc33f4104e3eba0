import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { ServerFrame } from "#lib/ws/frames.ts";
import {
  ChatSocket,
  type ChatSocketOptions,
  type ConnectionEvents,
  type OutgoingMessage,
  type ProbeResult,
} from "./chat-socket.ts";

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

class FakeConnection {
  readonly path: string;
  readonly sent: unknown[] = [];
  isClosed = false;
  readonly #events: ConnectionEvents;

  constructor(path: string, events: ConnectionEvents) {
    this.path = path;
    this.#events = events;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  receive(...frames: ServerFrame[]): void {
    for (const frame of frames) this.#events.onText(JSON.stringify(frame));
  }

  async drop(code = 1006): Promise<void> {
    this.#events.onClose(code);
    await settle();
  }
}

function hello(turn_id: string | null = null, last_seq = 0): ServerFrame {
  return { type: "hello", session_id: "s1", last_seq, turn_id };
}

function turnStart(seq: number, client_id?: string): ServerFrame {
  return {
    type: "turn-start",
    seq,
    turn_id: "t1",
    user_message: { id: "u1", parent_id: null, text: "hi", ...(client_id ? { client_id } : {}) },
    message_id: "a1",
    provider: "mock",
    model: "echo",
    created_at: "2026-11-22T16:28:00.000Z",
  };
}

function turnEnd(seq: number): ServerFrame {
  return {
    type: "turn-end",
    seq,
    turn_id: "t1",
    finish_reason: "stop",
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    cost: null,
    timings: { ttft_ms: 1, total_ms: 1, tokens_per_second: 1, overhead_ms: 1 },
  };
}

function refusal(code: "turn_in_progress" | "payload_too_large", client_id: string): ServerFrame {
  return { type: "turn-error", code, message: "No.", retryable: true, client_id };
}

type Rig = {
  socket: ChatSocket;
  connections: FakeConnection[];
  refused: OutgoingMessage[];
  probe: { result: ProbeResult };
  position: { seq: number | null };
  newest: () => FakeConnection;
  tick: (milliseconds: number) => void;
};

function rig(t: TestContext, change: Partial<ChatSocketOptions> = {}): Rig {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const connections: FakeConnection[] = [];
  const refused: OutgoingMessage[] = [];
  const probe: Rig["probe"] = { result: "reachable" };
  const position: Rig["position"] = { seq: 0 };
  let clientIds = 0;
  const socket = new ChatSocket({
    sessionId: "s1",
    open: (path, events) => {
      const connection = new FakeConnection(path, events);
      connections.push(connection);
      return connection;
    },
    probe: () => Promise.resolve(probe.result),
    position: () => position.seq,
    onFrame: () => undefined,
    onRefused: (message) => refused.push(message),
    onChange: () => undefined,
    newClientId: () => `c${(clientIds += 1)}`,
    random: () => 1,
    ...change,
  });
  const newest = (): FakeConnection => {
    const connection = connections.at(-1);
    assert.ok(connection);
    return connection;
  };
  const tick = (milliseconds: number) => t.mock.timers.tick(milliseconds);
  return { socket, connections, refused, probe, position, newest, tick };
}

const message = (client_id: string, text: string) => ({ type: "message", text, client_id });
const resume = (after: number) => ({ type: "resume", after });

describe("ChatSocket", () => {
  it("resumes after the greeting, once the history is known", (t) => {
    const { socket, newest, position } = rig(t);
    position.seq = null;
    socket.connect();
    assert.equal(newest().path, "/ws/s1");
    newest().receive(hello());
    assert.deepEqual(newest().sent, []);
    position.seq = 7;
    socket.resume();
    socket.resume();
    assert.deepEqual(newest().sent, [resume(7)]);
    assert.equal(socket.state.status, "open");
  });

  it("opens a new conversation with its first message and keeps to its id", async (t) => {
    const { socket, connections, newest, tick } = rig(t, { sessionId: null });
    assert.equal(connections.length, 0);
    socket.sendMessage("hi");
    assert.equal(newest().path, "/ws/new");
    newest().receive(hello());
    assert.deepEqual(newest().sent, [resume(0), message("c1", "hi")]);
    await newest().drop();
    tick(250);
    assert.equal(newest().path, "/ws/s1");
  });

  it("sends a message again under the same id until its turn begins", async (t) => {
    const { socket, newest, tick } = rig(t);
    socket.sendMessage("hi");
    newest().receive(hello());
    await newest().drop();
    assert.equal(socket.state.status, "reconnecting");
    tick(250);
    newest().receive(hello());
    assert.deepEqual(newest().sent, [resume(0), message("c1", "hi")]);
    newest().receive(turnStart(1, "c1"));
    assert.deepEqual(socket.state.outbox, []);
    await newest().drop();
    tick(500);
    newest().receive(hello("t1"));
    assert.deepEqual(newest().sent, [resume(0)]);
  });

  it("holds a message back while a turn runs and sends one at a time", (t) => {
    const { socket, newest } = rig(t);
    socket.connect();
    newest().receive(hello("t1"));
    socket.sendMessage("one");
    socket.sendMessage("two");
    assert.deepEqual(newest().sent, [resume(0)]);
    newest().receive(turnStart(1), turnEnd(2));
    assert.deepEqual(newest().sent.slice(1), [message("c1", "one")]);
    newest().receive(turnStart(3, "c1"), turnEnd(4));
    assert.deepEqual(newest().sent.slice(2), [message("c2", "two")]);
  });

  it("keeps a message that came second to another tab's and sends it after that turn", (t) => {
    const { socket, newest, refused } = rig(t);
    socket.connect();
    newest().receive(hello());
    socket.sendMessage("mine");
    newest().receive(turnStart(1), refusal("turn_in_progress", "c1"), turnEnd(2));
    assert.deepEqual(newest().sent.slice(1), [message("c1", "mine"), message("c1", "mine")]);
    assert.deepEqual(refused, []);
  });

  it("hands back a message that is refused for good", (t) => {
    const { socket, newest, refused } = rig(t);
    socket.sendMessage("too long");
    newest().receive(hello(), refusal("payload_too_large", "c1"));
    assert.deepEqual(refused, [{ clientId: "c1", text: "too long" }]);
    assert.deepEqual(socket.state.outbox, []);
  });

  it("takes a second gap for word that the server has had the message before", async (t) => {
    const { socket, newest, position, tick } = rig(t);
    socket.sendMessage("hi");
    newest().receive(hello());
    await newest().drop();
    tick(250);
    newest().receive(hello(null, 4), { type: "gap", after: 0, next_seq: 5 });
    assert.equal(socket.state.outbox.length, 1);
    newest().receive({ type: "gap", after: 0, next_seq: 5 });
    assert.deepEqual(socket.state.outbox, []);
    socket.sendMessage("again");
    position.seq = 4;
    await newest().drop();
    tick(500);
    newest().receive(hello(null, 4), { type: "gap", after: 0, next_seq: 5 });
    assert.deepEqual(socket.state.outbox, []);
  });

  it("waits longer after each failure and starts over after a stable connection", async (t) => {
    const { socket, connections, newest, tick } = rig(t);
    socket.connect();
    for (const delayMs of [250, 500, 1000]) {
      await newest().drop();
      const before = connections.length;
      tick(delayMs - 1);
      assert.equal(connections.length, before);
      tick(1);
      assert.equal(connections.length, before + 1);
    }
    newest().receive(hello());
    tick(6_000);
    await newest().drop();
    tick(250);
    assert.equal(connections.length, 5);
  });

  it("never waits more than 15 seconds", async (t) => {
    const { socket, connections, newest, tick } = rig(t);
    socket.connect();
    for (let attempt = 0; attempt < 12; attempt += 1) {
      await newest().drop();
      tick(15_000);
      assert.equal(connections.length, attempt + 2);
    }
  });

  it("cuts the wait short when asked to connect", async (t) => {
    const { socket, connections, newest, tick } = rig(t);
    socket.connect();
    await newest().drop();
    socket.connect();
    assert.equal(connections.length, 2);
    tick(15_000);
    assert.equal(connections.length, 2);
  });

  it("asks over HTTP why a handshake failed, and gives up where waiting does not help", async (t) => {
    const { socket, connections, newest, probe, tick } = rig(t);
    probe.result = "unauthorized";
    socket.sendMessage("kept");
    await newest().drop();
    assert.equal(socket.state.status, "signed-out");
    tick(60_000);
    assert.equal(connections.length, 1);
    assert.equal(socket.state.outbox.length, 1);
    probe.result = "not-found";
    socket.connect();
    await newest().drop();
    assert.equal(socket.state.status, "not-found");
  });

  it("connects again after 4401 when the cookie was renewed meanwhile, else asks to sign in", async (t) => {
    const { socket, connections, newest, probe, tick } = rig(t);
    socket.connect();
    newest().receive(hello());
    await newest().drop(4401);
    tick(250);
    assert.equal(connections.length, 2);
    newest().receive(hello());
    probe.result = "unauthorized";
    await newest().drop(4401);
    assert.equal(socket.state.status, "signed-out");
  });

  it("ends at 4404 without asking", async (t) => {
    const { socket, newest } = rig(t);
    socket.connect();
    newest().receive(hello());
    await newest().drop(4404);
    assert.equal(socket.state.status, "not-found");
  });

  it("pings a silent connection and replaces it when no pong comes", (t) => {
    const { socket, connections, newest, tick } = rig(t);
    socket.connect();
    newest().receive(hello());
    tick(25_000);
    assert.deepEqual(newest().sent.at(-1), { type: "ping" });
    newest().receive({ type: "pong" });
    tick(25_000);
    tick(10_000);
    assert.ok(newest().isClosed);
    tick(250);
    assert.equal(connections.length, 2);
  });

  it("stops only what runs on an open connection", (t) => {
    const { socket, newest } = rig(t);
    assert.equal(socket.send({ type: "stop" }), false);
    socket.connect();
    newest().receive(hello("t1"));
    assert.equal(socket.send({ type: "stop" }), true);
    assert.deepEqual(newest().sent.at(-1), { type: "stop" });
  });

  it("does nothing more after it was closed", async (t) => {
    const { socket, connections, newest, tick } = rig(t);
    socket.connect();
    newest().receive(hello());
    const connection = newest();
    socket.close();
    assert.ok(connection.isClosed);
    await connection.drop();
    tick(60_000);
    assert.equal(connections.length, 1);
    assert.equal(socket.state.status, "idle");
  });
});
