import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test, type TestContext } from "node:test";
import { sql } from "kysely";
import { StartupError } from "../errors.ts";
import { migrate } from "./migrate.ts";
import { migrations, type Migration } from "./migrations.ts";
import { connectionPragmas } from "./sqlite-pragmas.ts";

/** A path for a database of its own, whose folder is gone after the test. */
function temporaryPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "migrate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "service.db");
}

/** Reads from a file that nobody has open. */
function read(path: string, statement: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path);
  try {
    return database.prepare(statement).all();
  } finally {
    database.close();
  }
}

function execute(path: string, statements: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec(`${connectionPragmas} ${statements}`);
  } finally {
    database.close();
  }
}

const schemaOf = (path: string) =>
  read(path, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name");
const appliedTo = (path: string) => read(path, "SELECT * FROM migrations ORDER BY name");
const namesOf = (path: string) => appliedTo(path).map(({ name }) => name);

function step(name: string, ...statements: readonly string[]): Migration {
  const compilable = (text: string) => (schema: Parameters<Migration["up"]>[0]) => ({
    compile: () => sql.raw(text).compile(schema),
  });
  return { name, up: (schema) => statements.map((text) => compilable(text)(schema)) };
}

const later = step("9999-later", "CREATE TABLE later (id TEXT)");

function assertRefused(path: string, steps: readonly Migration[], reason: RegExp): void {
  assert.throws(
    () => migrate(path, connectionPragmas, steps),
    (error) => {
      assert.ok(error instanceof StartupError, String(error));
      assert.ok(error.message.includes(path), "names the file");
      assert.match(error.message, reason);
      assert.match(error.message, /DATA_DIR/, "says what to do");
      return true;
    },
  );
}

/** Starts a process that runs `body` with `path` and `migrate` at hand as soon as it is told to. */
async function prepareProcess(path: string, body: string) {
  const moduleOf = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    const { migrate } = await import(${moduleOf("./migrate.ts")});
    const { migrations } = await import(${moduleOf("./migrations.ts")});
    const { connectionPragmas } = await import(${moduleOf("./sqlite-pragmas.ts")});
    const path = process.argv[1];
    process.stdin.once("end", () => { ${body} }).resume();
    process.stdout.write("ready");
  `;
  const parameters = ["--input-type=module", "-e", script, path];
  const child = spawn(process.execPath, parameters, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return async () => {
    child.stdin.end();
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    return signal ?? code;
  };
}

describe("migrate", () => {
  test("reaches the same schema from nothing and from every older one", (t) => {
    const reference = temporaryPath(t);
    migrate(reference, connectionPragmas);
    assert.deepEqual(
      namesOf(reference),
      migrations.map(({ name }) => name),
    );
    for (const [count] of migrations.entries()) {
      const path = temporaryPath(t);
      migrate(path, connectionPragmas, migrations.slice(0, count));
      migrate(path, connectionPragmas);
      assert.deepEqual(schemaOf(path), schemaOf(reference));
    }
  });

  test("has steps whose names sort in the order of their application", () => {
    const names = migrations.map(({ name }) => name);
    for (const [index, name] of names.entries()) {
      assert.match(name, /^\d{4}-[a-z-]+$/);
      assert.ok(index === 0 || name > String(names[index - 1]));
    }
  });

  test("does nothing the second time", (t) => {
    const path = temporaryPath(t);
    migrate(path, connectionPragmas);
    execute(path, "UPDATE migrations SET applied_at = 1");
    const before = [schemaOf(path), appliedTo(path)];
    migrate(path, connectionPragmas);
    assert.deepEqual([schemaOf(path), appliedTo(path)], before);
  });

  test("keeps what is stored when it adds a step", (t) => {
    const path = temporaryPath(t);
    migrate(path, connectionPragmas);
    execute(path, "INSERT INTO revoked_sign_ins VALUES ('sign-in', 5)");
    migrate(path, connectionPragmas, [...migrations, later]);
    const [row] = read(path, "SELECT * FROM revoked_sign_ins");
    assert.deepEqual({ ...row }, { sign_in_id: "sign-in", expires_at: 5 });
    assert.equal(namesOf(path).at(-1), later.name);
  });

  test("applies all steps or none", (t) => {
    const path = temporaryPath(t);
    migrate(path, connectionPragmas);
    const before = [schemaOf(path), appliedTo(path)];
    const wrong = step("9999-wrong", "CREATE TABLE half (id TEXT)", "CREATE TABLE half (id TEXT)");
    assertRefused(path, [...migrations, step("9998-right", "CREATE TABLE a (b)"), wrong], /exists/);
    assert.deepEqual([schemaOf(path), appliedTo(path)], before);
  });

  test("refuses a database of a newer version and leaves it as it is", (t) => {
    const path = temporaryPath(t);
    migrate(path, connectionPragmas, [...migrations, later]);
    const before = [schemaOf(path), appliedTo(path)];
    assertRefused(path, migrations, /newer version .*9999-later/);
    assert.deepEqual([schemaOf(path), appliedTo(path)], before);
  });

  test("refuses a database of another program and leaves it as it is", (t) => {
    const path = temporaryPath(t);
    execute(path, "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('ada')");
    assertRefused(path, migrations, /already exists/);
    assert.deepEqual(
      read(path, "SELECT * FROM users").map(({ name }) => name),
      ["ada"],
    );
    assert.deepEqual(
      schemaOf(path).map(({ name }) => name),
      ["users"],
    );
  });

  test("runs once when several processes start together", async (t) => {
    for (let round = 0; round < 3; round++) {
      const path = temporaryPath(t);
      const body = "migrate(path, connectionPragmas)";
      const starts = await Promise.all([1, 2, 3].map(() => prepareProcess(path, body)));
      assert.deepEqual(await Promise.all(starts.map((start) => start())), [0, 0, 0]);
      assert.deepEqual(
        namesOf(path),
        migrations.map(({ name }) => name),
      );
    }
  });

  test("waits where SQLite itself does not: for another's lock on a new file", (t) => {
    const path = temporaryPath(t);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const pause = t.mock.method(Atomics, "wait", () => {
      other.exec("COMMIT");
      other.close();
      return "timed-out";
    });
    migrate(path, connectionPragmas);
    assert.equal(pause.mock.callCount(), 1);
    assert.equal(namesOf(path).length, migrations.length);
  });

  test("begins anew after a process was killed in the middle of it", async (t) => {
    const path = temporaryPath(t);
    const start = await prepareProcess(
      path,
      `migrate(path, connectionPragmas, [...migrations, {
        name: "9999-later",
        up: () => process.kill(process.pid, "SIGKILL"),
      }])`,
    );
    assert.equal(await start(), "SIGKILL");
    assert.deepEqual(schemaOf(path), []);
    migrate(path, connectionPragmas, [...migrations, later]);
    assert.equal(namesOf(path).length, migrations.length + 1);
    assert.equal(read(path, "PRAGMA integrity_check")[0]?.integrity_check, "ok");
  });
});

describe("the schema", () => {
  const users = "INSERT INTO users (id, username, username_key, password_hash, created_at) VALUES";
  const sessions =
    "INSERT INTO sessions (id, user_id, provider, model_name, config_json, created_at, updated_at) VALUES";
  const messages =
    "INSERT INTO messages (id, session_id, parent_id, depth, role, content, status, client_id, created_at) VALUES";

  function filled(t: TestContext): string {
    const path = temporaryPath(t);
    migrate(path, connectionPragmas);
    execute(
      path,
      `${users} ('ada', 'Ada', 'ada', 'hash', 1), ('bob', 'Bob', 'bob', 'hash', 1);
      ${sessions} ('s1', 'ada', 'mock', 'echo', '{}', 1, 1), ('s2', 'bob', 'mock', 'echo', '{}', 1, 1);
      ${messages} ('m1', 's1', NULL, 1, 'user', 'hi', 'complete', 'c1', 1),
        ('m2', 's1', 'm1', 2, 'assistant', 'ho', 'complete', NULL, 1),
        ('m3', 's1', 'm2', 3, 'user', 'hi', 'complete', NULL, 1),
        ('m4', 's2', NULL, 1, 'user', 'hi', 'complete', 'c1', 1);`,
    );
    return path;
  }

  test("takes sessions and messages away with their owner, and nothing else", (t) => {
    const path = filled(t);
    execute(path, "DELETE FROM users WHERE id = 'ada'");
    assert.deepEqual(
      read(path, "SELECT id FROM sessions").map(({ id }) => id),
      ["s2"],
    );
    assert.deepEqual(
      read(path, "SELECT id FROM messages").map(({ id }) => id),
      ["m4"],
    );
    assert.deepEqual(read(path, "PRAGMA foreign_key_check"), []);
  });

  const refused: Readonly<Record<string, string>> = {
    "a username key twice": `${users} ('eve', 'ADA', 'ada', 'hash', 1)`,
    "a client id twice in a session": `${messages} ('m5', 's1', 'm3', 4, 'user', 'hi', 'complete', 'c1', 1)`,
    "a session of nobody": `${sessions} ('s3', 'nobody', 'mock', 'echo', '{}', 1, 1)`,
    "a message of no session": `${messages} ('m5', 's3', NULL, 1, 'user', 'hi', 'complete', NULL, 1)`,
    "a reply to nothing": `${messages} ('m5', 's1', 'm9', 2, 'user', 'hi', 'complete', NULL, 1)`,
    "to cut a message off its replies": "DELETE FROM messages WHERE id = 'm1'",
  };
  for (const [what, statement] of Object.entries(refused)) {
    test(`refuses ${what}`, (t) => {
      const path = filled(t);
      assert.throws(() => execute(path, statement), /constraint failed/);
    });
  }
});
