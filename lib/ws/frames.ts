import { z } from "zod";
import {
  Cost,
  FinishReason,
  MessageText,
  ProviderId,
  Timings,
  ToolCall,
  Ulid,
  Usage,
} from "../api/schemas.ts";
import { errorCodes } from "../errors.ts";

/** Name of the WebSocket subprotocol that these frames belong to. */
export const subprotocol = "llm-service.v1";

const ErrorCode = z.enum(errorCodes);
const Seq = z
  .int()
  .min(1)
  .describe("Counts the frames of a session without a hole, over all its turns.");
const numbered = { seq: Seq, turn_id: Ulid };

// --- From the client --------------------------------------------------------------------------------

export const ClientFrame = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("message"),
    text: MessageText,
    client_id: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe("Makes a resend harmless: the same id in one session is one message."),
  }),
  z.strictObject({ type: z.literal("stop") }),
  z.strictObject({
    type: z.literal("resume"),
    after: z.int().min(0).describe("The last seq this reader has; 0 for none."),
  }),
  z.strictObject({
    type: z.literal("regenerate"),
    message_id: Ulid.optional().describe("An assistant's message; left out: the last."),
  }),
  z.strictObject({ type: z.literal("edit"), message_id: Ulid, text: MessageText }),
  z.strictObject({ type: z.literal("ping") }),
]);
export type ClientFrame = z.infer<typeof ClientFrame>;

// --- From the server: the numbered frames of turns --------------------------------------------------

export const TurnStartFrame = z.object({
  type: z.literal("turn-start"),
  ...numbered,
  user_message: z.object({
    id: Ulid,
    parent_id: Ulid.nullable(),
    text: z.string(),
    client_id: z.string().optional(),
  }),
  message_id: Ulid.describe("The assistant's message that the turn writes."),
  provider: ProviderId,
  model: z.string(),
  created_at: z.iso.datetime(),
});

export const TextDeltaFrame = z.object({
  type: z.literal("text-delta"),
  ...numbered,
  text: z.string().min(1),
});

export const ReasoningDeltaFrame = z.object({
  type: z.literal("reasoning-delta"),
  ...numbered,
  text: z.string().min(1),
});

export const ToolCallFrame = z.object({
  type: z.literal("tool-call"),
  ...numbered,
  ...ToolCall.omit({ output: true }).shape,
});

export const ToolResultFrame = z.object({
  type: z.literal("tool-result"),
  ...numbered,
  id: z.string(),
  output: z.unknown(),
});

export const TurnEndFrame = z.object({
  type: z.literal("turn-end"),
  ...numbered,
  finish_reason: FinishReason,
  usage: Usage,
  cost: Cost,
  timings: Timings,
});

export const TurnErrorFrame = z.object({
  type: z.literal("turn-error"),
  ...numbered,
  code: ErrorCode,
  message: z.string(),
  retryable: z.boolean(),
});

export const TurnFrame = z.discriminatedUnion("type", [
  TurnStartFrame,
  TextDeltaFrame,
  ReasoningDeltaFrame,
  ToolCallFrame,
  ToolResultFrame,
  TurnEndFrame,
  TurnErrorFrame,
]);
export type TurnFrame = z.infer<typeof TurnFrame>;

// --- From the server: frames about the connection, without seq ---------------------------------------

export const HelloFrame = z.object({
  type: z.literal("hello"),
  session_id: Ulid,
  last_seq: z.int().min(0),
  turn_id: Ulid.nullable().describe("The running turn."),
});

export const GapFrame = z
  .object({
    type: z.literal("gap"),
    after: z.int().min(0),
    next_seq: Seq.describe("The next frame that this reader gets."),
  })
  .describe(
    "What lies between is not kept as frames any more: read GET /sessions/{id}/messages, then go on.",
  );

export const PongFrame = z.object({ type: z.literal("pong") });

/** The first frame on `/ws/new`, in either protocol. */
export const SessionFrame = z.object({ session_id: Ulid });

/** A refusal of one client frame: no turn began, so it has neither seq nor turn_id. */
export const RefusalFrame = TurnErrorFrame.omit({ seq: true, turn_id: true }).extend({
  client_id: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

export const ConnectionFrame = z.union([HelloFrame, GapFrame, PongFrame, RefusalFrame]);
export type ConnectionFrame = z.infer<typeof ConnectionFrame>;

export const ServerFrame = z.union([TurnFrame, ConnectionFrame]);
export type ServerFrame = z.infer<typeof ServerFrame>;

// --- The plain protocol (no subprotocol) --------------------------------------------------------------

export const PlainChunkFrame = z.object({ chunk: z.string().min(1) });
export const PlainDoneFrame = z.object({
  done: z.literal(true),
  finish_reason: FinishReason,
  message_id: Ulid,
  usage: Usage,
});
export const PlainErrorFrame = z.object({ error: z.string(), code: ErrorCode });

export const PlainFrame = z.union([SessionFrame, PlainChunkFrame, PlainDoneFrame, PlainErrorFrame]);
export type PlainFrame = z.infer<typeof PlainFrame>;
