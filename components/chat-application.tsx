"use client";

import { usePathname } from "next/navigation";
import { useEffect, useMemo, useState } from "react";
import { createBrowserEnvironment } from "./browser-environment.ts";
import { ChatRegistry } from "./chat-registry.ts";
import type { ChatStore } from "./chat-store.ts";
import { ChatWindow } from "./chat-window.tsx";
import { conversationPath, sessionIdOf } from "./conversation-link.tsx";
import { createDrafts } from "./drafts.ts";
import { SessionsStore } from "./sessions-store.ts";
import { Sidebar } from "./sidebar.tsx";
import { useStaySignedIn } from "./use-stay-signed-in.ts";

export type Person = Readonly<{ userId: string; username: string }>;

/** The chat of one signed-in person: the sidebar, and the conversation that the address names. */
export function ChatApplication({ principal }: Readonly<{ principal: Person }>) {
  const [{ api, sessions, registry, drafts }] = useState(() => createServices(principal.userId));
  const sessionId = sessionIdOf(usePathname());
  const store = useMemo(() => registry.find(sessionId), [registry, sessionId]);
  useEffect(() => registry.show(store), [registry, store]);
  useEffect(() => () => registry.close(), [registry]);
  useEffect(() => void sessions.refresh(), [sessions]);
  useRetryWhenBack(store);
  useStaySignedIn();
  return (
    <div className="flex h-dvh overflow-hidden bg-shell">
      <a
        href="#conversation"
        className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:m-2 focus:rounded-lg focus:bg-raised focus:p-3"
      >
        Skip to the conversation
      </a>
      <Sidebar sessions={sessions} sessionId={sessionId} username={principal.username} />
      <ChatWindow key={store.key} store={store} services={{ api, sessions, drafts }} />
    </div>
  );
}

function createServices(userId: string) {
  const environment = createBrowserEnvironment();
  const sessions = new SessionsStore(environment.api);
  const registry: ChatRegistry = new ChatRegistry(environment, {
    onNamed: (store, sessionId) => {
      if (registry.isShown(store)) history.replaceState(null, "", conversationPath(sessionId));
    },
    onSession: sessions.take,
    onTurnChange: () => void sessions.refresh(),
  });
  const drafts = createDrafts(userId, () => localStorage);
  return { api: environment.api, sessions, registry, drafts };
}

/** Somebody who looks at the page again, or is online again, should not sit out a waiting time. */
function useRetryWhenBack(store: ChatStore): void {
  useEffect(() => {
    const retry = () => {
      if (document.visibilityState === "visible") store.retry();
    };
    addEventListener("online", retry);
    document.addEventListener("visibilitychange", retry);
    return () => {
      removeEventListener("online", retry);
      document.removeEventListener("visibilitychange", retry);
    };
  }, [store]);
}
