import { once } from "node:events";
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { text as readText } from "node:stream/consumers";

import { Changes } from "./changes.ts";
import { chatCompletionsFormat } from "./provider/chat-completions-format.ts";
import { Gates } from "./provider/gates.ts";
import { Player } from "./provider/player.ts";
import { ProviderRequest } from "./provider/provider-request.ts";
import { responsesFormat } from "./provider/responses-format.ts";
import type { Script, ScriptSource } from "./provider/script.ts";
import type { WireFormat } from "./provider/wire-format.ts";

export type { ProviderRequest, ProviderRequestClosed } from "./provider/provider-request.ts";
export type { Script, ScriptSource, Step } from "./provider/script.ts";

const formats: Readonly<Record<string, WireFormat>> = {
  "/v1/chat/completions": chatCompletionsFormat,
  "/v1/responses": responsesFormat,
};

const ownAnswer: Script = [{ text: "This is" }, { text: " a scripted" }, { text: " answer." }];

/** Starts a provider on a free port of 127.0.0.1; dispose of it to close every connection. */
export async function startScriptedProvider(): Promise<ScriptedProvider> {
  const provider = new ScriptedProvider();
  await provider.listen();
  return provider;
}

/**
 * A real HTTP server that speaks OpenAI's chat completions, responses and models and answers by
 * scripts. For each POST it takes the next script of the queue, else the model's, else its own.
 */
export class ScriptedProvider implements AsyncDisposable {
  /** Every request since the start or the last reset, in order of arrival. */
  readonly requests: ProviderRequest[] = [];
  /** Requests being answered at once, at most, since the start or the last reset. */
  peakLiveRequests = 0;
  readonly #gates = new Gates();
  readonly #changes = new Changes();
  readonly #queue: ScriptSource[] = [];
  readonly #scripts = new Map<string, ScriptSource>();
  readonly #sockets = new Set<Socket>();
  readonly #live = new Set<ProviderRequest>();
  readonly #server = http.createServer((request, response) => void this.#answer(request, response));
  #taken = 0;
  #failure: unknown;

  /** `http://127.0.0.1:<port>` */
  get origin(): string {
    return `http://${this.host}`;
  }

  /** What a client takes as its base URL: the origin with `/v1`. */
  get baseUrl(): string {
    return `${this.origin}/v1`;
  }

  /** `127.0.0.1:<port>`, as an allow-list of hosts names it. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get liveRequests(): number {
    return this.#live.size;
  }

  /** Open TCP connections, those that a client keeps alive without a request included. */
  get liveConnections(): number {
    return this.#sockets.size;
  }

  /** Sets what every request for this model is answered with. */
  scriptModel(model: string, script: ScriptSource): void {
    this.#scripts.set(model, script);
  }

  /** Queues scripts for the next requests, whichever model they name, one each. */
  scriptNext(...scripts: ScriptSource[]): void {
    this.#queue.push(...scripts);
  }

  /** Opens a gate (`waitFor`) for good. */
  open(gate: string): void {
    this.#gates.open(gate);
  }

  /** Lets `count` waits through the gate, now or when they come: one step of a stream at a time. */
  pass(gate: string, count = 1): void {
    this.#gates.pass(gate, count);
  }

  /** Resolves when `count` scripts wait at the gate. */
  reached(gate: string, count = 1): Promise<void> {
    return this.#gates.reached(gate, count);
  }

  /** The oldest POST that no call has returned yet; waits for one up to the deadline. */
  nextRequest(deadlineMs?: number): Promise<ProviderRequest> {
    const take = () => {
      this.#throwFailure();
      const posts = this.requests.filter((request) => request.method === "POST");
      const request = posts[this.#taken];
      if (request) this.#taken += 1;
      return request;
    };
    return this.#changes.until(take, { what: "a request to the provider", deadlineMs });
  }

  /** Resolves when no request is being answered. */
  async idle(deadlineMs?: number): Promise<void> {
    const none = () => {
      this.#throwFailure();
      return this.#live.size === 0 || undefined;
    };
    await this.#changes.until(none, { what: "the provider to be idle", deadlineMs });
  }

  /**
   * Cuts the answers under way and forgets scripts, gates and requests, for the next test. Connections
   * that a client keeps for later stay open: cutting those would race with the client's next request.
   */
  async reset(): Promise<void> {
    for (const request of this.#live) request.cut();
    await this.idle();
    this.requests.length = 0;
    this.#queue.length = 0;
    this.#scripts.clear();
    this.#gates.close();
    this.#taken = 0;
    this.peakLiveRequests = 0;
  }

  async listen(): Promise<void> {
    // A connection is the client's to close: a provider that drops idle ones races with its next request.
    Object.assign(this.#server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A script that is wrong itself must not pass for a provider that failed. */
  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const rawBody = await readText(incoming).catch(() => undefined);
    if (rawBody === undefined) return;
    const request = new ProviderRequest(incoming, rawBody, response);
    this.#track(request);
    const format = formats[request.path];
    if (request.method !== "POST" || !format) return this.#answerOther(request, response);
    const player = new Player({ request, response, format, gates: this.#gates });
    try {
      await player.play(this.#scriptFor(request));
    } catch (error) {
      if (request.signal.aborted) return;
      this.#failure = error;
      response.destroy();
      this.#changes.notify();
    }
  }

  #track(request: ProviderRequest): void {
    this.requests.push(request);
    this.#live.add(request);
    this.peakLiveRequests = Math.max(this.peakLiveRequests, this.#live.size);
    void request.closed.then(() => {
      this.#live.delete(request);
      this.#changes.notify();
    });
    this.#changes.notify();
  }

  #scriptFor(request: ProviderRequest): Script {
    const source = this.#queue.shift() ?? this.#scripts.get(request.model) ?? ownAnswer;
    return typeof source === "function" ? source(request) : source;
  }

  #answerOther(request: ProviderRequest, response: ServerResponse): void {
    const models = new Set(["scripted", ...this.#scripts.keys()]);
    const data = [...models].map((id) => ({
      id,
      object: "model",
      created: 1_700_000_000,
      owned_by: "e2e",
    }));
    const known = request.path === "/v1/models" && request.method === "GET";
    const missing = { error: { message: "Not found", type: "invalid_request_error", code: null } };
    response.writeHead(known ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(known ? { object: "list", data } : missing));
  }
}
