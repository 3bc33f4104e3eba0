import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, beforeEach, describe, it } from "node:test";

import { openSocket } from "../rig/client.ts";
import { startScriptedProvider, type ScriptedProvider } from "../rig/scripted-provider.ts";
import { storedBytes, demonstrationToken, startChecked, type Checked } from "./http-support.ts";

const serverKey = "sk-server-7Qm2Xv9Lk4";
const userKey = "sk-user-3Rt8Wn5Zp1";

describe("POST /set-llm", () => {
  let checked: Checked;
  let token: string;
  before(async () => {
    checked = await startChecked();
    token = await demonstrationToken(checked);
  });
  after(() => checked[Symbol.asyncDispose]());
  const setLlm = (json: unknown) => checked.call("/set-llm", { token, json });
  const countSessions = async () =>
    (await checked.call("/sessions?limit=200", { token })).body.data.length as number;

  const printed = { model_name: "gpt-4", temperature: 0.8, max_tokens: 2000, top_p: 0.95 };

  it("answers the printed request with a session and says which key is missing", async () => {
    const { status, body } = await setLlm(printed);
    assert.equal(status, 200);
    assert.equal(body.message, "LLM session created successfully");
    assert.deepEqual(body.config, { provider: "openai", ...printed, api_key_set: false });
    assert.match(body.warning, /OpenAI.*api_key.*\/set-llm.*OPENAI_API_KEY/);
  });

  it("lets the first chat of such a session fail with a text that helps, and writes nothing", async () => {
    const id = await checked.newSession(token, printed);
    const json = { session_id: id, message: "Hello" };
    const answers = [
      await checked.call("/chat", { token, json }),
      await checked.call("/chat", { token, json, headers: { accept: "text/event-stream" } }),
    ];
    for (const { status, body } of answers) {
      assert.deepEqual([status, body.code], [409, "provider_not_configured"]);
      assert.match(body.detail, /OpenAI.*api_key.*\/set-llm.*OPENAI_API_KEY/);
    }
    using socket = await openSocket(checked.service.origin, `/ws/${id}`, { token });
    socket.send("Hello");
    const frame = await socket.next();
    assert.deepEqual(Object.keys(frame), ["error", "code"]);
    assert.equal(frame.code, "provider_not_configured");
    assert.match(String(frame.error), /OPENAI_API_KEY/);
    const messages = await checked.call(`/sessions/${id}/messages`, { token });
    assert.deepEqual(messages.body.data, []);
  });

  it("keeps everything that was set and shows it again", async () => {
    const request = {
      model_name: "fixed?text=Hi",
      provider: "mock",
      temperature: 0,
      max_tokens: 1,
      top_p: 1,
      presence_penalty: -2,
      frequency_penalty: 2,
      seed: 2_147_483_647,
      stop: ["END", "\n\n"],
      reasoning_effort: "low",
      system_prompt: "Be brief.",
    };
    const { body } = await setLlm({ ...request, title: "  Tests  " });
    assert.deepEqual(body.config, { ...request, api_key_set: false });
    assert.equal(body.warning, undefined);
    const { body: session } = await checked.call(`/sessions/${body.session_id}`, { token });
    assert.deepEqual(session.config, body.config);
    assert.equal(session.title, "Tests");
  });

  it("reconfigures a session from its next turn on, history and title kept", async () => {
    const id = await checked.newSession(token, { model_name: "fixed?text=One", provider: "mock" });
    const say = async () =>
      (await checked.call("/chat", { token, json: { session_id: id, message: "Which?" } })).body;
    assert.equal((await say()).response, "One");
    const request = { model_name: "fixed?text=Two", provider: "mock", session_id: id };
    const { body } = await setLlm(request);
    assert.deepEqual([body.session_id, body.message], [id, "LLM session updated successfully"]);
    assert.equal((await say()).response, "Two");
    const messages = await checked.call(`/sessions/${id}/messages`, { token });
    assert.deepEqual(
      messages.body.data.map((message: { model?: string }) => message.model),
      [undefined, "fixed?text=One", undefined, "fixed?text=Two"],
    );
    assert.equal((await checked.call(`/sessions/${id}`, { token })).body.title, "Which?");
  });

  const mock = { model_name: "echo", provider: "mock" };
  const refused: [string, unknown, ...string[]][] = [
    ["no model", {}, "model_name"],
    ["a blank model", { model_name: "  " }, "model_name"],
    ["a model that is too long", { model_name: "m".repeat(513) }, "model_name"],
    ["a provider that is not there", { ...mock, provider: "acme" }, "provider"],
    ["a mock script that is not there", { ...mock, model_name: "sing" }, "model_name"],
    ["an option that a script has not", { ...mock, model_name: "echo?tokens=1" }, "model_name"],
    ["an option out of range", { ...mock, model_name: "long?tokens=100001" }, "model_name"],
    ["a model that is not embedded", { model_name: "gpt-4", provider: "local" }, "model_name"],
    ["a temperature below", { ...mock, temperature: -0.1 }, "temperature"],
    ["a temperature above", { ...mock, temperature: 2.1 }, "temperature"],
    ["a temperature as text", { ...mock, temperature: "0.8" }, "temperature"],
    ["a temperature of null", { ...mock, temperature: null }, "temperature"],
    ["no tokens", { ...mock, max_tokens: 0 }, "max_tokens"],
    ["a billion tokens", { ...mock, max_tokens: 1e9 }, "max_tokens"],
    ["half a token", { ...mock, max_tokens: 1.5 }, "max_tokens"],
    ["a top_p of nothing", { ...mock, top_p: 0 }, "top_p"],
    ["a top_p above", { ...mock, top_p: 1.01 }, "top_p"],
    ["a presence penalty above", { ...mock, presence_penalty: 2.5 }, "presence_penalty"],
    ["a frequency penalty below", { ...mock, frequency_penalty: -2.5 }, "frequency_penalty"],
    ["a seed below", { ...mock, seed: -1 }, "seed"],
    ["five stops", { ...mock, stop: ["1", "2", "3", "4", "5"] }, "stop"],
    ["an empty stop", { ...mock, stop: ["a", ""] }, "stop.1"],
    ["another effort", { ...mock, reasoning_effort: "extreme" }, "reasoning_effort"],
    [
      "an effort that the embedded model has not",
      { model_name: "smollm2-135m-instruct", reasoning_effort: "low" },
      "reasoning_effort",
    ],
    ["a long system prompt", { ...mock, system_prompt: "s".repeat(32_769) }, "system_prompt"],
    ["a blank title", { ...mock, title: " " }, "title"],
    ["an id that is none", { ...mock, session_id: "1" }, "session_id"],
    ["a key with a line break", { ...mock, api_key: "sk-1\r\nx: y" }, "api_key"],
    ["a base URL for the mock", { ...mock, base_url: "https://api.example.com/v1" }, "base_url"],
    ["half a character", { ...mock, system_prompt: "\ud83d" }, "system_prompt"],
    [
      "fields that it does not know",
      { ...mock, user_id: "x", role: "admin", owner: 1, id: "x" },
      "user_id",
      "role",
      "owner",
      "id",
    ],
    ["several at once", { ...mock, temperature: 9, top_p: 9 }, "temperature", "top_p"],
    ["a list", [mock], "(body)"],
  ];
  for (const [what, json, ...paths] of refused) {
    it(`refuses ${what} and names ${paths.join(", ")}`, async () => {
      const countBefore = await countSessions();
      const { status, body } = await setLlm(json);
      assert.deepEqual([status, body.code], [422, "invalid_input"], JSON.stringify(body));
      assert.deepEqual(
        body.errors.map(({ path }: { path: string }) => path).toSorted(),
        paths.toSorted(),
      );
      for (const { message } of body.errors) assert.ok(message.length > 8, message);
      assert.equal(await countSessions(), countBefore);
    });
  }

  const badBaseUrls = [
    "http://api.example.com/v1",
    "https://localhost/v1",
    "https://127.0.0.1:8443/v1",
    "https://127.1/v1",
    "https://2130706433/v1",
    "https://0x7f000001/v1",
    "https://[::1]/v1",
    "https://[::ffff:10.0.0.1]/v1",
    "https://10.0.0.1/v1",
    "https://169.254.169.254/latest",
    "https://metadata.google.internal/v1",
    "https://100.64.0.1/v1",
    "https://user:pass@api.example.com/v1",
    "https://api.example.com/v1?x=1",
    "https://api.example.com/v1#x",
    "https://api.example.com:6379/v1",
    "https://api.example.com:22/v1",
    "https:\\\\api.example.com",
    "https://api.example.com/\r\nx: y",
    "file:///etc/passwd",
    "gopher://api.example.com",
    "//api.example.com/v1",
    "api.example.com",
  ];
  for (const base_url of badBaseUrls) {
    it(`refuses the base URL ${JSON.stringify(base_url)} and stores nothing`, async () => {
      const countBefore = await countSessions();
      for (const provider of ["openai-compatible", "openai"]) {
        const { status, body } = await setLlm({
          model_name: "m",
          provider,
          base_url,
          api_key: "k",
        });
        assert.deepEqual([status, body.code], [422, "invalid_base_url"]);
        assert.deepEqual(body.errors, [{ path: "base_url", message: body.detail }]);
      }
      assert.equal(await countSessions(), countBefore);
    });
  }
});

