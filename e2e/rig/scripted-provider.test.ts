import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";

import { startScriptedProvider } from "./scripted-provider.ts";
import type { ScriptedProvider } from "./scripted-provider.ts";
import { readServerSentEvents } from "./server-sent-events.ts";

const messages = [{ role: "user" as const, content: "hello" }];

function post(provider: ScriptedProvider, fields: object = {}, signal?: AbortSignal) {
  return fetch(`${provider.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer test" },
    body: JSON.stringify({ model: "scripted", messages, stream: true, ...fields }),
    signal,
  });
}

async function readData(response: Response): Promise<string[]> {
  const data: string[] = [];
  for await (const event of readServerSentEvents(response)) data.push(event.data);
  return data;
}

function openAiClient(provider: ScriptedProvider): OpenAI {
  return new OpenAI({ baseURL: provider.baseUrl, apiKey: "test", maxRetries: 0 });
}

const toolCall = { name: "add", arguments: { a: 1, b: 2 } };

describe("the scripted provider's chat completions", () => {
  it("stream text, reasoning and the ending as OpenAI's own client reads them", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ reasoning: "hm" }, { text: "Hel" }, { text: "lo" }]);
    const stream = await openAiClient(provider).chat.completions.create({
      model: "m",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.deepEqual(
      chunks.map((chunk) => chunk.choices[0]?.delta ?? chunk.usage),
      [
        { role: "assistant", reasoning_content: "hm" },
        { content: "Hel" },
        { content: "lo" },
        {},
        { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 },
      ],
    );
    assert.equal(chunks[3]?.choices[0]?.finish_reason, "stop");
  });

  it("leave out the usage that nobody asked for and send the script's own", async () => {
    await using provider = await startScriptedProvider();
    const usage = { prompt_tokens: 7, completion_tokens: 8, total_tokens: 15 };
    provider.scriptNext([{ text: "a" }], [{ text: "a" }, { usage }, { finish: "length" }]);
    const without = await readData(await post(provider));
    assert.equal(without.length, 3);
    const [, finish = "", counts = "", done] = await readData(await post(provider));
    assert.match(finish, /"finish_reason":"length"/);
    assert.deepEqual(JSON.parse(counts).usage, usage);
    assert.equal(done, "[DONE]");
  });

  it("answer whole, with tool calls", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ text: "a" }, { text: "b" }, { toolCall }]);
    const answer = await openAiClient(provider).chat.completions.create({ model: "m", messages });
    assert.equal(answer.choices[0]?.message.content, "ab");
    assert.equal(answer.choices[0]?.finish_reason, "tool_calls");
    const call = answer.choices[0]?.message.tool_calls?.[0];
    assert.ok(call?.type === "function");
    assert.deepEqual(JSON.parse(call.function.arguments), { a: 1, b: 2 });
  });

  it("stream to the AI SDK's openai-compatible model, tool call included", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ reasoning: "hm" }, { text: "a" }, { toolCall }, { toolCall }]);
    const model = createOpenAICompatible({ name: "x", baseURL: provider.baseUrl, apiKey: "test" });
    const types: string[] = [];
    for await (const part of streamText({ model: model("m"), messages }).stream) {
      types.push(part.type);
    }
    const of = (type: string) => types.filter((one) => one === type).length;
    assert.equal(of("reasoning-delta"), 1);
    assert.equal(of("text-delta"), 1);
    assert.equal(of("tool-call"), 2);
    assert.equal(of("error"), 0);
  });
});

describe("the scripted provider's responses", () => {
  it("stream to the AI SDK's openai model", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("gpt-4", [{ reasoning: "hm" }, { text: "Hel" }, { text: "lo" }]);
    const openai = createOpenAI({ baseURL: provider.baseUrl, apiKey: "test" });
    const result = streamText({ model: openai("gpt-4"), messages });
    const parts = [];
    for await (const part of result.stream) parts.push(part);
    const text = parts.map((part) => (part.type === "text-delta" ? part.text : "")).join("");
    assert.equal(text, "Hello");
    assert.equal(await result.reasoningText, "hm");
    assert.equal(await result.finishReason, "stop");
    assert.equal((await result.usage).outputTokens, 3);
    assert.deepEqual(
      parts.filter((part) => part.type === "error"),
      [],
    );
  });

  it("answer whole, and call tools in a stream, as OpenAI's own client reads them", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext([{ text: "a" }, { text: "b" }], [{ text: "a" }, { toolCall }]);
    const client = openAiClient(provider);
    const whole = await client.responses.create({ model: "m", input: "hello" });
    assert.equal(whole.output_text, "ab");
    const stream = client.responses.stream({ model: "m", input: "hello" });
    const final = await stream.finalResponse();
    assert.deepEqual(
      final.output.map((item) => item.type),
      ["message", "function_call"],
    );
  });

  it("end as incomplete when the script says length", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext([{ text: "a" }, { finish: "length" }]);
    const openai = createOpenAI({ baseURL: provider.baseUrl, apiKey: "test" });
    const { finishReason, text } = await generateText({ model: openai("gpt-4"), messages });
    assert.deepEqual([finishReason, text], ["length", "a"]);
  });
});

describe("the scripted provider", () => {
  it("takes the queue before the model's script before its own, or asks a function", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", ({ body }) => [
      { text: `to ${String(body.messages?.[0]?.content)}` },
    ]);
    provider.scriptNext([{ text: "queued" }]);
    const client = openAiClient(provider);
    const ask = async (model: string) =>
      (await client.chat.completions.create({ model, messages })).choices[0]?.message.content;
    assert.equal(await ask("m"), "queued");
    assert.equal(await ask("m"), "to hello");
    assert.equal(await ask("other"), "This is a scripted answer.");
  });

  it("lists its models and knows no other path", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", []);
    const models = await openAiClient(provider).models.list();
    assert.deepEqual(
      models.data.map((model) => model.id),
      ["scripted", "m"],
    );
    assert.equal((await fetch(`${provider.origin}/other`)).status, 404);
  });

  it("records each request as it came", async () => {
    await using provider = await startScriptedProvider();
    const before = performance.now();
    await (await post(provider, { seed: 5 })).text();
    const request = await provider.nextRequest();
    assert.equal(request.headers.authorization, "Bearer test");
    assert.equal(request.body.seed, 5);
    assert.equal(JSON.parse(request.rawBody).model, "scripted");
    assert.ok(request.arrivedAtMs >= before && request.arrivedAtMs <= performance.now());
    const closed = await request.closed;
    assert.equal(closed.aborted, false);
    assert.ok(closed.atMs >= request.arrivedAtMs);
    assert.equal(request.chunks, 3);
    assert.ok(request.bytesSent > 100);
  });

  it("hands out each request once, also one that came before the call", async () => {
    await using provider = await startScriptedProvider();
    await (await post(provider, { seed: 1 })).text();
    const first = await provider.nextRequest();
    const waiting = provider.nextRequest();
    await (await post(provider, { seed: 2 })).text();
    assert.deepEqual([first.body.seed, (await waiting).body.seed], [1, 2]);
    await assert.rejects(provider.nextRequest(1), /Waited 1 ms for a request to the provider/);
  });

  it("holds a stream at a gate, one pass a step, and headers with it", async () => {
    await using provider = await startScriptedProvider();
    const steps = [{ waitFor: "next" }, { text: "x" }];
    provider.scriptModel("m", [{ waitFor: "start" }, { repeat: 3, steps }]);
    const answer = post(provider, { model: "m" });
    const request = await provider.nextRequest();
    await provider.reached("start");
    assert.equal(request.bytesSent, 0);
    provider.open("start");
    for (const count of [1, 2, 3]) {
      await provider.reached("next");
      assert.equal(request.chunks, count - 1);
      provider.pass("next");
      await request.sentChunks(count);
    }
    assert.equal((await readData(await answer)).length, 5);
  });

  it("lets everybody through an open gate", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ waitFor: "gate" }, { text: "x" }]);
    const answers = [post(provider, { model: "m" }), post(provider, { model: "m" })];
    await provider.reached("gate", 2);
    assert.equal(provider.liveRequests, 2);
    provider.open("gate");
    await Promise.all(answers.map(async (answer) => (await answer).text()));
    await provider.idle();
    assert.equal(provider.liveRequests, 0);
    assert.equal(provider.peakLiveRequests, 2);
  });

  it("tells when a client left before the first token, and stops the script", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ comment: "ping" }, { stall: true }, { text: "never" }]);
    const controller = new AbortController();
    const response = await post(provider, { model: "m" }, controller.signal);
    const request = await provider.nextRequest();
    const leftAtMs = performance.now();
    controller.abort();
    const closed = await request.closed;
    assert.equal(closed.aborted, true);
    assert.ok(closed.atMs >= leftAtMs && closed.atMs - leftAtMs < 500);
    assert.equal(request.chunks, 0);
    await assert.rejects(request.sentChunks(1), /Closed after 0 of 1 chunks/);
    await assert.rejects(response.text());
  });

  it("tells when a client left in the middle, at a gate or in a delay", async () => {
    for (const pause of [{ waitFor: "gate" }, { delayMs: 60_000 }]) {
      await using provider = await startScriptedProvider();
      provider.scriptModel("m", [{ text: "a" }, pause, { text: "b" }]);
      const controller = new AbortController();
      const response = await post(provider, { model: "m" }, controller.signal);
      const request = await provider.nextRequest();
      await request.sentChunks(1);
      controller.abort();
      assert.equal((await request.closed).aborted, true);
      assert.equal(request.chunks, 1);
      await assert.rejects(response.text());
    }
  });

  it("resets the connection", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptModel("m", [{ text: "a" }, { waitFor: "read" }, { reset: true }]);
    const options = { method: "POST", headers: { "content-type": "application/json" } };
    const outgoing = http.request(`${provider.baseUrl}/chat/completions`, options);
    outgoing.end(JSON.stringify({ model: "m", stream: true }));
    const [incoming] = (await once(outgoing, "response")) as [http.IncomingMessage];
    const [first] = (await once(incoming, "data")) as [Buffer];
    assert.match(String(first), /"content":"a"/);
    incoming.on("error", () => undefined);
    const failed = once(outgoing, "error");
    provider.open("read");
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.deepEqual([error.syscall, error.code], ["read", "ECONNRESET"]);
    const request = await provider.nextRequest();
    assert.equal((await request.closed).aborted, false);
  });

  it("resets before the first byte", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext([{ reset: true }]);
    await assert.rejects(post(provider), (error: Error) => {
      assert.equal((error.cause as NodeJS.ErrnoException).code, "ECONNRESET");
      return true;
    });
  });

  it("cuts an answer without an ending", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext([{ text: "a" }, { end: true }, { text: "never" }]);
    const data = await readData(await post(provider));
    assert.equal(data.length, 1);
    assert.equal((await (await provider.nextRequest()).closed).aborted, false);
  });

  it("splits a chunk inside a character", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext([{ text: "naïve 🙂", bytesPerWrite: 1 }]);
    const [first = ""] = await readData(await post(provider));
    assert.equal(JSON.parse(first).choices[0].delta.content, "naïve 🙂");
    assert.equal((await provider.nextRequest()).chunks, 1);
  });

  it("answers with any status, headers and body", async () => {
    await using provider = await startScriptedProvider();
    const body = { error: { message: "slow down" } };
    provider.scriptNext(
      [{ status: 429, headers: { "retry-after": "2" }, body }],
      [{ status: 200, headers: { "content-type": "text/html" }, body: "<p>hi</p>" }],
      [{ status: 204, body: "" }],
    );
    const limited = await post(provider);
    assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "2"]);
    assert.deepEqual(await limited.json(), body);
    const html = await post(provider);
    assert.deepEqual(
      [html.headers.get("content-type"), await html.text()],
      ["text/html", "<p>hi</p>"],
    );
    assert.equal((await post(provider)).status, 204);
  });

  it("sends headers at once and then whatever bytes the script has", async () => {
    await using provider = await startScriptedProvider();
    const half = Buffer.from("🙂").subarray(0, 2);
    provider.scriptNext([
      { status: 200 },
      { waitFor: "headers" },
      { raw: "data: {no json\n\n" },
      { raw: half },
      { end: true },
    ]);
    const response = await post(provider);
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    provider.open("headers");
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.deepEqual(bytes, Buffer.concat([Buffer.from("data: {no json\n\n"), half]));
  });

  it("waits for a reader that does not read", async () => {
    await using provider = await startScriptedProvider();
    const total = 64;
    const megabyte = "x".repeat(1024 * 1024);
    provider.scriptNext([{ repeat: total, steps: [{ raw: megabyte }] }, { end: true }]);
    const response = await post(provider);
    const request = await provider.nextRequest();
    await request.sentChunks(1);
    assert.ok(
      request.chunks < total / 2,
      `${request.chunks} MiB sent to a reader that read nothing`,
    );
    assert.equal((await response.arrayBuffer()).byteLength, total * megabyte.length);
    assert.equal(request.bytesSent, total * megabyte.length);
  });

  it("cuts what runs at a reset and keeps idle connections", async () => {
    await using provider = await startScriptedProvider();
    await (await post(provider)).text();
    provider.scriptNext([{ text: "a" }, { stall: true }]);
    const stalled = await post(provider);
    await provider.reset();
    await assert.rejects(stalled.text());
    assert.deepEqual([provider.requests.length, provider.liveRequests], [0, 0]);
    assert.match(await (await post(provider)).text(), /scripted/);
    assert.equal((await provider.nextRequest()).chunks, 3);
  });

  it("counts the connections that are open", async () => {
    await using provider = await startScriptedProvider();
    const agent = new http.Agent({ keepAlive: true });
    const outgoing = http.get(`${provider.baseUrl}/models`, { agent });
    const [incoming] = (await once(outgoing, "response")) as [http.IncomingMessage];
    incoming.resume();
    await once(incoming, "end");
    assert.equal(provider.liveConnections, 1);
    agent.destroy();
  });

  it("closes everything and its port when it is disposed of", async () => {
    const provider = await startScriptedProvider();
    const { baseUrl } = provider;
    provider.scriptNext([{ text: "a" }, { stall: true }]);
    const stalled = await post(provider);
    await provider[Symbol.asyncDispose]();
    await assert.rejects(stalled.text());
    await assert.rejects(fetch(`${baseUrl}/models`));
  });

  it("hands a script's own mistake to the test that waits", async () => {
    await using provider = await startScriptedProvider();
    provider.scriptNext(() => {
      throw new Error("from the script");
    });
    await assert.rejects(post(provider));
    await assert.rejects(provider.idle(), /from the script/);
  });
});
