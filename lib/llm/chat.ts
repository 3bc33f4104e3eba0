import type { ModelParameters } from "../api/schemas.ts";
import { AppError } from "../errors.ts";
import type { Sealer } from "../db/sealer.ts";
import type { MessageStore, NewUserMessage, StoredUserMessage } from "./message-store.ts";
import type { ModelCatalog } from "./model-catalog.ts";
import type { Session } from "./session.ts";
import { SessionChannel } from "./session-channel.ts";
import type { SessionStore } from "./session-store.ts";
import { countTokens } from "./tokens.ts";
import { runTurn, type TurnLimits } from "./turn.ts";
import type { TurnEvent } from "./turn-event.ts";

export type ChatOptions = Readonly<{
  sessions: SessionStore;
  messages: MessageStore;
  catalog: ModelCatalog;
  sealer: Sealer;
  limits: TurnLimits & Readonly<{ maxMessageBytes: number }>;
  /** How long the log of a session that nobody reads is kept for those who come back. */
  retentionMs: number;
}>;

/** What a reader asks to be answered. */
export type TurnRequest =
  | Readonly<{ kind: "message"; text: string; clientId?: string | undefined }>
  | Readonly<{ kind: "regenerate"; messageId?: string | undefined }>
  | Readonly<{ kind: "edit"; messageId: string; text: string }>;

export type StartOptions = Readonly<{
  userId: string;
  sessionId: string;
  request: TurnRequest;
  parameters?: ModelParameters | undefined;
  receivedAtMs: number;
}>;

/** The turns of all sessions: where every door begins, follows and stops them. */
export class Chat {
  readonly #options: ChatOptions;
  readonly #channels = new Map<string, SessionChannel>();
  #draining = false;

  constructor(options: ChatOptions) {
    this.#options = options;
  }

  /** Turns that run now. */
  get runningTurns(): number {
    return [...this.#channels.values()].filter((channel) => channel.isRunning).length;
  }

  isRunning(sessionId: string): boolean {
    return this.#channels.get(sessionId)?.isRunning ?? false;
  }

  /** The number of the newest event of a session. */
  lastSeq(session: Session): number {
    return this.#channels.get(session.id)?.lastSeq ?? session.lastSeq;
  }

  /** The channel of a session; it stays while somebody reads, a turn runs, or for the retention. */
  channel(session: Session): SessionChannel {
    let channel = this.#channels.get(session.id);
    if (!channel) {
      channel = new SessionChannel(session.lastSeq);
      this.#channels.set(session.id, channel);
      this.#evictWhenIdle(session.id, channel);
    }
    return channel;
  }

  /**
   * Begins a turn and resolves with its first event; the answer is read from the session's channel.
   *
   * @throws {AppError} before anything is written: `not_found`, `turn_in_progress`,
   *   `provider_not_configured`, `payload_too_large`, `shutting_down`, `storage_unavailable`.
   */
  async start({
    userId,
    sessionId,
    request,
    parameters,
    receivedAtMs,
  }: StartOptions): Promise<TurnEvent> {
    if (this.#draining) throw new AppError("shutting_down");
    const { sessions, messages, catalog, limits } = this.#options;
    this.#checkSize(request);
    const session = await sessions.get(userId, sessionId);
    const model = catalog.open(session.config, await this.#apiKey(session));
    const channel = this.channel(session);
    // Draining may have begun while the session was read; then nobody would wait for this turn.
    if (this.#draining) throw new AppError("shutting_down");
    return channel.start((firstSeq, signal) =>
      this.#turn(session, request, (current, message) =>
        runTurn({
          session: current,
          message,
          model,
          parameters,
          store: messages,
          limits,
          signal,
          firstSeq,
          receivedAtMs,
        }),
      ),
    );
  }

  /** Stops a session's running turn; false when none runs. */
  stop(sessionId: string): boolean {
    return this.#channels.get(sessionId)?.abort("stopped") ?? false;
  }

  /** Ends a session's running turn and resolves when nothing of it will be written any more. */
  async end(sessionId: string): Promise<void> {
    const channel = this.#channels.get(sessionId);
    channel?.abort("interrupted");
    await channel?.ended();
  }

  /** Ends what still runs of a deleted session, tells its readers, and drops what is kept of it in memory. */
  forget(sessionId: string): void {
    const channel = this.#channels.get(sessionId);
    channel?.abort("interrupted");
    channel?.delete();
    this.#channels.delete(sessionId);
  }

  /** Refuses new turns, lets running ones end until the time is over, then aborts them. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    const running = [...this.#channels.values()].filter((channel) => channel.isRunning);
    const timer = setTimeout(() => {
      for (const channel of running) channel.abort("shutting_down");
    }, timeoutMs);
    await Promise.all(running.map((channel) => channel.ended()));
    clearTimeout(timer);
  }

  /** Reads the session again, now that no other turn can move its head, and resolves the request. */
  async *#turn(
    stale: Session,
    request: TurnRequest,
    run: (
      session: Session,
      message: NewUserMessage | StoredUserMessage,
    ) => AsyncIterable<TurnEvent>,
  ): AsyncGenerator<TurnEvent, void> {
    const session = await this.#options.sessions.get(stale.userId, stale.id);
    yield* run(session, await this.#resolve(session, request));
  }

  async #resolve(
    session: Session,
    request: TurnRequest,
  ): Promise<NewUserMessage | StoredUserMessage> {
    const { messages } = this.#options;
    switch (request.kind) {
      case "message": {
        const head = session.headId ? await messages.find(session.id, session.headId) : undefined;
        return {
          parentId: head?.id ?? null,
          depth: (head?.depth ?? 0) + 1,
          text: request.text,
          tokenCount: await countTokens(request.text),
          clientId: request.clientId,
        };
      }
      case "edit": {
        const edited = await messages.find(session.id, request.messageId);
        if (edited?.role !== "user") throw new AppError("not_found");
        return {
          parentId: edited.parent_id,
          depth: edited.depth,
          text: request.text,
          tokenCount: await countTokens(request.text),
        };
      }
      case "regenerate": {
        const id = request.messageId ?? session.headId ?? "";
        const answer = await messages.find(session.id, id);
        const asked = answer?.parent_id && (await messages.find(session.id, answer.parent_id));
        if (answer?.role !== "assistant" || !asked) throw new AppError("not_found");
        return {
          id: asked.id,
          parentId: asked.parent_id,
          depth: asked.depth,
          text: asked.content,
          ...(asked.client_id !== null && { clientId: asked.client_id }),
        };
      }
    }
  }

  #checkSize(request: TurnRequest): void {
    const { maxMessageBytes } = this.#options.limits;
    if (request.kind !== "regenerate" && Buffer.byteLength(request.text) > maxMessageBytes) {
      throw new AppError(
        "payload_too_large",
        `A message may have ${maxMessageBytes} bytes at most.`,
      );
    }
  }

  async #apiKey({ id, sealedApiKey }: Session): Promise<string | undefined> {
    return sealedApiKey === null ? undefined : this.#options.sealer.open(sealedApiKey, id);
  }

  /** Drops the channel when it was idle for one whole period, from one look to the next. */
  #evictWhenIdle(sessionId: string, channel: SessionChannel): void {
    let idleSince: number | undefined;
    const timer = setInterval(() => {
      const isUnused = channel.isIdle && channel.activity === idleSince;
      idleSince = channel.isIdle ? channel.activity : undefined;
      if (!isUnused) return;
      clearInterval(timer);
      this.#channels.delete(sessionId);
    }, this.#options.retentionMs).unref();
  }
}
