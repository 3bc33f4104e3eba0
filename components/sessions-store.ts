import type { Session, SessionSummary } from "#lib/api/schemas.ts";
import { ApiError, type ApiClient } from "./api-client.ts";

export type SessionsSnapshot = Readonly<{
  /** Newest first. */
  sessions: readonly SessionSummary[];
  nextCursor: string | null;
  status: "loading" | "ready" | "failed";
}>;

const emptySessions: SessionsSnapshot = { sessions: [], nextCursor: null, status: "loading" };

/** The person's conversations by name and model, and the only place where a title is kept. */
export class SessionsStore {
  readonly #api: ApiClient;
  readonly #listeners = new Set<() => void>();
  #snapshot = emptySessions;

  constructor(api: ApiClient) {
    this.#api = api;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): SessionsSnapshot => this.#snapshot;

  readonly getServerSnapshot = (): SessionsSnapshot => emptySessions;

  /** Reads the newest page again; what was loaded beyond it stays. */
  readonly refresh = (): Promise<void> =>
    this.#read(undefined, (nextCursor) =>
      this.#snapshot.status === "ready" ? this.#snapshot.nextCursor : nextCursor,
    );

  readonly loadMore = (): Promise<void> =>
    this.#read(this.#snapshot.nextCursor ?? undefined, (nextCursor) => nextCursor);

  /** Takes in a session that was read on its own, so that a deep link has a title too. */
  readonly take = (session: Session): void => {
    const { config, ...rest } = session;
    const { provider, model_name } = config;
    this.#update({ sessions: this.#merge([{ ...rest, provider, model_name }]) });
  };

  async #read(
    cursor: string | undefined,
    nextCursor: (answered: string | null) => string | null,
  ): Promise<void> {
    try {
      const page = await this.#api.listSessions(cursor === undefined ? {} : { cursor });
      this.#update({
        sessions: this.#merge(page.data),
        nextCursor: nextCursor(page.next_cursor),
        status: "ready",
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#snapshot.status !== "ready") this.#update({ status: "failed" });
    }
  }

  #merge(read: readonly SessionSummary[]): readonly SessionSummary[] {
    const byId = new Map(this.#snapshot.sessions.map((session) => [session.id, session]));
    for (const session of read) byId.set(session.id, session);
    return [...byId.values()].toSorted((one, other) =>
      other.updated_at.localeCompare(one.updated_at),
    );
  }

  #update(change: Partial<SessionsSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }
}
