import type { Session } from "#lib/api/schemas.ts";
import type { ServerFrame } from "#lib/ws/frames.ts";
import { ApiError, type ApiClient } from "./api-client.ts";
import {
  ChatSocket,
  type ChatSocketState,
  type OpenConnection,
  type ProbeResult,
} from "./chat-socket.ts";
import {
  emptyConversation,
  hasLostItsTurn,
  isTurnFrame,
  missesSomething,
  reduceConversation,
  runningAnswer,
  type Conversation,
  type ConversationAction,
} from "./conversation-reducer.ts";

/** What of a conversation's history has arrived. */
export type History = Readonly<
  { status: "loading" | "ready" } | { status: "failed"; error: ApiError }
>;

export type ChatSnapshot = Readonly<{
  conversation: Conversation;
  connection: ChatSocketState;
  history: History;
  /** Text of a message that the server refused, to be edited and sent again. */
  returnedText: string | null;
}>;

export type ChatEvents = Readonly<{
  /** A new conversation was named by the server. */
  onNamed?: (store: ChatStore, sessionId: string) => void;
  onSession?: (session: Session) => void;
  onTurnChange?: (store: ChatStore) => void;
}>;

export type ChatEnvironment = Readonly<{
  api: ApiClient;
  open: OpenConnection;
  /** Runs the function once, soon: in browsers at the next frame, so that React never works more often. */
  schedule: (notify: () => void) => void;
}>;

export type ChatStoreOptions = Readonly<{
  environment: ChatEnvironment;
  events?: ChatEvents;
  key?: string;
}>;

/**
 * One conversation, framework-free: loads its history, reads its stream, and holds both folded
 * together by {@link reduceConversation}. Subscribers hear of changes at most once per schedule.
 */
export class ChatStore {
  /** Tells this conversation from others, also before it has a name. */
  readonly key: string;
  readonly #environment: ChatEnvironment;
  readonly #events: ChatEvents;
  readonly #socket: ChatSocket;
  readonly #listeners = new Set<() => void>();
  #conversation: Conversation;
  #history: History;
  #returnedText: string | null = null;
  #snapshot: ChatSnapshot;
  #isScheduled = false;
  #isShown = true;

  constructor(sessionId: string | null, { environment, events = {}, key = "" }: ChatStoreOptions) {
    this.key = key;
    this.#environment = environment;
    this.#events = events;
    this.#conversation = emptyConversation(sessionId);
    this.#history = { status: sessionId === null ? "ready" : "loading" };
    this.#socket = new ChatSocket({
      sessionId,
      open: environment.open,
      probe: (id) => probe(environment.api, id),
      position: () => (this.#history.status === "ready" ? this.#conversation.lastSeq : null),
      onFrame: (frame) => this.#receive(frame),
      onRefused: ({ text }) => (this.#returnedText = text),
      onChange: () => this.#changed(),
    });
    this.#snapshot = this.#takeSnapshot();
  }

  get sessionId(): string | null {
    return this.#conversation.sessionId;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): ChatSnapshot => this.#snapshot;

  /** Loads and connects; a new conversation waits for its first message, so that no empty one is made. */
  start(): void {
    if (this.sessionId === null) return;
    this.#socket.connect();
    void this.#load();
  }

  readonly send = (text: string): void => {
    this.#returnedText = null;
    this.#socket.sendMessage(text);
  };

  /** Stops the answer; over HTTP where the socket is away, as the provider goes on without us. */
  readonly stop = (): void => {
    if (this.#socket.send({ type: "stop" }) || this.sessionId === null) return;
    this.#environment.api.stopSession(this.sessionId).catch((error: unknown) => {
      // The notice about the connection says that the server is away.
      if (!(error instanceof ApiError)) throw error;
    });
  };

  /** Has the last message answered anew. */
  readonly regenerate = (): void => {
    this.#socket.send({ type: "regenerate" });
  };

  /** Tries again at once what is waiting or was given up: the connection, and a history that failed. */
  readonly retry = (): void => {
    if (this.sessionId !== null || this.#socket.state.outbox.length > 0) this.#socket.connect();
    if (this.#history.status === "failed") void this.#load();
  };

  /** Takes a refused message's text back into the composer. */
  readonly takeReturnedText = (): void => {
    this.#returnedText = null;
    this.#changed();
  };

  /** Shown again: a reader stays. */
  retain(): void {
    this.#isShown = true;
  }

  /** Not shown any more: the connection is given up as soon as nothing runs and nothing waits to be sent. */
  release(): void {
    this.#isShown = false;
    this.#closeWhenIdle();
  }

  close(): void {
    this.#socket.close();
  }

  /** Whether a turn runs or a message waits, as far as is known here. */
  get isBusy(): boolean {
    return runningAnswer(this.#conversation) !== null || this.#socket.state.outbox.length > 0;
  }

  async #load(): Promise<void> {
    const { api } = this.#environment;
    const sessionId = this.sessionId;
    if (sessionId === null) return;
    try {
      const session = await api.getSession(sessionId);
      this.#events.onSession?.(session);
      const messages = await api.listMessages(sessionId);
      this.#history = { status: "ready" };
      this.#fold({ type: "loaded", session, messages });
      this.#socket.resume();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // What is already shown is worth more than an error page in its place.
      if (this.#history.status !== "ready") this.#history = { status: "failed", error };
      this.#changed();
    }
  }

  #receive(frame: ServerFrame): void {
    const before = this.#conversation;
    this.#fold({ type: "frame", frame });
    if (isTurnFrame(frame)) {
      if (frame.type === "turn-end" || frame.type === "turn-error") this.#turnEnded();
      if (frame.type === "turn-start") this.#events.onTurnChange?.(this);
    } else if (frame.type === "hello") {
      if (before.sessionId === null) this.#events.onNamed?.(this, frame.session_id);
      const wasLost = hasLostItsTurn(before, frame);
      if (wasLost || this.#history.status === "failed") void this.#load();
    } else if (frame.type === "gap") {
      // While a message waits, the gap may be the answer to it: then it is among the stored ones.
      const mayAnswerMessage = this.#socket.state.outbox.length > 0;
      if (mayAnswerMessage || missesSomething(before, frame)) void this.#load();
    }
  }

  #turnEnded(): void {
    this.#events.onTurnChange?.(this);
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#isShown && !this.isBusy) this.close();
  }

  #fold(action: ConversationAction): void {
    this.#conversation = reduceConversation(this.#conversation, action);
    this.#changed();
  }

  #changed(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#environment.schedule(() => {
      this.#isScheduled = false;
      this.#snapshot = this.#takeSnapshot();
      for (const listener of this.#listeners) listener();
    });
  }

  #takeSnapshot(): ChatSnapshot {
    return {
      conversation: this.#conversation,
      connection: this.#socket.state,
      history: this.#history,
      returnedText: this.#returnedText,
    };
  }
}

async function probe(api: ApiClient, sessionId: string | null): Promise<ProbeResult> {
  try {
    await (sessionId === null ? api.listSessions({ limit: 1 }) : api.getSession(sessionId));
    return "reachable";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return "unauthorized";
    return error.status === 404 ? "not-found" : "unreachable";
  }
}
