import type { Message } from "#lib/api/schemas.ts";
import type { ChatSnapshot } from "./chat-store.ts";
import { runningAnswer } from "./conversation-reducer.ts";

/** What is happening to the newest message; null when nothing is. */
export type Phase =
  | "connecting"
  | "reconnecting"
  | "sending"
  | "queued"
  | "waiting"
  | "thinking"
  | "writing"
  | "complete"
  | "stopped"
  | "incomplete"
  | "failed";

const phaseByStatus: Record<Message["status"], Phase | null> = {
  streaming: "waiting",
  complete: "complete",
  stopped: "stopped",
  incomplete: "incomplete",
  error: "failed",
};

/** The phase as it is known here: a lost connection goes before what was last heard over it. */
export function phaseOf({ conversation, connection }: ChatSnapshot): Phase | null {
  const answer = runningAnswer(conversation);
  const isWaiting = answer !== null || connection.outbox.length > 0;
  if (connection.status === "reconnecting") return "reconnecting";
  if (isWaiting && connection.status === "connecting") return "connecting";
  if (answer === null && connection.outbox.length > 0) {
    return connection.status === "open" ? "sending" : "queued";
  }
  if (answer?.content) return "writing";
  if (answer?.reasoning) return "thinking";
  const last = conversation.messages.at(-1);
  if (last?.role !== "assistant") return null;
  return last.error_code ? "failed" : phaseByStatus[last.status];
}

/** What a screen reader hears when the phase changes; once per phase, never per token. */
export const announcements: Record<Phase, string> = {
  connecting: "Connecting.",
  reconnecting: "The connection is lost. Reconnecting.",
  sending: "Sending your message.",
  queued: "Your message waits to be sent.",
  waiting: "Waiting for the answer.",
  thinking: "The model is thinking.",
  writing: "The answer is being written.",
  complete: "The answer is complete.",
  stopped: "The answer was stopped.",
  incomplete: "The answer was cut short.",
  failed: "The answer failed.",
};
