import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { api, openRefused, openSocket, type SocketOptions } from "../rig/client.ts";
import { opcodes, RawSocket, upgrade } from "./raw-socket.ts";
import {
  assertContiguous,
  history,
  historyOnce,
  isTerminal,
  like,
  limits,
  newSession,
  newUser,
  openPlain,
  openV1,
  startStack,
  textOf,
  timed,
  tokenFor,
  type User,
} from "./support.ts";

const { service, provider } = await startStack();
const { origin, wsOrigin } = service;

const sessionCount = async (user: User) =>
  ((await user.api.json("GET", "/sessions")).body.data as unknown[]).length;
const sessionCookie = (token: string) => `next-auth.session-token=${token}`;

describe("admission to the WebSocket", () => {
  const strangers: Readonly<Record<string, (user: User) => Promise<SocketOptions>>> = {
    "no token": async () => ({}),
    "a garbage token": async () => ({ token: "garbage" }),
    "an empty bearer": async () => ({ headers: { authorization: "Bearer " } }),
    "another scheme": async () => ({ headers: { authorization: "Basic dXNlcjpwYXNz" } }),
    "a token of another key": async (user) => ({
      token: await tokenFor(user, { secret: "another-key-of-thirty-two-bytes-or-more" }),
    }),
    "an expired token": async (user) => ({ token: await tokenFor(user, { lifetimeSeconds: -5 }) }),
    "a token of nobody": async () => ({
      token: await tokenFor({ id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4", username: "nobody" }),
    }),
    "a garbage subprotocol": async () => ({ protocol: ["llm-service.v1", "bearer.garbage"] }),
    "a garbage cookie": async () => ({ origin, headers: { cookie: sessionCookie("garbage") } }),
  };
  for (const [name, options] of Object.entries(strangers)) {
    it(`refuses ${name} with 401 before any 101`, async () => {
      const user = await newUser(service);
      const given = await options(user);
      for (const path of ["/ws/new", `/ws/${await newSession(user)}`]) {
        const since = performance.now();
        const refused = await openRefused(wsOrigin, path, given);
        assert.equal(refused.status, 401);
        assert.match(String(refused.headers["www-authenticate"]), /^Bearer/);
        assert.equal(refused.headers["content-type"], "application/problem+json");
        assert.equal(refused.body.status, 401);
        assert.ok(performance.now() - since < 1000);
      }
      assert.equal(await sessionCount(user), 1);
    });
  }

  const { host, port } = new URL(origin);
  const origins: readonly (readonly [origin: string | undefined, status: number])[] = [
    ["https://evil.test", 403],
    ["null", 403],
    [`http://localhost:${port}.evil.test`, 403],
    [`http://${host}.evil.test`, 403],
    [`https://${host}`, 403],
    [`http://127.0.0.1:${Number(port) + 1}`, 403],
    [`http://localhost:${port}`, 403],
    ["", 403],
    [undefined, 403],
    [origin, 101],
  ];
  for (const [from, status] of origins) {
    it(`answers a cookie from the origin ${String(from)} with ${status}`, async () => {
      const user = await newUser(service);
      const options = {
        ...(from !== undefined && { origin: from }),
        headers: { cookie: `theme=dark; ${sessionCookie(user.token)}` },
      };
      if (status === 101) (await openSocket(wsOrigin, "/ws/new", options)).raw.terminate();
      else assert.equal((await openRefused(wsOrigin, "/ws/new", options)).status, status);
      assert.equal(await sessionCount(user), status === 101 ? 1 : 0);
    });
  }

  it("takes a bearer token from any origin and from none", async () => {
    const { token } = await newUser(service);
    for (const from of [undefined, "https://evil.test", "null"]) {
      const options = { token, ...(from !== undefined && { origin: from }) };
      (await openSocket(wsOrigin, "/ws/new", options)).raw.terminate();
    }
  });

  it("takes the token as a subprotocol and answers with the protocol that was wanted", async () => {
    const user = await newUser(service);
    const bearer = `bearer.${user.token}`;
    for (const protocol of [
      ["llm-service.v1", bearer],
      [bearer, "llm-service.v1"],
    ]) {
      using v1 = await openSocket(wsOrigin, "/ws/new", { protocol, origin: "https://app.test" });
      assert.equal(v1.raw.protocol, "llm-service.v1");
      await v1.next(like({ type: "hello" }));
    }
    using plain = await openSocket(wsOrigin, "/ws/new", { protocol: bearer });
    await plain.next();
    plain.send("Hello");
    await plain.next(like({ done: true }));
  });

  it("answers every id that is not one's own alike, with 404", async () => {
    const [owner, user] = [await newUser(service), await newUser(service)];
    const theirs = await newSession(owner);
    const deleted = await newSession(user);
    assert.equal((await user.api.json("DELETE", `/sessions/${deleted}`)).status, 204);
    const ids = [
      theirs,
      deleted,
      "01KC0ZJ3V8T9Q2M4N6P8R0S2T4",
      theirs.toLowerCase(),
      "NEW",
      "%00",
      "..%2f..%2fetc",
      "%zz",
      "a".repeat(10_240),
      "é",
    ];
    const { token } = user;
    const answers = await Promise.all(
      ids.map((id) =>
        openRefused(wsOrigin, encodeURI(`/ws/${id}`).replaceAll("%25", "%"), { token }),
      ),
    );
    for (const [index, { status, body }] of answers.entries()) {
      assert.equal(status, 404, ids[index]);
      assert.deepEqual(body, answers[0]?.body);
    }
    const { token: ownToken } = owner;
    (await openSocket(wsOrigin, `/ws/${theirs}`, { token: ownToken })).raw.terminate();
  });

  it("owns no other path", async () => {
    const { token } = await newUser(service);
    for (const path of ["/", "/ws", "/ws/", "/ws/new/", "/ws/new/x", "/chat", "/_next/hmr", "/x"]) {
      assert.equal((await openRefused(wsOrigin, path, { token })).status, 404, path);
    }
  });

  it("hangs up on a refused client that keeps its side open", async () => {
    const { socket } = await upgrade(origin, "/ws/new", {});
    const ended = once(socket, "end");
    socket.resume();
    await ended;
    // Only a write shows whether the service still holds its side: a closed one answers by a reset.
    const gone = new Promise<string>((resolve) => {
      socket.on("error", () => undefined);
      socket.on("close", () => resolve("gone"));
      socket.setTimeout(2000, () => resolve("still held"));
    });
    socket.write("x");
    socket.write("y");
    assert.equal(await gone, "gone");
    socket.destroy();
  });

  it("refuses a handshake that is none", async () => {
    const user = await newUser(service);
    const authorization = `Bearer ${user.token}`;
    const broken: readonly Record<string, string>[] = [
      { "sec-websocket-version": "12" },
      { "sec-websocket-key": "short" },
      { upgrade: "h2c" },
    ];
    for (const header of broken) {
      const { socket, head } = await upgrade(origin, "/ws/new", { authorization, ...header });
      socket.destroy();
      assert.match(head, /^HTTP\/1\.1 4\d\d /, JSON.stringify(header));
    }
  });
});

describe("heartbeat", () => {
  it("ends a peer that never pongs within two beats, and frees its turn", async (t) => {
    const user = await newUser(service);
    const authorization = `Bearer ${user.token}`;
    using raw = await RawSocket.open(origin, "/ws/new", { authorization });
    const tookMs = await timed(raw.gone());
    t.diagnostic(`ended after ${tookMs.toFixed(0)} ms`);
    assert.ok(tookMs <= 2 * limits.heartbeatMs + 250);
    assert.ok(raw.received.some(({ opcode }) => opcode === opcodes.ping));
  });

  it("keeps a healthy idle peer over five beats", async () => {
    const user = await newUser(service);
    using socket = await openPlain(service, user);
    for (let beat = 0; beat < 5; beat += 1) await once(socket.raw, "ping");
    socket.send("Hello");
    await socket.next(like({ done: true }));
  });
});

describe("the end of an admission", () => {
  it("closes with 4401 when the token expires while an answer streams, and ends the answer", async (t) => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ repeat: 100, steps: [{ text: "a" }, { delayMs: 100 }] }]);
    const lifetimeSeconds = 2;
    const token = await tokenFor(user, { lifetimeSeconds });
    const issuedAtMs = performance.now();
    using socket = await openV1(service, { token }, sessionId);
    socket.send({ type: "message", text: "Hello" });
    assert.equal((await socket.closed).code, 4401);
    const openMs = performance.now() - issuedAtMs;
    t.diagnostic(`closed ${openMs.toFixed(0)} ms after a token of ${lifetimeSeconds} s was issued`);
    assert.ok(openMs < lifetimeSeconds * 1000 + 2000);
    const { closed } = await provider.nextRequest();
    const { atMs, aborted } = await closed;
    assert.ok(aborted);
    assert.ok(atMs - issuedAtMs < lifetimeSeconds * 1000 + limits.graceMs + 1000);
    const refused = await openRefused(wsOrigin, `/ws/${sessionId}`, { token });
    assert.equal(refused.status, 401);
    assert.equal((await api(origin, token).json("GET", "/sessions")).status, 401);
    const isEnded = ([, answer]: { status: string }[]) => answer?.status !== "streaming";
    const [, answer] = await historyOnce(user, sessionId, isEnded);
    assert.equal(answer?.status, "incomplete");
  });

  it("takes nothing more from a socket that was told to close", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    for (const protocol of ["llm-service.v1", undefined]) {
      const token = await tokenFor(user, { lifetimeSeconds: 1 });
      using raw = await RawSocket.open(origin, `/ws/${sessionId}`, {
        authorization: `Bearer ${token}`,
        ...(protocol !== undefined && { "sec-websocket-protocol": protocol }),
      });
      assert.equal(await raw.closeCode(), 4401);
      raw.send({ payload: JSON.stringify({ type: "message", text: "Too late" }) });
      await raw.gone();
    }
    assert.deepEqual(await history(user, sessionId), []);
    assert.equal(provider.requests.length, 0);
  });

  it("closes every socket of a sign-in with 4401 when it signs out, and no other", async () => {
    const user = await newUser(service);
    const [own, other] = [await tokenFor(user), await tokenFor(user)];
    const sessionId = await newSession(user);
    provider.scriptNext([{ text: "a" }, { waitFor: "more" }, { text: "b" }]);
    using first = await openV1(service, { token: own }, sessionId);
    using second = await openPlain(service, { ...user, token: own }, sessionId);
    using stays = await openV1(service, { token: other }, sessionId);
    stays.send({ type: "message", text: "Hello" });
    await first.next(like({ type: "hello" }));
    await stays.next(like({ text: "a" }));
    const since = performance.now();
    await signOut(own);
    const closed = await Promise.all([first.closed, second.closed]);
    assert.deepEqual(
      closed.map(({ code }) => code),
      [4401, 4401],
    );
    assert.ok(performance.now() - since < 2000);
    assert.equal((await openRefused(wsOrigin, "/ws/new", { token: own })).status, 401);
    assert.equal((await api(origin, own).json("GET", "/sessions")).status, 401);
    provider.open("more");
    await stays.next(isTerminal);
    assertContiguous(stays.frames, 1);
    assert.equal(textOf(stays.frames), "ab");
  });

  it("closes with 4404 when the session is deleted, and ends its turn", async () => {
    const user = await newUser(service);
    const sessionId = await newSession(user);
    provider.scriptNext([{ text: "a" }, { stall: true }]);
    using reader = await openV1(service, user, sessionId);
    using plain = await openPlain(service, user, sessionId);
    using elsewhere = await openV1(service, user, await newSession(user));
    reader.send({ type: "message", text: "Hello" });
    await reader.next(like({ text: "a" }));
    const { closed } = await provider.nextRequest();
    assert.equal((await user.api.json("DELETE", `/sessions/${sessionId}`)).status, 204);
    assert.deepEqual([(await reader.closed).code, (await plain.closed).code], [4404, 4404]);
    assert.ok((await closed).aborted);
    elsewhere.send({ type: "ping" });
    await elsewhere.next(like({ type: "pong" }));
    const { token } = user;
    assert.equal((await openRefused(wsOrigin, `/ws/${sessionId}`, { token })).status, 404);
  });
});

/** Signs out as the page does, by next-auth's own routes. */
async function signOut(token: string): Promise<void> {
  const csrf = await fetch(`${origin}/api/auth/csrf`);
  const { csrfToken } = (await csrf.json()) as { csrfToken: string };
  const cookies = csrf.headers.getSetCookie().map((cookie) => cookie.split(";", 1)[0]);
  const response = await fetch(`${origin}/api/auth/signout`, {
    method: "POST",
    redirect: "manual",
    headers: { origin, cookie: [...cookies, sessionCookie(token)].join("; ") },
    body: new URLSearchParams({ csrfToken, json: "true" }),
  });
  assert.ok(response.status < 400, `Sign-out answered ${response.status}`);
}
