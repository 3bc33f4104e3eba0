import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import { routes, type Route } from "#lib/api/routes.ts";
import { demonstrationToken, send, startChecked, type Checked, type Sent } from "./http-support.ts";

const limitBytes = 1_048_576;
const json = { "content-type": "application/json" };
const mock = { model_name: "echo", provider: "mock" };

/** Sends bytes on a socket of its own and reads what comes until the service closes it. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.setEncoding("utf8").on("data", (text: string) => (received += text));
  // A service that closes before it has read everything resets the connection.
  socket.on("error", () => {});
  socket.end(bytes);
  await new Promise((resolve) => socket.once("close", resolve));
  return received;
}

describe("input that nobody should send", () => {
  let checked: Checked;
  let token: string;
  before(async () => {
    checked = await startChecked();
    token = await demonstrationToken(checked);
  });
  after(() => checked[Symbol.asyncDispose]());
  afterEach(() => checked.assertUnharmed());

  const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const keys = (count: number) =>
    `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join(",")}}`;

  const bodies: [string, Sent, number, string][] = [
    ["nothing", { raw: "" }, 400, "bad_request"],
    ["half a document", { raw: '{"model_name": "gpt' }, 400, "bad_request"],
    ["a trailing comma", { raw: '{"model_name": "echo",}' }, 400, "bad_request"],
    ["two documents", { raw: "{}{}" }, 400, "bad_request"],
    ["NaN", { raw: '{"temperature": NaN}' }, 400, "bad_request"],
    ["a bare control character", { raw: '{"model_name": "a\0b"}' }, 400, "bad_request"],
    [
      "bytes that are not UTF-8",
      { raw: Buffer.from([0x22, 0xc3, 0x28, 0x22]) },
      400,
      "bad_request",
    ],
    ["UTF-16", { raw: Buffer.from(JSON.stringify(mock), "utf16le") }, 400, "bad_request"],
    [
      "a character cut off",
      { raw: Buffer.from('{"model_name":"é', "utf8").subarray(0, -1) },
      400,
      "bad_request",
    ],
    ["null", { raw: "null" }, 422, "invalid_input"],
    ["a list", { raw: "[]" }, 422, "invalid_input"],
    ["a number", { raw: "1e999" }, 422, "invalid_input"],
    ["a text", { raw: '"x"' }, 422, "invalid_input"],
    ["100 000 lists in each other", { raw: deep(100_000) }, 422, "invalid_input"],
    ["them as a field", { raw: `{"model_name": ${deep(100_000)}}` }, 422, "invalid_input"],
    [
      "them as an unknown field",
      { raw: `{"model_name": "echo", "x": ${deep(100_000)}}` },
      422,
      "invalid_input",
    ],
    ["as many fields as fit", { raw: keys(90_000) }, 422, "invalid_input"],
    ["a million fields", { raw: keys(1_000_000) }, 413, "payload_too_large"],
    [
      "a prototype",
      { raw: '{"model_name": "echo", "provider": "mock", "__proto__": {"admin": true}}' },
      422,
      "invalid_input",
    ],
    [
      "a constructor",
      { raw: '{"model_name": "echo", "provider": "mock", "constructor": {"prototype": {}}}' },
      422,
      "invalid_input",
    ],
    ["one byte too many", { raw: " ".repeat(limitBytes + 1) }, 413, "payload_too_large"],
    [
      "one byte too many in chunks",
      { raw: [Buffer.alloc(limitBytes, " "), Buffer.from(" ")] },
      413,
      "payload_too_large",
    ],
  ];
  for (const [what, sent, status, code] of bodies) {
    it(`refuses a body of ${what} with ${status} ${code}`, async () => {
      const answer = await checked.call("/set-llm", {
        ...sent,
        method: "POST",
        token,
        headers: json,
      });
      assert.deepEqual(
        [answer.status, answer.body.code],
        [status, code],
        answer.text.slice(0, 300),
      );
      assert.ok(answer.text.length < 10_000, `the answer has ${answer.text.length} characters`);
    });
  }

  const types: [string, Sent][] = [
    ["no media type", { raw: JSON.stringify(mock) }],
    ["text/plain", { raw: JSON.stringify(mock), headers: { "content-type": "text/plain" } }],
    ["a form", { form: mock }],
    ["multipart", { raw: "--x--", headers: { "content-type": "multipart/form-data; boundary=x" } }],
    ["XML", { raw: "<a/>", headers: { "content-type": "application/xml" } }],
    ["JSON of another kind", { json: mock, headers: { "content-type": "application/jsonp" } }],
    [
      "gzip",
      { raw: gzipSync(JSON.stringify(mock)), headers: { ...json, "content-encoding": "gzip" } },
    ],
    ["gzip that is none", { json: mock, headers: { "content-encoding": "gzip" } }],
    [
      "a bomb",
      { raw: gzipSync(Buffer.alloc(50_000_000)), headers: { ...json, "content-encoding": "gzip" } },
    ],
    [
      "bytes of an image",
      { raw: Buffer.from([0x89, 0x50, 0xff]), headers: { "content-type": "image/png" } },
    ],
  ];
  for (const [what, sent] of types) {
    it(`refuses ${what} with 415`, async () => {
      const answer = await checked.call("/set-llm", { ...sent, token });
      assert.deepEqual([answer.status, answer.body.code], [415, "unsupported_media_type"]);
    });
  }

  it("takes a media type in any case, with parameters", async () => {
    for (const type of [
      "Application/JSON",
      "application/json; charset=utf-8",
      "application/json ;x=y",
    ]) {
      const answer = await checked.call("/set-llm", {
        token,
        json: mock,
        headers: { "content-type": type },
      });
      assert.equal(answer.status, 200, type);
    }
  });

  it("takes a body of exactly the limit", async () => {
    const text = JSON.stringify(mock);
    const raw = text + " ".repeat(limitBytes - text.length);
    assert.equal((await checked.call("/set-llm", { token, raw, headers: json })).status, 200);
  });

  it("refuses 50 MB by their announcement, without waiting for them", async () => {
    const request = http.request(`${checked.service.origin}/set-llm`, {
      method: "POST",
      headers: { ...json, authorization: `Bearer ${token}`, "content-length": 50_000_000 },
    });
    request.on("error", () => {});
    request.write("{");
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    assert.equal(response.statusCode, 413);
    request.destroy();
  });

  it("keeps nothing of many bodies that are far too large", async () => {
    const raw = [Buffer.alloc(16 * limitBytes, " ")];
    const bytesBefore = await checked.service.rssBytes();
    for (let round = 0; round < 12; round += 1) {
      // The answer may be lost with the connection, which is closed under what is still being sent.
      const outcome = await send(checked.service.origin, "/chat", {
        token,
        raw,
        headers: json,
      }).then(
        ({ status }) => String(status),
        ({ code }: NodeJS.ErrnoException) => code,
      );
      assert.match(String(outcome), /^(413|ECONNRESET|EPIPE)$/);
    }
    const grownBytes = (await checked.service.rssBytes()) - bytesBefore;
    assert.ok(grownBytes < 64 * 1024 * 1024, `${grownBytes} bytes`);
  });

  const requests: [string, string, RegExp][] = [
    [
      "a length and chunks at once",
      "POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1\.1 400 /,
    ],
    [
      "two lengths",
      "POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a negative length",
      "POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
      /^HTTP\/1\.1 400 /,
    ],
    ["no Host", "GET /health HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["HTTP/1.0 without a Host", "GET /health HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 4\d\d /],
    [
      "headers of 100 KB",
      `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
      /^(HTTP\/1\.1 431 |$)/,
    ],
    ["no HTTP", "\x16\x03\x01 hello\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "a header that is cut by a line feed",
      "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\nb\r\n\r\n",
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a path that leads out",
      "GET /sessions/.. HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 404 .*problem\+json/s,
    ],
    [
      "a path of backslashes",
      "GET /sessions/\\..\\x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 4\d\d /,
    ],
    [
      "to go where a whole URL as its path leads",
      "GET http://evil.test/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 200 (?!.*evil)/s,
    ],
    [
      "CONNECT",
      "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
      /^(HTTP\/1\.1 4\d\d |$)/,
    ],
  ];
  for (const [what, bytes, expected] of requests) {
    it(`refuses ${what}`, async () => {
      assert.match(await exchange(checked.service.port, bytes), expected);
    });
  }

  it("does not run a body that was cut off", async () => {
    const text = JSON.stringify({ ...mock, title: "cut off" });
    const head = `POST /set-llm HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    await exchange(
      checked.service.port,
      `${head}Content-Length: ${text.length + 1}\r\n\r\n${text}`,
    );
    await exchange(
      checked.service.port,
      `${head}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n`,
    );
    const { body } = await checked.call("/sessions?q=cut+off", { token });
    assert.deepEqual(body.data, []);
  });

  it("sends nobody to another host for a path of two slashes", async () => {
    for (const path of [
      "//evil.test/health",
      "//evil.test",
      "/\\\\evil.test",
      "///evil.test/%2f..",
    ]) {
      const { status, headers } = await send(checked.service.origin, path);
      assert.ok(status < 500, `${path} ${status}`);
      if (headers.location === undefined) continue;
      const { origin } = checked.service;
      assert.equal(new URL(headers.location, origin).origin, origin, path);
    }
  });

  const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
  const byPath = Map.groupBy(Object.values<Route>(routes), ({ path }) => path);
  for (const [path, own] of byPath) {
    it(`answers a wrong method on ${path} with 405 and those that are allowed`, async () => {
      const allowed = own.map(({ method }) => method as string);
      const allow = [...allowed, ...(allowed.includes("GET") ? ["HEAD"] : [])].toSorted();
      const hasPage = path === "/register";
      for (const method of methods.filter((each) => !allowed.includes(each))) {
        if (hasPage && method === "GET") continue;
        const url = path.replace("{id}", "01KC0ZJ3V8T9Q2M4N6P8R0S2T4");
        const answer = await checked.call(url, { method, token });
        assert.deepEqual([answer.status, answer.body.code], [405, "method_not_allowed"], method);
        assert.equal(answer.headers.allow, allow.join(", "), method);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
      }
    });
  }

  it("answers HEAD as GET without its body", async () => {
    const id = await checked.newSession(token);
    for (const path of [
      "/health",
      "/ready",
      "/sessions",
      `/sessions/${id}`,
      `/sessions/${id}/export`,
    ]) {
      const [get, head] = [
        await checked.call(path, { token }),
        await send(checked.service.origin, path, { token, method: "HEAD" }),
      ];
      assert.deepEqual([head.status, head.text], [get.status, ""], path);
      assert.equal(head.headers["content-type"], get.headers["content-type"], path);
    }
    const unsigned = await send(checked.service.origin, "/sessions", { method: "HEAD" });
    assert.equal(unsigned.status, 401);
  });

  const unknown = [
    "/nowhere",
    "/chat/more",
    "/sessions/01KC0ZJ3V8T9Q2M4N6P8R0S2T4/other",
    "/v2/chat",
    "/.env",
    "/.git/HEAD",
    "/server.ts",
    "/package.json",
    "/data/llm-service.db",
    "/_next/../server.ts",
    "/_next/static/..%2f..%2f..%2fpackage.json",
    "/docs/..%2f..%2fpackage.json",
    "/docs/%2e%2e/package.json",
    "/%00",
    "/%ff",
    "/%",
    "/%2e%2e/%2e%2e/etc/passwd",
    `/${"a".repeat(8000)}`,
  ];
  for (const path of unknown) {
    it(`answers 404 or 400 to ${path.slice(0, 60)}`, async () => {
      for (const method of ["GET", "POST"]) {
        const answer = await send(checked.service.origin, path, { method, token });
        assert.ok([400, 404, 405].includes(answer.status), `${method} ${answer.status}`);
        assert.doesNotMatch(answer.text, /"dependencies"|root:|node_modules|\bat \w+ \(/);
        assert.equal(answer.headers["x-powered-by"], undefined);
      }
    });
  }

  it("answers a wrong method on a page with 405 and those that are allowed", async () => {
    for (const path of ["/login", "/", "/nowhere", "/api/auth/csrf"]) {
      for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]) {
        const { status, headers } = await checked.call(path, { method });
        assert.deepEqual([status, headers.allow], [405, "GET, HEAD, POST"], `${method} ${path}`);
      }
    }
  });

  it("gives the pages the common headers too", async () => {
    for (const path of ["/login", "/nowhere", "/api/auth/csrf"]) {
      const { headers } = await send(checked.service.origin, path);
      assert.match(String(headers["x-request-id"]), /^\w{26}$/, path);
      assert.match(String(headers["server-timing"]), /^total;dur=/, path);
      assert.equal(headers["x-content-type-options"], "nosniff", path);
      assert.equal(headers["x-powered-by"], undefined, path);
      assert.match(headers["cache-control"] ?? "", /no-store/, path);
    }
  });
});
