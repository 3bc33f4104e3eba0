import type { ClientFrame, ServerFrame } from "#lib/ws/frames.ts";
import { isTurnFrame } from "./conversation-reducer.ts";

/** An open or opening WebSocket, as far as a conversation needs it. */
export type Connection = Readonly<{ send: (text: string) => void; close: () => void }>;

export type ConnectionEvents = Readonly<{
  onText: (text: string) => void;
  /** Called once, also when the connection never opened. */
  onClose: (code: number) => void;
}>;

export type OpenConnection = (path: string, events: ConnectionEvents) => Connection;

/** Why a handshake failed, which a browser does not tell: found by asking over HTTP. */
export type ProbeResult = "reachable" | "unauthorized" | "not-found" | "unreachable";

export type ConnectionStatus =
  | "idle"
  | "connecting"
  | "open"
  | "reconnecting"
  /** Ends here: only {@link ChatSocket.connect} tries again. */
  | "signed-out"
  | "not-found";

/** A message that no turn has begun with yet. */
export type OutgoingMessage = Readonly<{ clientId: string; text: string }>;

export type ChatSocketState = Readonly<{
  status: ConnectionStatus;
  outbox: readonly OutgoingMessage[];
}>;

export type ChatSocketOptions = Readonly<{
  /** Null for a conversation that the server has not named yet. */
  sessionId: string | null;
  open: OpenConnection;
  probe: (sessionId: string | null) => Promise<ProbeResult>;
  /** The seq to resume after; null while the history is still on its way. */
  position: () => number | null;
  onFrame: (frame: ServerFrame) => void;
  /** The server refused the message for good; it has left the outbox. */
  onRefused: (message: OutgoingMessage) => void;
  onChange: () => void;
  newClientId?: () => string;
  random?: () => number;
}>;

const firstRetryMs = 250;
const longestRetryMs = 15_000;
const stableAfterMs = 5_000;
const pingIntervalMs = 25_000;
const pongTimeoutMs = 10_000;
const closeCodes = { unauthorized: 4401, notFound: 4404 } as const;

/**
 * One reader of one conversation over the WebSocket. It reconnects by itself, with growing and
 * scattered delays; asks after every greeting for what it missed; and keeps every message until a
 * turn has begun with it, sending it again under the same `client_id` on a new connection.
 *
 * Framework-free; the time comes from setTimeout, chance and sockets from the options. Never throws.
 */
