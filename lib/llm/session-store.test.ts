import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { openStores, plainConfig, strangerId, userId } from "#e2e/rig/chat-rig.ts";

async function open(t: TestContext) {
  const stores = await openStores(t);
  let now = 1_700_000_000_000;
  t.mock.method(Date, "now", () => (now += 1000));
  const make = (title?: string) => stores.sessions.create({ userId, config: plainConfig, title });
  const say = async (sessionId: string, text: string) => {
    const session = await stores.sessions.get(userId, sessionId);
    const userMessage = { parentId: null, depth: 1, text, tokenCount: 1 };
    await stores.messages.beginTurn({ session, userMessage, provider: "mock", model: "m" });
  };
  const search = async (words: string) => {
    const page = await stores.sessions.list({ userId, limit: 10, search: words });
    return page.sessions.map(({ session, match }) => [session.title, match] as const);
  };
  return { ...stores, make, say, search };
}

describe("the session store", () => {
  test("keeps a configuration whole and seals the key for the session's own id", async (t) => {
    const { sessions } = await open(t);
    const config = { ...plainConfig, parameters: { seed: 0, stop: ["\n"] }, systemPrompt: "Hm" };
    const sealApiKey = (id: string) => Promise.resolve(`sealed for ${id}`);
    const made = await sessions.create({ userId, config, sealApiKey });
    assert.deepEqual(await sessions.get(userId, made.id), made);
    assert.deepEqual(made.config, config);
    assert.equal(made.sealedApiKey, `sealed for ${made.id}`);
  });

  test("has nothing of anybody else's", async (t) => {
    const { make, sessions } = await open(t);
    const { id, config } = await make("mine");
    const stranger = { ...(await sessions.get(userId, id)), userId: strangerId };
    const attempts = [
      sessions.get(strangerId, id),
      sessions.get(userId, "unknown"),
      sessions.rename(strangerId, id, "yours"),
      sessions.reconfigure(stranger, { config, sealedApiKey: null }),
      sessions.delete(strangerId, id),
    ];
    for (const attempt of attempts) await assert.rejects(attempt, { code: "not_found" });
    const page = await sessions.list({ userId: strangerId, limit: 10 });
    assert.deepEqual(page, { sessions: [], nextCursor: null });
    assert.equal((await sessions.get(userId, id)).title, "mine");
  });

  test("changes what is asked and nothing else", async (t) => {
    const { make, sessions } = await open(t);
    const session = await make("old");
    const config = { ...plainConfig, modelName: "other" };
    const change = { config, sealedApiKey: "k" };
    const changed = await sessions.reconfigure(session, change);
    assert.deepEqual([changed.title, changed.config, changed.sealedApiKey], ["old", config, "k"]);
    assert.equal((await sessions.reconfigure(session, { ...change, title: "new" })).title, "new");
  });

  test("lists the newest first, page by page, also when two changed together", async (t) => {
    const { make, sessions } = await open(t);
    t.mock.method(Date, "now", () => 5);
    const ids = [];
    for (let count = 0; count < 5; count += 1) ids.push((await make()).id);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await sessions.list({ userId, limit: 2, cursor });
      seen.push(...page.sessions.map(({ session }) => session.id));
      cursor = page.nextCursor;
    }
    assert.deepEqual(seen, ids.toSorted().toReversed());
  });

  for (const cursor of ["", "x", "1", "1.short", `-1.${"A".repeat(26)}`]) {
    test(`refuses the cursor "${cursor}"`, async (t) => {
      const { sessions } = await open(t);
      const refused = sessions.list({ userId, limit: 2, cursor });
      await assert.rejects(refused, { code: "invalid_input" });
    });
  }
});

describe("the search of sessions", () => {
  test("takes wildcards and backslashes as they are", async (t) => {
    const { make, search } = await open(t);
    for (const title of ["50% off", "500 off", "snake_case", "snakeXcase", "a\\b", "ab"]) {
      await make(title);
    }
    assert.deepEqual(await search("50%"), [["50% off", undefined]]);
    assert.deepEqual(await search("e_c"), [["snake_case", undefined]]);
    assert.deepEqual(await search("a\\b"), [["a\\b", undefined]]);
    assert.deepEqual(await search("'; --"), []);
  });

  test("finds text in any case and shows its surroundings", async (t) => {
    const { make, say, search } = await open(t);
    const { id } = await make("about");
    await say(id, `${"before ".repeat(20)}the NEEDLE\nhere ${"after ".repeat(20)}`);
    const [[, match = ""] = []] = await search("needle");
    assert.match(match, /^….*the NEEDLE here.*…$/);
    assert.ok(match.length < 140, match);
    const { id: short } = await make("short");
    await say(short, "a pin");
    assert.deepEqual(await search("PIN"), [["short", "a pin"]]);
  });

  test("cuts no character in half", async (t) => {
    const { make, say, search } = await open(t);
    for (const padding of ["", "x"]) {
      const { id } = await make("emoji");
      await say(id, `${"😀".repeat(60)}${padding}needle${padding}${"😀".repeat(60)}`);
    }
    for (const [, match = ""] of await search("needle")) assert.doesNotMatch(match, /\ufffd/);
  });
});
