import { AppError } from "../errors.ts";

/** A unique index refused a write: somebody else was first. */
export class UniqueViolation extends Error {
  override readonly name = "UniqueViolation";
}

/** What SQLite says of a failure; a plain object, so that it crosses between threads. */
export type SqliteFailure = Readonly<{ message: string; errcode?: number }>;

const busyCode = 5;
const uniqueCodes = new Set([1555, 2067]);

/**
 * The primary codes that blame the disk, the file, the memory or another process:
 * BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL and NOTADB.
 */
const storageCodes = new Set([busyCode, 6, 7, 8, 10, 11, 13, 14, 15, 26]);

/**
 * Gives a failure its meaning (https://www.sqlite.org/rescode.html): a UniqueViolation, an AppError
 * `storage_unavailable`, or for everything else, which is a fault in our statements, a plain Error.
 */
export function toSqliteError({ message, errcode = 0 }: SqliteFailure): Error {
  if (uniqueCodes.has(errcode)) return new UniqueViolation(message);
  const error = new Error(message);
  if (!storageCodes.has(primaryCode(errcode))) return error;
  return new AppError("storage_unavailable", undefined, { cause: error });
}

/** Whether another connection's lock is the reason. */
export function isBusy({ errcode = 0 }: SqliteFailure): boolean {
  return primaryCode(errcode) === busyCode;
}

function primaryCode(code: number): number {
  return code & 0xff;
}