describe("POST /set-llm with a provider", () => {
  let provider: ScriptedProvider;
  let checked: Checked;
  let token: string;
  before(async () => {
    provider = await startScriptedProvider();
    checked = await startChecked({
      env: {
        LLM_PROVIDER: undefined,
        LLM_BASE_URL: provider.baseUrl,
        LLM_MODEL: "server-model",
        OPENAI_COMPATIBLE_API_KEY: serverKey,
        OPENAI_API_KEY: `${serverKey}-openai`,
        LLM_ALLOWED_HOSTS: provider.host,
      },
    });
    token = await demonstrationToken(checked);
  });
  after(async () => {
    await checked[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });
  beforeEach(() => provider.reset());

  const compatible = { model_name: "m", provider: "openai-compatible" };
  const setLlm = (json: object) => checked.call("/set-llm", { token, json });
  const chat = (session_id: string) =>
    checked.call("/chat", { token, json: { session_id, message: "Hello" } });
  const sentKey = async () => (await provider.nextRequest()).headers.authorization;

  it("sends the server's key to the server's own base URL", async () => {
    const id = await checked.newSession(token, compatible);
    assert.equal((await chat(id)).status, 200);
    assert.equal(await sentKey(), `Bearer ${serverKey}`);
  });

  it("refuses a base URL of one's own without a key of one's own, and sends nothing", async () => {
    const own = { model_name: "m", base_url: `${provider.baseUrl}/` };
    const kept = await checked.newSession(token, compatible);
    const requests = [
      own,
      { ...own, provider: "openai" },
      { ...own, provider: "openai-compatible" },
      { ...own, session_id: kept },
    ];
    for (const request of requests) {
      const { status, body } = await setLlm(request);
      assert.deepEqual([status, body.code], [422, "api_key_required"], JSON.stringify(request));
      assert.equal(body.errors[0].path, "api_key");
    }
    assert.deepEqual(provider.requests, []);
    const { body } = await checked.call(`/sessions/${kept}`, { token });
    assert.equal(body.config.base_url, undefined);
  });

  it("sends the user's key, and only that, to the user's base URL", async () => {
    for (const name of ["openai", "openai-compatible"]) {
      const request = {
        model_name: "m",
        provider: name,
        base_url: provider.baseUrl,
        api_key: userKey,
      };
      assert.equal((await chat(await checked.newSession(token, request))).status, 200, name);
      const sent = await provider.nextRequest();
      assert.equal(sent.headers.authorization, `Bearer ${userKey}`);
      assert.ok(!JSON.stringify([sent.headers, sent.rawBody]).includes(serverKey), name);
    }
  });

  it("keeps a key for its provider and base URL, and drops it when either changes", async () => {
    const own = { ...compatible, base_url: provider.baseUrl };
    const id = await checked.newSession(token, { ...own, api_key: userKey });
    const again = await setLlm({ ...own, model_name: "other", session_id: id });
    assert.equal(again.body.config.api_key_set, true);
    await chat(id);
    assert.equal(await sentKey(), `Bearer ${userKey}`);
    const elsewhere = `http://${provider.host}/other`;
    const moved = await setLlm({ ...own, base_url: elsewhere, session_id: id });
    assert.equal(moved.body.code, "api_key_required");
    const changed = await setLlm({ ...own, provider: "openai", session_id: id });
    assert.equal(changed.body.code, "api_key_required");
    const back = await setLlm({ ...compatible, session_id: id });
    assert.equal(back.body.config.api_key_set, false);
    await chat(id);
    assert.equal(await sentKey(), `Bearer ${serverKey}`);
  });

  it("takes a new key in place of the old one", async () => {
    const own = { ...compatible, base_url: provider.baseUrl };
    const id = await checked.newSession(token, { ...own, api_key: userKey });
    await setLlm({ ...own, api_key: "sk-second", session_id: id });
    await chat(id);
    assert.equal(await sentKey(), "Bearer sk-second");
  });

  it("shows a key nowhere: not in an answer, the log or the data folder", async () => {
    const own = { ...compatible, base_url: provider.baseUrl, api_key: userKey };
    const [first, second] = [await setLlm(own), await setLlm(own)];
    const id = first.body.session_id as string;
    await chat(id);
    provider.scriptNext([{ status: 401, body: { error: { message: `Bad key ${userKey}` } } }]);
    const answers = [
      first,
      await chat(id),
      await checked.call(`/sessions/${id}`, { token }),
      await checked.call("/sessions", { token }),
      await checked.call(`/sessions/${id}/messages`, { token }),
      await checked.call(`/sessions/${id}/export`, { token }),
      await checked.call(`/sessions/${id}/fork`, { token, method: "POST" }),
      await setLlm({ ...own, temperature: 9 }),
    ];
    for (const { text } of answers) assert.ok(!text.includes(userKey), text);
    const stored = await storedBytes(checked.service.dataDir);
    for (const key of [userKey, serverKey]) {
      assert.ok(!stored.includes(key), "a key is stored in clear");
      assert.ok(!checked.service.output.includes(key), "a key is in the log");
    }
    using database = new DatabaseSync(join(checked.service.dataDir, "llm-service.db"), {
      readOnly: true,
    });
    const sealed = [id, second.body.session_id].map((session) => {
      const row = database.prepare("SELECT sealed_api_key FROM sessions WHERE id = ?").get(session);
      return String(row?.sealed_api_key);
    });
    assert.match(sealed[0] ?? "", /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.notEqual(sealed[0], sealed[1]);
  });
});
