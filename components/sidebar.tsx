import Link from "next/link";
import { useSyncExternalStore } from "react";
import type { SessionSummary } from "#lib/api/schemas.ts";
import { ConversationLink } from "./conversation-link.tsx";
import { Mark, PlusIcon } from "./icons.tsx";
import type { SessionsStore } from "./sessions-store.ts";

export const sidebarId = "sidebar";

type SidebarProps = Readonly<{
  sessions: SessionsStore;
  sessionId: string | null;
  username: string;
}>;

/** The person's conversations: a column on a wide window, a drawer on a narrow one. */
export function Sidebar({ sessions, sessionId, username }: SidebarProps) {
  return (
    <nav
      id={sidebarId}
      popover="auto"
      aria-label="Conversations"
      className="sidebar m-0 h-dvh max-h-none w-72 shrink-0 flex-col gap-4 bg-shell p-3 text-ink open:flex"
    >
      <div className="flex items-center gap-3 px-2 pt-1">
        <Mark />
        <span className="font-medium">LLM Service</span>
      </div>
      <ConversationLink
        sessionId={null}
        onClick={closeSidebar}
        className="flex min-h-11 items-center gap-2 rounded-lg border border-line bg-sheet px-3 text-label font-medium hover:bg-bubble"
      >
        <PlusIcon />
        New chat
      </ConversationLink>
      <SessionList sessions={sessions} sessionId={sessionId} />
      <Account username={username} />
    </nav>
  );
}

function SessionList({ sessions, sessionId }: Omit<SidebarProps, "username">) {
  const {
    sessions: list,
    nextCursor,
    status,
  } = useSyncExternalStore(sessions.subscribe, sessions.getSnapshot, sessions.getServerSnapshot);
  return (
    <div className="-mx-1 min-h-0 grow overflow-y-auto px-1 py-1">
      {status === "failed" && <FailedList onRetry={() => void sessions.refresh()} />}
      {status === "ready" && list.length === 0 && (
        <p className="px-3 text-label text-ink-soft">Your conversations will be listed here.</p>
      )}
      <ul className="flex flex-col gap-0.5">
        {list.map((session) => (
          <li key={session.id}>
            <SessionLink session={session} isShown={session.id === sessionId} />
          </li>
        ))}
      </ul>
      {nextCursor !== null && (
        <button
          type="button"
          onClick={() => void sessions.loadMore()}
          className="mt-1 min-h-10 w-full rounded-lg px-3 text-left text-label text-accent hover:bg-bubble"
        >
          Show older
        </button>
      )}
    </div>
  );
}

function SessionLink({
  session,
  isShown,
}: Readonly<{ session: SessionSummary; isShown: boolean }>) {
  return (
    <ConversationLink
      sessionId={session.id}
      onClick={closeSidebar}
      aria-current={isShown ? "page" : undefined}
      className="flex min-h-10 items-center gap-2 rounded-lg px-3 text-label hover:bg-bubble aria-[current]:bg-selected aria-[current]:font-medium"
    >
      <span className="truncate">{session.title}</span>
      {session.running && (
        <span className="writing-line ml-auto h-4 w-0.5 shrink-0 rounded" title="Being answered">
          <span className="sr-only">, being answered</span>
        </span>
      )}
    </ConversationLink>
  );
}

function FailedList({ onRetry }: Readonly<{ onRetry: () => void }>) {
  return (
    <p className="px-3 text-label text-ink-soft">
      Your conversations could not be read.{" "}
      <button type="button" onClick={onRetry} className="text-accent underline underline-offset-4">
        Try again
      </button>
    </p>
  );
}

function Account({ username }: Readonly<{ username: string }>) {
  const leave = async () => {
    const { signOut } = await import("next-auth/react");
    await signOut({ callbackUrl: "/login" });
  };
  return (
    <div className="flex flex-wrap items-center gap-x-4 border-t border-line px-3 pt-3 text-label">
      <span className="min-w-0 grow truncate text-ink-soft" title={username}>
        {username}
      </span>
      <Link href="/settings" prefetch={false} className="py-1 hover:underline">
        Settings
      </Link>
      <button type="button" onClick={() => void leave()} className="py-1 hover:underline">
        Sign out
      </button>
    </div>
  );
}

/** On a narrow window the drawer lies over the conversation that was chosen in it. */
function closeSidebar(): void {
  const sidebar = document.getElementById(sidebarId);
  if (sidebar?.matches(":popover-open")) sidebar.hidePopover();
}
