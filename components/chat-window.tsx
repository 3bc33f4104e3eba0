import Link from "next/link";
import { useEffect, useSyncExternalStore } from "react";
import type { ApiClient } from "./api-client.ts";
import type { ChatStore } from "./chat-store.ts";
import { Composer } from "./composer.tsx";
import { ConnectionNotice, isMissingConversation } from "./connection-notice.tsx";
import { conversationPath } from "./conversation-link.tsx";
import { runningAnswer } from "./conversation-reducer.ts";
import type { Drafts } from "./drafts.ts";
import { MenuIcon, SlidersIcon } from "./icons.tsx";
import { ModelNote } from "./model-note.tsx";
import { announcements, phaseOf } from "./phase.ts";
import type { SessionsStore } from "./sessions-store.ts";
import { sidebarId } from "./sidebar.tsx";
import { Transcript } from "./transcript.tsx";
import { useSummary } from "./use-summary.ts";

export type ChatServices = Readonly<{ api: ApiClient; sessions: SessionsStore; drafts: Drafts }>;

type ChatWindowProps = Readonly<{ store: ChatStore; services: ChatServices }>;

/** One conversation: its text, its state and the composer. */
export function ChatWindow({ store, services }: ChatWindowProps) {
  const snapshot = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  const { sessionId } = snapshot.conversation;
  const summary = useSummary(services.sessions, sessionId);
  const isNew = sessionId === null && snapshot.connection.outbox.length === 0;
  const isMissing = isMissingConversation(snapshot);
  const title = sessionId === null ? "New chat" : (summary?.title ?? "Conversation");
  const phase = phaseOf(snapshot);
  const isRunning = runningAnswer(snapshot.conversation) !== null;
  useDocumentTitle(title);
  useEscape(isRunning ? store.stop : null);
  return (
    <main
      id="conversation"
      tabIndex={-1}
      className="flex min-w-0 grow flex-col bg-sheet outline-none min-[56rem]:my-2 min-[56rem]:mr-2 min-[56rem]:rounded-2xl min-[56rem]:border min-[56rem]:border-line"
    >
      <Header title={title} sessionId={sessionId} />
      <Transcript snapshot={snapshot} model={summary?.model_name} onRetry={store.regenerate} />
      <div className="mx-auto flex w-full max-w-measure flex-col gap-2 px-4 pt-2 pb-3">
        <ConnectionNotice
          snapshot={snapshot}
          returnPath={conversationPath(sessionId)}
          onRetry={store.retry}
        />
        {!isMissing && (
          <Composer
            store={store}
            snapshot={snapshot}
            drafts={services.drafts}
            isRunning={isRunning}
          />
        )}
        <ModelNote api={services.api} summary={summary} isNew={sessionId === null} />
      </div>
      {isNew && <div className="hidden h-[30dvh] shrink-0 min-[56rem]:block" />}
      <p role="status" className="sr-only">
        {phase && announcements[phase]}
      </p>
    </main>
  );
}

function Header({ title, sessionId }: Readonly<{ title: string; sessionId: string | null }>) {
  const settingsPath = sessionId === null ? "/settings" : `/settings?session=${sessionId}`;
  const look = "grid size-11 shrink-0 place-items-center rounded-lg hover:bg-bubble";
  return (
    <header className="flex items-center gap-1 px-2 py-1">
      <button
        type="button"
        popoverTarget={sidebarId}
        aria-label="Conversations"
        className={`${look} min-[56rem]:hidden`}
      >
        <MenuIcon />
      </button>
      <h1 className="min-w-0 grow truncate px-2 text-label font-medium text-ink-soft">{title}</h1>
      <Link href={settingsPath} prefetch={false} aria-label="Model settings" className={look}>
        <SlidersIcon />
      </Link>
    </header>
  );
}

function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · LLM Service`;
  }, [title]);
}

/** Escape stops the answer, unless it is about to close something that lies over the page. */
function useEscape(stop: (() => void) | null): void {
  useEffect(() => {
    if (stop === null) return;
    const onKeyDown = ({ key, isComposing }: KeyboardEvent) => {
      const isOverlaid = document.querySelector(":popover-open, dialog[open]") !== null;
      if (key === "Escape" && !isComposing && !isOverlaid) stop();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [stop]);
}
