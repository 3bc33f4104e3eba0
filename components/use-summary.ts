import { useSyncExternalStore } from "react";
import type { SessionSummary } from "#lib/api/schemas.ts";
import type { SessionsStore } from "./sessions-store.ts";

/** What the list of conversations knows of one; drawn again only when that changes. */
export function useSummary(
  sessions: SessionsStore,
  sessionId: string | null,
): SessionSummary | undefined {
  return useSyncExternalStore(
    sessions.subscribe,
    () => sessions.getSnapshot().sessions.find(({ id }) => id === sessionId),
    () => undefined,
  );
}
