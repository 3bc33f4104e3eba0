import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, type Frame, type TestSocket } from "../rig/client.ts";
import type { ProviderRequest } from "../rig/scripted-provider.ts";
import {
  arrived,
  assertContiguous,
  history,
  isTerminal,
  like,
  newSession,
  newUser,
  numbered,
  openV1,
  resumeV1,
  startStack,
  takeTurn,
  textOf,
  type User,
} from "./support.ts";

const { service, provider } = await startStack();

const contents = (messages: readonly { content: string }[]) =>
  messages.map(({ content }) => content);

/** A session in which an answer has come as far as " b" and waits at the gate "more". */
async function inMidAnswer(): Promise<MidAnswer> {
  const user = await newUser(service);
  const sessionId = await newSession(user);
  provider.scriptNext([{ text: "a" }, { text: " b" }, { waitFor: "more" }, { text: " c" }]);
  const socket = await openV1(service, user, sessionId);
  socket.send({ type: "message", text: "Hello" });
  await socket.next(like({ text: " b" }));
  return { user, sessionId, socket, request: await provider.nextRequest() };
}

type MidAnswer = Readonly<{
  user: User;
  sessionId: string;
  socket: TestSocket;
  request: ProviderRequest;
}>;

describe("llm-service.v1: a turn", () => {
  it("greets, then tells the turn in numbered frames and its figures", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ reasoning: "Hm." }, { text: "Good" }, { text: " day" }]);
    using socket = await openV1(service, user, sessionId);
    assert.equal(socket.raw.protocol, "llm-service.v1");
    assert.deepEqual(await socket.next(), {
      type: "hello",
      session_id: sessionId,
      last_seq: 0,
      turn_id: null,
    });
    const frames = await takeTurn(socket, "Hello");
    assert.deepEqual(
      frames.map(({ type, text }) => (text === undefined ? type : `${type}: ${text}`)),
      ["turn-start", "reasoning-delta: Hm.", "text-delta: Good", "text-delta:  day", "turn-end"],
    );
    assertContiguous(frames, 1);
    const [asked, answer] = await history(user, sessionId);
    const start = frames[0];
    assert.deepEqual(start?.user_message, { id: asked?.id, parent_id: null, text: "Hello" });
    assert.ok(frames.every(({ turn_id }) => turn_id === answer?.id));
    const end = frames.at(-1);
    assert.equal(end?.finish_reason, "stop");
    assert.deepEqual(
      [end?.usage, end?.timings, end?.cost],
      [answer?.usage, answer?.timings, answer?.cost],
    );
    assert.deepEqual([answer?.content, answer?.reasoning], ["Good day", "Hm."]);
  });

  it("names a new session first, then greets", async () => {
    const user = await newUser(service);
    using socket = await openV1(service, user);
    const { session_id: sessionId, ...others } = await socket.next();
    assert.deepEqual(others, {});
    const hello = await socket.next();
    assert.deepEqual([hello.type, hello.session_id], ["hello", sessionId]);
    await takeTurn(socket, "Hello");
    assert.equal((await history(user, String(sessionId))).length, 2);
  });

  it("answers a ping, with and without a running turn", async () => {
    const { socket: opened } = await inMidAnswer();
    using socket = opened;
    socket.send({ type: "ping" });
    assert.deepEqual(await socket.next(like({ type: "pong" })), { type: "pong" });
    provider.open("more");
    await socket.next(isTerminal);
    socket.send({ type: "ping" });
    await socket.next(like({ type: "pong" }));
  });

  it("refuses a second message at once, before anything is written", async () => {
    const { user, sessionId, socket: opened } = await inMidAnswer();
    using socket = opened;
    socket.send({ type: "message", text: "Me too", client_id: "second" });
    const refused = await socket.next(isTerminal);
    assert.deepEqual(
      [refused.code, refused.client_id, refused.retryable, refused.seq],
      ["turn_in_progress", "second", true, undefined],
    );
    provider.open("more");
    assert.equal((await socket.next(isTerminal)).finish_reason, "stop");
    assert.deepEqual(contents(await history(user, sessionId)), ["Hello", "a b c"]);
  });

  it("passes tool calls on", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    const toolCall = { id: "call_1", name: "weather", arguments: { city: "Ulm" } };
    provider.scriptNext([{ toolCall }]);
    using socket = await openV1(service, user, sessionId);
    const frames = await takeTurn(socket, "Hello");
    const call = frames.find(like({ type: "tool-call" }));
    assert.deepEqual([call?.id, call?.name, call?.input], ["call_1", "weather", { city: "Ulm" }]);
    assert.equal(frames.at(-1)?.finish_reason, "tool_calls");
  });
});

