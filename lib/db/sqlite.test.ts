import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  closeSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, test, type TestContext } from "node:test";
import { sql, type Compilable, type RawBuilder } from "kysely";
import { isAppError, StartupError } from "../errors.ts";
import { UniqueViolation } from "./sqlite-errors.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import { openSqlite, type Database } from "./sqlite.ts";

type Workspace = Readonly<{
  path: string;
  folder: string;
  open: (path?: string) => Database;
  /** Opens the file beside the service, as an operator would. */
  inspect: () => DatabaseSync;
}>;

/** A folder for one test; what was opened in it is closed before it goes, whatever happened. */
function makeWorkspace(t: TestContext): Workspace {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  const folder = mkdtempSync(join(tmpdir(), "sqlite-"));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "service.db");
  const open = (file = path) => {
    const database = openSqlite(file);
    stack.defer(() => database.close());
    return database;
  };
  const inspect = () => stack.adopt(new DatabaseSync(path), (database) => database.close());
  return { path, folder, open, inspect };
}

/** A new database. */
function openTemporary(t: TestContext): Workspace & { database: Database } {
  const workspace = makeWorkspace(t);
  return { ...workspace, database: workspace.open() };
}

function insertUser({ query }: Database, id: string, key = id): Compilable {
  return query.insertInto("users").values({
    id,
    username: id,
    username_key: key,
    password_hash: "hash",
    token_version: 0,
    disabled_at: null,
    created_at: 1,
  });
}

function insertSession({ query }: Database, id: string, userId: string): Compilable {
  return query.insertInto("sessions").values({
    id,
    user_id: userId,
    title: null,
    provider: "mock",
    model_name: "echo",
    config_json: "{}",
    sealed_api_key: null,
    head_id: null,
    last_seq: 0,
    created_at: 1,
    updated_at: 1,
  });
}

async function userIds({ query }: Database): Promise<string[]> {
  const rows = await query.selectFrom("users").select("id").orderBy("id").execute();
  return rows.map(({ id }) => id);
}

/** A statement that the query builder cannot say; it runs on the writer's own connection. */
function raw({ query }: Database, statement: RawBuilder<unknown>): Compilable {
  return { compile: () => statement.compile(query) };
}

/**
 * Holds the write lock as another process would, until the returned function is called: what is
 * written meanwhile waits together.
 */
function holdWriteLock(path: string): () => void {
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  return () => {
    other.exec("COMMIT");
    other.close();
  };
}

/** Counts the transactions in a write-ahead log: https://www.sqlite.org/fileformat2.html#walformat */
function countCommits(path: string): number {
  const log = readFileSync(`${path}-wal`);
  const [headerBytes, frameHeaderBytes] = [32, 24];
  const pageBytes = log.readUInt32BE(8);
  const salt = log.subarray(16, 24);
  let commits = 0;
  for (let at = headerBytes; at < log.length; at += frameHeaderBytes + pageBytes) {
    const isCurrent = log.subarray(at + 8, at + 16).equals(salt);
    if (isCurrent && log.readUInt32BE(at + 4) > 0) commits++;
  }
  return commits;
}

async function assertStorageUnavailable(promise: Promise<unknown>, cause: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isAppError(error), String(error));
    assert.equal(error.code, "storage_unavailable");
    assert.match(String(error.cause), cause);
    return true;
  });
}

