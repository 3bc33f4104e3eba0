import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Message, Session } from "#lib/api/schemas.ts";
import type { ServerFrame } from "#lib/ws/frames.ts";
import { ApiError, type ApiClient } from "./api-client.ts";
import { ChatRegistry } from "./chat-registry.ts";
import type { ConnectionEvents } from "./chat-socket.ts";
import { ChatStore, type ChatEnvironment } from "./chat-store.ts";

const created_at = "2026-11-22T16:28:00.000Z";
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

class Server {
  messages: Message[] = [];
  lastSeq = 0;
  isRunning = false;
  error: ApiError | null = null;
  reads: string[] = [];
  sockets: { path: string; events: ConnectionEvents; sent: unknown[]; isClosed: boolean }[] = [];
  scheduled: (() => void)[] = [];

  readonly environment: ChatEnvironment = {
    api: {
      getSession: (id: string) => this.#answer(`session ${id}`, this.#session(id)),
      listMessages: (id: string) => this.#answer(`messages ${id}`, this.messages),
      stopSession: (id: string) => this.#answer(`stop ${id}`, { stopped: true }),
      listSessions: () => this.#answer("sessions", { data: [], next_cursor: null }),
    } as unknown as ApiClient,
    open: (path, events) => {
      const socket = { path, events, sent: [] as unknown[], isClosed: false };
      this.sockets.push(socket);
      return {
        send: (text) => socket.sent.push(JSON.parse(text)),
        close: () => (socket.isClosed = true),
      };
    },
    schedule: (notify) => this.scheduled.push(notify),
  };

  push(...frames: ServerFrame[]): void {
    for (const frame of frames) this.sockets.at(-1)?.events.onText(JSON.stringify(frame));
  }

  paint(): void {
    for (const notify of this.scheduled.splice(0)) notify();
  }

  get sent(): unknown[] {
    return this.sockets.at(-1)?.sent ?? [];
  }

  #answer<T>(read: string, value: T): Promise<T> {
    this.reads.push(read);
    return this.error === null ? Promise.resolve(value) : Promise.reject(this.error);
  }

  #session(id: string): Session {
    return {
      id,
      title: "A title",
      config: { provider: "mock", model_name: "echo", api_key_set: false },
      created_at,
      updated_at: created_at,
      last_seq: this.lastSeq,
      running: this.isRunning,
    };
  }
}

function hello(session_id = "s1", turn_id: string | null = null, last_seq = 0): ServerFrame {
  return { type: "hello", session_id, last_seq, turn_id };
}

function start(seq: number): ServerFrame {
  return {
    type: "turn-start",
    seq,
    turn_id: "t1",
    user_message: { id: "u1", parent_id: null, text: "hi" },
    message_id: "a1",
    provider: "mock",
    model: "echo",
    created_at,
  };
}

const text = (seq: number, content: string): ServerFrame => ({
  type: "text-delta",
  seq,
  turn_id: "t1",
  text: content,
});

const end = (seq: number): ServerFrame => ({
  type: "turn-end",
  seq,
  turn_id: "t1",
  finish_reason: "stop",
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  cost: null,
  timings: { ttft_ms: 1, total_ms: 1, tokens_per_second: 1, overhead_ms: 1 },
});

function answer(content: string, status: Message["status"]): Message[] {
  const common = { parent_id: null, created_at };
  return [
    { ...common, id: "u1", role: "user", content: "hi", status: "complete" },
    { ...common, id: "a1", role: "assistant", content, status },
  ];
}

function started(server: Server, t: TestContext): ChatStore {
  const store = new ChatStore("s1", { environment: server.environment });
  t.after(() => store.close());
  store.start();
  return store;
}

