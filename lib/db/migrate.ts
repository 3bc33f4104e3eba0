import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { DummyDriver, Kysely } from "kysely";
import { StartupError } from "../errors.ts";
import { migrations, type Migration } from "./migrations.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import { isBusy, type SqliteFailure } from "./sqlite-errors.ts";

const lockWaitMs = 30_000;
const lockPollMs = 20;

/**
 * Brings the file to the newest schema, under SQLite's own write lock: of two processes that start
 * together one runs the steps, the other finds them done. All steps commit together or not at all.
 *
 * @throws {StartupError} when the file is not a database, is damaged, or knows steps that we do not.
 */
export function migrate(
  path: string,
  pragmas: string,
  steps: readonly Migration[] = migrations,
): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: lockWaitMs });
    enterWal(database);
    database.exec(pragmas);
    database.exec(`PRAGMA busy_timeout = ${lockWaitMs}; BEGIN IMMEDIATE`);
    applyPending(database, path, steps);
    database.exec("COMMIT");
  } catch (error) {
    throw error instanceof StartupError ? error : describeFailure(path, error);
  } finally {
    database?.close();
  }
}

/** SQLite does not wait for others to let go of the file when it changes the journal mode, so we do. */
function enterWal(database: DatabaseSync): void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const deadlineMs = Date.now() + lockWaitMs;
  for (;;) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (!isBusy(error as SqliteFailure) || Date.now() > deadlineMs) throw error;
      Atomics.wait(sleeper, 0, 0, lockPollMs);
    }
  }
}

function applyPending(database: DatabaseSync, path: string, steps: readonly Migration[]): void {
  database.exec(
    "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at INTEGER)",
  );
  const applied = new Set(
    database
      .prepare("SELECT name FROM migrations")
      .all()
      .map((row) => String(row.name)),
  );
  const unknown = [...applied].filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    throw new StartupError(
      `The database ${path} was written by a newer version (it knows ${unknown.join(", ")}). Start that version, or set DATA_DIR to another folder.`,
    );
  }
  const compiler = createCompiler();
  for (const step of steps.filter(({ name }) => !applied.has(name))) {
    for (const statement of step.up(compiler)) {
      const { sql, parameters } = statement.compile();
      database.prepare(sql).run(...(parameters as SQLInputValue[]));
    }
    database.prepare("INSERT INTO migrations VALUES (?, ?)").run(step.name, Date.now());
  }
}

function createCompiler(): Kysely<unknown> {
  return new Kysely({ dialect: sqliteDialect(() => new DummyDriver()) });
}

function describeFailure(path: string, error: unknown): StartupError {
  const reason = error instanceof Error ? error.message : String(error);
  return new StartupError(
    `The database ${path} cannot be opened (${reason}). Restore it from a backup, move it away, or set DATA_DIR to another folder.`,
    { cause: error },
  );
}
