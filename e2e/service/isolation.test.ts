import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { routes, type Route } from "#lib/api/routes.ts";
import { send, startChecked, type Checked, type Sent } from "./http-support.ts";

const bodies: Readonly<Record<string, object>> = {
  updateSession: { title: "Mine now" },
  forkSession: {},
  setLlm: { model_name: "echo", provider: "mock" },
  chat: { message: "Hello" },
};

const table = Object.entries<Route>(routes);
const authenticated = table.filter(([, route]) => route.auth);
/** Every route that takes a session's id, in its path or in its body. */
const withId = authenticated.filter(
  ([name, { path }]) => path.includes("{id}") || ["setLlm", "chat"].includes(name),
);

function requestOf(name: string, { method, path }: Route, id: string): [string, Sent] {
  const inBody = path.includes("{id}") ? {} : { session_id: id };
  const json = bodies[name] && { ...bodies[name], ...inBody };
  return [path.replace("{id}", id), { method, json }];
}

describe("what belongs to another user", () => {
  let checked: Checked;
  let owner: string;
  let stranger: string;
  let id: string;
  const read = async () => {
    const paths = ["/sessions", `/sessions/${id}`, `/sessions/${id}/messages`];
    const answers = paths.map((path) => checked.call(path, { token: owner }));
    return (await Promise.all(answers)).map(({ text }) => text);
  };
  before(async () => {
    checked = await startChecked();
    owner = await checked.newUser("owner");
    stranger = await checked.newUser("stranger");
    id = await checked.newSession(owner);
    await checked.call("/chat", { token: owner, json: { session_id: id, message: "A secret" } });
  });
  after(() => checked[Symbol.asyncDispose]());

  for (const [name, route] of withId) {
    it(`is to ${route.method} ${route.path} as if it were not there`, async () => {
      const readBefore = await read();
      const asked = async (asId: string) => {
        const [path, sent] = requestOf(name, route, asId);
        const { status, text } = await checked.call(path, { ...sent, token: stranger });
        return { status, text };
      };
      const unknown = await asked("01KC0ZJ3V8T9Q2M4N6P8R0S2T4");
      assert.equal(unknown.status, 404);
      assert.deepEqual(await asked(id), unknown);
      if (route.path.includes("{id}")) {
        const malformed = [
          id.toLowerCase(),
          `${id}0`,
          id.slice(1),
          "%00",
          "..%2f..%2fetc",
          "%2e%2e",
          "1'%20OR%20'1'='1",
          "%F0%9F%92%A9",
          "%ff",
          "a".repeat(4096),
        ];
        for (const each of malformed) assert.deepEqual(await asked(each), unknown, each);
      }
      assert.deepEqual(await read(), readBefore);
    });
  }

  it("is in nobody else's list, search or fork", async () => {
    for (const query of ["", "?q=secret", "?q=A"]) {
      const { body } = await checked.call(`/sessions${query}`, { token: stranger });
      assert.deepEqual(body.data, []);
    }
    const own = await checked.newSession(stranger);
    const { body } = await checked.call(`/sessions/${id}/messages`, { token: owner });
    const json = { message_id: body.data[0].id };
    const fork = { token: stranger, method: "POST", json };
    assert.equal((await checked.call(`/sessions/${own}/fork`, fork)).status, 404);
  });

  it("stays its owner's whatever a request says about owners", async () => {
    const claims = { user_id: "x", owner: "x", role: "admin", id, username: "owner" };
    for (const [field, value] of Object.entries(claims)) {
      for (const [path, json] of [
        ["/set-llm", { model_name: "echo", provider: "mock", session_id: id }],
        ["/chat", { message: "Hello", session_id: id }],
      ] as const) {
        const sent = { token: stranger, json: { ...json, [field]: value } };
        const { status, body } = await checked.call(path, sent);
        assert.deepEqual([status, body.errors[0].path], [422, field]);
      }
    }
    assert.equal((await checked.call(`/sessions/${id}`, { token: owner })).status, 200);
    await checked.assertUnharmed();
  });
});

describe("without credentials that count", () => {
  let checked: Checked;
  before(async () => void (checked = await startChecked()));
  after(() => checked[Symbol.asyncDispose]());

  const basic = Buffer.from("testuser:password").toString("base64");
  const credentials: [string, Readonly<Record<string, string>>][] = [
    ["nothing", {}],
    ["Basic", { authorization: `Basic ${basic}` }],
    ["an API key", { "x-api-key": "sk-1" }],
    ["an empty Bearer", { authorization: "Bearer" }],
    ["a Bearer of blanks", { authorization: "Bearer   " }],
    ["a Bearer of null", { authorization: "Bearer null" }],
    ["a Bearer of undefined", { authorization: "Bearer undefined" }],
    ["a Bearer of two words", { authorization: "Bearer a b" }],
    ["a Bearer in a list", { authorization: "Bearer a, Bearer b" }],
    ["a Bearer of 8 KB", { authorization: `Bearer ${"a".repeat(8000)}` }],
    ["a token alone", { authorization: "abc.def.ghi" }],
    ["an empty cookie", { cookie: "next-auth.session-token=" }],
    ["a cookie that is no token", { cookie: "next-auth.session-token=null" }],
    ["another cookie", { cookie: "session=abc; token=def" }],
  ];
  for (const [name, route] of authenticated) {
    it(`${route.method} ${route.path} answers 401 and reads nothing`, async () => {
      const [path, sent] = requestOf(name, route, "01KC0ZJ3V8T9Q2M4N6P8R0S2T4");
      const own = { origin: checked.service.origin };
      for (const [what, headers] of credentials) {
        const answer = await checked.call(path, { ...sent, headers: { ...own, ...headers } });
        assert.deepEqual([answer.status, answer.body.code], [401, "unauthorized"], what);
        assert.equal(answer.headers["www-authenticate"], "Bearer", what);
      }
      const inQuery = await checked.call(`${path}?access_token=a`, sent);
      assert.equal(inQuery.status, 401);
      const invalid = {
        method: route.method,
        raw: "{",
        headers: { "content-type": "application/json" },
      };
      if (route.body) assert.equal((await checked.call(path, invalid)).status, 401);
    });
  }

  it("answers on every other route", async () => {
    for (const path of ["/health", "/ready", "/openapi.json", "/docs"]) {
      assert.equal((await send(checked.service.origin, path)).status, 200, path);
    }
  });
});
