import type { Message } from "#lib/api/schemas.ts";
import type { TurnFrame } from "#lib/ws/frames.ts";

/** Why an answer failed, in the server's words; only a live turn knows them. */
export type Failure = Readonly<{ code: string; text: string; retryable: boolean }>;

export type ShownMessage = Readonly<Message & { failure?: Failure }>;

/** The newest turn whose frames were folded here. */
export type LiveTurn = Readonly<{
  id: string;
  messageId: string;
  /**
   * What a replay has rebuilt so far. The text shown stays as it was until the replay has caught up,
   * so that it never shrinks; null once it has, or when nothing was shown before.
   */
  replay: Readonly<{ content: string; reasoning: string }> | null;
}>;

export type Folded = Readonly<{ answer: ShownMessage; turn: LiveTurn }>;

/** Folds a frame of the turn into its answer. Pure; the caller has checked that the frame is next. */
export function foldAnswer(
  { answer, turn }: Folded,
  frame: Exclude<TurnFrame, { type: "turn-start" }>,
): Folded {
  switch (frame.type) {
    case "text-delta":
      return appendText({ answer, turn }, { content: frame.text, reasoning: "" });
    case "reasoning-delta":
      return appendText({ answer, turn }, { content: "", reasoning: frame.text });
    case "tool-call": {
      const { id, name, input } = frame;
      return { turn, answer: withToolCalls(answer, (calls) => [...calls, { id, name, input }]) };
    }
    case "tool-result":
      return {
        turn,
        answer: withToolCalls(answer, (calls) =>
          calls.map((call) => (call.id === frame.id ? { ...call, output: frame.output } : call)),
        ),
      };
    case "turn-end": {
      const { finish_reason, usage, cost, timings } = frame;
      const status = statusByFinishReason[finish_reason] ?? "complete";
      const end = { status, finish_reason, usage, cost, timings } as const;
      return { turn: settled(turn), answer: { ...withReplayedText(answer, turn), ...end } };
    }
    case "turn-error": {
      const written = withReplayedText(answer, turn);
      const status = isEmpty(written) ? "error" : "incomplete";
      const end = { status, error_code: frame.code, failure: failureOf(frame) } as const;
      return { turn: settled(turn), answer: { ...written, ...end } };
    }
  }
}

const statusByFinishReason: Partial<Record<string, Message["status"]>> = {
  stopped: "stopped",
  interrupted: "incomplete",
  error: "error",
};

/** The answer that a turn begins to write; `shown` is what of it is shown already, when it is a replay. */
export function openAnswer(
  frame: Extract<TurnFrame, { type: "turn-start" }>,
  shown: ShownMessage | undefined,
): Folded {
  const hasText = shown !== undefined && (shown.content !== "" || shown.reasoning !== undefined);
  const turn = {
    id: frame.turn_id,
    messageId: frame.message_id,
    replay: hasText ? { content: "", reasoning: "" } : null,
  };
  return { turn, answer: answerOf(frame, shown) };
}

function answerOf(
  frame: Extract<TurnFrame, { type: "turn-start" }>,
  shown: ShownMessage | undefined,
): ShownMessage {
  return {
    id: frame.message_id,
    parent_id: frame.user_message.id,
    role: "assistant",
    content: shown?.content ?? "",
    ...(shown?.reasoning === undefined ? {} : { reasoning: shown.reasoning }),
    status: "streaming",
    created_at: frame.created_at,
    provider: frame.provider,
    model: frame.model,
  };
}

function appendText(
  { answer, turn }: Folded,
  delta: Readonly<{ content: string; reasoning: string }>,
): Folded {
  const before = turn.replay ?? { content: answer.content, reasoning: answer.reasoning ?? "" };
  const text = {
    content: before.content + delta.content,
    reasoning: before.reasoning + delta.reasoning,
  };
  const behind =
    turn.replay !== null &&
    (text.content.length < answer.content.length ||
      text.reasoning.length < (answer.reasoning?.length ?? 0));
  if (behind) return { answer, turn: { ...turn, replay: text } };
  return { answer: withText(answer, text), turn: { ...turn, replay: null } };
}

/** Nothing came before the failure; the server stores such an answer as `error`, any other as `incomplete`. */
function isEmpty({ content, reasoning, tool_calls: toolCalls }: ShownMessage): boolean {
  return content === "" && !reasoning && !toolCalls?.length;
}

/** A turn that has ended says all it had to say, so a replay's text is the truth even where it is shorter. */
function withReplayedText(answer: ShownMessage, { replay }: LiveTurn): ShownMessage {
  return replay === null ? answer : withText(answer, replay);
}

function withText(
  answer: ShownMessage,
  { content, reasoning }: Readonly<{ content: string; reasoning: string }>,
): ShownMessage {
  return { ...answer, content, ...(reasoning === "" ? {} : { reasoning }) };
}

function settled(turn: LiveTurn): LiveTurn {
  return turn.replay === null ? turn : { ...turn, replay: null };
}

function withToolCalls(
  answer: ShownMessage,
  change: (calls: NonNullable<Message["tool_calls"]>) => NonNullable<Message["tool_calls"]>,
): ShownMessage {
  return { ...answer, tool_calls: change(answer.tool_calls ?? []) };
}

/** What a frame says of a failure, whether it ended a turn or refused one. */
export function failureOf({
  code,
  message,
  retryable,
}: Readonly<{ code: string; message: string; retryable: boolean }>): Failure {
  return { code, text: message, retryable };
}