describe("llm-service.v1: client_id", () => {
  it("makes a resend on the same socket harmless, during the turn and after", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ waitFor: "more" }, { text: "once" }]);
    using socket = await openV1(service, user, sessionId);
    const message = { type: "message", text: "Hello", client_id: "c-1" };
    socket.send(message);
    await provider.reached("more");
    socket.send(message);
    await arrived(socket);
    provider.open("more");
    await socket.next(isTerminal);
    socket.send(message);
    socket.send({ type: "ping" });
    await socket.next(like({ type: "pong" }));
    assert.equal(numbered(socket.frames).length, 3);
    assert.deepEqual(contents(await history(user, sessionId)), ["Hello", "once"]);
    assert.equal(provider.requests.length, 1);
  });

  it("makes a resend after a reconnect find the turn that the message began", async () => {
    const { user, sessionId, socket } = await startWithClientId("c-2");
    socket.raw.terminate();
    await socket.closed;
    using again = await openV1(service, user, sessionId);
    again.send({ type: "message", text: "Hello", client_id: "c-2" });
    await again.next(like({ type: "turn-start" }));
    provider.open("more");
    await again.next(isTerminal);
    assertContiguous(again.frames, 1);
    assert.equal(textOf(again.frames), "once");
    assert.equal(provider.requests.length, 1);
    assert.deepEqual(contents(await history(user, sessionId)), ["Hello", "once"]);
  });

  it("answers a resend of an older turn's message with a gap and writes nothing", async () => {
    const { user, sessionId, socket: opened } = await startWithClientId("c-3");
    using socket = opened;
    provider.open("more");
    await socket.next(isTerminal);
    await takeTurn(socket, "Another");
    using again = await openV1(service, user, sessionId);
    again.send({ type: "message", text: "Hello", client_id: "c-3" });
    await again.next(like({ type: "gap" }));
    assert.equal((await history(user, sessionId)).length, 4);
    assert.equal(provider.requests.length, 2);
  });

  async function startWithClientId(clientId: string) {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ waitFor: "more" }, { text: "once" }]);
    const socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello", client_id: clientId });
    await provider.reached("more");
    return { user, sessionId, socket };
  }
});

