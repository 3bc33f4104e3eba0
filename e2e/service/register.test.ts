import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startChecked, type Checked } from "./http-support.ts";

const password = "correct horse battery staple";

describe("POST /register", () => {
  let checked: Checked;
  before(async () => void (checked = await startChecked()));
  after(() => checked[Symbol.asyncDispose]());
  const register = (json: object) => checked.call("/register", { json });

  it("makes an account that can sign in at once", async () => {
    const { status, body } = await register({ username: "  Grace.Hopper ", password });
    assert.deepEqual([status, body.username], [201, "Grace.Hopper"]);
    const form = { username: "grace.hopper", password };
    assert.equal((await checked.call("/token", { form })).status, 200);
  });

  const names = ["ada", "ADA", "Ａda", "ada@home-1_2.x", "Ñandú", "日本語", "7of9", "a".repeat(64)];
  const seen = new Set<string>();
  for (const username of names) {
    const key = username.normalize("NFKC").toLowerCase();
    const expected = seen.has(key) ? 409 : 201;
    seen.add(key);
    it(`answers ${expected} to ${username}`, async () => {
      const { status, body } = await register({ username, password });
      assert.equal(status, expected, JSON.stringify(body));
      if (status === 409) assert.equal(body.code, "username_taken");
    });
  }

  it("gives one of ten who ask for a name at once the account", async () => {
    const json = { username: "contested", password };
    const answers = await Promise.all(Array.from({ length: 10 }, () => register(json)));
    const made = answers.filter(({ status }) => status === 201);
    const taken = answers.filter(({ status }) => status === 409);
    assert.deepEqual([made.length, taken.length], [1, 9]);
  });

  const fresh = { username: "somebody", password };
  const refused: [string, unknown, string][] = [
    ["no username", { password }, "username"],
    ["no password", { username: "somebody" }, "password"],
    ["a short username", { ...fresh, username: "ab" }, "username"],
    ["a long username", { ...fresh, username: "a".repeat(65) }, "username"],
    ["a username with a space", { ...fresh, username: "some body" }, "username"],
    ["a username with a NUL", { ...fresh, username: "some\0body" }, "username"],
    ["a username with a sign in front", { ...fresh, username: "-somebody" }, "username"],
    ["a username with a lone surrogate", { ...fresh, username: "some\ud800body" }, "username"],
    ["a username of markup", { ...fresh, username: "<script>" }, "username"],
    ["a username that turns out as brackets", { ...fresh, username: "⑴⑵⑶" }, "username"],
    ["a username that turns out as a sentence", { ...fresh, username: "ﷺﷺﷺ" }, "username"],
    ["a username that is no text", { ...fresh, username: 12_345 }, "username"],
    ["a short password", { ...fresh, password: "seven77" }, "password"],
    ["a long password", { ...fresh, password: "p".repeat(257) }, "password"],
    ["a password with a lone surrogate", { ...fresh, password: "passw\udc00rd 1" }, "password"],
    ["a role of one's own", { ...fresh, role: "admin" }, "role"],
    ["an id of one's own", { ...fresh, id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4" }, "id"],
    ["a list", [fresh], "(body)"],
    ["null", null, "(body)"],
  ];
  for (const [what, json, path] of refused) {
    it(`refuses ${what} and names ${path}`, async () => {
      const { status, body } = await checked.call("/register", { json });
      assert.deepEqual([status, body.code], [422, "invalid_input"], JSON.stringify(body));
      assert.deepEqual(
        [...new Set(body.errors.map((error: { path: string }) => error.path))],
        [path],
      );
      assert.ok(!JSON.stringify(body).includes(password));
    });
  }

  it("made no account of what it refused", async () => {
    assert.equal((await register(fresh)).status, 201);
    await checked.assertUnharmed();
  });

  it("refuses everybody when sign-up is off, and people who have an account still sign in", async () => {
    await using closed = await startChecked({ env: { ALLOW_SIGNUP: "false" } });
    const { status, body } = await closed.call("/register", { json: fresh });
    assert.deepEqual([status, body.code], [403, "signup_disabled"]);
    const form = { username: "testuser", password: "password" };
    assert.equal((await closed.call("/token", { form })).status, 200);
    assert.equal((await closed.call("/token", { form: fresh })).status, 401);
  });
});
