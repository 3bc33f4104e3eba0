import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readServerSentEvents } from "./server-sent-events.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";

/** A response whose body arrives in pieces of `size` bytes. */
function eventStream(text: string, size = 1): Response {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size)
        controller.enqueue(bytes.subarray(at, at + size));
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}

async function readAll(response: Response): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const one of readServerSentEvents(response)) events.push(one);
  return events;
}

const event = (data: string, id = "", name = "message"): ServerSentEvent => ({
  id,
  event: name,
  data,
});

const cases: Record<string, [text: string, events: ServerSentEvent[]]> = {
  "data and ids, the last id kept": [
    "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
    [event("a", "1"), event("b", "1"), event("c", "2")],
  ],
  "lines ended by CRLF": [
    "id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
    [event("a", "1"), event("b", "1")],
  ],
  "lines ended by CR": ["data: a\r\rdata: b\r\r", [event("a"), event("b")]],
  "several data lines": ["data: a\ndata:\ndata: b\n\n", [event("a\n\nb")]],
  "one blank after the colon only": ["data:  a\n\ndata:b\n\n", [event(" a"), event("b")]],
  "comments and unknown fields": [": ping\n\nretry: 5\nfoo: x\ndata: a\n\n", [event("a")]],
  "event names, once each": [
    "event: end\ndata: a\n\ndata: b\n\n",
    [event("a", "", "end"), event("b")],
  ],
  "characters of several bytes": ["data: naïve 🙂 日本\n\n", [event("naïve 🙂 日本")]],
  "a byte order mark": ["\uFEFFdata: a\n\n", [event("a")]],
  "a cut last block, which it drops": ["data: a\n\ndata: b\n", [event("a")]],
};

describe("readServerSentEvents", () => {
  for (const [name, [text, events]] of Object.entries(cases)) {
    for (const size of [1, 2, 3, 1000]) {
      it(`reads ${name} in pieces of ${size} bytes`, async () => {
        assert.deepEqual(await readAll(eventStream(text, size)), events);
      });
    }
  }

  it("cancels the response when the reader leaves early", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: a\n\n")),
      cancel: () => void (cancelled = true),
    });
    const response = new Response(body, { headers: { "content-type": "text/event-stream" } });
    for await (const first of readServerSentEvents(response)) {
      assert.equal(first.data, "a");
      break;
    }
    assert.equal(cancelled, true);
  });

  it("refuses an answer that is no event stream and shows it", async () => {
    const response = Response.json({ code: "not_found" }, { status: 404 });
    await assert.rejects(
      readServerSentEvents(response).next(),
      /404 application\/json .*not_found/,
    );
  });
});
