import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type RawData, type WebSocket } from "ws";

/**
 * The least that a streaming chat can cost: fetch the provider's stream, split its lines, parse, send.
 * No store, no history, no authentication, no resume. What the service costs is told as a ratio to it.
 */
const upstream = process.env.LLM_BASE_URL ?? "";
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on("connection", (webSocket) => {
  webSocket.on("message", (data: RawData) => void answer(webSocket, (data as Buffer).toString()));
});
server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

async function answer(webSocket: WebSocket, content: string): Promise<void> {
  const response = await fetch(`${upstream}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "scripted",
      stream: true,
      messages: [{ role: "user", content }],
    }),
  });
  let rest = "";
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices } = JSON.parse(line.slice(6)) as Chunk;
      const chunk = choices[0]?.delta.content;
      if (chunk) webSocket.send(JSON.stringify({ chunk }));
    }
  }
  webSocket.send(JSON.stringify({ done: true }));
}

type Chunk = { choices: { delta: { content?: string } }[] };
