import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { TurnFrame } from "#lib/ws/frames.ts";
import { api, readServerSentEvents } from "../rig/client.ts";
import { startScriptedProvider, type ScriptedProvider } from "../rig/scripted-provider.ts";
import { demonstrationToken, startChecked, type Answer, type Checked } from "./http-support.ts";

type Sent = Readonly<{ role: string; content: unknown }>;

describe("POST /chat", () => {
  let provider: ScriptedProvider;
  let checked: Checked;
  let token: string;
  before(async () => {
    provider = await startScriptedProvider();
    checked = await startChecked({
      env: {
        LLM_PROVIDER: "openai-compatible",
        LLM_BASE_URL: provider.baseUrl,
        LLM_MODEL: "scripted",
        MAX_HISTORY_TOKENS: "256",
        MAX_MESSAGE_BYTES: "4096",
        FIRST_TOKEN_TIMEOUT_MS: "500",
        CHUNK_TIMEOUT_MS: "500",
      },
    });
    token = await demonstrationToken(checked);
  });
  after(async () => {
    await checked[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });
  beforeEach(() => provider.reset());

  const scripted = { model_name: "scripted", provider: "openai-compatible" };
  const say = (message: string, more: object = {}) =>
    checked.call("/chat", { token, json: { message, ...more } });
  const messagesOf = async (id: string) =>
    (await checked.call(`/sessions/${id}/messages`, { token })).body.data;
  const countSessions = async () =>
    (await checked.call("/sessions?limit=200", { token })).body.data.length as number;
  const sentMessages = async () => (await provider.nextRequest()).body.messages as readonly Sent[];
  const stream = async (json: object) => {
    const response = await api(checked.service.origin, token).stream("POST", "/chat", json);
    const frames: TurnFrame[] = [];
    for await (const { id, data } of readServerSentEvents(response)) {
      const frame = TurnFrame.parse(JSON.parse(data));
      assert.equal(id, String(frame.seq));
      frames.push(frame);
    }
    return { response, frames };
  };

  it("makes a session with the default configuration and answers whole", async () => {
    provider.scriptNext([
      { text: "Hello" },
      { text: ", world." },
      { usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 } },
    ]);
    const { status, body } = await say("Hi?");
    assert.equal(status, 200);
    assert.deepEqual([body.response, body.finish_reason], ["Hello, world.", "stop"]);
    const { prompt_tokens, completion_tokens, total_tokens, estimated } = body.usage;
    assert.deepEqual(
      [prompt_tokens, completion_tokens, total_tokens, estimated],
      [11, 3, 14, undefined],
    );
    const { ttft_ms, total_ms, overhead_ms } = body.timings;
    assert.ok(ttft_ms > 0 && ttft_ms <= total_ms && overhead_ms <= total_ms, JSON.stringify(body));
    const [user, assistant] = await messagesOf(body.session_id);
    assert.deepEqual([user.role, user.content, user.parent_id], ["user", "Hi?", null]);
    assert.deepEqual(
      [assistant.id, assistant.content, assistant.status, assistant.parent_id],
      [body.message_id, "Hello, world.", "complete", user.id],
    );
    const session = await checked.call(`/sessions/${body.session_id}`, { token });
    assert.deepEqual([session.body.title, session.body.config.model_name], ["Hi?", "scripted"]);
  });

  it("goes on with a session: the model is sent what was said, oldest first", async () => {
    const first = await say("One?");
    await provider.nextRequest();
    await say("Two?", { session_id: first.body.session_id });
    assert.deepEqual(
      (await sentMessages()).map(({ role }) => role),
      ["user", "assistant", "user"],
    );
    assert.equal((await messagesOf(first.body.session_id)).length, 4);
  });

  it("streams the same turn as events that carry their number", async () => {
    provider.scriptNext([{ reasoning: "Hm." }, { text: "Good " }, { text: "day" }]);
    const { response, frames } = await stream({ message: "Hello" });
    assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
    assert.match(response.headers.get("cache-control") ?? "", /no-store/);
    assert.match(response.headers.get("x-request-id") ?? "", /^\w{26}$/);
    assert.deepEqual(
      frames.map(({ seq }) => seq),
      frames.map((_, index) => index + 1),
    );
    const text = frames.map((frame) => (frame.type === "text-delta" ? frame.text : "")).join("");
    assert.equal(text, "Good day");
    assert.deepEqual(
      [...new Set(frames.map(({ type }) => type))],
      ["turn-start", "reasoning-delta", "text-delta", "turn-end"],
    );
    const [user, assistant] = await messagesOf(response.headers.get("x-session-id") ?? "");
    assert.equal(user.content, "Hello");
    assert.deepEqual([assistant.content, assistant.reasoning], ["Good day", "Hm."]);
  });

  it("counts a session's frames on from turn to turn", async () => {
    const session_id = await checked.newSession(token, scripted);
    const first = await stream({ session_id, message: "One" });
    const second = await stream({ session_id, message: "Two" });
    assert.equal(second.frames[0]?.seq, (first.frames.at(-1)?.seq ?? 0) + 1);
    const { body } = await checked.call(`/sessions/${session_id}`, { token });
    assert.deepEqual([body.last_seq, body.running], [second.frames.at(-1)?.seq, false]);
  });

  it("streams a failure as its last frame, and answers it as a problem", async () => {
    const failing = [{ text: "Half" }, { end: true }] as const;
    provider.scriptNext(failing, failing);
    const { response, frames } = await stream({ message: "Hello" });
    assert.equal(response.status, 200);
    const last = frames.at(-1);
    assert.deepEqual(
      [last?.type, last?.type === "turn-error" && last.code],
      ["turn-error", "upstream_error"],
    );
    const whole = await say("Hello");
    assert.deepEqual([whole.status, whole.body.code], [502, "upstream_error"]);
    const [, assistant] = await messagesOf(response.headers.get("x-session-id") ?? "");
    assert.deepEqual([assistant.content, assistant.status], ["Half", "incomplete"]);
  });

  const faults: [string, Parameters<ScriptedProvider["scriptNext"]>[0], number, string][] = [
    [
      "refuses the key",
      [{ status: 401, body: { error: { message: "leak-me" } } }],
      502,
      "upstream_rejected",
    ],
    ["does not know the model", [{ status: 404, body: "leak-me" }], 502, "upstream_rejected"],
    ["limits requests", [{ status: 429, body: "leak-me" }], 502, "upstream_error"],
    ["fails", [{ status: 500, body: "leak-me" }], 502, "upstream_error"],
    ["resets the connection", [{ text: "a" }, { reset: true }], 502, "upstream_error"],
    ["says nothing", [{ stall: true }], 504, "upstream_timeout"],
    ["falls silent", [{ text: "a" }, { stall: true }], 504, "upstream_timeout"],
    [
      "answers HTML",
      [{ status: 200, headers: { "content-type": "text/html" }, body: "<p>leak-me" }],
      502,
      "upstream_error",
    ],
  ];
  for (const [what, script, status, code] of faults) {
    it(`answers ${status} ${code} when the provider ${what}, without its text`, async () => {
      provider.scriptNext(script);
      const answer = await say("Hello");
      assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text);
      assert.doesNotMatch(answer.text, /leak-me|127\.0\.0\.1/);
      await provider.idle();
      await checked.assertUnharmed();
    });
  }

  it("sends the session's parameters, and a turn's own for that turn only", async () => {
    const stop = ["END"];
    const session_id = await checked.newSession(token, {
      ...scripted,
      temperature: 0.8,
      max_tokens: 200,
      top_p: 0.9,
      seed: 7,
      stop,
      presence_penalty: 1,
      frequency_penalty: -1,
      reasoning_effort: "low",
    });
    const names = ["temperature", "max_tokens", "top_p", "seed", "stop"];
    names.push("presence_penalty", "frequency_penalty", "reasoning_effort");
    const sent = async () => {
      const { body } = await provider.nextRequest();
      return names.map((name) => body[name]);
    };
    const own = [0.8, 200, 0.9, 7, stop, 1, -1, "low"];
    await say("One", { session_id });
    assert.deepEqual(await sent(), own);
    await say("Two", { session_id, model_params: { temperature: 0, max_tokens: 5, stop: [] } });
    assert.deepEqual(await sent(), [0, 5, 0.9, 7, [], 1, -1, "low"]);
    await say("Three", { session_id });
    assert.deepEqual(await sent(), own);
  });

  it("sends nothing that nobody set", async () => {
    await say("Hello");
    const { body } = await provider.nextRequest();
    assert.deepEqual(Object.keys(body).toSorted(), [
      "messages",
      "model",
      "stream",
      "stream_options",
    ]);
  });

  it("sends the system prompt first and reasoning never", async () => {
    const session_id = await checked.newSession(token, { ...scripted, system_prompt: "Be brief." });
    provider.scriptNext([
      { reasoning: "secret thought" },
      { text: "<think>more thought</think>Yes" },
    ]);
    const { body } = await say("Really?", { session_id });
    assert.equal(body.response, "Yes");
    assert.match(body.reasoning, /secret thought/);
    await provider.nextRequest();
    await say("Sure?", { session_id });
    const request = await provider.nextRequest();
    assert.deepEqual(
      (request.body.messages as readonly Sent[]).map(({ role, content }) => [role, content]),
      [
        ["system", "Be brief."],
        ["user", "Really?"],
        ["assistant", "Yes"],
        ["user", "Sure?"],
      ],
    );
    assert.doesNotMatch(request.rawBody, /thought/);
  });

  it("trims what the model is sent to MAX_HISTORY_TOKENS, and stores everything", async () => {
    const system_prompt = "Answer in one word.";
    const session_id = await checked.newSession(token, { ...scripted, system_prompt });
    let answer: Answer | undefined;
    for (let turn = 1; turn <= 6; turn += 1) {
      answer = await say(`Turn ${turn}: ${"word ".repeat(60)}`, { session_id });
    }
    const sent = provider.requests.at(-1)?.body.messages as readonly Sent[];
    const kept = sent.length - 1;
    assert.deepEqual([sent[0]?.role, sent[0]?.content], ["system", system_prompt]);
    assert.equal(sent[1]?.role, "user");
    assert.match(String(sent.at(-1)?.content), /^Turn 6/);
    assert.ok(kept >= 3 && kept < 11, `${kept} of 11 messages were sent`);
    assert.equal(answer?.body.usage.omitted_messages, 11 - kept);
    assert.equal((await messagesOf(session_id)).length, 12);
    const huge = await say(`Huge: ${"word ".repeat(600)}`, { session_id });
    assert.equal(huge.body.usage.omitted_messages, 12);
    assert.equal(provider.requests.at(-1)?.body.messages?.length, 2);
  });

  it("keeps the order of roles after a turn that failed before any text", async () => {
    const session_id = await checked.newSession(token, scripted);
    provider.scriptNext([{ status: 400, body: "no" }]);
    assert.equal((await say("First", { session_id })).status, 502);
    await provider.nextRequest();
    assert.equal((await say("Second", { session_id })).status, 200);
    assert.deepEqual(
      (await sentMessages()).map(({ role, content }) => [role, content]),
      [["user", "First\n\nSecond"]],
    );
  });

  it("refuses a second turn while one runs, stops the first, and then takes another", async () => {
    const session_id = await checked.newSession(token, scripted);
    provider.scriptNext([{ text: "Beginning" }, { waitFor: "never" }]);
    const running = say("First", { session_id });
    const request = await provider.nextRequest();
    await provider.reached("never");
    const second = await say("Second", { session_id });
    assert.deepEqual([second.status, second.body.code], [409, "turn_in_progress"]);
    assert.equal((await checked.call(`/sessions/${session_id}`, { token })).body.running, true);
    const stop = () => checked.call(`/sessions/${session_id}/stop`, { token, method: "POST" });
    assert.deepEqual((await stop()).body, { stopped: true });
    const { body } = await running;
    assert.deepEqual([body.response, body.finish_reason], ["Beginning", "stopped"]);
    assert.equal((await request.closed).aborted, true);
    assert.deepEqual((await stop()).body, { stopped: false });
    assert.equal((await say("Third", { session_id })).status, 200);
    assert.deepEqual(
      (await messagesOf(session_id)).map(({ status }: { status: string }) => status),
      ["complete", "stopped", "complete", "complete"],
    );
  });

  for (const accept of ["application/json", "text/event-stream"]) {
    it(`aborts the provider when the client of ${accept} goes away, and logs no failure`, async () => {
      const session_id = await checked.newSession(token, scripted);
      provider.scriptNext([{ text: "Beginning" }, { waitFor: "never" }]);
      const leaving = new AbortController();
      const left = fetch(`${checked.service.origin}/chat`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept },
        body: JSON.stringify({ session_id, message: "Hello" }),
        signal: leaving.signal,
      }).then((response) => response.text());
      left.catch(() => undefined);
      const request = await provider.nextRequest();
      await provider.reached("never");
      leaving.abort();
      await assert.rejects(left, { name: "AbortError" });
      assert.equal((await request.closed).aborted, true);
      let assistant: { status: string; content: string };
      do [, assistant] = await messagesOf(session_id);
      while (assistant.status === "streaming");
      assert.deepEqual([assistant.content, assistant.status], ["Beginning", "incomplete"]);
      await checked.assertUnharmed();
    });
  }

  const refused: [string, object, number, string, string?][] = [
    ["no message", {}, 422, "invalid_input", "message"],
    ["a blank message", { message: " \n\t" }, 422, "invalid_input", "message"],
    ["a message that is no text", { message: ["Hello"] }, 422, "invalid_input", "message"],
    ["half a character", { message: "Hello \ud83d" }, 422, "invalid_input", "message"],
    ["a field it does not know", { message: "a", user_id: "x" }, 422, "invalid_input", "user_id"],
    [
      "a parameter out of range",
      { message: "a", model_params: { temperature: 3 } },
      422,
      "invalid_input",
      "model_params.temperature",
    ],
    [
      "a parameter it does not know",
      { message: "a", model_params: { model: "x" } },
      422,
      "invalid_input",
      "model_params.model",
    ],
    [
      "an id that is none",
      { message: "a", session_id: "../x" },
      422,
      "invalid_input",
      "session_id",
    ],
    [
      "an unknown session",
      { message: "a", session_id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4" },
      404,
      "not_found",
    ],
    ["a message that is too long", { message: "é".repeat(2049) }, 413, "payload_too_large"],
  ];
  for (const [what, json, status, code, path] of refused) {
    it(`refuses ${what} with ${status} ${code}, and writes nothing`, async () => {
      const countBefore = await countSessions();
      const { status: answered, body } = await checked.call("/chat", { token, json });
      assert.deepEqual([answered, body.code, body.errors?.[0].path], [status, code, path]);
      assert.equal(await countSessions(), countBefore);
      assert.deepEqual(provider.requests, []);
    });
  }

  it("keeps every character: NUL, emoji, what looks like SQL or markup", async () => {
    const message = "a\0b 👩‍👩‍👧 𠮷 '; DROP TABLE messages; -- <script> \u2028 \ufeff";
    const session_id = await checked.newSession(token);
    const { body } = await say(message, { session_id });
    assert.equal(body.response, message);
    const stored = await messagesOf(session_id);
    assert.deepEqual(
      stored.map(({ content }: { content: string }) => content),
      [message, message],
    );
  });

  it("refuses a parameter that the session's provider does not take", async () => {
    const session_id = await checked.newSession(token, {
      model_name: "smollm2-135m-instruct",
      provider: "local",
    });
    const model_params = { reasoning_effort: "low" };
    const { status, body } = await say("Hello", { session_id, model_params });
    assert.deepEqual([status, body.errors?.[0].path], [422, "model_params.reasoning_effort"]);
  });
});
