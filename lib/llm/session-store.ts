import { sql } from "kysely";
import { ulid } from "ulid";
import type { Database } from "../db/sqlite.ts";
import { AppError } from "../errors.ts";
import { refuseCursor } from "./cursor.ts";
import { toConfigColumns, toSession, type LlmConfig, type Session } from "./session.ts";

export type NewSession = Readonly<{
  userId: string;
  config: LlmConfig;
  /** Makes the sealed key for the id that the session gets. */
  sealApiKey?: ((sessionId: string) => Promise<string>) | undefined;
  title?: string | undefined;
}>;

export type SessionPage = Readonly<{
  sessions: readonly Readonly<{ session: Session; match?: string }>[];
  nextCursor: string | null;
}>;

export type SessionQuery = Readonly<{
  userId: string;
  limit: number;
  cursor?: string | undefined;
  search?: string | undefined;
}>;

const matchContext = 60;

/** Sessions in the database. Whatever is not the user's own does not exist for that user. */
export class SessionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create({ userId, config, sealApiKey, title }: NewSession): Promise<Session> {
    const id = ulid();
    const now = Date.now();
    const row = {
      id,
      user_id: userId,
      title: title ?? null,
      ...toConfigColumns(config),
      sealed_api_key: (await sealApiKey?.(id)) ?? null,
      head_id: null,
      last_seq: 0,
      created_at: now,
      updated_at: now,
    };
    await this.#database.write([this.#database.query.insertInto("sessions").values(row)]);
    return toSession(row);
  }

  /** @throws {AppError} `not_found`, the same for an unknown id and for somebody else's. */
  async get(userId: string, id: string): Promise<Session> {
    const row = await this.#database.query
      .selectFrom("sessions")
      .selectAll()
      .where("id", "=", id)
      .where("user_id", "=", userId)
      .executeTakeFirst();
    if (!row) throw new AppError("not_found");
    return toSession(row);
  }

  /** Newest first; a search looks into titles and texts, and tells the place it found. */
  async list({ userId, limit, cursor, search }: SessionQuery): Promise<SessionPage> {
    let query = this.#database.query
      .selectFrom("sessions")
      .selectAll("sessions")
      .where("user_id", "=", userId)
      .orderBy("updated_at", "desc")
      .orderBy("id", "desc")
      .limit(limit + 1);
    if (cursor !== undefined) {
      const [updatedAt, id] = parseCursor(cursor);
      query = query.where((where) =>
        where.eb(where.refTuple("updated_at", "id"), "<", where.tuple(updatedAt, id)),
      );
    }
    if (search !== undefined) {
      query = query.where((where) =>
        where.or([
          contains("title", search),
          where.exists(
            where
              .selectFrom("messages")
              .select("messages.id")
              .whereRef("messages.session_id", "=", "sessions.id")
              .where(contains("content", search)),
          ),
        ]),
      );
    }
    const rows = await query.execute();
    const page = rows.slice(0, limit).map(toSession);
    const last = page.at(-1);
    return {
      sessions: await Promise.all(page.map((session) => this.#withMatch(session, search))),
      nextCursor: rows.length > limit && last ? `${last.updatedAtMs}.${last.id}` : null,
    };
  }

  /** @throws {AppError} `not_found` */
  async rename(userId: string, id: string, title: string): Promise<Session> {
    await this.#update(userId, id, { title });
    return this.get(userId, id);
  }

  /** @throws {AppError} `not_found` */
  async reconfigure(
    session: Session,
    change: Readonly<{
      config: LlmConfig;
      sealedApiKey: string | null;
      title?: string | undefined;
    }>,
  ): Promise<Session> {
    await this.#update(session.userId, session.id, {
      ...toConfigColumns(change.config),
      sealed_api_key: change.sealedApiKey,
      ...(change.title !== undefined && { title: change.title }),
    });
    return this.get(session.userId, session.id);
  }

  /** Deletes the session with its whole history. @throws {AppError} `not_found` */
  async delete(userId: string, id: string): Promise<void> {
    const [deleted] = await this.#database.write([
      this.#database.query
        .deleteFrom("sessions")
        .where("id", "=", id)
        .where("user_id", "=", userId),
    ]);
    if (deleted === 0) throw new AppError("not_found");
  }

  async #update(userId: string, id: string, columns: Record<string, unknown>): Promise<void> {
    const [updated] = await this.#database.write([
      this.#database.query
        .updateTable("sessions")
        .set({ ...columns, updated_at: Date.now() })
        .where("id", "=", id)
        .where("user_id", "=", userId),
    ]);
    if (updated === 0) throw new AppError("not_found");
  }

  async #withMatch(session: Session, search: string | undefined) {
    if (search === undefined) return { session };
    const found = await this.#database.query
      .selectFrom("messages")
      .select("content")
      .where("session_id", "=", session.id)
      .where(contains("content", search))
      .orderBy("depth", "desc")
      .executeTakeFirst();
    return found ? { session, match: excerpt(found.content, search) } : { session };
  }
}

function parseCursor(cursor: string): [number, string] {
  const [, updatedAt, id] = /^(\d{1,15})\.(\w{26})$/.exec(cursor) ?? [];
  if (updatedAt === undefined || id === undefined) {
    throw refuseCursor();
  }
  return [Number(updatedAt), id];
}

/** Whether a column has the text somewhere; signs that mean something to LIKE mean themselves. */
function contains(column: "title" | "content", search: string) {
  const pattern = `%${search.replace(/[\\%_]/g, "\\$&")}%`;
  return sql<boolean>`${sql.ref(column)} like ${pattern} escape '\\'`;
}

function excerpt(content: string, search: string): string {
  const at = Math.max(0, content.toLowerCase().indexOf(search.toLowerCase()));
  const start = Math.max(0, at - matchContext);
  const end = Math.min(content.length, at + search.length + matchContext);
  // Where the cut went through a character, its half is left out.
  const whole = content.slice(start, end).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "");
  const body = whole.replace(/\s+/g, " ").toWellFormed().trim();
  return `${start > 0 ? "…" : ""}${body}${end < content.length ? "…" : ""}`;
}
