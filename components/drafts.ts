type DraftStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export type Drafts = Readonly<{
  /**
   * The draft of a conversation; null stands for the new one. Empty when there is none. Texts that are
   * still on their way from this page are left out.
   */
  read: (sessionId: string | null, onTheirWay?: readonly string[]) => string;
  /**
   * Keeps what was typed, together with messages that were sent but that no turn has begun with:
   * until then only this copy survives a reload.
   */
  write: (sessionId: string | null, texts: readonly string[]) => void;
}>;

/**
 * Unsent text, kept by person and conversation so that it outlives a reload and a sign-in and is not
 * shown to somebody else. Never throws: without storage the drafts are just not kept.
 */
export function createDrafts(userId: string, storage: () => DraftStorage): Drafts {
  const keyOf = (sessionId: string | null): string =>
    `llm-service.draft.${userId}.${sessionId ?? "new"}`;
  return {
    read: (sessionId, onTheirWay = []) => {
      const draft = attempt(() => storage().getItem(keyOf(sessionId))) ?? "";
      const sent = joined(onTheirWay);
      return draft.startsWith(sent) ? draft.slice(sent.length).replace(/^\n\n/, "") : draft;
    },
    write: (sessionId, texts) => {
      const draft = joined(texts);
      attempt(() => {
        if (draft === "") storage().removeItem(keyOf(sessionId));
        else storage().setItem(keyOf(sessionId), draft);
      });
    },
  };
}

function joined(texts: readonly string[]): string {
  return texts.filter((text) => text.trim() !== "").join("\n\n");
}

/** Reading `localStorage` already throws where cookies are blocked, and writing where it is full. */
function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}
