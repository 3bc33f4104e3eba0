import type { RawData, WebSocket } from "ws";
import { AppError, errorTable, toAppError, type ErrorCode } from "../errors.ts";
import { validate } from "../api/validate.ts";
import { logError } from "../log.ts";
import type { Followed, SessionChannel } from "../llm/session-channel.ts";
import type { Chat, TurnRequest } from "../llm/chat.ts";
import type { MessageStore } from "../llm/message-store.ts";
import { ClientFrame, type ConnectionFrame } from "./frames.ts";
import type { SocketWriter } from "./socket-writer.ts";
import { serialiseEvent } from "./serialise-event.ts";

/** How long a new reader may take to say where it was before it gets the running turn from its start. */
const resumeWaitMs = 500;

/** What one socket of either protocol is made of. */
export type ConnectionOptions = Readonly<{
  webSocket: WebSocket;
  writer: SocketWriter;
  channel: SessionChannel;
  userId: string;
  sessionId: string;
  chat: Chat;
  messages: MessageStore;
  /** Aborts when the socket is closed. */
  signal: AbortSignal;
}>;

type Frame<T extends ClientFrame["type"]> = Extract<ClientFrame, { type: T }>;

/**
 * One reader on the subprotocol `llm-service.v1`: client frames in, the session's events out.
 *
 * Client frames are taken one after another, so that a stop sent right behind a message finds the
 * turn that the message began. A refused frame gets a `turn-error` without seq; the socket stays.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #handled: Promise<void> = Promise.resolve();
  #reading: AbortController | undefined;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** Where a reader that never says where it was begins: what its hello told of. */
  #entrySeq = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Greets the reader and begins to take its frames. */
  open(): void {
    const { webSocket, writer, channel, sessionId, signal } = this.#options;
    const turnId = channel.runningStart?.turnId ?? null;
    const hello = { type: "hello", session_id: sessionId, last_seq: channel.lastSeq } as const;
    writer.send({ ...hello, turn_id: turnId } satisfies ConnectionFrame);
    this.#entrySeq = channel.entrySeq;
    this.#resumeTimer = setTimeout(() => this.#read(this.#entrySeq), resumeWaitMs);
    signal.addEventListener("abort", () => clearTimeout(this.#resumeTimer));
    webSocket.on("message", (data, isBinary) => {
      // Once told to close, a peer whose token has expired must not go on talking.
      if (webSocket.readyState !== webSocket.OPEN) return;
      const receivedAtMs = performance.now();
      this.#handled = this.#handled.then(() => this.#take(data, isBinary, receivedAtMs));
    });
  }

  async #take(data: RawData, isBinary: boolean, receivedAtMs: number): Promise<void> {
    let frame: ClientFrame | undefined;
    try {
      if (isBinary) throw new AppError("unsupported_data");
      frame = parseFrame(data);
      await this.#handle(frame, receivedAtMs);
    } catch (thrown) {
      this.#refuse(toAppError(thrown), frame);
    }
  }

  async #handle(frame: ClientFrame, receivedAtMs: number): Promise<void> {
    const { chat, sessionId, writer } = this.#options;
    switch (frame.type) {
      case "resume":
        return this.#read(frame.after);
      case "ping":
        return writer.send({ type: "pong" } satisfies ConnectionFrame);
      case "stop":
        chat.stop(sessionId);
        return;
      case "message":
        return this.#message(frame, receivedAtMs);
      case "regenerate":
        return this.#start({ kind: frame.type, messageId: frame.message_id }, receivedAtMs);
      case "edit":
        return this.#start(
          { kind: frame.type, messageId: frame.message_id, text: frame.text },
          receivedAtMs,
        );
    }
  }

  async #message(frame: Frame<"message">, receivedAtMs: number): Promise<void> {
    if (frame.client_id !== undefined && (await this.#isKnown(frame.client_id))) return;
    const { text, client_id: clientId } = frame;
    await this.#start({ kind: "message", text, clientId }, receivedAtMs);
  }

  /** A message that was sent before: its reader only has to find the turn that it began. */
  async #isKnown(clientId: string): Promise<boolean> {
    const { messages, channel, sessionId, writer } = this.#options;
    const start = channel.turnStart;
    if (start?.type === "turn-start" && start.userMessage.clientId === clientId) {
      if (!this.#reading) this.#read(start.seq - 1);
      return true;
    }
    if (!(await messages.findByClientId(sessionId, clientId))) return false;
    const gap = { type: "gap", after: 0, next_seq: channel.lastSeq + 1 } as const;
    writer.send(gap satisfies ConnectionFrame);
    return true;
  }

  async #start(request: TurnRequest, receivedAtMs: number): Promise<void> {
    const { chat, userId, sessionId } = this.#options;
    if (!this.#reading) this.#read(this.#entrySeq);
    await chat.start({ userId, sessionId, request, receivedAtMs });
  }

  #read(after: number): void {
    const { channel, signal } = this.#options;
    clearTimeout(this.#resumeTimer);
    this.#reading?.abort();
    this.#reading = new AbortController();
    const reading = AbortSignal.any([signal, this.#reading.signal]);
    const followed = channel.follow({ after, signal: reading });
    this.#send(followed, reading).catch((error: unknown) => {
      logError("socket-write-failed", error);
      this.#options.webSocket.terminate();
    });
  }

  async #send(followed: AsyncIterable<Followed>, reading: AbortSignal): Promise<void> {
    const { writer } = this.#options;
    for await (const next of followed) {
      if (reading.aborted) return;
      if (next.kind === "gap") {
        writer.send({ type: "gap", after: next.after, next_seq: next.nextSeq });
      } else {
        await writer.sendAll(next.events.map(serialiseEvent));
      }
    }
  }

  #refuse(error: AppError, frame: ClientFrame | undefined): void {
    const { retryable } = errorTable[error.code];
    if (error.code === "internal_error") logError("frame-failed", error);
    const clientId = frame?.type === "message" ? frame.client_id : undefined;
    this.#options.writer.send({
      type: "turn-error",
      code: error.code,
      message: error.message,
      retryable,
      ...(clientId !== undefined && { client_id: clientId }),
      ...(error.errors && { errors: [...error.errors] }),
    } satisfies ConnectionFrame);
  }
}

/** The text of a message as `ws` hands it over with its default binaryType. */
export function toText(data: RawData): string {
  return (data as Buffer).toString();
}

/** @throws {AppError} `bad_request` naming each field. */
function parseFrame(data: RawData): ClientFrame {
  const malformed: ErrorCode = "bad_request";
  try {
    return validate(ClientFrame, JSON.parse(toText(data)));
  } catch (error) {
    if (error instanceof AppError) {
      throw new AppError(malformed, "The frame is not valid.", { errors: error.errors ?? [] });
    }
    throw new AppError(malformed, "The frame is not valid JSON.");
  }
}