describe("openSqlite", () => {
  test("makes the folder and the files readable by nobody else", async (t) => {
    const { folder: outside, open } = makeWorkspace(t);
    const folder = join(outside, "deep", "data");
    const path = join(folder, "service.db");
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const database = open(path);
    await database.write([insertUser(database, "ada")]);
    const modeOf = (name: string) => (statSync(name).mode & 0o777).toString(8);
    assert.equal(modeOf(folder), "700");
    for (const suffix of ["", "-wal", "-shm"]) assert.equal(modeOf(path + suffix), "600", suffix);
  });

  test("takes other people's permissions from a file that has them", (t) => {
    const { path, open } = makeWorkspace(t);
    writeFileSync(path, "");
    chmodSync(path, 0o644);
    open();
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test("sets every pragma on the connection that writes", async (t) => {
    const { database, inspect } = openTemporary(t);
    await database.write([
      raw(
        database,
        sql`CREATE TABLE pragmas AS SELECT *
          FROM pragma_synchronous, pragma_foreign_keys, pragma_busy_timeout, pragma_journal_size_limit`,
      ),
    ]);
    const other = inspect();
    assert.deepEqual(Object.values(other.prepare("SELECT * FROM pragmas").get() ?? {}), [
      2, // FULL
      1,
      5000,
      16_777_216,
    ]);
    assert.equal(other.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
  });

  const unusable: Readonly<Record<string, (folder: string) => string>> = {
    "a folder": (folder) => {
      mkdirSync(join(folder, "service.db"));
      return join(folder, "service.db");
    },
    "inside a file": (folder) => {
      writeFileSync(join(folder, "data"), "");
      return join(folder, "data", "service.db");
    },
    "a text": (folder) => {
      writeFileSync(join(folder, "service.db"), "This is a letter. ".repeat(200));
      return join(folder, "service.db");
    },
    "only the beginning of a database": (folder) => {
      writeFileSync(join(folder, "service.db"), "SQLite format 3\0");
      return join(folder, "service.db");
    },
  };
  for (const [kind, make] of Object.entries(unusable)) {
    test(`says which file it is and what to do when it is ${kind}`, (t) => {
      const path = make(makeWorkspace(t).folder);
      assert.throws(
        () => openSqlite(path),
        (error) => {
          assert.ok(error instanceof StartupError, String(error));
          assert.ok(error.message.includes(path));
          assert.match(error.message, /DATA_DIR/);
          return true;
        },
      );
    });
  }

  test("opens again what it closed, with everything in it", async (t) => {
    const { open } = makeWorkspace(t);
    for (const id of ["ada", "bob", "eve"]) {
      const database = open();
      await database.write([insertUser(database, id)]);
      await database.close();
    }
    assert.deepEqual(await userIds(open()), ["ada", "bob", "eve"]);
  });
});

describe("Database.write", () => {
  test("resolves to the number of rows that each statement changed, and can be read at once", async (t) => {
    const { database } = openTemporary(t);
    const changes = await database.write([
      insertUser(database, "ada"),
      insertUser(database, "bob"),
      database.query.updateTable("users").set({ token_version: 1 }),
      database.query.deleteFrom("users").where("id", "=", "nobody"),
    ]);
    assert.deepEqual(changes, [1, 1, 2, 0]);
    assert.deepEqual(await userIds(database), ["ada", "bob"]);
    assert.deepEqual(await database.write([]), []);
  });

  test("keeps every character", async (t) => {
    const { database } = openTemporary(t);
    const texts = [
      "",
      "a\0b",
      "\u{1F600} é \u{10FFFF}",
      "'; DROP TABLE users; --",
      "x".repeat(1e6),
    ];
    for (const [index, text] of texts.entries()) {
      await database.write([insertUser(database, text, String(index))]);
    }
    assert.deepEqual(new Set(await userIds(database)), new Set(texts));
  });

  test("does all of a group or nothing", async (t) => {
    const { database } = openTemporary(t);
    await database.write([insertUser(database, "ada")]);
    const group = [insertUser(database, "bob"), insertUser(database, "eve", "ada")];
    await assert.rejects(database.write(group), UniqueViolation);
    assert.deepEqual(await userIds(database), ["ada"]);
  });

  test("tells a taken primary key and a taken unique key from other refusals", async (t) => {
    const { database } = openTemporary(t);
    await database.write([insertUser(database, "ada")]);
    await assert.rejects(database.write([insertUser(database, "ada", "other")]), UniqueViolation);
    await assert.rejects(database.write([insertUser(database, "other", "ada")]), UniqueViolation);
    for (const fault of [
      insertSession(database, "session", "nobody"),
      raw(database, sql`INSERT INTO nowhere VALUES (1)`),
      raw(database, sql`INSERT INTO revoked_sign_ins VALUES ('a', NULL)`),
      raw(database, sql`INSERT INTO revoked_sign_ins VALUES (${{ not: "a value" }}, 1)`),
    ]) {
      await assert.rejects(database.write([fault]), (error) => {
        assert.ok(error instanceof Error && !(error instanceof UniqueViolation));
        assert.ok(!isAppError(error), "a fault of ours is not the storage's");
        return true;
      });
    }
    assert.deepEqual(await userIds(database), ["ada"]);
  });

  test("commits what waits together at once, each group on its own terms", async (t) => {
    const { database, path } = openTemporary(t);
    await database.write([insertUser(database, "ada")]);
    const commitsBefore = countCommits(path);
    const release = holdWriteLock(path);
    const groups = [
      [insertUser(database, "bob")],
      [insertUser(database, "dan"), insertUser(database, "taken", "ada")],
      [insertUser(database, "eve"), insertSession(database, "session", "eve")],
      [insertSession(database, "other session", "nobody")],
      [insertUser(database, "fay")],
    ];
    const more = Array.from({ length: 200 }, (_, index) => [insertUser(database, `user ${index}`)]);
    const results = Promise.allSettled([...groups, ...more].map((group) => database.write(group)));
    release();
    const statuses = (await results).map(({ status }) => status);
    assert.deepEqual(statuses.slice(0, groups.length), [
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    assert.ok(statuses.slice(groups.length).every((status) => status === "fulfilled"));
    const ids = await userIds(database);
    assert.deepEqual(ids.slice(0, 4), ["ada", "bob", "eve", "fay"]);
    assert.equal(ids.length, 4 + more.length);
    const commits = countCommits(path) - commitsBefore;
    assert.ok(
      commits <= 2,
      `${commits} commits: what came before the lock was noticed, and the rest`,
    );
  });

  test("waits for another process's lock", async (t) => {
    const { database, path } = openTemporary(t);
    const events: string[] = [];
    const release = holdWriteLock(path);
    const written = database
      .write([insertUser(database, "ada")])
      .then(() => events.push("written"));
    assert.deepEqual(await userIds(database), [], "readers do not wait");
    events.push("released");
    release();
    await written;
    assert.deepEqual(events, ["released", "written"]);
  });

  test("changes nothing when the disk is full, and goes on when there is room again", async (t) => {
    const { database } = openTemporary(t);
    const limit = (pages: number) =>
      database.write([raw(database, sql`PRAGMA max_page_count = ${sql.lit(pages)}`)]);
    await limit(100);
    const long = "x".repeat(300_000);
    const group = [insertUser(database, "ada"), insertUser(database, long)];
    await assertStorageUnavailable(database.write(group), /full/);
    assert.deepEqual(await userIds(database), []);
    assert.equal(database.isAlive(), true);
    await limit(100_000);
    await database.write(group);
    assert.deepEqual(await userIds(database), ["ada", long]);
  });

  test("rejects when the writer cannot start", async (t) => {
    const writer = new SqliteWriter(makeWorkspace(t).folder);
    const written = writer.write([]);
    await assertStorageUnavailable(written, /unable to open/);
    assert.equal(writer.isAlive, false);
    await assertStorageUnavailable(writer.write([]), /undefined/);
    await writer.close();
  });
});

describe("Database.query", () => {
  test("refuses to write, so that nothing is lost without a word", async (t) => {
    const { database } = openTemporary(t);
    const user = { id: "ada", username: "ada", username_key: "ada", password_hash: "hash" };
    const insert = database.query.insertInto("users").values({
      ...user,
      token_version: 0,
      disabled_at: null,
      created_at: 1,
    });
    await assert.rejects(insert.execute(), /Database\.write/);
    await assert.rejects(insert.returning("id").execute(), /Database\.write/);
    await assert.rejects(sql`SELECT 1`.execute(database.query), /Database\.write/);
    await assert.rejects(
      database.query.transaction().execute(() => Promise.resolve()),
      /Database\.write/,
    );
    assert.deepEqual(await userIds(database), []);
  });

  test("reports a damaged file as the storage's fault and a wrong query as ours", async (t) => {
    const { path, open } = makeWorkspace(t);
    await open().close();
    const schemaBytes = statSync(path).size;
    const first = open();
    await first.write([insertUser(first, "x".repeat(100_000))]);
    await first.close();
    damage(path, schemaBytes);
    const database = open();
    await assertStorageUnavailable(userIds(database), /malformed/);
    const wrong = database.query.selectFrom("users").select(sql`no_such_column`.as("x"));
    await assert.rejects(wrong.execute(), (error) => !isAppError(error));
  });
});

/** Overwrites a file from an offset on, as a failing disk may. */
function damage(path: string, from: number): void {
  const garbage = Buffer.alloc(statSync(path).size - from, 0xa5);
  const file = openSync(path, "r+");
  writeSync(file, garbage, 0, garbage.length, from);
  closeSync(file);
}

describe("Database.close", () => {
  test("commits what was written before, refuses what comes after, empties the log", async (t) => {
    const { database, path, inspect } = openTemporary(t);
    const before = [database.write([insertUser(database, "ada")])];
    const closed = database.close();
    await Promise.all([...before, closed]);
    assert.equal(database.isAlive(), false);
    await assertStorageUnavailable(database.write([insertUser(database, "bob")]), /undefined/);
    assert.throws(() => statSync(`${path}-wal`), { code: "ENOENT" });
    assert.deepEqual(
      inspect()
        .prepare("SELECT id FROM users")
        .all()
        .map((row) => row.id),
      ["ada"],
    );
  });

  test("may be called again", async (t) => {
    const { database } = openTemporary(t);
    await Promise.all([database.close(), database.close()]);
    await database.close();
  });
});

describe("kill -9", () => {
  const script = `
    async function write(database) {
      const insert = (table, row) => database.query.insertInto(table).values(row);
      for (;;) {
        const id = crypto.randomUUID();
        await database.write([
          insert("users", { id, username: id, username_key: id, password_hash: "hash", created_at: 1 }),
          insert("sessions", { id, user_id: id, provider: "mock", model_name: "echo",
            config_json: "x".repeat(5000), created_at: 1, updated_at: 1 }),
        ]);
        process.stdout.write(id + "\\n");
      }
    }
    import(${JSON.stringify(new URL("./sqlite.ts", import.meta.url).href)}).then(({ openSqlite }) => {
      const database = openSqlite(process.argv[1]);
      for (let writer = 0; writer < 8; writer++) write(database);
    });
  `;

  /** Lets a process write until so many groups are acknowledged, kills it, resolves to what it was told. */
  async function writeAndKill(path: string, groups: number): Promise<string[]> {
    const parameters = ["-e", script, path];
    const child = spawn(process.execPath, parameters, { stdio: ["ignore", "pipe", "inherit"] });
    const acknowledged: string[] = [];
    for await (const id of createInterface({ input: child.stdout })) {
      acknowledged.push(id);
      if (acknowledged.length === groups) child.kill("SIGKILL");
    }
    if (child.signalCode === null) await once(child, "exit");
    assert.equal(child.signalCode, "SIGKILL");
    return acknowledged;
  }

  test("loses no group that was acknowledged and leaves no half of one", async (t) => {
    const { path, open, inspect } = makeWorkspace(t);
    const acknowledged: string[] = [];
    for (const groups of [1, 2, 50, 111, 333]) {
      acknowledged.push(...(await writeAndKill(path, groups)));
      const database = open();
      const ids = new Set(await userIds(database));
      const sessions = await database.query.selectFrom("sessions").select("id").execute();
      await database.close();
      assert.deepEqual(
        acknowledged.filter((id) => !ids.has(id)),
        [],
      );
      assert.deepEqual(new Set(sessions.map(({ id }) => id)), ids);
      const other = inspect();
      assert.deepEqual(
        other
          .prepare("PRAGMA integrity_check")
          .all()
          .map((row) => row.integrity_check),
        ["ok"],
      );
      assert.deepEqual(other.prepare("PRAGMA foreign_key_check").all(), []);
    }
    assert.ok(acknowledged.length >= 497, "all of them were read");
  });
});
