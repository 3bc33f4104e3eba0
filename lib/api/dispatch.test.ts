import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createDispatcher } from "./dispatch.ts";
import { pathPattern } from "./path-pattern.ts";

const answer = (name: string) => () => Promise.resolve(new Response(name, { status: 201 }));
const find = createDispatcher([
  { path: "/sessions/{id}", module: { GET: answer("one"), DELETE: answer("gone") } },
  { path: "/sessions/all", module: { GET: answer("all") } },
  { path: "/login", module: { POST: answer("in") }, hasPage: true },
]);

async function ask(method: string, path: string) {
  const response = await find(method, path)?.(new Request(`http://a.test${path}`, { method }));
  return response && [response.status, await response.text(), response.headers.get("allow")];
}

describe("the dispatcher", () => {
  const rows: [method: string, path: string, answer: unknown][] = [
    ["GET", "/sessions/1", [201, "one", null]],
    ["DELETE", "/sessions/1", [201, "gone", null]],
    ["GET", "/sessions/all", [201, "all", null]],
    ["HEAD", "/sessions/1", [201, "", null]],
    ["GET", "/sessions", undefined],
    ["GET", "/sessions/", undefined],
    ["GET", "/sessions/1/2", undefined],
    ["GET", "/Sessions/1", undefined],
    ["POST", "/login", [201, "in", null]],
    ["GET", "/login", undefined],
    ["HEAD", "/login", undefined],
  ];
  for (const [method, path, expected] of rows) {
    test(`answers ${method} ${path} with ${JSON.stringify(expected)}`, async () => {
      assert.deepEqual(await ask(method, path), expected);
    });
  }

  for (const [method, path, allow] of [
    ["POST", "/sessions/1", "DELETE, GET, HEAD"],
    ["PUT", "/login", "POST"],
    ["OPTIONS", "/sessions/all", "GET, HEAD"],
  ] as const) {
    test(`refuses ${method} ${path} and allows ${allow}`, async () => {
      const [status, , allowed] = (await ask(method, path)) ?? [];
      assert.deepEqual([status, allowed], [405, allow]);
    });
  }
});

test("a path's pattern takes every sign but a slash as it is", () => {
  const pattern = pathPattern("/v1.0/{id}/a+b/{name}");
  assert.deepEqual({ ...pattern.exec("/v1.0/7/a+b/x.y")?.groups }, { id: "7", name: "x.y" });
  for (const path of ["/v1x0/7/a+b/x", "/v1.0/7/aab/x", "/v1.0//a+b/x", "/v1.0/7/a+b/x/"]) {
    assert.doesNotMatch(path, pattern);
  }
});
