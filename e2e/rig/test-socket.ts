import type { WebSocket } from "ws";

import { Changes } from "./changes.ts";

/** The fields of both protocols' frames; everything a frame has is in it. */
export type Frame = Readonly<{
  type?: string;
  seq?: number;
  turn_id?: string;
  text?: string;
  chunk?: string;
  done?: boolean;
  session_id?: string;
  finish_reason?: string;
  error?: string;
  code?: string;
  message?: string;
  [field: string]: unknown;
}>;

export type SocketClosed = Readonly<{ code: number; reason: string }>;

/** A WebSocket client that keeps what it was sent. */
export class TestSocket implements Disposable {
  /** Every frame so far, in order; one that is no JSON is kept as `{unparsed: text}`. */
  readonly frames: Frame[] = [];
  readonly closed: Promise<SocketClosed>;
  /** The `ws` client itself: its protocol, pause and resume, pings. */
  readonly raw: WebSocket;
  readonly #changes = new Changes();
  #read = 0;
  #ending: SocketClosed | undefined;

  constructor(socket: WebSocket) {
    this.raw = socket;
    socket.on("message", (data) => {
      this.frames.push(parseFrame((data as Buffer).toString()));
      this.#changes.notify();
    });
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => {
        this.#ending = { code, reason: String(reason) };
        this.#changes.notify();
        resolve(this.#ending);
      });
    });
  }

  /**
   * The next frame (that matches) after the one the last call returned; frames between are passed
   * over. Rejects when the socket closes before it comes, or the deadline passes, with the last frames.
   */
  async next(matches: (frame: Frame) => boolean = () => true, deadlineMs?: number): Promise<Frame> {
    const first = this.#read;
    const find = () => {
      const index = this.frames.findIndex((frame, at) => at >= first && matches(frame));
      const frame = this.frames[index];
      if (frame) this.#read = index + 1;
      if (!frame && this.#ending) throw new Error(`Closed: ${JSON.stringify(this.#ending)}`);
      return frame;
    };
    const what = `a frame like ${String(matches)}`;
    return this.#changes.until(find, { what, deadlineMs }).catch((error: Error) => {
      const last = JSON.stringify(this.frames.slice(-5));
      throw new Error(`${error.message}; ${this.frames.length} frames, the last ${last}`);
    });
  }

  /** An object as JSON; a string, which the plain protocol takes as a message, as it stands. */
  send(message: object | string): void {
    this.raw.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Closes in order and resolves when the service has answered. */
  async close(code = 1000): Promise<SocketClosed> {
    this.raw.close(code);
    return this.closed;
  }

  /** Drops the connection without a closing handshake. */
  [Symbol.dispose](): void {
    this.raw.terminate();
  }
}

function parseFrame(text: string): Frame {
  try {
    return JSON.parse(text) as Frame;
  } catch {
    return { unparsed: text };
  }
}
