import type { Message } from "#lib/api/schemas.ts";
import type { ConnectionFrame, ServerFrame, TurnFrame } from "#lib/ws/frames.ts";
import {
  failureOf,
  foldAnswer,
  openAnswer,
  type Failure,
  type LiveTurn,
  type ShownMessage,
} from "./answer-reducer.ts";

/**
 * A conversation as it is shown, and the only place where it is kept. Whether a turn runs, in which
 * phase it is and what can be retried all follow from it.
 */
export type Conversation = Readonly<{
  /** Null until a new conversation was named by the server. */
  sessionId: string | null;
  /** The branch that is shown, in order. */
  messages: readonly ShownMessage[];
  /** Where to resume: the last frame folded, or 0 when the running turn has to be replayed. */
  lastSeq: number;
  /** Up to here the loaded messages hold everything, even where no frame was seen. */
  coveredSeq: number;
  turn: LiveTurn | null;
  /** The last client frame that the server refused, until the next turn begins. */
  refusal: Failure | null;
}>;

export type ConversationAction =
  | Readonly<{ type: "frame"; frame: ServerFrame }>
  /** `session` was read before `messages`: what came between is in the messages and comes again as frames. */
  | Readonly<{
      type: "loaded";
      session: Readonly<{ id: string; last_seq: number; running: boolean }>;
      messages: readonly Message[];
    }>;

/** An empty conversation; without an id it is a new one. */
export function emptyConversation(sessionId: string | null = null): Conversation {
  return { sessionId, messages: [], lastSeq: 0, coveredSeq: 0, turn: null, refusal: null };
}

/**
 * Folds what was loaded and what streams into what is shown. Pure, and safe against repetition: a
 * frame that was folded before changes nothing, and a turn that is replayed from its `turn-start`
 * replaces its answer instead of doubling it.
 */
export function reduceConversation(
  conversation: Conversation,
  action: ConversationAction,
): Conversation {
  if (action.type === "loaded") return foldLoaded(conversation, action);
  return isTurnFrame(action.frame)
    ? foldTurnFrame(conversation, action.frame)
    : foldConnectionFrame(conversation, action.frame);
}

/** Whether a frame belongs to a turn and so counts in the session's sequence. */
export function isTurnFrame(frame: ServerFrame): frame is TurnFrame {
  return "seq" in frame;
}

/** The answer that is being written, if one is. */
export function runningAnswer({ messages }: Conversation): ShownMessage | null {
  const last = messages.at(-1);
  return last?.role === "assistant" && last.status === "streaming" ? last : null;
}

/**
 * Whether a greeting shows that the answer being written here will never be ended by a frame, as after
 * a restart of the server: nothing runs there, and it has no frame that is missing here.
 */
export function hasLostItsTurn(
  conversation: Conversation,
  hello: Readonly<{ last_seq: number; turn_id: string | null }>,
): boolean {
  return (
    runningAnswer(conversation) !== null &&
    conversation.turn !== null &&
    hello.turn_id === null &&
    hello.last_seq <= conversation.lastSeq
  );
}

/** Whether the loaded messages and the frames announced by a gap leave something out between them. */
export function missesSomething(
  { coveredSeq }: Conversation,
  gap: Readonly<{ after: number; next_seq: number }>,
): boolean {
  return gap.after > 0 || gap.next_seq > coveredSeq + 1;
}

function foldLoaded(
  conversation: Conversation,
  { session, messages }: Extract<ConversationAction, { type: "loaded" }>,
): Conversation {
  const read = { ...conversation, sessionId: session.id, coveredSeq: session.last_seq };
  if (conversation.turn !== null) {
    return { ...read, messages: withLiveTurn(messages, conversation.messages) };
  }
  return { ...read, messages, lastSeq: session.running ? 0 : session.last_seq };
}

/** The live turn's frames go on from what they have written, whatever the messages say of it meanwhile. */
function withLiveTurn(
  loaded: readonly Message[],
  shown: readonly ShownMessage[],
): readonly ShownMessage[] {
  const liveTurn = shown.slice(-2);
  const [question] = liveTurn;
  return question ? [...messagesBefore(loaded, question), ...liveTurn] : loaded;
}

function foldConnectionFrame(conversation: Conversation, frame: ConnectionFrame): Conversation {
  switch (frame.type) {
    case "hello":
      return {
        ...conversation,
        sessionId: frame.session_id,
        turn: hasLostItsTurn(conversation, frame) ? null : conversation.turn,
      };
    case "gap":
      return { ...conversation, lastSeq: frame.next_seq - 1, turn: null };
    case "turn-error":
      return { ...conversation, refusal: failureOf(frame) };
    case "pong":
      return conversation;
  }
}

function foldTurnFrame(conversation: Conversation, frame: TurnFrame): Conversation {
  if (frame.type === "turn-start") return startTurn(conversation, frame);
  const { turn, messages, lastSeq } = conversation;
  const answer = messages.at(-1);
  if (turn?.id !== frame.turn_id || answer?.id !== turn.messageId || frame.seq <= lastSeq) {
    return conversation;
  }
  const folded = foldAnswer({ answer, turn }, frame);
  return {
    ...conversation,
    lastSeq: frame.seq,
    messages: messages.with(-1, folded.answer),
    turn: folded.turn,
  };
}

function startTurn(
  conversation: Conversation,
  frame: Extract<TurnFrame, { type: "turn-start" }>,
): Conversation {
  const shown = conversation.messages.find(({ id }) => id === frame.message_id);
  const { answer, turn } = openAnswer(frame, shown);
  return {
    ...conversation,
    messages: [
      ...messagesBefore(conversation.messages, frame.user_message),
      userMessageOf(conversation, frame),
      answer,
    ],
    lastSeq: frame.seq,
    turn,
    refusal: null,
  };
}

/** Regenerating answers a message anew and editing replaces one: what followed leaves the branch shown. */
function messagesBefore(
  messages: readonly ShownMessage[],
  { id, parent_id }: Readonly<{ id: string; parent_id: string | null }>,
): readonly ShownMessage[] {
  const known = messages.findIndex((message) => message.id === id);
  if (known !== -1) return messages.slice(0, known);
  return messages.slice(0, messages.findIndex((message) => message.id === parent_id) + 1);
}

function userMessageOf(
  { messages }: Conversation,
  { user_message, created_at }: Extract<TurnFrame, { type: "turn-start" }>,
): ShownMessage {
  const { id, parent_id, text } = user_message;
  return (
    messages.find((message) => message.id === id) ?? {
      id,
      parent_id,
      role: "user",
      content: text,
      status: "complete",
      created_at,
    }
  );
}