describe("llm-service.v1: stop", () => {
  type Stop = (middle: MidAnswer) => Promise<unknown>;
  const stops: Readonly<Record<string, Stop>> = {
    "on the same socket": async ({ socket }) => socket.send({ type: "stop" }),
    "from another socket": async ({ user, sessionId }) => {
      const other = await openV1(service, user, sessionId);
      other.send({ type: "stop" });
      await other.next(like({ finish_reason: "stopped" }));
      await other.close();
    },
    "by POST /sessions/{id}/stop": async ({ user, sessionId }) => {
      const { body } = await user.api.json("POST", `/sessions/${sessionId}/stop`);
      assert.deepEqual(body, { stopped: true });
    },
  };

  for (const [name, stop] of Object.entries(stops)) {
    it(`${name} in mid-answer closes the provider's connection and keeps what came`, async (t) => {
      const middle = await inMidAnswer();
      using socket = middle.socket;
      const since = performance.now();
      await stop(middle);
      const closed = await middle.request.closed;
      t.diagnostic(`stop to provider's close: ${(closed.atMs - since).toFixed(1)} ms`);
      assert.ok(closed.aborted && closed.atMs - since < 500);
      const end = await socket.next(isTerminal);
      assert.deepEqual([end.type, end.finish_reason], ["turn-end", "stopped"]);
      assertContiguous(socket.frames, 1);
      await assertStopped(middle, "a b");
    });
  }

  it("closes the provider's connection also before the first token", async (t) => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ stall: true }]);
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    const request = await provider.nextRequest();
    const since = performance.now();
    socket.send({ type: "stop" });
    const closed = await request.closed;
    t.diagnostic(`stop to provider's close: ${(closed.atMs - since).toFixed(1)} ms`);
    assert.ok(closed.aborted && closed.atMs - since < 500);
    assert.equal((await socket.next(isTerminal)).finish_reason, "stopped");
    await assertStopped({ user, sessionId }, "");
  });

  it("finds the turn of a message that was sent right before", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptModel("scripted", [{ text: "a" }, { stall: true }]);
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    socket.send({ type: "stop" });
    assert.equal((await socket.next(isTerminal)).finish_reason, "stopped");
    await provider.idle();
    const [, answer] = await history(user, sessionId);
    assert.equal(answer?.status, "stopped");
  });

  it("does nothing while no turn runs", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "stop" });
    assert.equal((await takeTurn(socket, "Hello")).at(-1)?.finish_reason, "stop");
    const { body } = await user.api.json("POST", `/sessions/${sessionId}/stop`);
    assert.deepEqual(body, { stopped: false });
  });

  it("is not for other users", async () => {
    const { sessionId, socket: opened } = await inMidAnswer();
    using socket = opened;
    const stranger = await newUser(service);
    const { status } = await stranger.api.json("POST", `/sessions/${sessionId}/stop`);
    assert.equal(status, 404);
    provider.open("more");
    assert.equal((await socket.next(isTerminal)).finish_reason, "stop");
  });

  /** The answer is kept and marked, a resume does not revive it, and the next turn works. */
  async function assertStopped(
    { user, sessionId }: Pick<MidAnswer, "user" | "sessionId">,
    content: string,
  ): Promise<void> {
    const [, answer] = await history(user, sessionId);
    assert.deepEqual([answer?.content, answer?.status], [content, "stopped"]);
    assert.equal(answer?.finish_reason, "stopped");
    const calls = provider.requests.length;
    using again = await resumeV1(service, user, sessionId, 0);
    assert.equal((await again.next(isTerminal)).finish_reason, "stopped");
    assert.equal(provider.requests.length, calls);
    assert.equal((await takeTurn(again, "Again")).at(-1)?.finish_reason, "stop");
  }
});

