import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "../rig/client.ts";
import {
  arrived,
  history,
  like,
  newSession,
  newUser,
  openPlain,
  openV1,
  startStack,
  textOf,
} from "./support.ts";

const stack = await startStack();
const { service, provider } = stack;

const isLast = (frame: Frame) => frame.done === true || frame.error !== undefined;
const waiting = "8 messages wait";

describe("the plain WebSocket", () => {
  it("sends the chunks of the published contract, then done", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ text: "I'm" }, { text: " an" }, { text: " AI" }]);
    using socket = await openPlain(service, user, sessionId);
    socket.send("Hello, who are you?");
    const done = await socket.next(isLast);
    assert.deepEqual(socket.frames.slice(0, 3), [
      { chunk: "I'm" },
      { chunk: " an" },
      { chunk: " AI" },
    ]);
    assert.equal(socket.frames.length, 4);
    const [asked, answer] = await history(user, sessionId);
    assert.deepEqual(done, {
      done: true,
      finish_reason: "stop",
      message_id: answer?.id,
      usage: answer?.usage,
    });
    assert.equal(asked?.content, "Hello, who are you?");
    assert.deepEqual([answer?.content, answer?.status], ["I'm an AI", "complete"]);
  });

  it("names a new session in its first frame", async () => {
    const user = await newUser(service);
    using socket = await openPlain(service, user);
    const first = await socket.next();
    assert.deepEqual(Object.keys(first), ["session_id"]);
    socket.send("Hello");
    await socket.next(isLast);
    const messages = await history(user, String(first.session_id));
    assert.deepEqual(
      messages.map(({ content }) => content),
      ["Hello", "This is a scripted answer."],
    );
  });

  const lookalikes = {
    "a v1 message frame": JSON.stringify({ type: "message", text: "hello" }),
    "a v1 stop frame": JSON.stringify({ type: "stop" }),
    "an array": "[1, 2]",
    null: "null",
    "broken JSON": '{"type": "mess',
    "special tokens": "<think>not mine</think>",
    "text with line breaks and emoji": "a\r\nb\u2028c 👩‍👩‍👧‍👦",
  };
  for (const [name, text] of Object.entries(lookalikes)) {
    it(`takes ${name} for a user's message`, async () => {
      const user = await newUser(service);
      const sessionId = await newSession(user);
      using socket = await openPlain(service, user, sessionId);
      socket.send(text);
      assert.equal((await socket.next(isLast)).done, true);
      const [asked] = await history(user, sessionId);
      assert.equal(asked?.content, text);
      const { messages } = (await provider.nextRequest()).body;
      assert.deepEqual(messages, [{ role: "user", content: text }]);
    });
  }

  it("never shows reasoning or special tokens", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([
      { reasoning: "hidden field" },
      ...["<thi", "nk>hid", "den</think", ">", "see", "n <to", "ol> <|im_", "end|>", "< end"].map(
        (text) => ({ text }),
      ),
    ]);
    using socket = await openPlain(service, user, sessionId);
    socket.send("Hello");
    await socket.next(isLast);
    const chunks = textOf(socket.frames);
    assert.equal(chunks, "seen  < end");
    const [, answer] = await history(user, sessionId);
    assert.equal(answer?.content, chunks);
    assert.equal(answer?.reasoning, "hidden fieldhidden");
  });

  it("tells a failure by its code and a safe text, and goes on", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ status: 500, body: { error: { message: "db-7.internal down" } } }]);
    using socket = await openPlain(service, user, sessionId);
    socket.send("Hello");
    const failed = await socket.next(isLast);
    assert.deepEqual(Object.keys(failed).toSorted(), ["code", "error"]);
    assert.equal(failed.code, "upstream_error");
    assert.doesNotMatch(String(failed.error), /internal/);
    socket.send("Again");
    assert.equal((await socket.next(isLast)).done, true);
  });

  for (const blank of ["", " \n\t "]) {
    it(`refuses ${JSON.stringify(blank)} and writes nothing`, async () => {
      const user = await newUser(service);
      const sessionId = await newSession(user);
      using socket = await openPlain(service, user, sessionId);
      socket.send(blank);
      assert.equal((await socket.next(isLast)).code, "invalid_input");
      assert.deepEqual(await history(user, sessionId), []);
      socket.send("Hello");
      assert.equal((await socket.next(isLast)).done, true);
    });
  }

  it(`queues, answers in order while ${waiting}, and refuses the next`, async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptModel("scripted", ({ body }) => [
      { waitFor: "first" },
      { text: `Re: ${String(body.messages?.at(-1)?.content)}` },
    ]);
    using socket = await openPlain(service, user, sessionId);
    socket.send("0");
    await provider.reached("first");
    for (let message = 1; message <= 9; message += 1) socket.send(String(message));
    const refused = await socket.next(isLast);
    assert.equal(refused.code, "turn_in_progress");
    provider.open("first");
    for (let answer = 0; answer <= 8; answer += 1) {
      assert.equal((await socket.next(like({ done: true }))).done, true);
    }
    const answers = Array.from({ length: 9 }, (_, index) => `Re: ${index}`);
    assert.equal(textOf(socket.frames), answers.join(""));
    const messages = await history(user, sessionId);
    assert.deepEqual(
      messages.map(({ content }) => content),
      answers.flatMap((answer, index) => [String(index), answer]),
    );
    assert.equal(provider.peakLiveRequests, 1);
  });

  it("queues behind the turn of another door and behind another plain socket", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptModel("scripted", ({ body }) => [
      { waitFor: "answers" },
      { text: `Re: ${String(body.messages?.at(-1)?.content)}` },
    ]);
    using other = await openV1(service, user, sessionId);
    using first = await openPlain(service, user, sessionId);
    using second = await openPlain(service, user, sessionId);
    other.send({ type: "message", text: "from v1" });
    await provider.reached("answers");
    first.send("from the first");
    second.send("from the second");
    await Promise.all([arrived(first), arrived(second)]);
    provider.open("answers");
    await Promise.all([first.next(isLast), second.next(isLast)]);
    assert.equal(textOf(first.frames), "Re: from the first");
    assert.equal(textOf(second.frames), "Re: from the second");
    assert.equal(provider.peakLiveRequests, 1);
    assert.equal((await history(user, sessionId)).length, 6);
  });

  it("closes with 1003 on a binary message and keeps its neighbours", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    using neighbour = await openPlain(service, user, sessionId);
    using socket = await openPlain(service, user, sessionId);
    socket.raw.send(Buffer.from("Hello"));
    assert.equal((await socket.closed).code, 1003);
    assert.deepEqual(await history(user, sessionId), []);
    neighbour.send("Hello");
    assert.equal((await neighbour.next(isLast)).done, true);
  });
});
