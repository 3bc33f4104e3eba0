import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from "kysely";
import type { Compilable } from "kysely";
import { migrate } from "./migrate.ts";
import { connectionPragmas } from "./sqlite-pragmas.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import type { Tables } from "./tables.ts";

/** What the rest of lib knows of the database: typed reads, and durable all-or-nothing writes. */
export type Database = Readonly<{
  /** Builds queries; `.execute()` reads what is committed. */
  query: Kysely<Tables>;
  /**
   * Runs the statements as one all-or-nothing group and resolves after the commit is on disk, with
   * the number of rows that each changed.
   *
   * @throws {UniqueViolation} when a unique index refuses the group.
   * @throws {AppError} `storage_unavailable` when the disk is full, read-only or locked for too long.
   */
  write: (statements: readonly Compilable[]) => Promise<number[]>;
  /** Whether the database still answers. */
  isAlive: () => boolean;
  close: () => Promise<void>;
}>;

/**
 * Opens the SQLite file, makes it (mode 0600) and its folder when missing, and migrates it.
 *
 * @throws {StartupError} when it is not a database, is damaged, or was written by a newer version.
 */
export function openSqlite(path: string): Database {
  createPrivateFile(path);
  migrate(path, connectionPragmas);
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("PRAGMA busy_timeout = 5000");
  const writer = new SqliteWriter(path);
  const query = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => createDriver(reader, writer),
      createIntrospector: (kysely) => new SqliteIntrospector(kysely),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
  return {
    query,
    write: (statements) => writer.write(statements.map((statement) => statement.compile())),
    isAlive: () => writer.isAlive && reader.isOpen,
    close: async () => {
      await writer.close();
      await query.destroy();
      reader.close();
    },
  };
}

function createPrivateFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
}

/** Kysely's driver: point reads run here at once, anything else goes to the writer's thread. */
function createDriver(reader: DatabaseSync, writer: SqliteWriter): Driver {
  const statements = new Map<string, StatementSync>();
  const connection: DatabaseConnection = {
    executeQuery: async <R>(compiled: CompiledQuery): Promise<QueryResult<R>> => {
      if (compiled.query.kind !== "SelectQueryNode") {
        const [changes = 0] = await writer.write([compiled]);
        return { rows: [], numAffectedRows: BigInt(changes) };
      }
      let statement = statements.get(compiled.sql);
      if (!statement) statements.set(compiled.sql, (statement = reader.prepare(compiled.sql)));
      return { rows: statement.all(...(compiled.parameters as SQLInputValue[])) as R[] };
    },
    streamQuery: () => {
      throw new Error("Streaming reads are not supported.");
    },
  };
  const refuse = () => Promise.reject(new Error("Use Database.write for transactions."));
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
