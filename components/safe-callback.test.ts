import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loginPathFor, safeCallback } from "./safe-callback.ts";

describe("safeCallback", () => {
  const origin = "https://chat.example";

  it("keeps paths of this origin with their query and fragment", () => {
    assert.equal(safeCallback("/c/1?a=b#end", origin), "/c/1?a=b#end");
    assert.equal(safeCallback("https://chat.example/settings", origin), "/settings");
    assert.equal(safeCallback("/c/1"), "/c/1");
  });

  it("turns everything else into the start page", () => {
    for (const elsewhere of [
      "https://evil.example/",
      "//evil.example",
      "/\\evil.example",
      "https://chat.example//evil.example",
      "javascript:alert(1)",
      "http://",
      "",
      null,
    ]) {
      assert.equal(safeCallback(elsewhere, origin), "/", String(elsewhere));
      assert.equal(safeCallback(elsewhere), "/", String(elsewhere));
    }
  });
});

describe("loginPathFor", () => {
  it("leads back to where the person was", () => {
    assert.equal(loginPathFor("/"), "/login");
    assert.equal(
      loginPathFor("/settings?session=1"),
      "/login?callbackUrl=%2Fsettings%3Fsession%3D1",
    );
  });
});
