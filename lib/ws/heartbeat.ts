import type { WebSocket, WebSocketServer } from "ws";

/**
 * Pings every socket and terminates those that did not answer the ping before, so that a dead peer
 * is noticed within two intervals and a proxy never sees an idle connection. Returns its end.
 */
export function startHeartbeat(server: WebSocketServer, intervalMs: number): () => void {
  const silent = new WeakSet<WebSocket>();
  const onConnection = (webSocket: WebSocket) => {
    webSocket.on("pong", () => silent.delete(webSocket));
  };
  server.on("connection", onConnection);
  const timer = setInterval(() => {
    for (const webSocket of server.clients) {
      if (silent.has(webSocket)) webSocket.terminate();
      else {
        silent.add(webSocket);
        webSocket.ping();
      }
    }
  }, intervalMs);
  return () => {
    clearInterval(timer);
    server.off("connection", onConnection);
  };
}
