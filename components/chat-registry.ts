import { ChatStore, type ChatEnvironment, type ChatEvents } from "./chat-store.ts";

/**
 * The conversations of one page. The one that is shown is held here, and each that is still being
 * answered after the person turned to another: without a reader its turn would be cut.
 */
export class ChatRegistry {
  readonly #environment: ChatEnvironment;
  readonly #events: ChatEvents;
  readonly #stores = new Set<ChatStore>();
  #shown: ChatStore | null = null;
  #made = 0;

  constructor(environment: ChatEnvironment, events: ChatEvents = {}) {
    this.#environment = environment;
    this.#events = events;
  }

  /** The conversation to show, made without side effects; null is a new one until the server names it. */
  find(sessionId: string | null): ChatStore {
    if (this.#shown !== null && this.#shown.sessionId === sessionId) return this.#shown;
    const known = [...this.#stores].find((store) => store.sessionId === sessionId);
    if (sessionId !== null && known) return known;
    this.#made += 1;
    return new ChatStore(sessionId, {
      environment: this.#environment,
      events: this.#events,
      key: String(this.#made),
    });
  }

  isShown(store: ChatStore): boolean {
    return this.#shown === store;
  }

  /** Starts the conversation and lets go of the one shown before. */
  show(store: ChatStore): void {
    if (this.#shown === store) return;
    this.hide();
    this.#shown = store;
    store.retain();
    if (!this.#stores.has(store)) {
      this.#stores.add(store);
      store.start();
    }
  }

  /** Lets go of the one that is shown, without showing another. */
  hide(): void {
    this.#shown?.release();
    this.#shown = null;
    for (const store of this.#stores) if (!store.isBusy) this.#stores.delete(store);
  }

  /** Gives up every connection. */
  close(): void {
    for (const store of this.#stores) store.close();
    this.#stores.clear();
    this.#shown = null;
  }
}
