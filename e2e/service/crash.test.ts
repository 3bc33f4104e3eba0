import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertContiguous,
  history,
  historyOnce,
  like,
  newSession,
  newUser,
  openV1,
  resumeV1,
  startStack,
  takeTurn,
} from "./support.ts";

const { service, provider } = await startStack({
  FIRST_TOKEN_TIMEOUT_MS: "20000",
  CHUNK_TIMEOUT_MS: "20000",
});

describe("kill -9 in mid-answer", () => {
  it("keeps the message and the partial answer, marked, and the next turn works", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    const socket = await openV1(service, user, sessionId);
    await takeTurn(socket, "Before");
    provider.scriptNext([{ text: "One, " }, { text: "two, " }, { stall: true }]);
    socket.send({ type: "message", text: "Count", client_id: "count" });
    await socket.next(like({ text: "two, " }));
    await historyOnce(user, sessionId, (messages) => messages.at(-1)?.content === "One, two, ");
    const lastSeq = socket.frames.at(-1)?.seq ?? 0;

    await service.kill9();
    await service.restart({ samePort: true });

    const messages = await history(user, sessionId);
    assert.equal(messages.length, 4);
    const [, , asked, answer] = messages;
    assert.deepEqual([asked?.content, asked?.status], ["Count", "complete"]);
    assert.deepEqual(
      [answer?.content, answer?.status, answer?.finish_reason],
      ["One, two, ", "incomplete", "interrupted"],
    );
    using again = await resumeV1(service, user, sessionId, lastSeq);
    const gap = await again.next(like({ type: "gap" }));
    assert.equal(gap.after, lastSeq);
    again.send({ type: "message", text: "Count", client_id: "count" });
    await again.next(like({ type: "gap" }));
    const frames = await takeTurn(again, "Go on");
    assertContiguous(frames, Number(gap.next_seq));
    assert.ok(Number(gap.next_seq) > lastSeq);
    assert.equal(frames.at(-1)?.finish_reason, "stop");
    const prompt = provider.requests.at(-1)?.body.messages?.map(({ content }) => content);
    assert.deepEqual(prompt, [
      "Before",
      "This is a scripted answer.",
      "Count",
      "One, two, ",
      "Go on",
    ]);
    assert.equal((await history(user, sessionId)).length, 6);
  });

  it("keeps a message whose turn had begun without a token", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ stall: true }]);
    const socket = await openV1(service, user, sessionId);
    socket.send({ type: "message", text: "Hello" });
    await socket.next(like({ type: "turn-start" }));
    await provider.nextRequest();
    await service.kill9();
    await service.restart({ samePort: true });
    const [asked, answer] = await history(user, sessionId);
    assert.equal(asked?.content, "Hello");
    assert.deepEqual([answer?.content, answer?.status], ["", "incomplete"]);
    using again = await openV1(service, user, sessionId);
    assert.equal((await takeTurn(again, "Again")).at(-1)?.finish_reason, "stop");
  });

  it("loses no message whose turn-start a reader had, killed twice under load", async () => {
    const user = await newUser(service);
    const sessionIds = await Promise.all(Array.from({ length: 5 }, () => newSession(user)));
    const acknowledged = new Map<string, string[]>(sessionIds.map((id) => [id, []]));
    provider.scriptModel("scripted", [{ text: "a" }, { text: "b" }]);
    for (let round = 0; round < 2; round += 1) {
      let begun = 0;
      const killed = Promise.withResolvers<void>();
      const talk = async (sessionId: string) => {
        const socket = await openV1(service, user, sessionId);
        socket.raw.on("close", () => killed.resolve());
        for (let turn = 0; ; turn += 1) {
          const text = `${round}.${turn}`;
          socket.send({ type: "message", text });
          const start = await socket.next(like({ type: "turn-start" }));
          acknowledged.get(sessionId)?.push((start.user_message as { text: string }).text);
          begun += 1;
          if (begun === 20 + 7 * round) service.signal("SIGKILL");
          await socket.next(like({ type: "turn-end" }));
        }
      };
      await Promise.allSettled(sessionIds.map(talk));
      await killed.promise;
      await service.exit;
      await service.restart({ samePort: true });
    }
    for (const [sessionId, texts] of acknowledged) {
      const messages = await history(user, sessionId);
      const asked = messages.filter(({ role }) => role === "user").map(({ content }) => content);
      const kept = new Set(asked);
      assert.deepEqual(
        texts.filter((text) => !kept.has(text)),
        [],
      );
      assert.equal(kept.size, asked.length, "no message twice");
      assert.ok(messages.every(({ status }) => status !== "streaming"));
    }
  });
});
