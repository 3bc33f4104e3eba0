import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

import { Changes } from "../changes.ts";

/** How a request's connection ended; times are `performance.now()` of the test's process. */
export type ProviderRequestClosed = Readonly<{
  atMs: number;
  /** True when the client left before the provider had sent everything. */
  aborted: boolean;
}>;

/** The fields of a body that tests look at; everything that was sent is in it. */
export type ProviderRequestBody = Readonly<{
  model?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  messages?: readonly { role: string; content: unknown; [field: string]: unknown }[];
  input?: unknown;
  [field: string]: unknown;
}>;

/** One request as the provider saw it, still moving while its answer is being sent. */
export class ProviderRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: string;
  /** The parsed body; `{}` where it was empty or no JSON. */
  readonly body: ProviderRequestBody;
  readonly arrivedAtMs = performance.now();
  /** Resolves when the exchange is over, whoever ended it. */
  readonly closed: Promise<ProviderRequestClosed>;
  /** Aborts when `closed` resolves. */
  readonly signal: AbortSignal;
  /** Chunks (text, reasoning, tool call, raw) and bytes that the kernel has taken. */
  chunks = 0;
  bytesSent = 0;
  readonly #changes = new Changes();
  readonly #response: ServerResponse;
  #cutByProvider = false;

  constructor(incoming: IncomingMessage, rawBody: string, response: ServerResponse) {
    this.method = incoming.method ?? "";
    this.path = incoming.url ?? "";
    this.headers = incoming.headers;
    this.rawBody = rawBody;
    this.#response = response;
    this.body = parseBody(rawBody);
    const { promise, resolve } = Promise.withResolvers<ProviderRequestClosed>();
    const controller = new AbortController();
    this.closed = promise;
    this.signal = controller.signal;
    response.once("close", () => {
      const aborted = !response.writableFinished && !this.#cutByProvider;
      resolve({ atMs: performance.now(), aborted });
      controller.abort(new Error("The exchange with the client is over"));
      this.#changes.notify();
    });
  }

  get model(): string {
    return this.body.model ?? "";
  }

  /** The provider drops the connection, by a TCP reset where `reset` says so. */
  cut({ reset = false } = {}): void {
    this.#cutByProvider = true;
    if (reset) this.#response.socket?.resetAndDestroy();
    else this.#response.destroy();
  }

  countChunk(): void {
    this.chunks += 1;
    this.#changes.notify();
  }

  /** Resolves when the kernel has taken `count` chunks; rejects when the exchange ends before. */
  async sentChunks(count: number): Promise<void> {
    const enough = () => {
      if (this.chunks >= count) return true;
      if (this.signal.aborted) throw new Error(`Closed after ${this.chunks} of ${count} chunks`);
      return undefined;
    };
    await this.#changes.until(enough, { what: `${count} chunks sent to ${this.model}` });
  }
}

function parseBody(rawBody: string): ProviderRequestBody {
  try {
    const body: unknown = JSON.parse(rawBody);
    return typeof body === "object" && body !== null ? (body as ProviderRequestBody) : {};
  } catch {
    return {};
  }
}
