import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SessionList, SessionSummary } from "#lib/api/schemas.ts";
import { ApiError, type ApiClient } from "./api-client.ts";
import { SessionsStore } from "./sessions-store.ts";

function summary(id: string, minute: number, title = id): SessionSummary {
  const time = `2026-11-22T16:${String(minute).padStart(2, "0")}:00.000Z`;
  return {
    id,
    title,
    provider: "mock",
    model_name: "echo",
    created_at: time,
    updated_at: time,
    last_seq: 0,
    running: false,
  };
}

function storeOf(...pages: (SessionList | ApiError)[]) {
  const cursors: (string | undefined)[] = [];
  const listSessions: ApiClient["listSessions"] = ({ cursor } = {}) => {
    cursors.push(cursor);
    const page = pages.shift();
    assert.ok(page);
    return page instanceof ApiError ? Promise.reject(page) : Promise.resolve(page);
  };
  return { store: new SessionsStore({ listSessions } as ApiClient), cursors };
}

const titles = (store: SessionsStore) => store.getSnapshot().sessions.map(({ title }) => title);

describe("SessionsStore", () => {
  it("lists newest first, page by page", async () => {
    const { store, cursors } = storeOf(
      { data: [summary("b", 2), summary("a", 1)], next_cursor: "older" },
      { data: [summary("z", 0)], next_cursor: null },
    );
    await store.refresh();
    await store.loadMore();
    assert.deepEqual(titles(store), ["b", "a", "z"]);
    assert.deepEqual(cursors, [undefined, "older"]);
    assert.equal(store.getSnapshot().nextCursor, null);
  });

  it("takes newer titles and order from a refresh and keeps older pages", async () => {
    const { store } = storeOf(
      { data: [summary("b", 2)], next_cursor: "older" },
      { data: [summary("a", 1)], next_cursor: null },
      { data: [summary("a", 5, "a renamed")], next_cursor: "older" },
    );
    await store.refresh();
    await store.loadMore();
    await store.refresh();
    assert.deepEqual(titles(store), ["a renamed", "b"]);
    assert.equal(store.getSnapshot().nextCursor, null);
  });

  it("takes in a session that was read on its own", async () => {
    const { store } = storeOf({ data: [summary("b", 2)], next_cursor: null });
    await store.refresh();
    const { provider, model_name, ...rest } = summary("a", 1);
    store.take({ ...rest, config: { provider, model_name, api_key_set: false } });
    assert.deepEqual(titles(store), ["b", "a"]);
    assert.equal(store.getSnapshot().sessions[1]?.model_name, "echo");
  });

  it("says that nothing could be read, but keeps what it has", async () => {
    const away = new ApiError("Away.", { code: "unreachable", status: 0 });
    const { store } = storeOf(away, { data: [summary("a", 1)], next_cursor: null }, away);
    await store.refresh();
    assert.equal(store.getSnapshot().status, "failed");
    await store.refresh();
    await store.refresh();
    assert.equal(store.getSnapshot().status, "ready");
    assert.deepEqual(titles(store), ["a"]);
  });
});
