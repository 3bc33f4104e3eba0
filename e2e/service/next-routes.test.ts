import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { routes, type Route, type RouteName } from "#lib/api/routes.ts";
import { openSocket } from "../rig/client.ts";
import { demonstrationToken, send, startChecked, type Checked, type Sent } from "./http-support.ts";

const mock = { model_name: "fixed?text=From%20the%20mock", provider: "mock" };
const message = "Hello";

type Request = (id: string) => Sent;
const plain: Request = () => ({});

/** What each route is asked, in this order: the session is deleted last. */
const requests: Readonly<Record<RouteName, Request>> = {
  health: plain,
  ready: plain,
  token: () => ({ form: { username: "testuser", password: "password" } }),
  register: (id) => ({ json: { username: `of-${id}`, password: "a long password" } }),
  setLlm: (session_id) => ({ json: { ...mock, session_id } }),
  chat: (session_id) => ({ json: { message, session_id } }),
  listSessions: plain,
  getSession: plain,
  updateSession: () => ({ json: { title: "Renamed" } }),
  listMessages: plain,
  stopSession: plain,
  forkSession: plain,
  exportSession: plain,
  deleteSession: plain,
};

describe("the route modules in Next's own build", () => {
  let checked: Checked;
  let token: string;
  let ids: Readonly<{ service: string; next: string }>;
  let next: string;
  before(async () => {
    checked = await startChecked({ entry: "e2e/rig/service-beside-next.ts" });
    const [, host = ""] = await checked.service.waitForOutput(/Next alone on ([\d.:]+)\./, 60_000);
    next = `http://${host}`;
    token = await demonstrationToken(checked);
    ids = { service: await checked.newSession(token), next: await checked.newSession(token) };
  });
  after(() => checked[Symbol.asyncDispose]());

  for (const [name, request] of Object.entries(requests) as [RouteName, Request][]) {
    const { method, path, success }: Route = routes[name];
    it(`answer ${method} ${path} as the contract says, as the service does`, async () => {
      const byService = await checked.call(path.replace("{id}", ids.service), {
        method,
        token,
        ...request(ids.service),
      });
      assert.equal(byService.status, success.status, byService.text);
      // Reading /register is a page's, so under Next the module has a path of its own.
      const nextPath = name === "register" ? "/api/register" : path.replace("{id}", ids.next);
      const answer = await send(next, nextPath, { method, token, ...request(ids.next) });
      assert.equal(answer.status, success.status, answer.text);
      success.schema?.parse(answer.body);
      for (const field of ["x-request-id", "server-timing", "x-content-type-options"]) {
        assert.ok(answer.headers[field], field);
      }
      assert.match(answer.headers["cache-control"] ?? "", /no-store/);
      assert.equal(answer.headers["x-powered-by"], undefined);
    });
  }

  it("give out the same documents, which a client need not fetch twice", async () => {
    for (const path of ["/openapi.json", "/frames.json", "/docs"]) {
      const [byService, byNext] = [
        await send(checked.service.origin, path),
        await send(next, path),
      ];
      assert.equal(byService.status, 200, path);
      assert.equal(byNext.text, byService.text, path);
      const { etag = "" } = byService.headers;
      const headers = { "if-none-match": etag };
      const again = await send(checked.service.origin, path, { headers });
      assert.deepEqual([again.status, again.text], [304, ""], path);
      assert.ok(again.headers["x-request-id"], path);
    }
  });

  it("refuse as the service does", async () => {
    const refusals: [string, Sent, number][] = [
      ["/sessions", {}, 401],
      [`/sessions/01KC0ZJ3V8T9Q2M4N6P8R0S2T4`, { token }, 404],
      ["/set-llm", { token, json: { model_name: 1 } }, 422],
      ["/set-llm", { token, raw: "{", headers: { "content-type": "application/json" } }, 400],
      [
        "/set-llm",
        { token, raw: [Buffer.alloc(1_048_577)], headers: { "content-type": "application/json" } },
        413,
      ],
      ["/chat", { token, raw: "Hello" }, 415],
      ["/token", { form: { username: "testuser", password: "wrong" } }, 401],
    ];
    for (const [path, sent, status] of refusals) {
      const [byNext, byService] = [await send(next, path, sent), await checked.call(path, sent)];
      assert.equal(byNext.status, status, path);
      assert.deepEqual([byNext.status, byNext.text], [byService.status, byService.text], path);
    }
  });

  it("share one store with the service: /set-llm, /chat and the WebSocket see one session", async () => {
    const made = await send(next, "/set-llm", { token, json: mock });
    const session_id = made.body.session_id as string;
    const chat = await checked.call("/chat", { token, json: { message: "One", session_id } });
    assert.equal(chat.body.response, "From the mock");
    using socket = await openSocket(checked.service.origin, `/ws/${session_id}`, { token });
    socket.send("Two");
    await socket.next((frame) => frame.done === true);
    const byNext = await send(next, "/chat", { token, json: { message: "Three", session_id } });
    assert.equal(byNext.body.response, "From the mock");
    const read = async (origin: string) =>
      (await send(origin, `/sessions/${session_id}/messages`, { token })).body.data;
    const stored = await read(next);
    assert.deepEqual(await read(checked.service.origin), stored);
    assert.deepEqual(
      stored.map(({ content }: { content: string }) => content),
      ["One", "From the mock", "Two", "From the mock", "Three", "From the mock"],
    );
  });

  it("know of a turn that runs in the service, and stop it", async () => {
    const session_id = await checked.newSession(token, {
      model_name: "stall?after=1",
      provider: "mock",
    });
    const options = { token, protocol: "llm-service.v1" };
    using socket = await openSocket(checked.service.origin, `/ws/${session_id}`, options);
    const running = checked.call("/chat", { token, json: { message, session_id } });
    await socket.next((frame) => frame.type === "text-delta");
    const second = await send(next, "/chat", { token, json: { message, session_id } });
    assert.deepEqual([second.status, second.body.code], [409, "turn_in_progress"]);
    const stop = await send(next, `/sessions/${session_id}/stop`, { token, method: "POST" });
    assert.deepEqual(stop.body, { stopped: true });
    assert.equal((await running).body.finish_reason, "stopped");
  });
});
