import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { closeWith } from "./close-with.ts";

/** How long a reader may keep a full buffer from draining. */
const slowReaderTimeoutMs = 5000;

/**
 * Writes to one WebSocket no faster than its reader takes it. Since readers pull from a shared log,
 * waiting here costs no memory; one that does not drain its buffer in time is closed with 1013.
 */
export class SocketWriter {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #maxBufferedBytes: number;

  constructor(webSocket: WebSocket, socket: Duplex, maxBufferedBytes: number) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  /** Sends one frame at once, whatever is buffered. For small, rare frames. */
  send(frame: object): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(JSON.stringify(frame));
  }

  /** Sends texts in order, in as few packets as they fit; resolves when there is room for more. */
  async sendAll(texts: Iterable<string>): Promise<void> {
    this.#socket.cork();
    try {
      for (const text of texts) {
        if (this.#webSocket.readyState !== WebSocket.OPEN) return;
        this.#webSocket.send(text);
        if (this.#mustWait()) {
          this.#socket.uncork();
          await this.#drained();
          this.#socket.cork();
        }
      }
    } finally {
      this.#socket.uncork();
    }
  }

  /** A socket that is not full by its own measure would never say that it has drained. */
  #mustWait(): boolean {
    const isFull = this.#webSocket.bufferedAmount > this.#maxBufferedBytes;
    return isFull && this.#socket.writableNeedDrain;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#socket.off("drain", finish);
        this.#webSocket.off("close", finish);
        resolve();
      };
      const timer = setTimeout(() => {
        closeWith(this.#webSocket, "slow_reader");
        finish();
      }, slowReaderTimeoutMs);
      this.#socket.once("drain", finish);
      this.#webSocket.once("close", finish);
    });
  }
}
