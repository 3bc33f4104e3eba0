import type { ReactNode } from "react";
import type { ChatSnapshot } from "./chat-store.ts";
import { ConversationLink } from "./conversation-link.tsx";
import { Notice } from "./notice.tsx";
import { loginPathFor } from "./safe-callback.ts";

type ConnectionNoticeProps = Readonly<{
  snapshot: ChatSnapshot;
  /** Where to come back to after signing in. */
  returnPath: string;
  onRetry: () => void;
}>;

/** Whether there is no such conversation for this person. */
export function isMissingConversation({ connection, history }: ChatSnapshot): boolean {
  return (
    connection.status === "not-found" ||
    (history.status === "failed" && history.error.status === 404)
  );
}

/** What stands between the person and the conversation, and the way round it; nothing while all is well. */
export function ConnectionNotice({ snapshot, returnPath, onRetry }: ConnectionNoticeProps) {
  const { connection, history } = snapshot;
  const isUnauthorized = history.status === "failed" && history.error.status === 401;
  if (connection.status === "signed-out" || isUnauthorized) {
    return (
      <Notice role="alert">
        You are signed out. What you wrote is kept. <a href={loginPathFor(returnPath)}>Sign in</a>
      </Notice>
    );
  }
  if (isMissingConversation(snapshot)) {
    return (
      <Notice role="alert">
        This conversation does not exist, or it belongs to somebody else.{" "}
        <ConversationLink sessionId={null}>Start a new one</ConversationLink>
      </Notice>
    );
  }
  if (connection.status === "reconnecting") {
    return (
      <RetryNotice onRetry={onRetry}>
        The connection is lost. Trying again; what you write is kept.
      </RetryNotice>
    );
  }
  if (history.status === "failed") {
    return <RetryNotice onRetry={onRetry}>{history.error.message}</RetryNotice>;
  }
  return null;
}

function RetryNotice({
  children,
  onRetry,
}: Readonly<{ children: ReactNode; onRetry: () => void }>) {
  return (
    <Notice>
      {children}{" "}
      <button type="button" onClick={onRetry} className="underline underline-offset-4">
        Try now
      </button>
    </Notice>
  );
}
