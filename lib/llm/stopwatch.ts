import type { Timings } from "../api/schemas.ts";

/** Takes a turn's times, in milliseconds on the clock of `performance.now()`. */
export class Stopwatch {
  readonly #receivedAtMs: number;
  #firstTokenAtMs: number | undefined;
  #lastTokenAtMs = 0;

  constructor(receivedAtMs: number) {
    this.#receivedAtMs = receivedAtMs;
  }

  token(): void {
    this.#lastTokenAtMs = performance.now();
    this.#firstTokenAtMs ??= this.#lastTokenAtMs;
  }

  /** `waitedMs` is the time spent waiting for the provider: all the rest is the service's own. */
  read(completionTokens: number, waitedMs: number): Timings {
    const totalMs = performance.now() - this.#receivedAtMs;
    const first = this.#firstTokenAtMs;
    const writingMs = first === undefined ? 0 : this.#lastTokenAtMs - first;
    return {
      ttft_ms: first === undefined ? null : round(first - this.#receivedAtMs),
      total_ms: round(totalMs),
      tokens_per_second: writingMs > 0 ? round((completionTokens / writingMs) * 1000) : null,
      overhead_ms: round(Math.max(0, totalMs - waitedMs)),
    };
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
