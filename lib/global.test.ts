import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { remember } from "./global.ts";

describe("remember", () => {
  test("creates a value once and returns that very value ever after", () => {
    const name = randomUUID();
    const first = remember(name, () => ({ calls: 1 }));
    const second = remember<unknown>(name, () => assert.fail("it is created already"));
    assert.equal(second, first);
  });

  test("keeps names apart", () => {
    const [one, other] = [randomUUID(), randomUUID()];
    assert.equal(
      remember(one, () => 1),
      1,
    );
    assert.equal(
      remember(other, () => 2),
      2,
    );
  });

  test("shares its values between two copies of the module", async () => {
    const copyUrl = new URL("./global.ts?copy", import.meta.url).href;
    const copy = (await import(copyUrl)) as { remember: typeof remember };
    assert.notEqual(copy.remember, remember);
    const name = randomUUID();
    const value = remember(name, () => ({}));
    assert.equal(
      copy.remember(name, () => ({})),
      value,
    );
  });

  test("keeps falsy values", () => {
    const name = randomUUID();
    assert.equal(
      remember(name, () => 0),
      0,
    );
    assert.equal(
      remember<number>(name, () => assert.fail("it is created already")),
      0,
    );
  });

  test("remembers nothing of a creation that fails", () => {
    const name = randomUUID();
    const failure = new Error("not yet");
    assert.throws(
      () =>
        remember(name, () => {
          throw failure;
        }),
      failure,
    );
    assert.equal(
      remember(name, () => "now"),
      "now",
    );
  });
});
