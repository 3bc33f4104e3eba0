import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { openRefused } from "../rig/client.ts";
import { startScriptedProvider } from "../rig/scripted-provider.ts";
import { startService } from "../rig/service-process.ts";
import { RawSocket } from "./raw-socket.ts";
import {
  isTerminal,
  like,
  limits,
  newSession,
  newUser,
  openPlain,
  openV1,
  stackEnv,
  timed,
  type Stack,
} from "./support.ts";

const signalledMs = limits.shutdownMs + 2000;

/** A stack of its own for a test that ends it. */
async function ownStack(t: TestContext): Promise<Stack> {
  const provider = await startScriptedProvider();
  t.after(() => provider[Symbol.asyncDispose]());
  const patience = { FIRST_TOKEN_TIMEOUT_MS: "30000", CHUNK_TIMEOUT_MS: "30000" };
  const service = await startService({ env: { ...stackEnv(provider), ...patience } });
  t.after(() => service[Symbol.asyncDispose]());
  return { service, provider };
}

describe("SIGTERM", () => {
  it("lets 30 live streams end or tells them, closes with 1001 and exits with 0 in time", async (t) => {
    const { service, provider } = await ownStack(t);
    const user = await newUser(service);
    provider.scriptModel("ends", [{ text: "a" }, { waitFor: "end" }, { text: "b" }]);
    provider.scriptModel("hangs", [{ text: "a" }, { stall: true }]);
    const streams = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const model = index % 3 === 0 ? "hangs" : "ends";
        const sessionId = await newSession(user, model);
        const socket = await openV1(service, user, sessionId);
        socket.send({ type: "message", text: "Hello" });
        await socket.next(like({ text: "a" }));
        return { model, sessionId, socket };
      }),
    );
    using idle = await openPlain(service, user);

    const exited = timed(service.exit);
    service.signal("SIGTERM");
    await service.waitForOutput(/shutting-down/);
    const ready = await fetch(`${service.origin}/ready`);
    assert.equal(ready.status, 503);
    assert.equal((await fetch(`${service.origin}/health`)).status, 200);
    const refused = await openRefused(service.wsOrigin, "/ws/new", { token: user.token });
    assert.deepEqual([refused.status, refused.body.code], [503, "shutting_down"]);
    idle.send("Too late");
    assert.equal((await idle.next(like({ code: "shutting_down" }))).code, "shutting_down");
    const chat = await user.api.json("POST", "/chat", { message: "Too late" });
    assert.deepEqual([chat.status, chat.body.code], [503, "shutting_down"]);

    provider.open("end");
    const lasts = await Promise.all(streams.map(({ socket }) => socket.next(isTerminal)));
    for (const [index, { model }] of streams.entries()) {
      const last = lasts[index];
      assert.equal(last?.finish_reason ?? last?.code, model === "ends" ? "stop" : "shutting_down");
    }
    const closed = await Promise.all([...streams.map(({ socket }) => socket.closed), idle.closed]);
    assert.ok(closed.every(({ code }) => code === 1001));
    assert.deepEqual(await service.exit, { code: 0, signal: null });
    const exitMs = await exited;
    t.diagnostic(`exited ${exitMs.toFixed(0)} ms after the signal`);
    assert.ok(exitMs < signalledMs);
    await provider.idle();

    using database = new DatabaseSync(join(service.dataDir, "llm-service.db"), { readOnly: true });
    const count = database.prepare(
      "SELECT status, count(*) AS rows FROM messages WHERE role = 'assistant' GROUP BY status ORDER BY status",
    );
    assert.deepEqual(
      count.all().map(({ status, rows }) => [status, rows]),
      [
        ["complete", 20],
        ["incomplete", 10],
      ],
    );
  });

  it("exits at once when nothing runs, though a peer never answers the close", async (t) => {
    const { service } = await ownStack(t);
    const user = await newUser(service);
    const authorization = `Bearer ${user.token}`;
    using raw = await RawSocket.open(service.origin, "/ws/new", { authorization });
    const exited = timed(service.exit);
    service.signal("SIGTERM");
    assert.equal(await raw.closeCode(), 1001);
    assert.deepEqual(await service.exit, { code: 0, signal: null });
    assert.ok((await exited) < 3000, `exited after ${await exited} ms`);
  });

  it("lets a whole answer of POST /chat reach its client", async (t) => {
    const { service, provider } = await ownStack(t);
    const user = await newUser(service);
    provider.scriptNext([{ waitFor: "end" }, { text: "in time" }]);
    const answer = user.api.json("POST", "/chat", { message: "Hello" });
    await provider.reached("end");
    service.signal("SIGTERM");
    await service.waitForOutput(/shutting-down/);
    provider.open("end");
    assert.equal((await answer).body.response, "in time");
    assert.equal((await service.exit).code, 0);
  });

  it("exits now at a second signal", async (t) => {
    const { service, provider } = await ownStack(t);
    const user = await newUser(service);
    provider.scriptNext([{ text: "a" }, { stall: true }]);
    using socket = await openV1(service, user, await newSession(user));
    socket.send({ type: "message", text: "Hello" });
    await socket.next(like({ text: "a" }));
    service.signal("SIGTERM");
    await service.waitForOutput(/shutting-down/);
    const exited = timed(service.exit);
    service.signal("SIGTERM");
    assert.equal((await service.exit).code, 1);
    assert.ok((await exited) < 1000);
  });
});
