import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ApiError, createApiClient } from "./api-client.ts";

type Call = { path: string; init: RequestInit };

function clientOf(...answers: (Response | Error)[]) {
  const calls: Call[] = [];
  const client = createApiClient((path, init) => {
    calls.push({ path, init });
    const answer = answers.shift();
    assert.ok(answer);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
  return { client, calls };
}

describe("createApiClient", () => {
  it("reads all pages of a conversation in order", async () => {
    const { client, calls } = clientOf(
      Response.json({ data: [{ id: "one" }], next_cursor: "next page" }),
      Response.json({ data: [{ id: "two" }], next_cursor: null }),
    );
    const messages = await client.listMessages("s1");
    assert.deepEqual(messages, [{ id: "one" }, { id: "two" }]);
    assert.deepEqual(
      calls.map(({ path }) => path),
      ["/sessions/s1/messages?limit=200", "/sessions/s1/messages?limit=200&cursor=next+page"],
    );
  });

  it("posts JSON", async () => {
    const { client, calls } = clientOf(Response.json({ session_id: "s1" }));
    await client.setLlm({ model_name: "gpt-4" });
    assert.equal(calls[0]?.init.method, "POST");
    assert.equal(calls[0]?.init.body, '{"model_name":"gpt-4"}');
  });

  it("raises a problem with its code, detail and fields", async () => {
    const problem = {
      type: "about:blank",
      title: "Invalid input",
      status: 422,
      detail: "Some fields are not valid.",
      code: "invalid_input",
      errors: [{ path: "temperature", message: "must be at most 2" }],
    };
    const { client } = clientOf(Response.json(problem, { status: 422 }));
    await assert.rejects(client.setLlm({ model_name: "x" }), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.message, problem.detail);
      assert.equal(error.code, "invalid_input");
      assert.equal(error.status, 422);
      assert.deepEqual(error.errors, problem.errors);
      return true;
    });
  });

  it("raises a readable error when there is no answer, or one that is not ours", async () => {
    const { client } = clientOf(
      new TypeError("fetch failed"),
      new Response("<html>Bad gateway</html>", { status: 502 }),
      new Response("not json"),
    );
    await assert.rejects(client.health(), { code: "unreachable", status: 0 });
    await assert.rejects(client.health(), { code: "unreadable", status: 502 });
    await assert.rejects(client.health(), { code: "unreadable", status: 200 });
  });
});
