import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { openSocket, type LooseJson } from "../rig/client.ts";
import { startScriptedProvider, type ScriptedProvider } from "../rig/scripted-provider.ts";
import { startChecked, type Checked } from "./http-support.ts";

const scripted = { model_name: "scripted", provider: "openai-compatible" };

describe("the routes of /sessions", () => {
  let provider: ScriptedProvider;
  let checked: Checked;
  before(async () => {
    provider = await startScriptedProvider();
    checked = await startChecked({ env: { LLM_ALLOWED_HOSTS: provider.host } });
  });
  after(async () => {
    await checked[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });
  beforeEach(() => provider.reset());

  let users = 0;
  const newUser = () => checked.newUser(`reader${(users += 1)}`);
  const say = async (token: string, session_id: string, message: string) => {
    const { body, status } = await checked.call("/chat", { token, json: { session_id, message } });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const list = async (token: string, query = "") =>
    (await checked.call(`/sessions${query}`, { token })).body;
  const titles = async (token: string, query: string) =>
    (await list(token, query)).data.map(({ title }: { title: string }) => title);
  const messagesOf = async (token: string, id: string, query = "") =>
    (await checked.call(`/sessions/${id}/messages${query}`, { token })).body;
  const contents = ({ data }: LooseJson) => data.map(({ content }: LooseJson) => content);

  /** Reads pages until the cursor is null. */
  const readAll = async (read: (query: string) => Promise<LooseJson>, limit: number) => {
    const pages: LooseJson[][] = [];
    let cursor: string | null = null;
    do {
      const next: LooseJson = await read(
        `?limit=${limit}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      pages.push(next.data);
      cursor = next.next_cursor;
    } while (cursor !== null);
    return pages;
  };

  it("lists the newest first, and one that is spoken in or renamed comes to the front", async () => {
    const token = await newUser();
    assert.deepEqual(await list(token), { data: [], next_cursor: null });
    const ids: string[] = [];
    for (const title of ["one", "two", "three"]) {
      ids.push(await checked.newSession(token, { model_name: "echo", provider: "mock", title }));
    }
    const [one = "", two = ""] = ids;
    assert.deepEqual(await titles(token, ""), ["three", "two", "one"]);
    await say(token, one, "Hello");
    assert.deepEqual(await titles(token, ""), ["one", "three", "two"]);
    await checked.call(`/sessions/${two}`, { token, method: "PATCH", json: { title: "second" } });
    assert.deepEqual(await titles(token, ""), ["second", "one", "three"]);
  });

  it("pages through 120 sessions without a hole or a double, also while new ones come", async () => {
    const token = await newUser();
    const ids = await Promise.all(Array.from({ length: 120 }, () => checked.newSession(token)));
    for (const limit of [7, 50, 120, 200]) {
      const pages = await readAll((query) => list(token, query), limit);
      const seen = pages.flat().map(({ id }) => id);
      assert.equal(seen.length, 120);
      assert.deepEqual(new Set(seen), new Set(ids));
      assert.ok(pages.slice(0, -1).every((page) => page.length === limit));
    }
    const firstPage = await list(token, "?limit=50");
    await checked.newSession(token);
    const secondPage = await list(token, `?limit=100&cursor=${firstPage.next_cursor}`);
    const seen = [...firstPage.data, ...secondPage.data].map(({ id }: LooseJson) => id);
    assert.equal(seen.length, 120);
    assert.deepEqual(new Set(seen), new Set(ids));
    assert.equal((await list(token)).data.length, 50);
  });

  const badQueries: [string, string][] = [
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=-1", "limit"],
    ["limit=1.5", "limit"],
    ["limit=ten", "limit"],
    ["limit=", "limit"],
    ["cursor=", "cursor"],
    ["cursor=x", "cursor"],
    ["cursor=1.%27OR%201", "cursor"],
    [`cursor=${"9".repeat(257)}`, "cursor"],
    ["page=2", "page"],
  ];
  it("refuses queries that it does not understand and names the field", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    const refuse = async (path: string, field: string) => {
      const { status, body } = await checked.call(path, { token });
      assert.deepEqual([status, body.code], [422, "invalid_input"], path);
      assert.deepEqual(
        body.errors.map(({ path: named }: LooseJson) => named),
        [field],
        path,
      );
    };
    for (const [query, field] of badQueries) {
      await refuse(`/sessions?${query}`, field);
      await refuse(`/sessions/${id}/messages?${query}`, field);
    }
    await refuse("/sessions?q=", "q");
    await refuse("/sessions?q=%20", "q");
    await refuse(`/sessions?q=${"x".repeat(201)}`, "q");
    await refuse(`/sessions/${id}/messages?q=x`, "q");
    await refuse(`/sessions/${id}/export?format=pdf`, "format");
  });

  it("searches titles and texts, and shows the place that it found", async () => {
    const token = await newUser();
    const mock = { model_name: "fixed?text=The%20answer%20names%20Kilimanjaro.", provider: "mock" };
    const mountains = await checked.newSession(token, { ...mock, title: "Mountains" });
    const shopping = await checked.newSession(token, { ...mock, title: "Shopping" });
    await say(token, shopping, `${"before ".repeat(40)}buy OATS today ${"after ".repeat(40)}`);
    assert.deepEqual(await titles(token, "?q=mount"), ["Mountains"]);
    assert.deepEqual(await titles(token, "?q=nothing+like+it"), []);
    const byText = await list(token, "?q=oats");
    assert.deepEqual(
      byText.data.map(({ id }: LooseJson) => id),
      [shopping],
    );
    assert.match(byText.data[0].match, /^….*buy OATS today.*…$/);
    assert.ok(byText.data[0].match.length < 200);
    const byAnswer = await list(token, "?q=kilimanjaro");
    assert.equal(byAnswer.data[0].match, "The answer names Kilimanjaro.");
    assert.equal((await list(token, "?q=mountains")).data[0].match, undefined);
    const paged = await readAll((query) => list(token, `${query}&q=o`), 1);
    assert.deepEqual(
      paged.flat().map(({ id }) => id),
      [shopping, mountains],
    );
  });

  it("takes the wildcards of LIKE and its escape for themselves", async () => {
    const token = await newUser();
    for (const title of ["100% sure", "100 per cent", "snake_case", "snakeXcase", "back\\slash"]) {
      await checked.newSession(token, { model_name: "echo", provider: "mock", title });
    }
    const found: [string, string[]][] = [
      ["%", ["100% sure"]],
      ["100%", ["100% sure"]],
      ["_", ["snake_case"]],
      ["e_c", ["snake_case"]],
      ["\\", ["back\\slash"]],
      ["k\\s", ["back\\slash"]],
      ["'", []],
      ["%%", []],
    ];
    for (const [q, expected] of found) {
      assert.deepEqual(await titles(token, `?q=${encodeURIComponent(q)}`), expected, q);
    }
  });

  it("renames, and refuses a title that is none", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    const rename = (json: unknown) =>
      checked.call(`/sessions/${id}`, { token, method: "PATCH", json });
    const { status, body } = await rename({ title: " <b>Ünï</b> 👩‍👩‍👧 " });
    assert.deepEqual([status, body.title], [200, "<b>Ünï</b> 👩‍👩‍👧"]);
    for (const json of [
      {},
      { title: "" },
      { title: "  " },
      { title: "t".repeat(201) },
      { title: 1 },
    ]) {
      assert.equal((await rename(json)).body.errors[0].path, "title");
    }
    const extra = await rename({ title: "x", user_id: "y" });
    assert.equal(extra.body.errors[0].path, "user_id");
    assert.equal((await checked.call(`/sessions/${id}`, { token })).body.title, body.title);
  });

  it("names an untitled session after the first line of its first message", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    const session = async () => (await checked.call(`/sessions/${id}`, { token })).body;
    assert.equal((await session()).title, "New chat");
    await say(token, id, `\n  ${"A long question ".repeat(10)}\nwith a second line`);
    assert.match((await session()).title, /^A long question .{1,44}…$/);
    await say(token, id, "Another");
    assert.match((await session()).title, /^A long question/);
  });

  it("deletes a session with its history, once", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    await say(token, id, "Remember the pomegranate");
    const path = `/sessions/${id}`;
    assert.equal((await checked.call(path, { token, method: "DELETE" })).status, 204);
    for (const gone of [path, `${path}/messages`, `${path}/export`]) {
      assert.equal((await checked.call(gone, { token })).status, 404, gone);
    }
    assert.equal((await checked.call(path, { token, method: "DELETE" })).status, 404);
    const chat = await checked.call("/chat", { token, json: { session_id: id, message: "?" } });
    assert.equal(chat.status, 404);
    assert.deepEqual((await list(token, "?q=pomegranate")).data, []);
  });

  it("ends the running turn of a session that is deleted, and its sockets", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, { ...scripted, base_url: provider.baseUrl });
    const options = { token, protocol: "llm-service.v1" };
    using socket = await openSocket(checked.service.origin, `/ws/${id}`, options);
    provider.scriptNext([{ text: "Beginning" }, { waitFor: "never" }]);
    const running = checked.call("/chat", { token, json: { session_id: id, message: "Hello" } });
    const request = await provider.nextRequest();
    await socket.next((frame) => frame.text === "Beginning");
    const deleted = await checked.call(`/sessions/${id}`, { token, method: "DELETE" });
    assert.equal(deleted.status, 204);
    assert.equal((await request.closed).aborted, true);
    assert.equal((await running).body.finish_reason, "interrupted");
    assert.equal((await socket.closed).code, 4404);
    await checked.assertUnharmed();
  });

  it("pages through a conversation in its order", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    const said = ["one", "two", "three", "four"];
    for (const message of said) await say(token, id, message);
    const whole = said.flatMap((text) => [text, text]);
    assert.deepEqual(contents(await messagesOf(token, id)), whole);
    const pages = await readAll((query) => messagesOf(token, id, query), 3);
    assert.deepEqual(
      pages.map((page) => page.length),
      [3, 3, 2],
    );
    assert.deepEqual(contents({ data: pages.flat() }), whole);
    const parents = pages.flat().map(({ parent_id }) => parent_id);
    assert.deepEqual(parents, [null, ...pages.flat().map(({ id: own }) => own)].slice(0, 8));
  });

  it("shows a running answer as far as it has come", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, { ...scripted, base_url: provider.baseUrl });
    provider.scriptNext([{ text: "Beginning" }, { waitFor: "end" }, { text: " and end" }]);
    const running = say(token, id, "Hello");
    await provider.reached("end");
    const [, assistant] = (await messagesOf(token, id)).data;
    assert.equal(assistant.status, "streaming");
    provider.open("end");
    assert.equal((await running).response, "Beginning and end");
  });

  const fork = (token: string, id: string, json?: object) =>
    checked.call(`/sessions/${id}/fork`, { token, method: "POST", json });

  it("forks a whole conversation: the two go on apart", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, {
      model_name: "echo",
      provider: "mock",
      title: "Origin",
      system_prompt: "Echo.",
    });
    await say(token, id, "one");
    const { status, body: copy } = await fork(token, id);
    assert.equal(status, 201);
    const { body: original } = await checked.call(`/sessions/${id}`, { token });
    assert.deepEqual([copy.title, copy.config], ["Origin", original.config]);
    await say(token, copy.id, "two");
    await say(token, id, "three");
    assert.deepEqual(contents(await messagesOf(token, copy.id)), ["one", "one", "two", "two"]);
    assert.deepEqual(contents(await messagesOf(token, id)), ["one", "one", "three", "three"]);
    const ids = [id, copy.id].map(async (session: string) =>
      (await messagesOf(token, session)).data.map(({ id: own }: LooseJson) => own),
    );
    assert.equal(new Set((await Promise.all(ids)).flat()).size, 8);
    await checked.call(`/sessions/${id}`, { token, method: "DELETE" });
    assert.equal((await messagesOf(token, copy.id)).data.length, 4);
  });

  it("forks up to a message, under a title of its own", async () => {
    const token = await newUser();
    const id = await checked.newSession(token);
    for (const message of ["one", "two", "three"]) await say(token, id, message);
    const { data } = await messagesOf(token, id);
    const { body: copy } = await fork(token, id, { message_id: data[2].id, title: "Branch" });
    assert.equal(copy.title, "Branch");
    assert.deepEqual(contents(await messagesOf(token, copy.id)), ["one", "one", "two"]);
    const other = await checked.newSession(token);
    const foreign = (await say(token, other, "else")).message_id;
    for (const message_id of [foreign, "01KC0ZJ3V8T9Q2M4N6P8R0S2T4"]) {
      assert.equal((await fork(token, id, { message_id })).status, 404);
    }
    assert.equal((await fork(token, id, { message_id: "1" })).body.errors[0].path, "message_id");
    assert.equal((await list(token)).data.length, 3);
  });

  it("forks an empty session, and none whose turn is running", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, { ...scripted, base_url: provider.baseUrl });
    const { body: copy } = await fork(token, id, {});
    assert.deepEqual((await messagesOf(token, copy.id)).data, []);
    provider.scriptNext([{ waitFor: "end" }, { text: "Done" }]);
    const running = say(token, id, "Hello");
    await provider.reached("end");
    assert.equal((await fork(token, id)).body.code, "turn_in_progress");
    provider.open("end");
    await running;
  });

  it("takes the sealed key along, sealed for the copy", async () => {
    const token = await newUser();
    const api_key = "sk-taken-along";
    const id = await checked.newSession(token, {
      ...scripted,
      base_url: provider.baseUrl,
      api_key,
    });
    const { body: copy } = await fork(token, id);
    assert.equal(copy.config.api_key_set, true);
    await checked.call(`/sessions/${id}`, { token, method: "DELETE" });
    await say(token, copy.id, "Hello");
    assert.equal((await provider.nextRequest()).headers.authorization, `Bearer ${api_key}`);
  });

  it("exports a conversation as JSON and as Markdown, as a download", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, {
      model_name: "echo",
      provider: "mock",
      title: "Ünï",
    });
    await say(token, id, "Hello, **world**");
    const path = `/sessions/${id}/export`;
    const json = await checked.call(path, { token });
    assert.equal(json.headers["content-disposition"], `attachment; filename="${id}.json"`);
    assert.equal(json.body.session.title, "Ünï");
    assert.deepEqual(json.body.messages, (await messagesOf(token, id)).data);
    const markdown = await checked.call(`${path}?format=md`, { token });
    assert.equal(markdown.headers["content-type"], "text/markdown; charset=utf-8");
    assert.equal(markdown.headers["content-disposition"], `attachment; filename="${id}.md"`);
    assert.match(
      markdown.text,
      /^# Ünï\n\n\*echo, exported 20\S+\*\n\n## You\n\nHello, \*\*world\*\*\n\n## Assistant \(echo\)\n\nHello, \*\*world\*\*\n$/,
    );
  });

  it("keeps everything over a restart, tokens included", async () => {
    const token = await newUser();
    const id = await checked.newSession(token, {
      ...scripted,
      base_url: provider.baseUrl,
      api_key: "sk-kept",
    });
    await say(token, id, "Hello");
    await provider.nextRequest();
    const paths = ["/sessions", `/sessions/${id}`, `/sessions/${id}/messages`];
    const read = () =>
      Promise.all(paths.map(async (path) => (await checked.call(path, { token })).text));
    const readBefore = await read();
    await checked.service.restart({ samePort: true });
    assert.deepEqual(await read(), readBefore);
    await say(token, id, "Still there?");
    const { body, headers } = await provider.nextRequest();
    assert.equal(headers.authorization, "Bearer sk-kept");
    assert.equal(body.messages?.length, 3);
  });
});