describe("llm-service.v1: branches", () => {
  /** Two turns: their four messages. */
  async function twoTurns() {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ text: "one" }], [{ text: "two" }]);
    const socket = await openV1(service, user, sessionId);
    await takeTurn(socket, "first");
    await takeTurn(socket, "second");
    const messages = await history(user, sessionId);
    assert.deepEqual(contents(messages), ["first", "one", "second", "two"]);
    return { user, sessionId, socket, messages };
  }

  async function ended(socket: TestSocket, frame: object): Promise<Frame[]> {
    const before = socket.frames.length;
    socket.send(frame);
    await socket.next(isTerminal);
    return socket.frames.slice(before);
  }

  const promptOf = ({ body }: ProviderRequest) =>
    body.messages?.map(({ role, content }) => `${role}: ${String(content)}`);

  it("regenerates the last answer as a sibling", async () => {
    const { user, sessionId, socket: opened, messages } = await twoTurns();
    using socket = opened;
    provider.scriptNext([{ text: "two, again" }]);
    const [start] = await ended(socket, { type: "regenerate" });
    assert.deepEqual(start?.user_message, {
      id: messages[2]?.id,
      parent_id: messages[1]?.id,
      text: "second",
    });
    const now = await history(user, sessionId);
    assert.deepEqual(contents(now), ["first", "one", "second", "two, again"]);
    assert.deepEqual(now.slice(0, 3), messages.slice(0, 3));
    assert.notEqual(now[3]?.id, messages[3]?.id);
    assert.equal(now[3]?.parent_id, messages[3]?.parent_id);
    const last = provider.requests.at(-1);
    assert.deepEqual(last && promptOf(last), ["user: first", "assistant: one", "user: second"]);
  });

  it("regenerates an older answer; what followed is on the other branch", async () => {
    const { user, sessionId, socket: opened, messages } = await twoTurns();
    using socket = opened;
    await ended(socket, { type: "regenerate", message_id: messages[1]?.id });
    const now = await history(user, sessionId);
    assert.deepEqual(contents(now), ["first", "This is a scripted answer."]);
    assert.equal(now[1]?.parent_id, messages[0]?.id);
  });

  it("edits a message: a sibling with a new answer", async () => {
    const { user, sessionId, socket: opened, messages } = await twoTurns();
    using socket = opened;
    const edit = { type: "edit", message_id: messages[2]?.id, text: "second, better" };
    const [start] = await ended(socket, edit);
    const edited = start?.user_message as { id: string; parent_id: string } | undefined;
    assert.equal(edited?.parent_id, messages[1]?.id);
    assert.notEqual(edited?.id, messages[2]?.id);
    const now = await history(user, sessionId);
    assert.deepEqual(contents(now).slice(0, 3), ["first", "one", "second, better"]);
    const last = provider.requests.at(-1);
    assert.deepEqual(last && promptOf(last), [
      "user: first",
      "assistant: one",
      "user: second, better",
    ]);
  });

  it("edits the first message: a second root", async () => {
    const { user, sessionId, socket: opened, messages } = await twoTurns();
    using socket = opened;
    await ended(socket, { type: "edit", message_id: messages[0]?.id, text: "first, better" });
    const now = await history(user, sessionId);
    assert.equal(now.length, 2);
    assert.deepEqual([now[0]?.content, now[0]?.parent_id], ["first, better", null]);
  });

  it("refuses what it cannot answer again and stays open", async () => {
    const { socket: opened, messages, user, sessionId } = await twoTurns();
    using socket = opened;
    const unknown = "01KC0ZJ3V8T9Q2M4N6P8R0S2T4";
    const refused = [
      { type: "regenerate", message_id: messages[0]?.id },
      { type: "regenerate", message_id: unknown },
      { type: "edit", message_id: messages[1]?.id, text: "an answer" },
      { type: "edit", message_id: unknown, text: "nothing" },
    ];
    for (const frame of refused) {
      const [answer] = await ended(socket, frame);
      assert.equal(answer?.code, "not_found", JSON.stringify(frame));
    }
    const stranger = await newUser(service);
    using theirs = await openV1(service, stranger, await newSession(stranger));
    const edit = { type: "edit", message_id: messages[0]?.id, text: "mine" };
    assert.equal((await ended(theirs, edit)).at(-1)?.code, "not_found");
    using empty = await openV1(service, user, await newSession(user));
    assert.equal((await ended(empty, { type: "regenerate" })).at(-1)?.code, "not_found");
    assert.deepEqual(await history(user, sessionId), messages);
    assert.equal((await takeTurn(socket, "third")).at(-1)?.finish_reason, "stop");
  });
});

describe("llm-service.v1: frames that are refused", () => {
  const refused: Readonly<Record<string, string>> = {
    "an empty object": "{}",
    "an array": "[]",
    null: "null",
    "a number": "1",
    "a lone quote": '"',
    nothing: "",
    "an infinite number": '{"type":"resume","after":1e999}',
    "a fraction": '{"type":"resume","after":0.5}',
    "a negative number": '{"type":"resume","after":-1}',
    "30 000 levels": `${"[".repeat(30_000)}${"]".repeat(30_000)}`,
    __proto__: '{"__proto__":{"type":"ping"}}',
    "a constructor": '{"type":"constructor"}',
    "__proto__ beside a type": '{"type":"ping","__proto__":{"a":1}}',
    "an unknown type": '{"type":"shout","text":"Hello"}',
    "a type that is none": '{"type":["message"],"text":"Hello"}',
    "no text": '{"type":"message"}',
    "an empty text": '{"type":"message","text":""}',
    "a blank text": '{"type":"message","text":" \\n\\t "}',
    "a text that is none": '{"type":"message","text":{"a":1}}',
    "an unknown field": '{"type":"message","text":"Hello","role":"system"}',
    "a long client_id": JSON.stringify({ type: "message", text: "a", client_id: "x".repeat(65) }),
    "an id that is none": '{"type":"edit","message_id":"1","text":"Hello"}',
    "plain text": "Hello",
    "two values": '{"type":"ping"}{"type":"ping"}',
  };

  it("are answered bad_request each, and the socket stays", async (t) => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using socket = await openV1(service, user, sessionId);
    for (const [name, text] of Object.entries(refused)) {
      await t.test(name, async () => {
        socket.send(text);
        const frame = await socket.next(like({ type: "turn-error" }));
        assert.deepEqual([frame.code, frame.retryable], ["bad_request", false]);
      });
    }
    assert.deepEqual(await history(user, sessionId), []);
    assert.equal((await takeTurn(socket, "Hello")).at(-1)?.finish_reason, "stop");
  });

  it("name the field that is wrong and the message that was meant", async () => {
    const user = await newUser(service);
    using socket = await openV1(service, user, await newSession(user));
    socket.send({ type: "message", text: 5 });
    const frame = await socket.next(like({ type: "turn-error" }));
    assert.deepEqual(
      (frame.errors as { path: string }[]).map(({ path }) => path),
      ["text"],
    );
  });

  it("answers a binary frame unsupported_data", async () => {
    const user = await newUser(service);
    using socket = await openV1(service, user, await newSession(user));
    socket.raw.send(Buffer.from(JSON.stringify({ type: "ping" })));
    assert.equal((await socket.next(isTerminal)).code, "unsupported_data");
    assert.equal((await takeTurn(socket, "Hello")).at(-1)?.finish_reason, "stop");
  });

  it("tells a session without a provider's key what is missing", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user, "gpt-4");
    using socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    const frame = await socket.next(isTerminal);
    assert.equal(frame.code, "provider_not_configured");
    assert.match(String(frame.message), /api_key|OPENAI_API_KEY/);
    assert.deepEqual(await history(user, sessionId), []);
  });
});

