import type { ProviderUsage, ToolCallPiece } from "./script.ts";

/** One part of an answer. */
export type Piece =
  | Readonly<{ kind: "text" | "reasoning"; text: string }>
  | Readonly<{ kind: "toolCall"; toolCall: ToolCallPiece }>;

export type Ending = Readonly<{
  /** In chat completions' words: `stop`, `length`, `tool_calls`, `content_filter`. */
  finish: string;
  usage: ProviderUsage;
  /** Whether the client asked for the usage of a stream, or the script named it. */
  sendUsage: boolean;
}>;

/** The text of a stream, made while its pieces come. */
export interface StreamWriter {
  piece(piece: Piece): string;
  ending(ending: Ending): string;
}

/** One of OpenAI's two ways to write an answer. */
export type WireFormat = Readonly<{
  startStream: (model: string) => StreamWriter;
  wholeBody: (model: string, pieces: readonly Piece[], ending: Ending) => object;
}>;

/** A tool call's arguments as the JSON text that travels. */
export function argumentsText(toolCall: ToolCallPiece): string {
  return typeof toolCall.arguments === "string"
    ? toolCall.arguments
    : JSON.stringify(toolCall.arguments);
}

/** The joined text of all pieces of one kind. */
export function joinedText(pieces: readonly Piece[], kind: "text" | "reasoning"): string {
  return pieces.map((piece) => (piece.kind === kind ? piece.text : "")).join("");
}
