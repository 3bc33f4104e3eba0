import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { writeTinyGguf } from "#lib/llm/local/tiny-gguf.ts";
import { api, login, openSocket } from "../rig/client.ts";
import { startService, type ServiceProcess } from "../rig/service-process.ts";

/** Where no Python is found, so that a test never fetches the real model. */
const withoutPython = { PATH: dirname(process.execPath) };

let directory: string;
before(async () => void (directory = await mkdtemp(join(tmpdir(), "local-model-"))));
after(() => rm(directory, { recursive: true, force: true }));

function startLocal(env: Record<string, string>): Promise<ServiceProcess> {
  const modelDir = { MODEL_DIR: join(directory, "models") };
  return startService({ env: { LLM_PROVIDER: undefined, ...withoutPython, ...modelDir, ...env } });
}

describe("the embedded model", () => {
  let service: ServiceProcess;
  let token: string;
  before(async () => {
    const path = join(directory, "Tiny-Endless.gguf");
    await writeTinyGguf(path, { script: ["tick ", "tock "], repeats: true });
    service = await startLocal({ LOCAL_MODEL: path });
    token = await login(service.origin);
  });
  after(() => service[Symbol.asyncDispose]());

  it("answers by default under its file's name, and /health says so", async () => {
    const { body } = await api(service.origin).json("GET", "/health");
    assert.deepEqual(
      [body.default_provider, body.default_model, body.simulated, body.local_model],
      ["local", "Tiny-Endless", false, { status: "ready" }],
    );
    assert.match(service.output, /answered by local\/Tiny-Endless/);
  });

  it("tells real figures and why it ended", async () => {
    const { body } = await api(service.origin, token).json("POST", "/chat", {
      message: "Go on",
      model_params: { max_tokens: 4 },
    });
    assert.equal(body.response.trim(), "tick tock tick tock");
    assert.deepEqual([body.finish_reason, body.cost], ["length", 0]);
    assert.equal(body.usage.completion_tokens, 4);
    assert.ok(body.usage.prompt_tokens > 0);
  });

  it("answers several turns at once and stops one without the others", async () => {
    const sockets = await Promise.all(
      [1, 2, 3].map(() =>
        openSocket(service.origin, "/ws/new", { token, protocol: "llm-service.v1" }),
      ),
    );
    for (const socket of sockets) socket.send({ type: "message", text: "Go on" });
    await Promise.all(sockets.map((socket) => socket.next(({ type }) => type === "text-delta")));
    const [first, ...others] = sockets;
    first?.send({ type: "stop" });
    const end = await first?.next(({ type }) => type === "turn-end");
    assert.equal(end?.finish_reason, "stopped");
    for (const socket of others) {
      assert.equal((await socket.next()).type, "text-delta");
      socket.send({ type: "stop" });
      assert.equal((await socket.next(({ type }) => type === "turn-end")).finish_reason, "stopped");
    }
    await Promise.all(sockets.map((socket) => socket.close()));
  });
});

describe("where there is no model file", () => {
  it("starts on the mock and says that replies are simulated", async () => {
    await using service = await startLocal({});
    const { body } = await api(service.origin).json("GET", "/health");
    assert.deepEqual([body.default_provider, body.simulated], ["mock", true]);
    assert.equal(body.local_model.status, "failed");
    assert.match(service.output, /replies are simulated/);
    const request = { model_name: "smollm2-135m-instruct" };
    const client = api(service.origin, await login(service.origin));
    const session = await client.json("POST", "/set-llm", request);
    const message = { message: "Hello", session_id: session.body.session_id };
    const refused = await client.json("POST", "/chat", message);
    assert.deepEqual([refused.status, refused.body.code], [503, "model_unavailable"]);
  });

  it("refuses to start with a LOCAL_MODEL that is missing or no model, and names it", async () => {
    const notAModel = join(directory, "notes.gguf");
    await writeFile(notAModel, "These are notes.");
    for (const LOCAL_MODEL of [join(directory, "missing.gguf"), notAModel]) {
      await assert.rejects(startLocal({ LOCAL_MODEL }), /LOCAL_MODEL/);
    }
  });
});