describe("ChatStore", () => {
  it("joins a running answer: history first, then the whole turn", async (t) => {
    const server = new Server();
    Object.assign(server, { messages: answer("Hel", "streaming"), lastSeq: 3, isRunning: true });
    const store = started(server, t);
    server.push(hello("s1", "t1", 3));
    assert.deepEqual(server.sent, []);
    await settle();
    assert.deepEqual(server.reads, ["session s1", "messages s1"]);
    assert.deepEqual(server.sent, [{ type: "resume", after: 0 }]);
    server.push({ type: "gap", after: 0, next_seq: 2 }, start(2), text(3, "Hel"), text(4, "lo"));
    server.paint();
    assert.equal(store.getSnapshot().conversation.messages.at(-1)?.content, "Hello");
    assert.equal(server.reads.length, 2, "nothing was missed, so nothing is read again");
  });

  it("reads the messages again after a gap that leaves something out", async (t) => {
    const server = new Server();
    Object.assign(server, { messages: answer("Hello", "complete"), lastSeq: 3 });
    const store = started(server, t);
    await settle();
    server.push(hello("s1", null, 90));
    assert.deepEqual(server.sent, [{ type: "resume", after: 3 }]);
    server.messages = answer("Something newer", "complete");
    server.lastSeq = 90;
    server.push({ type: "gap", after: 3, next_seq: 91 });
    await settle();
    server.paint();
    assert.equal(store.getSnapshot().conversation.messages.at(-1)?.content, "Something newer");
  });

  it("asks for the truth when a restarted server knows nothing of the running turn", async (t) => {
    const server = new Server();
    const store = started(server, t);
    await settle();
    server.push(hello("s1"), start(1), text(2, "half"));
    server.sockets[0]?.events.onClose(1006);
    store.retry();
    Object.assign(server, { messages: answer("half", "incomplete"), lastSeq: 2 });
    server.push(hello("s1", null, 2));
    await settle();
    server.paint();
    assert.equal(store.getSnapshot().conversation.messages.at(-1)?.status, "incomplete");
  });

  it("tells its subscribers once per schedule, however many frames came", async (t) => {
    const server = new Server();
    const store = started(server, t);
    await settle();
    server.paint();
    let changes = 0;
    store.subscribe(() => (changes += 1));
    server.push(hello(), start(1), text(2, "a"), text(3, "b"), text(4, "c"));
    assert.equal(changes, 0);
    assert.equal(server.scheduled.length, 1);
    server.paint();
    assert.equal(changes, 1);
    assert.equal(store.getSnapshot().conversation.messages.at(-1)?.content, "abc");
  });

  it("makes a new conversation only with its first message and tells its name", (t) => {
    const server = new Server();
    const named: string[] = [];
    const store = new ChatStore(null, {
      environment: server.environment,
      events: { onNamed: (_, id) => named.push(id) },
    });
    t.after(() => store.close());
    store.start();
    assert.equal(server.sockets.length, 0);
    store.send("hi");
    assert.equal(server.sockets[0]?.path, "/ws/new");
    server.push(hello("s9"));
    assert.deepEqual(named, ["s9"]);
    assert.equal(store.sessionId, "s9");
    assert.equal(server.sent.length, 2);
  });

  it("shows why the history failed and reads it again on retry", async (t) => {
    const server = new Server();
    server.error = new ApiError("Away.", { code: "unreachable", status: 0 });
    const store = started(server, t);
    await settle();
    server.paint();
    assert.equal(store.getSnapshot().history.status, "failed");
    server.error = null;
    store.retry();
    await settle();
    server.paint();
    assert.equal(store.getSnapshot().history.status, "ready");
  });

  it("stops over the socket, and over HTTP while that is away", async (t) => {
    const server = new Server();
    const store = started(server, t);
    await settle();
    server.push(hello(), start(1));
    store.stop();
    assert.deepEqual(server.sent.at(-1), { type: "stop" });
    server.sockets[0]?.events.onClose(1006);
    store.stop();
    assert.equal(server.reads.at(-1), "stop s1");
  });

  it("gives a refused message's text back", async (t) => {
    const server = new Server();
    const store = started(server, t);
    await settle();
    server.push(hello());
    store.send("too long");
    const { client_id } = server.sent.at(-1) as { client_id: string };
    server.push({
      type: "turn-error",
      code: "payload_too_large",
      message: "Too large.",
      retryable: false,
      client_id,
    });
    server.paint();
    const { returnedText, conversation } = store.getSnapshot();
    assert.equal(returnedText, "too long");
    assert.equal(conversation.refusal?.text, "Too large.");
  });
});

describe("ChatRegistry", () => {
  it("keeps reading an answer that the person turned away from, until it has ended", async (t) => {
    const server = new Server();
    const registry = new ChatRegistry(server.environment);
    t.after(() => registry.close());
    const first = registry.find("s1");
    registry.show(first);
    await settle();
    server.push(hello("s1"), start(1));
    const [socket] = server.sockets;
    registry.show(registry.find("s2"));
    assert.equal(socket?.isClosed, false);
    assert.equal(registry.find("s1"), first);
    socket?.events.onText(JSON.stringify(end(2)));
    assert.equal(socket?.isClosed, true);
  });

  it("closes an idle conversation at once and finds a named one under its new id", async (t) => {
    const server = new Server();
    const registry = new ChatRegistry(server.environment);
    t.after(() => registry.close());
    registry.show(registry.find("s1"));
    const fresh = registry.find(null);
    registry.show(fresh);
    assert.equal(server.sockets[0]?.isClosed, true);
    fresh.send("hi");
    server.push(hello("s7"));
    assert.equal(registry.find("s7"), fresh);
    assert.notEqual(registry.find(null), fresh);
    await settle();
  });
});
