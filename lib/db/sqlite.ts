import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import {
  Kysely,
  type Compilable,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from "kysely";
import { StartupError } from "../errors.ts";
import { migrate } from "./migrate.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import { toSqliteError, type SqliteFailure } from "./sqlite-errors.ts";
import { connectionPragmas } from "./sqlite-pragmas.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import type { Tables } from "./tables.ts";

/** What the rest of lib knows of the database: typed reads, and durable all-or-nothing writes. */
export type Database = Readonly<{
  /**
   * Builds queries; `.execute()` of a select reads what is committed, of anything else rejects.
   *
   * @throws {AppError} `storage_unavailable` when the file cannot be read.
   */
  query: Kysely<Tables>;
  /**
   * Runs the statements as one all-or-nothing group and resolves after the commit is on disk, with
   * the number of rows that each changed.
   *
   * @throws {UniqueViolation} when a unique index refuses the group.
   * @throws {AppError} `storage_unavailable` when the disk is full, read-only or locked for too long.
   * @throws {Error} when a statement is wrong in itself or breaks a reference.
   */
  write: (statements: readonly Compilable[]) => Promise<number[]>;
  /** Whether the database still answers. */
  isAlive: () => boolean;
  /** Resolves when everything written before is committed and the file is closed; harmless when repeated. */
  close: () => Promise<void>;
}>;

/**
 * Opens the SQLite file, makes it (mode 0600) and its folder when missing, and migrates it.
 *
 * @throws {StartupError} when it cannot be made, is not a database, is visibly damaged, or was
 *   written by a newer version.
 */
export function openSqlite(path: string): Database {
  createPrivateFile(path);
  migrate(path, connectionPragmas);
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("PRAGMA busy_timeout = 5000");
  const writer = new SqliteWriter(path);
  const query = new Kysely<Tables>({ dialect: sqliteDialect(() => createDriver(reader)) });
  return {
    query,
    write: (statements) => writer.write(statements.map((statement) => statement.compile())),
    isAlive: () => writer.isAlive && reader.isOpen,
    close: async () => {
      await writer.close();
      await query.destroy();
      if (reader.isOpen) reader.close();
    },
  };
}

function createPrivateFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `The database ${path} cannot be made or written (${reason}). Check the folder's permissions, or set DATA_DIR to another one.`,
      { cause: error },
    );
  }
}

const refuse = () => Promise.reject(new Error("Use Database.write for writes and transactions."));

/** Kysely's driver: reads run here at once; writes belong to the writer's thread. */
function createDriver(reader: DatabaseSync): Driver {
  const statements = new Map<string, StatementSync>();
  const read = ({ sql, parameters }: CompiledQuery) => {
    let statement = statements.get(sql);
    if (!statement) statements.set(sql, (statement = reader.prepare(sql)));
    return statement.all(...(parameters as SQLInputValue[]));
  };
  const connection: DatabaseConnection = {
    executeQuery: async <R>(compiled: CompiledQuery): Promise<QueryResult<R>> => {
      if (compiled.query.kind !== "SelectQueryNode") return refuse();
      try {
        return { rows: read(compiled) as R[] };
      } catch (error) {
        throw toSqliteError(error as SqliteFailure);
      }
    },
    streamQuery: () => {
      throw new Error("Streaming reads are not supported.");
    },
  };
  return {
    init: () => Promise.resolve(),
    acquireConnection: () => Promise.resolve(connection),
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  };
}
