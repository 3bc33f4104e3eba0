import { sql } from "kysely";
import { ulid } from "ulid";
import type { Message } from "../api/schemas.ts";
import type { Database } from "../db/sqlite.ts";
import { UniqueViolation } from "../db/sqlite-errors.ts";
import type { MessageRow } from "../db/tables.ts";
import { AppError } from "../errors.ts";
import { refuseCursor } from "./cursor.ts";
import { titleFrom, toMessage, type Session } from "./session.ts";
import { countTokens } from "./tokens.ts";

/** After a crash some numbers may have been sent that were never stored; this leaps over them. */
const seqLeapAfterCrash = 1_000_000;

export type StoredUserMessage = Readonly<{
  id: string;
  parentId: string | null;
  depth: number;
  text: string;
  clientId?: string;
}>;

export type NewUserMessage = Readonly<{
  parentId: string | null;
  depth: number;
  text: string;
  tokenCount: number;
  clientId?: string | undefined;
}>;

/** What a turn writes before the model is called. */
export type TurnBeginning = Readonly<{
  session: Session;
  /** A new message, or the stored one that is answered again. */
  userMessage: NewUserMessage | StoredUserMessage;
  provider: MessageRow["provider"];
  model: string;
}>;

export type BegunTurn = Readonly<{
  userMessage: StoredUserMessage;
  messageId: string;
  createdAtMs: number;
}>;

/** The columns of an assistant's message that a turn fills in. */
export type AnswerColumns = Partial<
  Omit<MessageRow, "id" | "session_id" | "parent_id" | "depth" | "role" | "created_at">
>;

export type MessagePage = Readonly<{ messages: readonly Message[]; nextCursor: string | null }>;

