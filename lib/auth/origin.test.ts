import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseEnv } from "../env.ts";
import { OriginPolicy } from "./origin.ts";

const secret = { SECRET_KEY: "q7Vb0mJ4yYx1tKcE9uWl2sRzPn6HfGdA8iXoTkBv" };

function policy(variables: Record<string, string> = {}): OriginPolicy {
  return new OriginPolicy(parseEnv(variables));
}

type Case = readonly [origin: string, expected: boolean];

describe("OriginPolicy.isAllowed", () => {
  test("refuses a request without an origin", () => {
    assert.equal(policy().isAllowed(new Headers({ host: "localhost:8000" })), false);
  });

  const own: readonly Case[] = [
    ["http://localhost:8000", true],
    ["https://localhost:8000", false],
    ["http://localhost", false],
    ["http://localhost:8001", false],
    ["http://localhost:80000", false],
    ["http://localhost:8000.evil.test", false],
    ["http://evil.test", false],
    ["http://localhost:8000@evil.test", false],
    ["http://127.0.0.1:8000", false],
    ["http://localhost:8000/", false],
    ["null", false],
    ["", false],
    ["file://", false],
  ];
  for (const [origin, expected] of own) {
    test(`${expected ? "allows" : "refuses"} ${origin || "an empty origin"} on its own host`, () => {
      const headers = new Headers({ host: "localhost:8000", origin });
      assert.equal(policy().isAllowed(headers), expected);
    });
  }

  test("allows what the operator lists, and nothing like it", () => {
    const origins = policy({ ALLOWED_ORIGINS: "https://chat.example.com,http://localhost:3000" });
    const cases: readonly Case[] = [
      ["https://chat.example.com", true],
      ["http://localhost:3000", true],
      ["http://localhost:8000", true],
      ["http://chat.example.com", false],
      ["https://chat.example.com:8443", false],
      ["https://chat.example.com.evil.test", false],
      ["https://evil-chat.example.com", false],
      ["https://example.com", false],
      ["https://CHAT.example.com", false],
    ];
    for (const [origin, expected] of cases) {
      const headers = new Headers({ host: "localhost:8000", origin });
      assert.equal(origins.isAllowed(headers), expected, origin);
    }
  });

  test("takes PUBLIC_URL for its own origin, whatever the host says", () => {
    const origins = policy({ PUBLIC_URL: "https://chat.example.com/app/", ...secret });
    const isAllowed = (origin: string, host: string) =>
      origins.isAllowed(new Headers({ origin, host }));
    assert.equal(isAllowed("https://chat.example.com", "10.0.0.1:8000"), true);
    assert.equal(isAllowed("http://10.0.0.1:8000", "10.0.0.1:8000"), false);
    assert.equal(isAllowed("http://evil.test", "evil.test"), false);
  });

  test("believes a proxy only where the operator says that there is one", () => {
    const headers = new Headers({
      origin: "https://chat.example.com",
      host: "10.0.0.1:8000",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "chat.example.com",
    });
    assert.equal(policy({ ...secret, TRUST_PROXY: "true" }).isAllowed(headers), true);
    assert.equal(policy(secret).isAllowed(headers), false);
  });
});

describe("OriginPolicy.sessionCookieName", () => {
  test("has the prefix for https only where people use https", () => {
    const secure = policy({ PUBLIC_URL: "https://chat.example.com", ...secret });
    assert.equal(secure.sessionCookieName, "__Secure-next-auth.session-token");
    assert.equal(secure.isSecure, true);
    for (const PUBLIC_URL of ["", "http://chat.example.com", "http://https.example.com"]) {
      const plain = policy({ PUBLIC_URL, ...secret });
      assert.equal(plain.sessionCookieName, "next-auth.session-token");
      assert.equal(plain.isSecure, false);
    }
  });
});

describe("OriginPolicy.checkLocalMode", () => {
  const check = (headers: Record<string, string>, variables: Record<string, string> = {}) =>
    policy(variables).checkLocalMode(new Headers(headers));

  test("lets this machine in, by any of its names", () => {
    const hosts = [
      "localhost",
      "localhost:8000",
      "127.0.0.1:8000",
      "[::1]:8000",
      "[::1]",
      "LocalHost",
    ];
    for (const host of hosts) assert.doesNotThrow(() => check({ host }), host);
  });

  test("refuses names that somebody else may have pointed here", () => {
    const hosts = [
      "",
      "evil.test",
      "evil.test:8000",
      "localhost.evil.test",
      "localhost:8000.evil.test",
      "127.0.0.1.evil.test:8000",
      "0.0.0.0:8000",
      "192.168.1.5:8000",
      "[::]:8000",
      "localhost@evil.test",
    ];
    for (const host of hosts) {
      assert.throws(() => check({ host }), { name: "AppError", code: "forbidden" }, host);
    }
    assert.throws(() => check({}), { code: "forbidden" });
  });

  const forwarding = {
    forwarded: "for=10.0.0.1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "localhost",
    "x-forwarded-proto": "https",
    "X-Forwarded-For": "",
  };
  for (const [name, value] of Object.entries(forwarding)) {
    test(`refuses what a proxy passed on with ${name}`, () => {
      assert.throws(() => check({ host: "localhost:8000", [name]: value }), {
        name: "AppError",
        code: "proxy_in_local_mode",
      });
    });
  }

  test("checks nothing outside local mode", () => {
    for (const variables of [secret, { ...secret, HOST: "0.0.0.0" }]) {
      assert.doesNotThrow(() => check({ host: "evil.test", forwarded: "for=10.0.0.1" }, variables));
      assert.doesNotThrow(() => check({}, variables));
    }
  });
});
