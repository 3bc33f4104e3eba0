import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { openRefused, openSocket } from "../rig/client.ts";
import { send, startChecked, type Answer, type Checked, type Sent } from "./http-support.ts";

/** Sends as a browser does: cookies are kept, and taken away when the service says so. */
class Browser {
  readonly cookies = new Map<string, string>();
  readonly #origin: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(origin: string, headers: Readonly<Record<string, string>> = {}) {
    this.#origin = origin;
    this.#headers = headers;
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async send(path: string, sent: Sent = {}): Promise<Answer> {
    const headers = { cookie: this.cookieHeader, ...this.#headers, ...sent.headers };
    const answer = await send(this.#origin, path, { ...sent, headers });
    for (const cookie of answer.headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === "" || /Max-Age=0/i.test(cookie)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  async csrfToken(): Promise<string> {
    return (await this.send("/api/auth/csrf")).body.csrfToken as string;
  }

  async signIn(fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const csrfToken = await this.csrfToken();
    const account = { username: "testuser", password: "password" };
    const form = { csrfToken, json: "true", ...account, ...fields };
    return this.send("/api/auth/callback/credentials", { form });
  }
}

const sessionCookie = "next-auth.session-token";

describe("signing in with the browser", () => {
  let checked: Checked;
  before(async () => void (checked = await startChecked()));
  after(() => checked[Symbol.asyncDispose]());
  const newBrowser = () => new Browser(checked.service.origin);
  const signedIn = async () => {
    const browser = newBrowser();
    assert.equal((await browser.signIn()).status, 200);
    return browser;
  };

  it("gives a cookie that only this origin's requests carry and no script reads", async () => {
    const browser = newBrowser();
    const { headers, body } = await browser.signIn();
    const cookies = headers["set-cookie"] ?? [];
    const flags = cookies.find((cookie) => cookie.startsWith(`${sessionCookie}=`)) ?? "";
    assert.match(flags, /; Path=\/(;|$)/);
    assert.match(flags, /; HttpOnly(;|$)/i);
    assert.match(flags, /; SameSite=Lax(;|$)/i);
    assert.doesNotMatch(flags, /; (Domain|Secure)/i);
    assert.equal(new URL(body.url, checked.service.origin).origin, checked.service.origin);
    for (const field of ["x-request-id", "server-timing"]) assert.ok(headers[field], field);
    assert.match(headers["cache-control"] ?? "", /no-store/);
  });

  it("puts the very token into it that the API takes as a bearer", async () => {
    const browser = await signedIn();
    const token = browser.cookies.get(sessionCookie) ?? "";
    assert.equal((await checked.call("/sessions", { token })).status, 200);
    assert.equal(
      (await checked.call("/sessions", { headers: { cookie: browser.cookieHeader } })).status,
      200,
    );
    const byPassword = await checked.call("/token", {
      form: { username: "testuser", password: "password" },
    });
    const claims = [token, byPassword.body.access_token as string].map((each) =>
      Object.keys(JSON.parse(Buffer.from(each.split(".")[1] ?? "", "base64url").toString())),
    );
    assert.deepEqual(claims[0], claims[1]);
    const session = await browser.send("/api/auth/session");
    assert.equal(session.body.user.name, "testuser");
  });

  it("lets only its own origin change something by the cookie", async () => {
    const browser = await signedIn();
    const { origin, port } = checked.service;
    const { cookieHeader: cookie } = browser;
    const json = { model_name: "echo", provider: "mock" };
    const foreign: Readonly<Record<string, string>>[] = [
      {},
      { origin: "null" },
      { origin: "https://evil.test" },
      { origin: `http://localhost:${port}.evil.test` },
      { origin: `https://127.0.0.1:${port}` },
      { origin: `http://127.0.0.1:${port + 1}` },
      { origin: "http://127.0.0.1" },
      { origin: `${origin}/` },
      { referer: `${origin}/settings` },
    ];
    const count = async () =>
      (await checked.call("/sessions?limit=200", { headers: { cookie } })).body.data.length;
    const countBefore = await count();
    for (const headers of foreign) {
      const answer = await checked.call("/set-llm", { json, headers: { cookie, ...headers } });
      assert.deepEqual(
        [answer.status, answer.body.code],
        [403, "origin_not_allowed"],
        JSON.stringify(headers),
      );
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
      const webSocket = { headers: { cookie, ...headers } };
      assert.equal((await openRefused(origin, "/ws/new", webSocket)).status, 403);
    }
    assert.equal(await count(), countBefore);
    const asText = {
      raw: JSON.stringify(json),
      headers: { cookie, origin, "content-type": "text/plain" },
    };
    assert.equal((await checked.call("/set-llm", asText)).status, 415);
    const preflight = await checked.call("/set-llm", {
      method: "OPTIONS",
      headers: { origin: "https://evil.test", "access-control-request-method": "POST" },
    });
    assert.equal(preflight.status, 405);
    assert.equal(preflight.headers["access-control-allow-origin"], undefined);
    assert.equal(
      (await checked.call("/set-llm", { json, headers: { cookie, origin } })).status,
      200,
    );
  });

  it("ends every copy of the cookie when signing out, on HTTP and on open sockets", async () => {
    const browser = await signedIn();
    const { origin } = checked.service;
    const first = browser.cookies.get(sessionCookie) ?? "";
    await browser.send("/api/auth/session");
    const renewed = browser.cookies.get(sessionCookie) ?? "";
    const other = await signedIn();
    using socket = await openSocket(origin, "/ws/new", {
      headers: { cookie: browser.cookieHeader },
      origin,
    });
    const csrfToken = await browser.csrfToken();
    const answer = await browser.send("/api/auth/signout", { form: { csrfToken, json: "true" } });
    assert.equal(answer.status, 200);
    assert.equal(browser.cookies.has(sessionCookie), false);
    assert.equal((await socket.closed).code, 4401);
    for (const token of [first, renewed]) {
      const cookie = `${sessionCookie}=${token}`;
      assert.equal((await checked.call("/sessions", { headers: { cookie } })).status, 401);
      assert.equal((await checked.call("/sessions", { token })).status, 401);
      const session = await send(origin, "/api/auth/session", { headers: { cookie } });
      assert.deepEqual(session.body, {});
      const page = await send(origin, "/", { headers: { cookie } });
      assert.match(page.headers.location ?? page.text, /\/login/);
    }
    const { cookieHeader: cookie } = other;
    assert.equal((await checked.call("/sessions", { headers: { cookie } })).status, 200);
  });

  const refused: [string, Readonly<Record<string, string>>][] = [
    ["a wrong password", { password: "wrong" }],
    ["an unknown name", { username: "nobody" }],
    ["no password", { password: "" }],
    ["no CSRF token", { csrfToken: "" }],
    ["a CSRF token of somebody else", { csrfToken: "0".repeat(64) }],
  ];
  for (const [what, fields] of refused) {
    it(`gives no session for ${what}`, async () => {
      const browser = newBrowser();
      const { status } = await browser.signIn(fields);
      assert.ok(status === 401 || status < 400, String(status));
      assert.equal(browser.cookies.has(sessionCookie), false);
      assert.deepEqual((await browser.send("/api/auth/session")).body, {});
      await checked.assertUnharmed();
    });
  }

  it("gives no session without the CSRF cookie that belongs to the token", async () => {
    const csrfToken = await newBrowser().csrfToken();
    const form = { csrfToken, json: "true", username: "testuser", password: "password" };
    const victim = newBrowser();
    await victim.send("/api/auth/callback/credentials", { form });
    assert.equal(victim.cookies.has(sessionCookie), false);
  });

  it("leads nobody away from its origin", async () => {
    const { origin } = checked.service;
    for (const callbackUrl of [
      "https://evil.test",
      "//evil.test",
      "/\\evil.test",
      "javascript:alert(1)",
      "https://",
      `${origin}.evil.test/`,
      `${origin}@evil.test/`,
    ]) {
      const browser = newBrowser();
      const { body, status } = await browser.signIn({ callbackUrl });
      assert.equal(status, 200, callbackUrl);
      assert.equal(new URL(body.url, origin).origin, origin, callbackUrl);
      const page = await browser.send(`/login?callbackUrl=${encodeURIComponent(callbackUrl)}`);
      const { location } = page.headers;
      if (location !== undefined)
        assert.equal(new URL(location, origin).origin, origin, callbackUrl);
    }
    const own = await newBrowser().signIn({ callbackUrl: "/settings?a=b#c" });
    assert.equal(own.body.url, `${origin}/settings?a=b#c`);
  });

  it("refuses what next-auth cannot read, without a failure", async () => {
    const path = "/api/auth/callback/credentials";
    const get = await newBrowser().send(path);
    assert.deepEqual([get.status, get.headers.allow], [405, "POST"]);
    const headers = { "content-type": "application/json" };
    const json = await newBrowser().send(path, { raw: "{", headers });
    assert.deepEqual([json.status, json.body.code], [400, "bad_request"]);
    for (const other of ["/api/auth/nothing", "/api/auth/signin/other", "/api/auth/callback/x"]) {
      for (const method of ["GET", "POST"]) {
        const { status } = await newBrowser().send(other, { method });
        assert.ok(status < 500, `${method} ${other} ${status}`);
      }
    }
    await checked.assertUnharmed();
  });

  it("refuses a form that is too large, or does not tell how large it is", async () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const large = Buffer.alloc(1_048_577, "a");
    for (const raw of [large, [large], [Buffer.from("a=b")]]) {
      const path = "/api/auth/callback/credentials";
      const { status, body } = await newBrowser().send(path, { raw, headers });
      assert.deepEqual([status, body.code], [413, "payload_too_large"]);
    }
    await checked.assertUnharmed();
  });
});

describe("signing in with the browser behind https", () => {
  const host = "chat.example.com";
  const publicUrl = `https://${host}`;
  const account = { username: "behind-https", password: "a long password" };

  for (const proxied of [true, false]) {
    it(`insists on Secure, ${proxied ? "told by a trusted proxy" : "told by PUBLIC_URL alone"}`, async () => {
      await using checked = await startChecked({
        env: {
          SECRET_KEY: "f3vQz8Lr2mXw9KdPq7TnYb4HjUc6RsEaGi1OoVkM",
          PUBLIC_URL: publicUrl,
          TRUST_PROXY: String(proxied),
        },
      });
      assert.equal((await checked.call("/register", { json: account })).status, 201);
      const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": host };
      const browser = new Browser(checked.service.origin, { host, ...(proxied && forwarded) });
      const { status, headers, body } = await browser.signIn(account);
      assert.equal(status, 200);
      assert.equal(new URL(body.url).origin, publicUrl);
      const cookies = headers["set-cookie"] ?? [];
      const flags = cookies.find((cookie) => cookie.includes("session-token=")) ?? "";
      assert.match(flags, /^__Secure-next-auth\.session-token=/);
      for (const flag of [/; Secure/i, /; HttpOnly/i, /; SameSite=Lax/i]) assert.match(flags, flag);
      assert.ok([...browser.cookies.keys()].includes("__Host-next-auth.csrf-token"));
      const json = { model_name: "echo", provider: "mock" };
      const set = (origin: string) => browser.send("/set-llm", { json, headers: { origin } });
      assert.equal((await set(publicUrl)).status, 200);
      assert.equal((await set(`http://${host}`)).status, 403);
      const token = browser.cookies.get("__Secure-next-auth.session-token") ?? "";
      const plainName = { cookie: `${sessionCookie}=${token}` };
      assert.equal((await checked.call("/sessions", { headers: plainName })).status, 401);
    });
  }
});
