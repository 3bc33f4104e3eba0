import { memo } from "react";
import { ActionButton } from "./action-button.tsx";
import type { ShownMessage } from "./answer-reducer.ts";
import { endingOf } from "./ending.ts";
import { MessageText } from "./message-text.tsx";
import { Receipt } from "./receipt.tsx";

type MessageItemProps = Readonly<{
  message: ShownMessage;
  /** Given where the answer can be tried again. */
  onRetry?: (() => void) | undefined;
}>;

/** One message; drawn again only when it changed. */
export const MessageItem = memo(function MessageItem({ message, onRetry }: MessageItemProps) {
  if (message.role === "user") return <UserBubble text={message.content} />;
  return <Answer message={message} onRetry={onRetry} />;
});

/** What the person wrote; `note` says what becomes of it while it is on its way. */
export function UserBubble({ text, note }: Readonly<{ text: string; note?: string }>) {
  return (
    <article aria-label="You" className="flex flex-col items-end gap-1">
      <div className="max-w-[85%] rounded-2xl rounded-br-md bg-bubble px-4 py-2.5">
        <MessageText text={text} />
      </div>
      {note && <p className="text-small text-ink-soft">{note}</p>}
    </article>
  );
}

function Answer({ message, onRetry }: MessageItemProps) {
  const { content, reasoning, tool_calls: toolCalls, status } = message;
  const isRunning = status === "streaming";
  return (
    <article aria-label="Answer" aria-busy={isRunning} className="relative flex flex-col gap-3">
      {isRunning && (
        <div aria-hidden="true" className="writing-line absolute inset-y-0 -left-3 w-0.5 rounded" />
      )}
      {reasoning && <Reasoning text={reasoning} isRunning={isRunning && content === ""} />}
      {toolCalls?.map(({ id, name, output }) => (
        <p key={id} className="text-label text-ink-soft">
          {output === undefined ? `Calls the tool ${name}` : `Called the tool ${name}`}
        </p>
      ))}
      {content && (
        <div>
          <MessageText text={content} />
        </div>
      )}
      {!isRunning && <Ending message={message} onRetry={onRetry} />}
      {!isRunning && <Receipt message={message} />}
    </article>
  );
}

function Reasoning({ text, isRunning }: Readonly<{ text: string; isRunning: boolean }>) {
  return (
    <details className="text-label text-ink-soft">
      <summary className="w-fit py-1">{isRunning ? "Thinking…" : "Thoughts"}</summary>
      <div className="mt-1 border-l-2 border-line pl-3">
        <MessageText text={text} />
      </div>
    </details>
  );
}

/** How the answer ended, where it did not end by itself. */
function Ending({ message, onRetry }: MessageItemProps) {
  const ending = endingOf(message);
  if (ending === null) return null;
  return (
    <div className="flex flex-wrap items-center gap-3">
      <p className={`text-label ${ending.isFailure ? "text-danger" : "text-ink-soft"}`}>
        {ending.text}
      </p>
      {ending.isRetryable && onRetry && (
        <ActionButton look="quiet" onClick={onRetry}>
          Retry
        </ActionButton>
      )}
    </div>
  );
}
