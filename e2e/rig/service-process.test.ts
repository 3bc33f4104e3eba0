import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { api, login, openRefused, openSocket } from "./client.ts";
import { startService } from "./service-process.ts";

const entry = "e2e/rig/stand-in-service.ts";

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("startService", () => {
  it("gives the process an environment of its own, with what the caller laid over it", async (t) => {
    process.env.INHERITED_BY_MISTAKE = "1";
    t.after(() => delete process.env.INHERITED_BY_MISTAKE);
    const env = { LLM_MODEL: "echo", HOME: undefined };
    await using service = await startService({ entry, env });
    const { environment } = (await api(service.origin).json("GET", "/")).body;
    const names = ["NODE_ENV", "HOST", "PORT", "LLM_PROVIDER", "LLM_MODEL", "DATA_DIR", "HOME"];
    assert.deepEqual(
      names.map((name) => environment[name]),
      ["production", "127.0.0.1", "0", "mock", "echo", service.dataDir, undefined],
    );
    assert.equal(environment.INHERITED_BY_MISTAKE, undefined);
    assert.equal(service.wsOrigin, `ws://127.0.0.1:${service.port}`);
  });

  it("keeps the process on loopback and shows what it tried", async () => {
    await using service = await startService({ entry });
    assert.match(
      (await api(service.origin).json("GET", "/outside")).body,
      /loopback-guard refused/,
    );
    await service.waitForOutput(/loopback-guard refused a connection to 192\.0\.2\.1/);
  });

  it("throws the output of a start that failed and removes its directory", async (t) => {
    const place = await mkdtemp(join(tmpdir(), "rig-"));
    const { TMPDIR } = process.env;
    t.after(async () => {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(place, { recursive: true });
    });
    process.env.TMPDIR = place;
    const start = startService({ entry, env: { STAND_IN: "fails" } });
    await assert.rejects(start, /did not start: ended with \{"code":1.*PORT: not a port/s);
    assert.deepEqual(await readdir(place), []);
  });

  it("gives up on a process that does not say where it listens", async () => {
    const env = { STAND_IN: "is silent" };
    const start = startService({ entry, env, startTimeoutMs: 300 });
    await assert.rejects(start, /did not start: Waited 300 ms for the service to listen/);
  });

  it("kills the process and removes its directory when it is disposed of", async () => {
    const service = await startService({ entry });
    const { pid, dataDir } = service;
    await service[Symbol.asyncDispose]();
    assert.equal(isRunning(pid), false);
    assert.equal(existsSync(dataDir), false);
    assert.deepEqual(await service.exit, { code: null, signal: "SIGKILL" });
  });

  it("leaves a directory that the caller gave", async (t) => {
    const dataDir = await mkdtemp(join(tmpdir(), "rig-"));
    t.after(() => rm(dataDir, { recursive: true }));
    {
      await using service = await startService({ entry, dataDir });
      assert.equal(service.dataDir, dataDir);
    }
    assert.equal(await readFile(join(dataDir, "starts"), "utf8"), "1");
  });

  it("passes signals on and tells how the process ended", async () => {
    await using service = await startService({ entry });
    service.signal("SIGTERM");
    assert.deepEqual(await service.exit, { code: 0, signal: null });
    assert.match(service.output, /stopping/);
  });

  it("restarts on the same data, and on the same port where it is asked to", async () => {
    await using service = await startService({ entry });
    const { origin, pid } = service;
    await service.restart({ samePort: true, env: { LLM_MODEL: "echo" } });
    assert.equal(service.origin, origin);
    assert.notEqual(service.pid, pid);
    await service.kill9();
    await service.restart();
    const { starts, environment } = (await api(service.origin).json("GET", "/")).body;
    assert.deepEqual([starts, environment.LLM_MODEL], [3, "echo"]);
  });

  it("reads the memory and the descriptors of the process", async () => {
    await using service = await startService({ entry });
    const [rss, before] = [await service.rssBytes(), await service.openFileDescriptors()];
    assert.ok(rss > 20e6 && rss < 1e9, String(rss));
    using socket = await openSocket(service.origin, "/", { token: "good" });
    await socket.next();
    assert.equal(await service.openFileDescriptors(), before + 1);
  });
});

describe("the client", () => {
  it("sends JSON and text with the token, and reads JSON and text", async () => {
    await using service = await startService({ entry });
    const asked = api(service.origin, "t");
    const { body } = await asked.json("PUT", "/x", { a: 1 }, { headers: { "x-y": "z" } });
    const { authorization, "content-type": type, "x-y": own } = body.headers;
    assert.deepEqual([body.method, body.url], ["PUT", "/x"]);
    assert.deepEqual([authorization, type, own], ["Bearer t", "application/json", "z"]);
    const echoed = await asked.json("POST", "/echo", "{broken");
    assert.equal(echoed.body, "{broken");
    const streamed = await asked.stream("POST", "/x", {});
    assert.match(await streamed.text(), /"accept":"text\/event-stream"/);
  });

  it("signs in with a form and shows a refusal", async () => {
    await using service = await startService({ entry });
    assert.equal(await login(service.origin), "testuser");
    assert.equal(await login(service.origin, "other"), "other");
    const wrong = login(service.origin, "testuser", "wrong");
    await assert.rejects(wrong, /POST \/token answered 401: .*invalid_grant/);
  });

  it("opens a socket and reads its frames in order, skipping to those that match", async () => {
    await using service = await startService({ entry });
    const options = { token: "good", protocol: "llm-service.v1", origin: "http://own.test" };
    using socket = await openSocket(service.wsOrigin, "/ws/new", options);
    assert.equal(socket.raw.protocol, "llm-service.v1");
    assert.deepEqual(await socket.next(), { session_id: "1", origin: "http://own.test" });
    socket.send("a b c");
    assert.deepEqual(await socket.next((frame) => frame.chunk === "b"), { chunk: "b" });
    assert.deepEqual(await socket.next(), { chunk: "c" });
    socket.send({ text: "x" });
    assert.deepEqual(await socket.next(), { chunk: '{"text":"x"}' });
    assert.equal(socket.frames.length, 5);
    const none = socket.next(() => false, 20);
    await assert.rejects(none, /Waited 20 ms for a frame like .*; 5 frames, the last .*"c"/);
    const waiting = socket.next();
    socket.send("bye");
    await assert.rejects(waiting, /Closed: \{"code":4000,"reason":"bye"\}/);
    assert.deepEqual(await socket.closed, { code: 4000, reason: "bye" });
  });

  it("closes in order", async () => {
    await using service = await startService({ entry });
    using socket = await openSocket(service.origin, "/", { token: "good" });
    assert.deepEqual(await socket.close(), { code: 1000, reason: "" });
  });

  it("reads a refusal, and fails where the other was expected", async () => {
    await using service = await startService({ entry });
    const refusal = await openRefused(service.origin, "/ws/1", { token: "bad" });
    assert.deepEqual([refusal.status, refusal.body], [401, { code: "unauthorized" }]);
    assert.equal(refusal.headers["content-type"], "application/problem+json");
    await assert.rejects(openSocket(service.origin, "/ws/1"), /refused: 401 .*unauthorized/);
    await assert.rejects(openRefused(service.origin, "/", { token: "good" }), /was not refused/);
  });
});
