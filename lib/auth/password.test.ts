import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashPassword, verifyPassword } from "./password.ts";

describe("hashPassword", () => {
  test("makes an argon2id string of the strength that OWASP asks for", async () => {
    const hash = await hashPassword("correct horse");
    const [, memory, passes, salt] =
      /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([\w+/]+)\$[\w+/]{43}$/.exec(hash) ?? [];
    assert.ok(Number(memory) >= 19_456, hash);
    assert.ok(Number(passes) >= 2, hash);
    assert.ok(Buffer.from(String(salt), "base64").length >= 16, hash);
    assert.ok(!hash.includes("correct"));
  });

  test("salts every hash anew", async () => {
    const hashes = await Promise.all([1, 2, 3].map(() => hashPassword("same")));
    assert.equal(new Set(hashes.map((hash) => hash.split("$")[4])).size, 3);
  });
});

describe("verifyPassword", () => {
  const passwords = [
    "correct horse",
    "",
    " ",
    "a\0b",
    "пароль",
    "\u{1F511}".repeat(64),
    "x".repeat(1024),
  ];
  for (const password of passwords) {
    test(`accepts ${JSON.stringify(password.slice(0, 20))} and nothing like it`, async () => {
      const hash = await hashPassword(password);
      assert.equal(await verifyPassword(hash, password), true);
      for (const other of [`${password} `, `${password}\0`, password.slice(0, -1) || "x", hash]) {
        assert.equal(await verifyPassword(hash, other), false);
      }
    });
  }

  test("accepts a password in the Unicode form of another keyboard", async () => {
    const [composed, decomposed] = ["caf\u00e9 \u2460", "cafe\u0301 1"];
    assert.equal(await verifyPassword(await hashPassword(composed), decomposed), true);
    assert.equal(await verifyPassword(await hashPassword(decomposed), composed), true);
  });

  test("refuses everything where the hash is none", async () => {
    const hash = await hashPassword("password");
    for (const text of [
      "",
      "password",
      "$argon2id$",
      hash.slice(0, -50),
      hash.replace("v=19", "v=1"),
    ]) {
      assert.equal(await verifyPassword(text, "password"), false);
    }
  });
});
