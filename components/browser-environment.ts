import type { subprotocol } from "#lib/ws/frames.ts";
import type { ChatEnvironment } from "./chat-store.ts";
import type { OpenConnection } from "./chat-socket.ts";
import { createApiClient } from "./api-client.ts";

// Held to the contract by its type; importing the value would bring zod into the chat page.
const subprotocolName: typeof subprotocol = "llm-service.v1";

const openWebSocket: OpenConnection = (path, { onText, onClose }) => {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, subprotocolName);
  socket.addEventListener("message", ({ data }) => onText(String(data)));
  socket.addEventListener("close", ({ code }) => onClose(code));
  return { send: (text) => socket.send(text), close: () => socket.close(1000) };
};

/** A conversation's world in a browser; touches no browser API before it is used. */
export function createBrowserEnvironment(): ChatEnvironment {
  return {
    api: createApiClient(),
    open: openWebSocket,
    schedule: (notify) => void requestAnimationFrame(notify),
  };
}
