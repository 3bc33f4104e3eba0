import { AppError } from "../errors.ts";
import { isTerminal, turnAbort, type TurnAbort, type TurnEvent } from "./turn-event.ts";

/** Every event of one turn, and where to read on when it has ended. */
type TurnLog = {
  readonly events: TurnEvent[];
  readonly firstSeq: number;
  next: TurnLog | undefined;
};

/** Begins a turn whose first event has this number. */
export type BeginTurn = (firstSeq: number, signal: AbortSignal) => AsyncIterable<TurnEvent>;

export type FollowOptions = Readonly<{
  /** The last event that the reader has. */
  after: number;
  /** Ends the following. */
  signal: AbortSignal;
}>;

/** What a reader gets: events that were ready together, or word that some are not kept any more. */
export type Followed =
  | Readonly<{ kind: "events"; events: readonly TurnEvent[] }>
  | Readonly<{ kind: "gap"; after: number; nextSeq: number }>;

/**
 * The one place where a session's turns run and are read.
 *
 * A turn belongs to the session, not to the connection that began it. Readers come and go; each
 * holds nothing but its place in the shared log, so a slow one costs no memory and a new one misses
 * nothing. The log of the last turn is kept until the next begins.
 */
export class SessionChannel {
  readonly #wakers = new Set<() => void>();
  readonly #deleted = new AbortController();
  #lastSeq: number;
  /** Of the last turn; an empty one before the first. */
  #log: TurnLog;
  #running: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();
  #readers = 0;
  #activity = 0;
  #graceTimer: NodeJS.Timeout | undefined;
  /** On the clock of `performance.now()`. */
  #graceUntilMs = 0;

  constructor(lastSeq: number) {
    this.#lastSeq = lastSeq;
    this.#log = { events: [], firstSeq: lastSeq + 1, next: undefined };
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Whether nobody reads and nothing runs, so that only the last turn's log would be lost with it. */
  get isIdle(): boolean {
    return !this.isRunning && this.#readers === 0;
  }

  /** Grows whenever somebody joins or a turn begins. */
  get activity(): number {
    return this.#activity;
  }

  /** The first event of the running or the last turn. */
  get turnStart(): TurnEvent | undefined {
    return this.#log.events[0];
  }

  /** The first event of the running turn, once it has one. */
  get runningStart(): TurnEvent | undefined {
    const last = this.#log.events.at(-1);
    return last && !isTerminal(last) ? this.turnStart : undefined;
  }

  /** What a reader that has nothing yet reads on after: the running turn is told from its start. */
  get entrySeq(): number {
    return (this.runningStart?.seq ?? this.#lastSeq + 1) - 1;
  }

  /**
   * Begins a turn and resolves with its first event.
   *
   * @throws {AppError} `turn_in_progress` at once while one runs; what `begin` throws before its
   *   first event.
   */
  async start(begin: BeginTurn): Promise<TurnEvent> {
    if (this.#running) throw new AppError("turn_in_progress");
    const controller = new AbortController();
    this.#running = controller;
    this.#activity += 1;
    // Whoever left before has no claim on this turn, unless nobody is left to read it.
    if (this.#readers > 0) this.#graceUntilMs = 0;
    this.#endUnread();
    const started = Promise.withResolvers<TurnEvent>();
    this.#ended = this.#run(begin, controller.signal, started);
    return started.promise;
  }

  /** Ends the running turn. Returns false when none runs. */
  abort(cause: TurnAbort["cause"]): boolean {
    this.#running?.abort(turnAbort(cause));
    return this.isRunning;
  }

  /** Aborts when the session is deleted. */
  get deleted(): AbortSignal {
    return this.#deleted.signal;
  }

  /** Tells all readers that the session is gone. */
  delete(): void {
    this.#deleted.abort();
  }

  /** Resolves when no turn runs and the last one's answer is on disk. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /**
   * Counts one more reader. Call the returned function once when that reader leaves: a running turn
   * that nobody reads any more goes on for as long as one of those who left it asked for, by
   * `graceMs`, and is then ended as interrupted.
   */
  join(): (graceMs: number) => void {
    this.#readers += 1;
    this.#activity += 1;
    clearTimeout(this.#graceTimer);
    return (graceMs) => {
      this.#readers -= 1;
      this.#graceUntilMs = Math.max(this.#graceUntilMs, performance.now() + graceMs);
      if (this.isRunning) this.#endUnread();
    };
  }

  /** Reads events in order, each exactly once, until the signal aborts. */
  async *follow({ after, signal }: FollowOptions): AsyncGenerator<Followed, void> {
    const place = this.#find(after);
    if (place.gap) yield place.gap;
    let { log, index } = place;
    while (!signal.aborted) {
      if (index < log.events.length) {
        const events = log.events.slice(index);
        index = log.events.length;
        yield { kind: "events", events };
      } else if (log.next) {
        log = log.next;
        index = 0;
      } else {
        await this.#changed(signal);
      }
    }
  }

  async #run(
    begin: BeginTurn,
    signal: AbortSignal,
    started: PromiseWithResolvers<TurnEvent>,
  ): Promise<void> {
    try {
      for await (const event of begin(this.#lastSeq + 1, signal)) {
        if (event.type === "turn-start") this.#openLog(event.seq);
        this.#log.events.push(event);
        this.#lastSeq = event.seq;
        // A reader that sees the end must be able to begin the next turn at once.
        if (isTerminal(event)) this.#running = undefined;
        if (event.type === "turn-start") started.resolve(event);
        this.#wake();
      }
    } catch (error) {
      started.reject(error);
    } finally {
      this.#running = undefined;
      clearTimeout(this.#graceTimer);
    }
  }

  #endUnread(): void {
    if (this.#readers > 0) return;
    clearTimeout(this.#graceTimer);
    const graceMs = Math.max(0, this.#graceUntilMs - performance.now());
    this.#graceTimer = setTimeout(() => this.abort("interrupted"), graceMs);
  }

  #openLog(firstSeq: number): void {
    const log: TurnLog = { events: [], firstSeq, next: undefined };
    this.#log.next = log;
    this.#log = log;
  }

  #find(after: number) {
    const log = this.#log;
    const { firstSeq } = log;
    if (after >= firstSeq - 1 && after <= this.#lastSeq) {
      return { log, index: after - firstSeq + 1, gap: undefined };
    }
    return { log, index: 0, gap: { kind: "gap", after, nextSeq: firstSeq } as const };
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wakers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#wakers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }
}
