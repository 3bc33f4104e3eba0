import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the server does with one request. */
export type Behaviour = Readonly<{
  /** Bytes to send before nothing more is sent. */
  stallAfterBytes?: number;
  /** Never answers. */
  isSilent?: boolean;
  status?: number;
  ignoresRange?: boolean;
  content?: Buffer;
  headers?: Readonly<Record<string, string>>;
}>;

export type RecordedRequest = Readonly<{ method: string; path: string; range: string | undefined }>;

/** A loopback server, for tests, that serves one file and misbehaves as told, one entry a request. */
export type ScriptedFileServer = AsyncDisposable &
  Readonly<{
    url: string;
    requests: readonly RecordedRequest[];
    /** Destroys the connections that are open. */
    cut: () => void;
  }>;

/** After the last behaviour, the file is served as it should be. */
export async function startFileServer(
  content: Buffer,
  behaviours: readonly Behaviour[] = [],
): Promise<ScriptedFileServer> {
  const requests: RecordedRequest[] = [];
  const server = createServer((request, response) => {
    answer(request, response, { content, ...behaviours[requests.length] });
    requests.push({
      method: request.method ?? "",
      path: request.url ?? "",
      range: request.headers.range,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    cut: () => server.closeAllConnections(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  behaviour: Behaviour & Readonly<{ content: Buffer }>,
): void {
  const { content, headers } = behaviour;
  if (behaviour.isSilent === true) return;
  if (behaviour.status !== undefined) {
    response.writeHead(behaviour.status, headers).end();
    return;
  }
  const start = behaviour.ignoresRange === true ? 0 : rangeStart(request);
  if (start > 0 && start >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const rest = content.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": rest.length,
    ...(start > 0
      ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }
      : {}),
    ...headers,
  });
  if (request.method === "HEAD") {
    response.end();
  } else if (behaviour.stallAfterBytes !== undefined) {
    response.write(rest.subarray(0, behaviour.stallAfterBytes));
  } else {
    response.end(rest);
  }
}

function rangeStart(request: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
}
