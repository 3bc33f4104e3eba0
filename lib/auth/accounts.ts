import { ulid } from "ulid";
import { UniqueViolation } from "../db/sqlite-errors.ts";
import type { Database } from "../db/sqlite.ts";
import type { UserRow } from "../db/tables.ts";
import { AppError, isAppError } from "../errors.ts";
import { hashPassword, verifyPassword } from "./password.ts";

export type Account = Readonly<{ id: string; username: string; createdAtMs: number }>;

/** The people who may sign in. */
export class Accounts {
  readonly #database: Database;
  /** Checked in place of an unknown user's hash, so that both take the same time. */
  readonly #decoyHash: Promise<string>;

  constructor(database: Database) {
    this.#database = database;
    this.#decoyHash = hashPassword(ulid());
  }

  /** @throws {AppError} `username_taken`, also for a name that differs only in case or width. */
  async register(username: string, password: string): Promise<Account> {
    const account = { id: ulid(), username: username.normalize("NFKC"), createdAtMs: Date.now() };
    const row: UserRow = {
      id: account.id,
      username: account.username,
      username_key: toKey(username),
      password_hash: await hashPassword(password),
      token_version: 0,
      disabled_at: null,
      created_at: account.createdAtMs,
    };
    try {
      await this.#database.write([this.#database.query.insertInto("users").values(row)]);
      return account;
    } catch (error) {
      if (error instanceof UniqueViolation) throw new AppError("username_taken");
      throw error;
    }
  }

  /**
   * Resolves to the user whose password this is.
   *
   * @throws {AppError} `invalid_grant`, after the same work whether the name is unknown, the
   *   password wrong or the account disabled.
   */
  async authenticate(username: string, password: string): Promise<UserRow> {
    const user = await this.#findByName(username);
    const matches = await verifyPassword(user?.password_hash ?? (await this.#decoyHash), password);
    if (!user || !matches || user.disabled_at !== null) throw new AppError("invalid_grant");
    return user;
  }

  find(userId: string): Promise<UserRow | undefined> {
    return this.#database.query
      .selectFrom("users")
      .selectAll()
      .where("id", "=", userId)
      .executeTakeFirst();
  }

  /** Makes the account unless the name exists; for local mode's demonstration account. */
  async ensure(username: string, password: string): Promise<void> {
    if (await this.#findByName(username)) return;
    try {
      await this.register(username, password);
    } catch (error) {
      // Another process that started beside this one was faster.
      if (!isAppError(error) || error.code !== "username_taken") throw error;
    }
  }

  #findByName(username: string): Promise<UserRow | undefined> {
    return this.#database.query
      .selectFrom("users")
      .selectAll()
      .where("username_key", "=", toKey(username))
      .executeTakeFirst();
  }
}

/** Upper case first: lower case alone keeps ß from SS, and σ from the ς that ends a word. */
function toKey(username: string): string {
  return username.normalize("NFKC").toUpperCase().toLowerCase();
}