/** Messages are a tree; a session shows the path from the root to its head. */
export class MessageStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Marks what a crash left `streaming` as `incomplete`. Called once, at start. Resolves to how many. */
  async recover(): Promise<number> {
    const { query } = this.#database;
    const cut = await query
      .selectFrom("messages")
      .select(["id", "session_id", "content"])
      .where("status", "=", "streaming")
      .execute();
    if (cut.length === 0) return 0;
    const sessionIds = [...new Set(cut.map(({ session_id }) => session_id))];
    const leap = sql<number>`last_seq + ${seqLeapAfterCrash}`;
    const updates = sessionIds.map((id) =>
      query.updateTable("sessions").set({ last_seq: leap }).where("id", "=", id),
    );
    const marks = cut.map(async ({ id, content }) =>
      this.#updateAnswer(id, {
        status: "incomplete",
        finish_reason: "interrupted",
        token_count: await countTokens(content),
      }),
    );
    await this.#database.write([...updates, ...(await Promise.all(marks))]);
    return cut.length;
  }

  async find(sessionId: string, id: string): Promise<MessageRow | undefined> {
    return this.#database.query
      .selectFrom("messages")
      .selectAll()
      .where("id", "=", id)
      .where("session_id", "=", sessionId)
      .executeTakeFirst();
  }

  findByClientId(sessionId: string, clientId: string): Promise<MessageRow | undefined> {
    return this.#database.query
      .selectFrom("messages")
      .selectAll()
      .where("session_id", "=", sessionId)
      .where("client_id", "=", clientId)
      .executeTakeFirst();
  }

  /**
   * Makes the user's message and an empty, `streaming` answer durable, as one commit.
   *
   * @throws {AppError} `not_found` when the session was deleted meanwhile, `turn_in_progress` when
   *   another request with the same client_id was first.
   */
  async beginTurn({ session, userMessage, provider, model }: TurnBeginning): Promise<BegunTurn> {
    const now = Date.now();
    const messageId = ulid();
    const stored = "id" in userMessage ? userMessage : { ...omitTokens(userMessage), id: ulid() };
    const { query } = this.#database;
    const answer = {
      ...emptyRow(messageId, session.id, now),
      parent_id: stored.id,
      depth: stored.depth + 1,
      role: "assistant" as const,
      status: "streaming" as const,
      provider,
      model,
    };
    const statements = [
      query.insertInto("messages").values(answer),
      query
        .updateTable("sessions")
        .set({
          head_id: messageId,
          updated_at: now,
          title: sql<string>`coalesce(title, ${titleFrom(stored.text)})`,
        })
        .where("id", "=", session.id),
    ];
    if (!("id" in userMessage)) {
      statements.unshift(
        query.insertInto("messages").values({
          ...emptyRow(stored.id, session.id, now),
          parent_id: stored.parentId,
          depth: stored.depth,
          role: "user",
          status: "complete",
          content: stored.text,
          token_count: userMessage.tokenCount,
          client_id: stored.clientId ?? null,
        }),
      );
    }
    await this.#database.write(statements).catch(async (error: unknown) => {
      if (error instanceof UniqueViolation) throw new AppError("turn_in_progress");
      throw (await this.#hasSession(session.id)) ? error : new AppError("not_found");
    });
    return { userMessage: stored, messageId, createdAtMs: now };
  }

  /** Makes what an answer has so far durable; a crash loses no more than what came since. */
  async saveAnswer(messageId: string, columns: AnswerColumns): Promise<void> {
    await this.#database.write([this.#updateAnswer(messageId, columns)]);
  }

  /**
   * Ends a turn: the whole answer and the number of its last event, as one commit. Safe to call
   * again later: the session's number never goes back.
   */
  async finishTurn(
    sessionId: string,
    messageId: string,
    answer: AnswerColumns & Readonly<{ lastSeq: number }>,
  ): Promise<void> {
    const { lastSeq, ...columns } = answer;
    await this.#database.write([
      this.#updateAnswer(messageId, columns),
      this.#database.query
        .updateTable("sessions")
        .set({ last_seq: sql<number>`max(last_seq, ${lastSeq})`, updated_at: Date.now() })
        .where("id", "=", sessionId),
    ]);
  }

  /** The shown branch, oldest first, page by page. @throws {AppError} `invalid_input` for a bad cursor. */
  async page(
    session: Session,
    { limit, cursor }: Readonly<{ limit: number; cursor?: string | undefined }>,
  ): Promise<MessagePage> {
    const after = cursor === undefined ? 0 : parseCursor(cursor);
    const rows = await this.#branch(session.headId)
      .where("messages.depth", ">", after)
      .orderBy("messages.depth")
      .limit(limit + 1)
      .execute();
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      messages: page.map(toMessage),
      nextCursor: rows.length > limit && last ? String(last.depth) : null,
    };
  }

  /**
   * The end of the branch that leads to `headId`, oldest first: as many messages as are needed to
   * fill `tokenBudget`, and how many the branch has in all.
   */
  async recent(
    headId: string,
    tokenBudget: number,
  ): Promise<Readonly<{ rows: readonly MessageRow[]; depth: number }>> {
    const rows = await this.#branch(headId, tokenBudget).orderBy("messages.depth").execute();
    return { rows, depth: rows.at(-1)?.depth ?? 0 };
  }

  /** Every row of the shown branch, oldest first. */
  all(session: Session): Promise<MessageRow[]> {
    return this.#branch(session.headId).orderBy("messages.depth").execute();
  }

  /** Copies a branch's rows into an empty session, with new ids, as one commit. */
  async copyInto(session: Session, rows: readonly MessageRow[]): Promise<void> {
    if (rows.length === 0) return;
    let parentId: string | null = null;
    const copies = rows.map((row) => {
      const copy = {
        ...row,
        id: ulid(),
        session_id: session.id,
        parent_id: parentId,
        client_id: null,
      };
      parentId = copy.id;
      return copy;
    });
    const { query } = this.#database;
    await this.#database.write([
      ...copies.map((copy) => query.insertInto("messages").values(copy)),
      query.updateTable("sessions").set({ head_id: parentId }).where("id", "=", session.id),
    ]);
  }

  async #hasSession(id: string): Promise<boolean> {
    const { query } = this.#database;
    const row = await query.selectFrom("sessions").select("id").where("id", "=", id).execute();
    return row.length > 0;
  }

  #updateAnswer(messageId: string, columns: AnswerColumns) {
    return this.#database.query.updateTable("messages").set(columns).where("id", "=", messageId);
  }

  /** The messages from the head towards the root, until those after them fill the budget. */
  #branch(headId: string | null, tokenBudget = Number.MAX_SAFE_INTEGER) {
    return this.#database.query
      .withRecursive("branch", (common) =>
        common
          .selectFrom("messages")
          .select(["id", "parent_id", sql<number>`token_count`.as("tokens")])
          .where("id", "=", headId ?? "")
          .unionAll(
            common
              .selectFrom("messages")
              .innerJoin("branch", "branch.parent_id", "messages.id")
              .select([
                "messages.id",
                "messages.parent_id",
                sql<number>`branch.tokens + messages.token_count`.as("tokens"),
              ])
              .where("branch.tokens", "<=", tokenBudget),
          ),
      )
      .selectFrom("messages")
      .innerJoin("branch", "branch.id", "messages.id")
      .selectAll("messages");
  }
}

function omitTokens({ tokenCount: _, clientId, ...message }: NewUserMessage) {
  return { ...message, ...(clientId !== undefined && { clientId }) };
}

function emptyRow(id: string, sessionId: string, createdAtMs: number) {
  return { id, session_id: sessionId, content: "", token_count: 0, created_at: createdAtMs };
}

function parseCursor(cursor: string): number {
  if (!/^\d{1,9}$/.test(cursor)) {
    throw refuseCursor();
  }
  return Number(cursor);
}
