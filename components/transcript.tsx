import type { ChatSnapshot } from "./chat-store.ts";
import { runningAnswer } from "./conversation-reducer.ts";
import { DownIcon } from "./icons.tsx";
import { MessageItem, UserBubble } from "./message-item.tsx";
import { Notice } from "./notice.tsx";
import { phaseOf, type Phase } from "./phase.ts";
import { useFollowEnd } from "./use-follow-end.ts";
import { Waiting } from "./waiting.tsx";

type TranscriptProps = Readonly<{
  snapshot: ChatSnapshot;
  /** The model that answers, as far as it is known. */
  model: string | undefined;
  onRetry: () => void;
}>;

/** The conversation's text. It follows the end while the reader is there and stays put otherwise. */
export function Transcript({ snapshot, model, onRetry }: TranscriptProps) {
  const { conversation, connection, history } = snapshot;
  const { outbox } = connection;
  const phase = phaseOf(snapshot);
  const canRetry = connection.status === "open" && runningAnswer(conversation) === null;
  const { scroller, isAtEnd, goToEnd } = useFollowEnd(conversation.messages, outbox.length);
  const isEmpty = conversation.messages.length === 0 && outbox.length === 0;
  return (
    <div className="relative min-h-0 grow">
      <div
        ref={scroller}
        role="region"
        aria-label="Messages"
        tabIndex={0}
        className="h-full overflow-y-auto -outline-offset-2"
      >
        <div className="mx-auto flex min-h-full w-full max-w-measure flex-col gap-7 px-4 py-6">
          {isEmpty && <EmptyConversation history={history} />}
          {conversation.messages.map((message, index) => {
            const isLast = index === conversation.messages.length - 1;
            return (
              <MessageItem
                key={message.id}
                message={message}
                onRetry={isLast && canRetry ? onRetry : undefined}
              />
            );
          })}
          {outbox.map(({ clientId, text }) => (
            <UserBubble key={clientId} text={text} note={outboxNotes[phase ?? "queued"]} />
          ))}
          <Waiting key={phase} phase={phase} model={runningAnswer(conversation)?.model ?? model} />
          {conversation.refusal?.code !== "turn_in_progress" && conversation.refusal && (
            <Notice tone="danger" role="alert">
              {conversation.refusal.text}
            </Notice>
          )}
        </div>
      </div>
      {!isAtEnd && (
        <button
          type="button"
          onClick={goToEnd}
          aria-label="Go to the end"
          className="absolute bottom-3 left-1/2 grid size-11 -translate-x-1/2 place-items-center rounded-full border border-line bg-raised shadow-sm hover:bg-bubble"
        >
          <DownIcon />
        </button>
      )}
    </div>
  );
}

const outboxNotes: Partial<Record<Phase, string>> = {
  sending: "Sending…",
  connecting: "Connecting…",
  queued: "Kept, and sent as soon as it can be",
  reconnecting: "Kept, and sent when the connection is back",
  waiting: "Sent after this answer",
  thinking: "Sent after this answer",
  writing: "Sent after this answer",
};

function EmptyConversation({ history }: Readonly<{ history: ChatSnapshot["history"] }>) {
  if (history.status === "loading") {
    return (
      <p role="status" className="text-ink-soft">
        Loading the conversation…
      </p>
    );
  }
  if (history.status === "failed") return null;
  return (
    <div className="mt-auto flex flex-col gap-2">
      <p className="text-greeting font-semibold tracking-tight">What is on your mind?</p>
      <p className="text-ink-soft">
        What you write is kept, also when you reload or the connection drops.
      </p>
    </div>
  );
}
