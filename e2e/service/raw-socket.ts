import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Changes } from "../rig/changes.ts";

/** What a frame says of itself (RFC 6455, section 5.2); left out, it is a correct text frame. */
export type RawFrame = Readonly<{
  fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  rsv?: number;
  opcode?: number;
  masked?: boolean;
  payload?: string | Uint8Array;
  /** Lies about the length. */
  declaredLength?: number | bigint;
}>;

/** The opcodes of RFC 6455, section 11.8. */
export const opcodes = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

type Received = Readonly<{ opcode: number; payload: Buffer }>;

/** Writes the bytes of one frame. */
export function encodeFrame(frame: RawFrame): Buffer {
  const { fin = true, rsv = 0, opcode = opcodes.text, masked = true, payload = "" } = frame;
  const body = Buffer.from(payload as string);
  const length = BigInt(frame.declaredLength ?? body.length);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (length < 126n) head.push(maskBit | Number(length));
  else if (length < 65_536n) head.push(maskBit | 126, Number(length >> 8n), Number(length & 255n));
  else {
    const eight = Buffer.alloc(8);
    eight.writeBigUInt64BE(length);
    head.push(maskBit | 127, ...eight);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const mask = randomBytes(4);
  const hidden = body.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from(head), mask, hidden]);
}

/** A close frame's payload (RFC 6455, section 5.5.1). */
export function closePayload(code: number, reason: string | Uint8Array = ""): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return Buffer.concat([bytes, Buffer.from(reason as string)]);
}

/** A WebSocket client that does nothing by itself: no pong, no answer to a close, no check. */
export class RawSocket implements Disposable {
  readonly socket: Socket;
  /** Every frame of the server so far. */
  readonly received: Received[] = [];
  readonly #changes = new Changes();
  #rest = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (data) => this.#take(data));
    socket.on("error", () => undefined);
    const end = () => {
      this.#ended = true;
      this.#changes.notify();
    };
    socket.once("end", end).once("close", end);
  }

  /** Opens a WebSocket with these header fields; throws with the answer's first line when refused. */
  static async open(
    origin: string,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<RawSocket> {
    const { socket, head, rest } = await upgrade(origin, path, headers);
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    const raw = new RawSocket(socket);
    raw.#take(rest);
    return raw;
  }

  send(...frames: readonly RawFrame[]): void {
    this.socket.write(Buffer.concat(frames.map(encodeFrame)));
  }

  /** Resolves with the code of the server's close frame; 1005 where the frame has none. */
  async closeCode(deadlineMs?: number): Promise<number> {
    const find = () => {
      const frame = this.received.find(({ opcode }) => opcode === opcodes.close);
      if (frame) return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE();
      if (this.#ended) throw new Error("The connection ended without a close frame");
      return undefined;
    };
    return this.#changes.until(find, { what: "a close frame", deadlineMs });
  }

  /** Resolves when the server has ended the connection. */
  async gone(deadlineMs?: number): Promise<void> {
    const what = "the end of the connection";
    await this.#changes.until(() => this.#ended || undefined, { what, deadlineMs });
  }

  /** Resolves with the first text frame that has the words. */
  async text(words: string, deadlineMs?: number): Promise<string> {
    const find = () =>
      this.received
        .filter(({ opcode }) => opcode === opcodes.text)
        .map(({ payload }) => payload.toString())
        .find((text) => text.includes(words));
    return this.#changes.until(find, { what: `a frame with ${words}`, deadlineMs });
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #take(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (let frame = this.#next(); frame; frame = this.#next()) this.received.push(frame);
    this.#changes.notify();
  }

  /** The next whole frame; a server's frames are neither masked nor, from this service, fragmented. */
  #next(): Received | undefined {
    const bytes = this.#rest;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] ?? 0) & 127;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < start) return undefined;
    const long = () => (short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)));
    const end = start + (short < 126 ? short : long());
    if (bytes.length < end) return undefined;
    this.#rest = bytes.subarray(end);
    return { opcode: (bytes[0] ?? 0) & 15, payload: bytes.subarray(start, end) };
  }
}

type Upgraded = Readonly<{ socket: Socket; head: string; rest: Buffer }>;

/** Asks for a WebSocket by hand and reads the answer's head; `allowHalfOpen` leaves our side open. */
export async function upgrade(
  origin: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Upgraded> {
  const { hostname, port, host } = new URL(origin);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const fields = {
    host,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n");
    if (end !== -1) {
      return { socket, head: bytes.toString("latin1", 0, end), rest: bytes.subarray(end + 4) };
    }
    const [data] = (await once(socket, "data", { signal: AbortSignal.timeout(10_000) })) as [
      Buffer,
    ];
    bytes = Buffer.concat([bytes, data]);
  }
}