export class ChatSocket {
  readonly #options: ChatSocketOptions;
  #sessionId: string | null;
  #state: ChatSocketState = { status: "idle", outbox: [] };
  #connection: Connection | null = null;
  #isGreeted = false;
  #greetedAt = 0;
  #isResumed = false;
  #isTurnRunning = false;
  #inFlight: string | null = null;
  /** The gap that the resume of this connection may be answered with. */
  #expectedGap: number | null = null;
  #failedAttempts = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ChatSocketOptions) {
    this.#options = options;
    this.#sessionId = options.sessionId;
  }

  get state(): ChatSocketState {
    return this.#state;
  }

  /** Opens the connection unless there is one; also cuts a wait for the next attempt short. */
  connect(): void {
    if (this.#connection !== null) return;
    clearTimeout(this.#retryTimer);
    const isRetry = this.#failedAttempts > 0 || this.#state.status === "reconnecting";
    this.#update({ status: isRetry ? "reconnecting" : "connecting" });
    const path = `/ws/${this.#sessionId ?? "new"}`;
    const connection = this.#options.open(path, {
      onText: (text) => {
        if (this.#connection === connection) this.#receive(text);
      },
      onClose: (code) => {
        if (this.#connection === connection) void this.#closed(code);
      },
    });
    this.#connection = connection;
  }

  /** Queues the message; it goes out at once when the connection is up and no turn runs. */
  sendMessage(text: string): void {
    const message = { clientId: (this.#options.newClientId ?? randomId)(), text };
    this.#update({ outbox: [...this.#state.outbox, message] });
    this.connect();
    this.#flush();
  }

  /** Sends a frame that has no meaning later; false when there is no connection to send it on. */
  send(frame: Exclude<ClientFrame, { type: "message" | "resume" | "ping" }>): boolean {
    if (!this.#isResumed) return false;
    this.#write(frame);
    return true;
  }

  /** Asks for what was missed once {@link ChatSocketOptions.position} is known; call it when it becomes known. */
  resume(): void {
    const after = this.#options.position();
    if (!this.#isGreeted || this.#isResumed || after === null) return;
    this.#isResumed = true;
    this.#expectedGap = after;
    this.#write({ type: "resume", after });
    this.#flush();
  }

  /** Gives up the connection and every further attempt. */
  close(): void {
    clearTimeout(this.#retryTimer);
    this.#dropConnection();
    this.#update({ status: "idle" });
  }

  #receive(text: string): void {
    this.#keepAlive();
    const frame = parseFrame(text);
    if (frame === null) return;
    if (frame.type === "hello") this.#greeted(frame);
    this.#options.onFrame(frame);
    if (frame.type === "hello") this.resume();
    if (isTurnFrame(frame)) this.#followTurn(frame);
    else if (frame.type === "turn-error") this.#refused(frame);
    else if (frame.type === "gap") this.#passGap(frame.after);
  }

  #greeted(hello: Extract<ServerFrame, { type: "hello" }>): void {
    this.#sessionId = hello.session_id;
    this.#isGreeted = true;
    this.#greetedAt = Date.now();
    this.#isTurnRunning = hello.turn_id !== null;
    this.#update({ status: "open" });
  }

  #followTurn(frame: ServerFrame): void {
    if (frame.type === "turn-start") {
      this.#isTurnRunning = true;
      this.#confirm(frame.user_message.client_id);
    } else if (frame.type === "turn-end" || frame.type === "turn-error") {
      this.#isTurnRunning = false;
      this.#flush();
    }
  }

  #confirm(clientId: string | undefined): void {
    if (clientId === this.#inFlight) this.#inFlight = null;
    const outbox = this.#state.outbox.filter((message) => message.clientId !== clientId);
    if (outbox.length < this.#state.outbox.length) this.#update({ outbox });
  }

  /**
   * The resume is answered with one gap at most. Another one, after 0, answers a message that the
   * server has had before but keeps no frames of any more: it is among the stored messages.
   */
  #passGap(after: number): void {
    const answersResume = after === this.#expectedGap;
    this.#expectedGap = null;
    if (answersResume || this.#inFlight === null) return;
    this.#confirm(this.#inFlight);
    this.#flush();
  }

  #refused(refusal: Readonly<{ code: string; client_id?: string | undefined }>): void {
    const message = this.#state.outbox.find(({ clientId }) => clientId === refusal.client_id);
    if (message === undefined) return;
    this.#inFlight = null;
    // Another tab was faster: the message waits for the end of that turn.
    if (refusal.code === "turn_in_progress") return;
    this.#confirm(message.clientId);
    this.#options.onRefused(message);
    this.#flush();
  }

  #flush(): void {
    const [message] = this.#state.outbox;
    if (!this.#isResumed || this.#isTurnRunning || this.#inFlight !== null) return;
    if (message === undefined) return;
    this.#inFlight = message.clientId;
    this.#write({ type: "message", text: message.text, client_id: message.clientId });
  }

  #write(frame: ClientFrame): void {
    this.#connection?.send(JSON.stringify(frame));
  }

  /** A half-open connection reports nothing, so silence is answered with a ping, and silence after it with a new connection. */
  #keepAlive(): void {
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => {
      this.#write({ type: "ping" });
      this.#pingTimer = setTimeout(() => {
        this.#dropConnection();
        this.#retryLater();
      }, pongTimeoutMs);
    }, pingIntervalMs);
  }

  async #closed(code: number): Promise<void> {
    const wasGreeted = this.#isGreeted;
    this.#dropConnection();
    if (code === closeCodes.notFound) return this.#update({ status: "not-found" });
    this.#update({
      status: this.#failedAttempts > 0 || wasGreeted ? "reconnecting" : "connecting",
    });
    if (wasGreeted && code !== closeCodes.unauthorized) return this.#retryLater();
    const waiting = this.#state;
    const result = await this.#options.probe(this.#sessionId);
    if (this.#state !== waiting || this.#connection !== null) return;
    if (result === "unauthorized") return this.#update({ status: "signed-out" });
    if (result === "not-found") return this.#update({ status: "not-found" });
    this.#retryLater();
  }

  #dropConnection(): void {
    clearTimeout(this.#pingTimer);
    const connection = this.#connection;
    // A server that greets and hangs up at once is not asked more and more often.
    if (this.#isGreeted && Date.now() - this.#greetedAt > stableAfterMs) this.#failedAttempts = 0;
    this.#connection = null;
    this.#isGreeted = false;
    this.#isResumed = false;
    this.#isTurnRunning = false;
    this.#inFlight = null;
    this.#expectedGap = null;
    connection?.close();
  }

  #retryLater(): void {
    const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** this.#failedAttempts);
    this.#failedAttempts += 1;
    this.#update({ status: "reconnecting" });
    // Scattered, so that a server which comes back is not met by everybody at once.
    const scatter = 0.5 + (this.#options.random ?? Math.random)() / 2;
    this.#retryTimer = setTimeout(() => this.connect(), delayMs * scatter);
  }

  #update(change: Partial<ChatSocketState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.onChange();
  }
}

/** The server is the same release as this page and its frames are tested there, so they are not checked again here. */
function parseFrame(text: string): ServerFrame | null {
  const frame: unknown = JSON.parse(text);
  const isFrame = typeof frame === "object" && frame !== null && "type" in frame;
  return isFrame ? (frame as ServerFrame) : null;
}

/** Not randomUUID: browsers keep that one from pages that came over plain HTTP from another machine. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
