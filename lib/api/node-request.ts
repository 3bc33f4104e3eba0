import type { IncomingMessage } from "node:http";

/** The header fields of a Node request as the Web has them; one that is repeated is joined. */
export function toHeaders({ headers }: IncomingMessage): Headers {
  return new Headers(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** The path of a Node request, as it was sent, without the query. */
export function pathOf({ url = "/" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "/";
}
