import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

import type { Gates } from "./gates.ts";
import type { ProviderRequest } from "./provider-request.ts";
import { stepKinds } from "./script.ts";
import type { ProviderUsage, Script, Step, StepKind, StepOf } from "./script.ts";
import type { Piece, StreamWriter, WireFormat } from "./wire-format.ts";

export type PlayerOptions = Readonly<{
  request: ProviderRequest;
  response: ServerResponse;
  format: WireFormat;
  gates: Gates;
}>;

type StepPlayers = { [Kind in StepKind]: (step: StepOf<Kind>) => Promise<void> | void };

const streamHeaders = { "content-type": "text/event-stream; charset=utf-8" };

/** Plays one script onto one response, never faster than the client reads. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #stream: StreamWriter | undefined;
  readonly #pieces: Piece[] = [];
  #usage: ProviderUsage | undefined;
  #finish: string | undefined;
  #calledTool = false;
  #wroteRaw = false;
  #over = false;

  constructor(options: PlayerOptions) {
    const { request, format } = options;
    this.#options = options;
    if (request.body.stream === true) this.#stream = format.startStream(request.model);
  }

  /** Resolves when the answer is complete; rejects when the client leaves before. */
  async play(script: Script): Promise<void> {
    await this.#playAll(script);
    if (!this.#over) await this.#close();
  }

  async #playAll(script: Script): Promise<void> {
    for (const step of script) {
      if (this.#over) return;
      this.#options.request.signal.throwIfAborted();
      await this.#playOne(step);
    }
  }

  #playOne(step: Step): Promise<void> | void {
    const kind = stepKinds.find((name) => name in step);
    if (!kind) throw new Error(`No such step: ${JSON.stringify(step)}`);
    const play = this.#players[kind] as (step: Step) => Promise<void> | void;
    return play(step);
  }

  readonly #players: StepPlayers = {
    text: ({ text, bytesPerWrite }) => this.#piece({ kind: "text", text }, bytesPerWrite),
    reasoning: ({ reasoning, bytesPerWrite }) =>
      this.#piece({ kind: "reasoning", text: reasoning }, bytesPerWrite),
    toolCall: ({ toolCall }) => this.#piece({ kind: "toolCall", toolCall }),
    usage: ({ usage }) => void (this.#usage = usage),
    finish: ({ finish }) => void (this.#finish = finish),
    delayMs: ({ delayMs }) => delay(delayMs, undefined, { signal: this.#options.request.signal }),
    waitFor: ({ waitFor }) => this.#options.gates.enter(waitFor, this.#options.request.signal),
    stall: () => this.#whileOpen(new Promise<void>(() => undefined)),
    comment: ({ comment }) => this.#write(`: ${comment}\n\n`),
    raw: ({ raw }) => this.#raw(raw),
    status: (step) => this.#status(step),
    reset: () => this.#reset(),
    end: () => this.#end(),
    repeat: ({ repeat, steps }) => this.#repeat(repeat, steps),
  };

  async #repeat(count: number, steps: Script): Promise<void> {
    for (let round = 0; round < count; round += 1) await this.#playAll(steps);
  }

  async #piece(piece: Piece, bytesPerWrite?: number): Promise<void> {
    this.#calledTool ||= piece.kind === "toolCall";
    if (this.#stream) await this.#write(this.#stream.piece(piece), bytesPerWrite);
    else this.#pieces.push(piece);
    this.#options.request.countChunk();
  }

  async #raw(raw: string | Uint8Array): Promise<void> {
    this.#wroteRaw = true;
    await this.#write(raw);
    this.#options.request.countChunk();
  }

  async #status({ status, headers, body }: StepOf<"status">): Promise<void> {
    const { response } = this.#options;
    const isJson = typeof body === "object";
    const type = isJson ? { "content-type": "application/json" } : {};
    const own = body === undefined && this.#stream ? streamHeaders : type;
    response.writeHead(status, { ...own, ...headers });
    response.flushHeaders();
    if (body === undefined) return;
    await this.#write(isJson ? JSON.stringify(body) : body);
    await this.#end();
  }

  #reset(): void {
    this.#over = true;
    this.#options.request.cut({ reset: true });
  }

  async #end(): Promise<void> {
    const { response } = this.#options;
    this.#over = true;
    await this.#whileOpen(new Promise<void>((resolve) => response.end(resolve)));
  }

  async #close(): Promise<void> {
    const { request, format } = this.#options;
    const asked = request.body.stream_options?.include_usage === true;
    const ending = {
      finish: this.#finish ?? (this.#calledTool ? "tool_calls" : "stop"),
      usage: this.#usage ?? this.#ownUsage(),
      sendUsage: asked || this.#usage !== undefined,
    };
    if (this.#stream) await this.#write(this.#stream.ending(ending));
    else if (!this.#wroteRaw) {
      await this.#write(JSON.stringify(format.wholeBody(request.model, this.#pieces, ending)));
    }
    await this.#end();
  }

  #ownUsage(): ProviderUsage {
    const completion = this.#options.request.chunks;
    return { prompt_tokens: 10, completion_tokens: completion, total_tokens: 10 + completion };
  }

  async #write(content: string | Uint8Array, bytesPerWrite?: number): Promise<void> {
    const { response } = this.#options;
    if (!response.headersSent) {
      const json = { "content-type": "application/json" };
      response.writeHead(200, this.#stream ? streamHeaders : json);
    }
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const size = bytesPerWrite ?? Math.max(bytes.length, 1);
    for (let start = 0; start < bytes.length; start += size) {
      await this.#writeOnce(bytes.subarray(start, start + size));
    }
  }

  /** Resolves when the kernel has taken the bytes, which is where a slow reader holds the script. */
  async #writeOnce(bytes: Uint8Array): Promise<void> {
    const { request, response } = this.#options;
    await this.#whileOpen(
      new Promise<void>((resolve) => {
        // A failed write means that the client left; the abort that follows says so.
        response.write(bytes, (error) => {
          if (!error) resolve();
        });
      }),
    );
    request.bytesSent += bytes.length;
  }

  /** The work, or a rejection when the client leaves before it is done. */
  #whileOpen<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#options.request;
    return new Promise<T>((resolve, reject) => {
      const leave = () => reject(signal.reason);
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }
}
