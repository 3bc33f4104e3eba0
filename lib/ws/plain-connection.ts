import type { RawData } from "ws";
import { MessageText } from "../api/schemas.ts";
import { validate } from "../api/validate.ts";
import { AppError, errorTable, toAppError } from "../errors.ts";
import { logError } from "../log.ts";
import { isTerminal } from "../llm/turn-event.ts";
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
      if (isBinary) webSocket.close(errorTable.unsupported_data.closeCode, "unsupported_data");
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
    const { chat, channel, userId, sessionId, signal, writer } = this.#options;
    const request = { kind: "message", text: validate(MessageText, text) } as const;
    await channel.ended();
    if (signal.aborted) return;
    const start = await chat.start({ userId, sessionId, request, receivedAtMs });
    for await (const followed of channel.follow({ after: start.seq - 1, signal })) {
      if (followed.kind === "gap") return;
      const frames = followed.events.map(toPlainFrame).filter((frame) => frame !== undefined);
      await writer.sendAll(frames.map((frame) => JSON.stringify(frame)));
      if (followed.events.some(isTerminal)) return;
    }
  }

  #fail(error: AppError): void {
    if (error.code === "internal_error") logError("plain-message-failed", error);
    const [field] = error.errors ?? [];
    const text = field ? `${error.message} The message ${field.message}.` : error.message;
    this.#options.writer.send({ error: text, code: error.code } satisfies PlainFrame);
  }
}
