import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { openStores, reasoning, text } from "#e2e/rig/chat-rig.ts";
import { Answer } from "./answer.ts";
import { AnswerSaver } from "./answer-saver.ts";

async function open(t: TestContext) {
  const { messages } = await openStores(t);
  t.mock.timers.enable({ apis: ["setInterval"] });
  const saved: unknown[] = [];
  let outcome: () => Promise<void> = () => Promise.resolve();
  t.mock.method(messages, "saveAnswer", (id: string, columns: object) => {
    saved.push([id, columns]);
    return outcome();
  });
  const answer = new Answer();
  const saver = new AnswerSaver(messages, "M", answer);
  const tick = async () => {
    t.mock.timers.tick(500);
    await new Promise(setImmediate);
  };
  const setOutcome = (next: typeof outcome) => (outcome = next);
  return { answer, saved, saver, setOutcome, tick };
}

test("a growing answer is saved twice a second, when it has grown", async (t) => {
  const { answer, saved, saver, tick } = await open(t);
  await tick();
  assert.deepEqual(saved, []);
  answer.accept(text("a"));
  await tick();
  await tick();
  answer.accept(reasoning("b"));
  await tick();
  assert.deepEqual(saved, [
    ["M", { content: "a", reasoning: null }],
    ["M", { content: "a", reasoning: "b" }],
  ]);
  saver.stop();
  answer.accept(text("c"));
  await tick();
  assert.equal(saved.length, 2);
});

test("a save that fails is tried again, and a slow one is not joined by another", async (t) => {
  const { answer, saved, saver, setOutcome, tick } = await open(t);
  answer.accept(text("a"));
  setOutcome(() => Promise.reject(new Error("busy")));
  await tick();
  const slow = Promise.withResolvers<void>();
  setOutcome(() => slow.promise);
  await tick();
  answer.accept(text("b"));
  await tick();
  assert.equal(saved.length, 2);
  slow.resolve();
  await tick();
  await tick();
  assert.deepEqual(saved.at(-1), ["M", { content: "ab", reasoning: null }]);
  saver.stop();
});
