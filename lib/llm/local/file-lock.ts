import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

const pollIntervalMs = 200;

export type FileLockOptions = Readonly<{
  signal?: AbortSignal | undefined;
  /** Called once when another process or call holds the lock. */
  onWait?: () => void;
}>;

/**
 * Runs the task while holding an exclusive lock on `path`, waiting for whoever holds it.
 *
 * SQLite's file lock is used because the operating system drops it when a process dies, on every
 * platform, so no lock is ever stale; Node has no call for such a lock of its own. The empty file
 * stays behind: removing it would let two waiters hold "the" lock on two different files.
 *
 * @throws what the task throws, and the signal's reason while waiting.
 */
export async function withFileLock<T>(
  path: string,
  options: FileLockOptions,
  task: () => Promise<T>,
): Promise<T> {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    for (let waited = false; !tryLock(database); waited = true) {
      if (!waited) options.onWait?.();
      await delay(pollIntervalMs, undefined, { signal: options.signal }).catch(() => {
        throw options.signal?.reason;
      });
    }
    return await task();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === 5;
}
