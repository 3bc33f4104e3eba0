import type { WebSocket } from "ws";
import { errorTable, type ErrorCode } from "../errors.ts";

/** Closes a socket as the table says for this error; the code's name is the reason that the peer sees. */
export function closeWith(webSocket: WebSocket, code: ErrorCode): void {
  webSocket.close(errorTable[code].closeCode, code);
}
