/** One event of a stream; `id` is the last one the stream has set, `""` before the first. */
export type ServerSentEvent = Readonly<{ id: string; event: string; data: string }>;

/**
 * Reads a `text/event-stream` body as the WHATWG HTML standard (section 9.2.6) says: CR, LF and CRLF,
 * comments, several data lines, characters split over chunks, and a last block without its blank line
 * dropped. Leaving the loop early cancels the response. Throws when the answer is no event stream.
 */
export async function* readServerSentEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  const type = response.headers.get("content-type") ?? "";
  if (!response.body || !type.startsWith("text/event-stream")) {
    throw new Error(`No event stream: ${response.status} ${type} ${await response.text()}`);
  }
  let id = "";
  let fields = noFields();
  for await (const line of readLines(response.body)) {
    if (line === "") {
      if (fields.data.length > 0) yield { id, event: fields.event, data: fields.data.join("\n") };
      fields = noFields();
      continue;
    }
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === "data") fields.data.push(value);
    else if (name === "event") fields.event = value;
    else if (name === "id" && !value.includes("\0")) id = value;
  }
}

function noFields(): { event: string; data: string[] } {
  return { event: "message", data: [] };
}

/** Whole lines without their ends; what follows the last line end is dropped. */
async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        if (rest.endsWith("\r")) yield rest.slice(0, -1);
        return;
      }
      rest += decoder.decode(value, { stream: true });
      // A CR at the end may be the first half of a CRLF, so it waits for the next chunk.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    await reader.cancel();
  }
}
