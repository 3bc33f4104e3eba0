import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { SqliteFailure } from "./sqlite-errors.ts";
import { connectionPragmas } from "./sqlite-pragmas.ts";

/**
 * The one writer of the database file. It takes write groups from the main thread, commits all that
 * wait in one transaction, and acknowledges each only after that commit, so that the event loop
 * never waits for a disk and a busy server pays for one fsync where it would have paid for many.
 */

export type Statement = Readonly<{ sql: string; parameters: readonly SQLInputValue[] }>;

/** An all-or-nothing group of statements. */
export type WriteGroup = Readonly<{ id: number; statements: readonly Statement[] }>;

export type WriteResult = Readonly<
  { id: number; changes: number[] } | { id: number; failure: SqliteFailure }
>;

const statementCacheSize = 200;
const port = parentPort!; // eslint-disable-line typescript/no-non-null-assertion -- only ever a worker
const database = new DatabaseSync((workerData as { path: string }).path);
database.exec(connectionPragmas);
const statements = new Map<string, StatementSync>();

port.on("message", (first: WriteGroup | "close") => {
  const groups: WriteGroup[] = [];
  let closing = false;
  for (let next: WriteGroup | "close" | undefined = first; next !== undefined; next = poll()) {
    if (next === "close") closing = true;
    else groups.push(next);
  }
  if (groups.length > 0) for (const result of commit(groups)) port.postMessage(result);
  if (closing) close();
});

function poll(): WriteGroup | "close" | undefined {
  return receiveMessageOnPort(port)?.message as WriteGroup | "close" | undefined;
}

function commit(groups: readonly WriteGroup[]): WriteResult[] {
  try {
    database.exec("BEGIN IMMEDIATE");
    const results = groups.map(run);
    database.exec("COMMIT");
    return results;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    return groups.map(({ id }) => ({ id, failure: describe(error) }));
  }
}

function run({ id, statements: group }: WriteGroup): WriteResult {
  database.exec("SAVEPOINT write_group");
  try {
    const changes = group.map(({ sql, parameters }) =>
      Number(prepare(sql).run(...parameters).changes),
    );
    database.exec("RELEASE write_group");
    return { id, changes };
  } catch (error) {
    // A full disk can end the whole transaction; then there is no savepoint left and commit() must hear of it.
    if (!database.isTransaction) throw error;
    database.exec("ROLLBACK TO write_group; RELEASE write_group");
    return { id, failure: describe(error) };
  }
}

function prepare(sql: string): StatementSync {
  const known = statements.get(sql);
  if (known) return known;
  if (statements.size >= statementCacheSize) statements.clear();
  const statement = database.prepare(sql);
  statements.set(sql, statement);
  return statement;
}

function describe(error: unknown): SqliteFailure {
  const { message, errcode = 0 } = error as SqliteFailure;
  return { message, errcode };
}

function close(): void {
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  port.close();
}
