import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { demonstrationToken, send, startChecked, type Checked } from "./http-support.ts";

const ports = { api: "/health", page: "/login", "next-auth": "/api/auth/csrf", document: "/docs" };
const secret = "f3vQz8Lr2mXw9KdPq7TnYb4HjUc6RsEaGi1OoVkM";

describe("local mode", () => {
  let checked: Checked;
  before(async () => void (checked = await startChecked()));
  after(() => checked[Symbol.asyncDispose]());

  it("has the demonstration account and keeps its secret to its owner", async () => {
    assert.ok(await demonstrationToken(checked));
    for (const name of ["secret-key", "llm-service.db"]) {
      const { mode } = await stat(join(checked.service.dataDir, name));
      assert.equal(mode & 0o777, 0o600, name);
    }
  });

  const forwarded = [
    ["Forwarded", "for=192.0.2.1"],
    ["X-Forwarded-For", "192.0.2.1"],
    ["X-Forwarded-Host", "127.0.0.1"],
    ["X-Forwarded-Proto", "http"],
    ["X-Forwarded-Port", "80"],
    ["X-Forwarded-Server", "proxy"],
    ["X-Forwarded-Prefix", "/"],
  ] as const;
  for (const [name, value] of forwarded) {
    it(`refuses what came with ${name}, and says what to set`, async () => {
      for (const [door, path] of Object.entries(ports)) {
        const { status, body } = await send(checked.service.origin, path, {
          headers: { [name]: value },
        });
        assert.deepEqual([status, body.code], [403, "proxy_in_local_mode"], door);
        assert.match(body.detail, /SECRET_KEY and TRUST_PROXY/);
      }
    });
  }

  const hosts: [string, number][] = [
    ["localhost:{port}", 200],
    ["LOCALHOST:{port}", 200],
    ["[::1]:{port}", 200],
    ["127.0.0.1", 200],
    ["evil.test:{port}", 403],
    ["localhost.evil.test", 403],
    ["127.0.0.1.nip.test:{port}", 403],
    ["0.0.0.0:{port}", 403],
    ["a b", 400],
    ["[", 400],
  ];
  for (const [host, expected] of hosts) {
    it(`answers ${expected} to the host name ${JSON.stringify(host)}`, async () => {
      const { origin, port } = checked.service;
      for (const [door, path] of Object.entries(ports)) {
        const headers = { host: host.replace("{port}", String(port)) };
        const { status } = await send(origin, path, { headers });
        assert.equal(status, expected, door);
      }
      await checked.assertUnharmed();
    });
  }

  it("answers a refusal with the contract's headers", async () => {
    const answer = await checked.call("/health", { headers: { "x-forwarded-for": "192.0.2.1" } });
    assert.equal(answer.status, 403);
  });
});

describe("with a secret of its own", () => {
  let checked: Checked;
  before(async () => void (checked = await startChecked({ env: { SECRET_KEY: secret } })));
  after(() => checked[Symbol.asyncDispose]());

  it("has no demonstration account and takes any host name and proxy", async () => {
    const form = { username: "testuser", password: "password" };
    assert.equal((await checked.call("/token", { form })).status, 401);
    const headers = { host: "chat.example.com", "x-forwarded-for": "192.0.2.1" };
    for (const path of ["/health", "/login", "/api/auth/csrf"]) {
      assert.equal((await send(checked.service.origin, path, { headers })).status, 200, path);
    }
  });

  it("answers 400 to a Host of which no URL can be made", async () => {
    for (const host of ["a b", "[", "a/b@c"]) {
      const { status, body } = await checked.call("/health", { headers: { host } });
      assert.deepEqual([status, body.code], [400, "bad_request"], host);
    }
    await checked.assertUnharmed();
  });

  it("does not let a client choose where next-auth sends people", async () => {
    const headers = {
      host: "chat.example.com",
      "x-forwarded-host": "evil.test",
      "x-forwarded-proto": "https",
    };
    const { text } = await send(checked.service.origin, "/api/auth/providers", { headers });
    assert.match(text, /http:\/\/chat\.example\.com\//);
    assert.doesNotMatch(text, /evil/);
  });
});
