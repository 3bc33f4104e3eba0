import type { SQLInputValue } from "node:sqlite";
import { Worker } from "node:worker_threads";
import type { CompiledQuery } from "kysely";
import { AppError } from "../errors.ts";
import { toSqliteError } from "./sqlite-errors.ts";
import type { Statement, WriteGroup, WriteResult } from "./sqlite-worker.ts";

type Pending = PromiseWithResolvers<number[]>;

/** The main thread's half of the one writer: sends groups, settles their promises. */
export class SqliteWriter {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #alive = true;

  constructor(path: string) {
    this.#worker = new Worker(new URL("./sqlite-worker.ts", import.meta.url), {
      workerData: { path },
    });
    this.#worker.on("message", (result: WriteResult) => this.#settle(result));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail(new Error("The writer has ended."));
        resolve();
      });
    });
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  write(queries: readonly CompiledQuery[]): Promise<number[]> {
    if (!this.#alive) return Promise.reject(new AppError("storage_unavailable"));
    const pending: Pending = Promise.withResolvers();
    const group: WriteGroup = { id: ++this.#lastId, statements: queries.map(toStatement) };
    this.#pending.set(group.id, pending);
    this.#worker.postMessage(group);
    return pending.promise;
  }

  /** Resolves when everything written before is committed and the file is closed. */
  async close(): Promise<void> {
    if (this.#alive) this.#worker.postMessage("close");
    await this.#exited;
  }

  #settle(result: WriteResult): void {
    const pending = this.#pending.get(result.id);
    this.#pending.delete(result.id);
    if ("failure" in result) pending?.reject(toSqliteError(result.failure));
    else pending?.resolve(result.changes);
  }

  #fail(cause: unknown): void {
    this.#alive = false;
    for (const { reject } of this.#pending.values()) {
      reject(new AppError("storage_unavailable", undefined, { cause }));
    }
    this.#pending.clear();
  }
}

function toStatement({ sql, parameters }: CompiledQuery): Statement {
  return { sql, parameters: parameters as readonly SQLInputValue[] };
}
