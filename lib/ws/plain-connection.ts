import type { RawData } from "ws";
import { MessageText } from "../api/schemas.ts";
import { validate } from "../api/validate.ts";
import { AppError, isAppError, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import { isTerminal, type TurnEvent } from "../llm/turn-event.ts";
import { closeWith } from "./close-with.ts";
import { toText, type ConnectionOptions } from "./connection.ts";
import type { PlainFrame } from "./frames.ts";
import { toPlainFrame } from "./to-frame.ts";

/** Messages that may wait for their turn; a plain client has no way to be told to hold back. */
const maxQueuedMessages = 8;

/**
 * One client of the plain protocol: every text message is a user's message, whatever it looks like,
 * and is answered with chunks and one `done` or `error`, in the order of arrival.
 */
export class PlainConnection {
  readonly #options: ConnectionOptions;
  readonly #queue: Readonly<{ text: string; receivedAtMs: number }>[] = [];
  #isAnswering = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  open(): void {
    const { webSocket } = this.#options;
    webSocket.on("message", (data: RawData, isBinary: boolean) => {
      // Once told to close, a peer whose token has expired must not go on talking.
      if (webSocket.readyState !== webSocket.OPEN) return;
      if (isBinary) closeWith(webSocket, "unsupported_data");
      else this.#enqueue(toText(data));
    });
  }

  #enqueue(text: string): void {
    if (this.#queue.length >= maxQueuedMessages) {
      this.#fail(new AppError("turn_in_progress", "Too many messages wait for their answer."));
      return;
    }
    this.#queue.push({ text, receivedAtMs: performance.now() });
    if (!this.#isAnswering) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      try {
        await this.#answer(next.text, next.receivedAtMs);
      } catch (error) {
        this.#fail(toAppError(error));
      }
    }
    this.#isAnswering = false;
  }

  async #answer(text: string, receivedAtMs: number): Promise<void> {
    const { channel, signal, writer } = this.#options;
    const start = await this.#start(validate(MessageText, text), receivedAtMs);
    if (!start) return;
    for await (const followed of channel.follow({ after: start.seq - 1, signal })) {
      if (followed.kind === "gap") return;
      const frames = followed.events.map(toPlainFrame).filter((frame) => frame !== undefined);
      await writer.sendAll(frames.map((frame) => JSON.stringify(frame)));
      if (followed.events.some(isTerminal)) return;
    }
  }

  /** Begins the turn when it is this message's turn; undefined when the socket was closed before. */
  async #start(text: string, receivedAtMs: number): Promise<TurnEvent | undefined> {
    const { chat, channel, userId, sessionId, signal } = this.#options;
    const request = { kind: "message", text } as const;
    for (;;) {
      await channel.ended();
      if (signal.aborted) return undefined;
      try {
        return await chat.start({ userId, sessionId, request, receivedAtMs });
      } catch (error) {
        // Another door was quicker when the last turn ended, so this message waits for one more.
        if (!isAppError(error) || error.code !== "turn_in_progress") throw error;
      }
    }
  }

  #fail(error: AppError): void {
    if (error.code === "internal_error") logError("plain-message-failed", error);
    const [field] = error.errors ?? [];
    const text = field ? `${error.message} The message ${field.message}.` : error.message;
    this.#options.writer.send({ error: text, code: error.code } satisfies PlainFrame);
  }
}
