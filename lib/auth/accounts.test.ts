import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { openAuth } from "#e2e/rig/auth-rig.ts";
import { Accounts } from "./accounts.ts";

const refusal = { name: "AppError", code: "invalid_grant" } as const;

describe("Accounts.register", () => {
  test("makes an account that can sign in", async (t) => {
    const { accounts } = openAuth(t);
    const beforeMs = Date.now();
    const account = await accounts.register("ada", "correct horse");
    assert.match(account.id, /^[0-9A-Z]{26}$/);
    assert.equal(account.username, "ada");
    assert.ok(account.createdAtMs >= beforeMs && account.createdAtMs <= Date.now());
    const user = await accounts.authenticate("ada", "correct horse");
    assert.equal(user.id, account.id);
    assert.deepEqual(await accounts.find(account.id), user);
  });

  test("stores no password, in no file", async (t) => {
    const { accounts, path } = openAuth(t);
    await accounts.register("ada", "correct horse");
    for (const suffix of ["", "-wal"]) {
      assert.ok(!readFileSync(path + suffix).includes("correct horse"), suffix);
    }
    assert.ok(readFileSync(`${path}-wal`).includes("$argon2id$v=19$m="));
  });

  /** Each pair is one name to a person, however it is typed. */
  const sameNames: readonly (readonly [registered: string, typed: string])[] = [
    ["ada", "ADA"],
    ["Ada", "aDa"],
    ["ada", "ａｄａ"],
    ["ada1", "ada①"],
    ["kelvin", "\u212Aelvin"],
    ["caf\u00e9", "cafe\u0301"],
    ["\u00c5sa", "a\u030Asa"],
    ["ЖУК", "жук"],
    ["straße", "STRASSE"],
    ["σας", "ΣΑΣ"],
    ["σασ", "ΣΑΣ"],
    ["οδοσ", "οδος"],
    ["ﬁona", "FIONA"],
    ["ǆani", "Ǆani"],
  ];
  for (const [registered, typed] of sameNames) {
    test(`takes ${typed} for ${registered}`, async (t) => {
      const { accounts } = openAuth(t);
      const { id } = await accounts.register(registered, "correct horse");
      await assert.rejects(accounts.register(typed, "another one"), {
        name: "AppError",
        code: "username_taken",
      });
      assert.equal((await accounts.authenticate(typed, "correct horse")).id, id);
    });
  }

  test("keeps names apart that differ", async (t) => {
    const { accounts } = openAuth(t);
    const names = ["ada", "ad", "adaa", "àda", "a.da", "a_da", "ada-", "аda"];
    const made = await Promise.all(names.map((name) => accounts.register(name, "correct horse")));
    assert.equal(new Set(made.map(({ id }) => id)).size, names.length);
  });

  test("gives a name to one of several who want it at the same time", async (t) => {
    const { accounts } = openAuth(t);
    const tries = Array.from({ length: 5 }, (_, index) =>
      accounts.register("ada", `pass ${index}`),
    );
    const results = await Promise.allSettled(tries);
    const refused = results.filter((result) => result.status === "rejected");
    assert.equal(refused.length, tries.length - 1);
    for (const { reason } of refused) assert.equal(reason.code, "username_taken");
  });
});

describe("Accounts.authenticate", () => {
  test("refuses wrong password, unknown name and disabled account with one answer", async (t) => {
    const { accounts, database } = openAuth(t);
    const { id } = await accounts.register("eve", "correct horse");
    await accounts.register("ada", "correct horse");
    const disable = database.query
      .updateTable("users")
      .set({ disabled_at: 1 })
      .where("id", "=", id);
    await database.write([disable]);
    const hash = (await accounts.find(id))?.password_hash ?? "";
    const tries: readonly (readonly [username: string, password: string])[] = [
      ["ada", "wrong"],
      ["ada", ""],
      ["ada", hash],
      ["nobody", "correct horse"],
      ["", "correct horse"],
      ["eve", "correct horse"],
      ["eve", "wrong"],
      ["ada' OR '1'='1", "correct horse"],
      ["a".repeat(100_000), "correct horse"],
    ];
    const messages = new Set<string>();
    for (const [username, password] of tries) {
      await assert.rejects(accounts.authenticate(username, password), (error: Error) => {
        messages.add(JSON.stringify([error.message, error]));
        return true;
      });
    }
    assert.equal(messages.size, 1, [...messages].join("\n"));
  });

  test("does the work of a hash also for a name that nobody has", async (t) => {
    const { accounts } = openAuth(t);
    await accounts.register("ada", "correct horse");
    const cpuOf = async (username: string) => {
      const before = process.cpuUsage();
      await assert.rejects(accounts.authenticate(username, "wrong"), refusal);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    await cpuOf("nobody");
    const known = await cpuOf("ada");
    const unknown = await cpuOf("nobody");
    assert.ok(unknown > known / 4, `${unknown} µs against ${known} µs`);
  });
});

describe("Accounts.ensure", () => {
  test("makes an account once and leaves an existing one alone", async (t) => {
    const { accounts } = openAuth(t);
    await accounts.ensure("testuser", "password");
    await accounts.ensure("TestUser", "another password");
    assert.equal((await accounts.authenticate("testuser", "password")).username, "testuser");
    await assert.rejects(accounts.authenticate("testuser", "another password"), refusal);
  });

  test("works for several processes that start together", async (t) => {
    const { accounts, database } = openAuth(t);
    const others = [accounts, new Accounts(database), new Accounts(database)];
    await Promise.all(others.map((each) => each.ensure("testuser", "password")));
    assert.equal((await accounts.authenticate("testuser", "password")).username, "testuser");
  });
});

describe("Accounts.find", () => {
  test("finds by id only", async (t) => {
    const { accounts } = openAuth(t);
    await accounts.register("ada", "correct horse");
    assert.equal(await accounts.find("ada"), undefined);
    assert.equal(await accounts.find(""), undefined);
  });
});
