import type { LlamaContext, LlamaContextSequence, Token } from "node-llama-cpp";

type Slot = { readonly sequence: LlamaContextSequence; lastUsed: number };

type Waiter = Readonly<{ tokens: readonly Token[]; start: (slot: Slot) => void }>;

/** A sequence that belongs to one turn until it is released. */
export type SequenceLease = Readonly<{
  sequence: LlamaContextSequence;
  /** Prompt tokens that need no evaluation, because the sequence still holds them. */
  cachedTokens: number;
  /** Gives the sequence to the next turn; one that is damaged is emptied first. */
  release: (isDamaged: boolean) => Promise<void>;
}>;

/**
 * Shares the sequences of one context between turns, first come, first served. A turn gets the
 * sequence that still holds its conversation, so that a follow-up question costs only itself.
 */
export class SequencePool {
  readonly #idle: Slot[];
  readonly #waiters: Waiter[] = [];
  readonly #size: number;
  #clock = 0;

  constructor(context: LlamaContext) {
    this.#size = context.totalSequences;
    this.#idle = Array.from({ length: this.#size }, () => ({
      sequence: context.getSequence(),
      lastUsed: 0,
    }));
  }

  get size(): number {
    return this.#size;
  }

  get busyCount(): number {
    return this.#size - this.#idle.length;
  }

  get waitingCount(): number {
    return this.#waiters.length;
  }

  /** Waits for a sequence. Rejects with the signal's reason as soon as that aborts. */
  async acquire(tokens: readonly Token[], signal: AbortSignal): Promise<SequenceLease> {
    signal.throwIfAborted();
    const slot = this.#takeIdle(tokens) ?? (await this.#wait(tokens, signal));
    try {
      signal.throwIfAborted();
      // The last token is always evaluated: its result is where the answer starts.
      await slot.sequence.adaptStateToTokens(tokens.slice(0, -1), false);
    } catch (error) {
      await this.#release(slot, !signal.aborted);
      throw error;
    }
    return {
      sequence: slot.sequence,
      cachedTokens: slot.sequence.nextTokenIndex,
      release: (isDamaged) => this.#release(slot, isDamaged),
    };
  }

  async #wait(tokens: readonly Token[], signal: AbortSignal): Promise<Slot> {
    const { promise, resolve, reject } = Promise.withResolvers<Slot>();
    const waiter: Waiter = { tokens, start: resolve };
    const giveUp = (): void => {
      const index = this.#waiters.indexOf(waiter);
      if (index === -1) return;
      this.#waiters.splice(index, 1);
      reject(signal.reason);
    };
    this.#waiters.push(waiter);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #release(slot: Slot, isDamaged: boolean): Promise<void> {
    if (isDamaged) await slot.sequence.clearHistory().catch(() => undefined);
    slot.lastUsed = ++this.#clock;
    this.#idle.push(slot);
    const next = this.#waiters.shift();
    if (next === undefined) return;
    const chosen = this.#takeIdle(next.tokens);
    if (chosen !== undefined) next.start(chosen);
  }

  #takeIdle(tokens: readonly Token[]): Slot | undefined {
    const slot = mostShared(this.#idle, tokens) ?? leastRecentlyUsed(this.#idle);
    if (slot !== undefined) this.#idle.splice(this.#idle.indexOf(slot), 1);
    return slot;
  }
}

/**
 * The slot whose content these tokens mostly repeat. One that only begins alike, as all
 * conversations with the same system prompt do, is left to the conversation it belongs to.
 */
function mostShared(slots: readonly Slot[], tokens: readonly Token[]): Slot | undefined {
  let best: Slot | undefined;
  let bestShared = 0;
  for (const slot of slots) {
    const heldTokens = slot.sequence.contextTokens;
    const shared = sharedLength(heldTokens, tokens);
    if (shared > bestShared && shared * 2 >= heldTokens.length) {
      best = slot;
      bestShared = shared;
    }
  }
  return best;
}

function sharedLength(left: readonly Token[], right: readonly Token[]): number {
  const different = left.findIndex((token, index) => token !== right[index]);
  return different === -1 ? left.length : different;
}

function leastRecentlyUsed(slots: readonly Slot[]): Slot | undefined {
  return slots.reduce<Slot | undefined>(
    (oldest, slot) => (oldest === undefined || slot.lastUsed < oldest.lastUsed ? slot : oldest),
    undefined,
  );
}
