import { argumentsText } from "./wire-format.ts";
import type { Ending, Piece, StreamWriter, WireFormat } from "./wire-format.ts";

const responseId = "resp_scripted";
const created = 1_700_000_000;

/**
 * `POST /v1/responses`, as much of it as a client needs to read text, reasoning summaries and function
 * calls. Neighbouring pieces of one kind are one output item, as OpenAI sends them.
 */
export const responsesFormat: WireFormat = { startStream, wholeBody };

type Item = { kind: Piece["kind"]; id: string; text: string; call: object };

function startStream(model: string): StreamWriter {
  const items: Item[] = [];
  let sequence = 0;
  const event = (type: string, fields: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`;
  const close = () => {
    const item = items.at(-1);
    return item ? closeItem(item, items.length - 1, event) : "";
  };
  return {
    piece(piece) {
      const opening = items.length === 0 ? openResponse(model, event) : "";
      const current = items.at(-1);
      if (current && current.kind === piece.kind && piece.kind !== "toolCall") {
        return addToItem(current, piece, { index: items.length - 1, event });
      }
      const closing = close();
      const item = newItem(piece, items.length);
      items.push(item);
      const added = event(
        "response.output_item.added",
        position(items, { item: shape(item, false) }),
      );
      const part = openPart(item, items.length - 1, event);
      return `${opening}${closing}${added}${part}${addToItem(item, piece, { index: items.length - 1, event })}`;
    },
    ending(ending) {
      const opening = items.length === 0 ? openResponse(model, event) : "";
      const closing = close();
      const { type, response } = finished(model, items, ending);
      return `${opening}${closing}${event(type, { response })}`;
    },
  };
}

function wholeBody(model: string, pieces: readonly Piece[], ending: Ending): object {
  const items: Item[] = [];
  for (const piece of pieces) {
    const current = items.at(-1);
    if (!current || current.kind !== piece.kind || piece.kind === "toolCall") {
      items.push(newItem(piece, items.length));
    }
    const item = items.at(-1);
    if (item) item.text += pieceText(piece);
  }
  return finished(model, items, ending).response;
}

type EventWriter = (type: string, fields: object) => string;

const prefixes = { text: "msg", reasoning: "rs", toolCall: "fc" } as const;

function newItem(piece: Piece, index: number): Item {
  const call =
    piece.kind === "toolCall"
      ? { call_id: piece.toolCall.id ?? `call_${index}`, name: piece.toolCall.name }
      : {};
  return { kind: piece.kind, id: `${prefixes[piece.kind]}_${index}`, text: "", call };
}

function pieceText(piece: Piece): string {
  return piece.kind === "toolCall" ? argumentsText(piece.toolCall) : piece.text;
}

function position(items: readonly Item[], fields: object): object {
  return { output_index: items.length - 1, ...fields };
}

/** The item as an output of the response: full when it is done, empty when it is announced. */
function shape(item: Item, done: boolean): object {
  const status = done ? "completed" : "in_progress";
  const { id, text } = item;
  if (item.kind === "reasoning") {
    return { type: "reasoning", id, summary: done ? [{ type: "summary_text", text }] : [] };
  }
  if (item.kind === "toolCall") {
    return { type: "function_call", id, status, arguments: done ? text : "", ...item.call };
  }
  const content = done ? [{ type: "output_text", text, annotations: [] }] : [];
  return { type: "message", id, status, role: "assistant", content };
}

/** The event names of an item's part and of its text. */
const parts = {
  text: { part: "response.content_part", delta: "response.output_text", type: "output_text" },
  reasoning: {
    part: "response.reasoning_summary_part",
    delta: "response.reasoning_summary_text",
    type: "summary_text",
  },
  toolCall: { part: undefined, delta: "response.function_call_arguments", type: "" },
} as const;

function place(item: Item, index: number): object {
  const inner = { text: { content_index: 0 }, reasoning: { summary_index: 0 }, toolCall: {} };
  return { item_id: item.id, output_index: index, ...inner[item.kind] };
}

function openPart(item: Item, index: number, event: EventWriter): string {
  const { part, type } = parts[item.kind];
  if (!part) return "";
  const empty = { type, text: "", ...(item.kind === "text" && { annotations: [] }) };
  return event(`${part}.added`, { ...place(item, index), part: empty });
}

function addToItem(item: Item, piece: Piece, to: { index: number; event: EventWriter }): string {
  const delta = pieceText(piece);
  item.text += delta;
  return to.event(`${parts[item.kind].delta}.delta`, { ...place(item, to.index), delta });
}

function closeItem(item: Item, index: number, event: EventWriter): string {
  const { part, delta, type } = parts[item.kind];
  const at = place(item, index);
  const key = item.kind === "toolCall" ? "arguments" : "text";
  const textDone = event(`${delta}.done`, { ...at, [key]: item.text });
  const full = { type, text: item.text, ...(item.kind === "text" && { annotations: [] }) };
  const partDone = part ? event(`${part}.done`, { ...at, part: full }) : "";
  const done = { output_index: index, item: shape(item, true) };
  return `${textDone}${partDone}${event("response.output_item.done", done)}`;
}

function responseObject(model: string, fields: object): object {
  return { id: responseId, object: "response", created_at: created, model, error: null, ...fields };
}

function openResponse(model: string, event: EventWriter): string {
  const response = responseObject(model, { status: "in_progress", output: [], usage: null });
  return `${event("response.created", { response })}${event("response.in_progress", { response })}`;
}

function finished(model: string, items: readonly Item[], { finish, usage }: Ending) {
  const reasons: Record<string, string> = {
    length: "max_output_tokens",
    content_filter: "content_filter",
  };
  const reason = reasons[finish];
  const status = reason ? "incomplete" : "completed";
  const response = responseObject(model, {
    status,
    incomplete_details: reason ? { reason } : null,
    output: items.map((item) => shape(item, true)),
    usage: {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
  });
  return { type: `response.${status}`, response };
}
