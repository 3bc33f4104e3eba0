import type { Server } from "node:http";
import type { RunningServices } from "./create-services.ts";
import { log, logError } from "./log.ts";
import type { WebSocketDoor } from "./ws/upgrade.ts";

export type Running = Readonly<{
  server: Server;
  services: RunningServices;
  webSockets: WebSocketDoor;
  pages: Readonly<{ close: () => Promise<void> }>;
}>;

/**
 * On SIGTERM or SIGINT: new work is refused at once, running turns may end within
 * SHUTDOWN_TIMEOUT_MS and are then cut and marked, sockets are closed with 1001, the database is
 * closed, and the process exits with 0. A second signal exits now.
 */
export function shutDownOnSignal(running: Running): void {
  let isShuttingDown = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isShuttingDown) process.exit(1);
    isShuttingDown = true;
    log("info", "shutting-down", { signal });
    shutDown(running).then(
      () => process.exit(0),
      (error: unknown) => {
        logError("shut-down-failed", error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

async function shutDown({ server, services, webSockets, pages }: Running): Promise<void> {
  services.lifecycle.draining = true;
  await services.chat.drain(services.env.SHUTDOWN_TIMEOUT_MS);
  webSockets.close();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  setTimeout(() => server.closeAllConnections(), 500).unref();
  await closed;
  await pages.close();
  await services.close();
}
