/**
 * What every read-write connection sets: readers never block the writer (WAL), a commit is on disk
 * before it is acknowledged (synchronous=FULL), references hold, another process's lock is waited
 * for, and the write-ahead log does not grow without end.
 */
export const connectionPragmas = `
  PRAGMA busy_timeout = 5000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA journal_size_limit = 16777216;
`;
