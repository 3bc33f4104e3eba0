import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDrafts } from "./drafts.ts";

function memoryStorage() {
  const entries = new Map<string, string>();
  return {
    entries,
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
    removeItem: (key: string) => void entries.delete(key),
  };
}

describe("createDrafts", () => {
  it("keeps one draft per person and conversation", () => {
    const storage = memoryStorage();
    const ada = createDrafts("ada", () => storage);
    ada.write("s1", ["one"]);
    ada.write(null, ["new"]);
    assert.equal(ada.read("s1"), "one");
    assert.equal(ada.read(null), "new");
    assert.equal(createDrafts("bob", () => storage).read("s1"), "");
  });

  it("keeps what is on its way together with what is being typed, and forgets what is empty", () => {
    const storage = memoryStorage();
    const drafts = createDrafts("ada", () => storage);
    drafts.write("s1", ["queued", "  ", "typed"]);
    assert.equal(drafts.read("s1"), "queued\n\ntyped");
    assert.equal(drafts.read("s1", ["queued"]), "typed");
    assert.equal(drafts.read("s1", ["something else"]), "queued\n\ntyped");
    drafts.write("s1", [""]);
    assert.equal(storage.entries.size, 0);
  });

  it("does without a storage that is blocked", () => {
    const drafts = createDrafts("ada", () => {
      throw new Error("blocked");
    });
    drafts.write("s1", ["text"]);
    assert.equal(drafts.read("s1"), "");
  });
});
