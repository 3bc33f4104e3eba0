/**
 * A process that starts, answers and stops as the service does, so that the rig's own tests need no
 * build: `entry: "e2e/rig/stand-in-service.ts"`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";

import { WebSocketServer } from "ws";

const { DATA_DIR = "", HOST, PORT, STAND_IN } = process.env;

if (STAND_IN === "fails") {
  console.error("PORT: not a port");
  process.exit(1);
}

const startsFile = join(DATA_DIR, "starts");
const starts = countStart();

type Route = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

const routes: Readonly<Record<string, Route>> = {
  "/echo": (request, response) => request.pipe(response),
  "/token": answerToken,
  "/outside": async (_request, response) => {
    const error: unknown = await fetch("http://192.0.2.1/").catch((reason: Error) => reason.cause);
    response.end(String(error));
  },
};

const describeRequest: Route = ({ method, url, headers }, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method, url, headers, starts, environment: process.env }));
};

const server = http.createServer((request, response) => {
  const route = routes[request.url ?? ""] ?? describeRequest;
  route(request, response);
});

const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: ([first]) => first ?? false,
});

server.on("upgrade", (request, socket, head) => {
  if (request.headers.authorization !== "Bearer good") {
    const body = JSON.stringify({ code: "unauthorized" });
    const headers = `content-type: application/problem+json\r\ncontent-length: ${body.length}`;
    socket.end(`HTTP/1.1 401 Unauthorized\r\n${headers}\r\n\r\n${body}`);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.send(JSON.stringify({ session_id: "1", origin: request.headers.origin }));
    client.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text === "bye") client.close(4000, "bye");
      else for (const chunk of text.split(" ")) client.send(JSON.stringify({ chunk }));
    });
  });
});

server.listen(Number(PORT), HOST, () => {
  const { port } = server.address() as AddressInfo;
  console.log(STAND_IN === "is silent" ? "Listening" : `Listening on http://127.0.0.1:${port}`);
});

process.on("SIGTERM", () => {
  console.log("stopping");
  process.exit(0);
});

async function answerToken(request: http.IncomingMessage, response: http.ServerResponse) {
  const form = new URLSearchParams(await readText(request));
  const isRight = form.get("password") === "password";
  response.statusCode = isRight ? 200 : 401;
  response.end(
    JSON.stringify(isRight ? { access_token: form.get("username") } : { error: "invalid_grant" }),
  );
}

function countStart(): number {
  let before = 0;
  try {
    before = Number(readFileSync(startsFile, "utf8"));
  } catch {
    // The first start in this directory.
  }
  writeFileSync(startsFile, String(before + 1));
  return before + 1;
}