describe("one store behind every door", () => {
  it("shows one history to /set-llm, WebSocket, /chat and its event stream", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ text: "one" }], [{ text: "two" }], [{ text: "three" }]);
    using socket = await openV1(service, user, sessionId);
    await takeTurn(socket, "by socket");
    const chat = { session_id: sessionId, message: "by chat" };
    const answered = await user.api.json("POST", "/chat", chat);
    assert.deepEqual([answered.status, answered.body.response], [200, "two"]);
    await socket.next(isTerminal);
    const streamed = await user.api.stream("POST", "/chat", { ...chat, message: "by stream" });
    const text = await streamed.text();
    await socket.next(isTerminal);
    assertContiguous(socket.frames, 1);
    assert.equal(textOf(socket.frames), "onetwothree");
    const sent = text.matchAll(/^data: (.*)$/gm);
    const third = numbered(socket.frames).slice(-3);
    assert.deepEqual(
      Array.from(sent, ([, data = ""]) => JSON.parse(data) as Frame),
      third,
    );
    const messages = await history(user, sessionId);
    assert.deepEqual(contents(messages), [
      "by socket",
      "one",
      "by chat",
      "two",
      "by stream",
      "three",
    ]);
    const last = provider.requests.at(-1)?.body.messages ?? [];
    assert.deepEqual(
      last.map(({ role }) => role),
      ["user", "assistant", "user", "assistant", "user"],
    );
    const session = await user.api.json("GET", `/sessions/${sessionId}`);
    assert.deepEqual([session.body.last_seq, session.body.running], [9, false]);
  });

  it("refuses /chat with 409 while a socket's turn runs, and the other way round", async () => {
    const { user, sessionId, socket: opened } = await inMidAnswer();
    using socket = opened;
    const chat = { session_id: sessionId, message: "Me too" };
    const refused = await user.api.json("POST", "/chat", chat);
    assert.deepEqual([refused.status, refused.body.code], [409, "turn_in_progress"]);
    provider.open("more");
    await socket.next(isTerminal);
    provider.scriptNext([{ waitFor: "chat" }, { text: "for chat" }]);
    const answer = user.api.json("POST", "/chat", { ...chat, message: "Now" });
    await provider.reached("chat");
    socket.send({ type: "message", text: "Too late" });
    assert.equal((await socket.next(isTerminal)).code, "turn_in_progress");
    provider.open("chat");
    assert.equal((await answer).body.response, "for chat");
    assert.equal((await history(user, sessionId)).length, 4);
    assert.equal(provider.peakLiveRequests, 1);
  });

  it("treats an unknown session in /chat as not found", async () => {
    const user = await newUser(service);
    const { status } = await api(service.origin, user.token).json("POST", "/chat", {
      message: "Hello",
      session_id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4",
    });
    assert.equal(status, 404);
  });
});
