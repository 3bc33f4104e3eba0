import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import next from "next";

import { projectRoot } from "./project-root.ts";

/**
 * Starts the service as it is and, on another port of the same process, its production build under
 * Next alone: there the API's paths reach Next's own copies of the route modules, without our door.
 */
await import("../../server.ts");
const pages = next({ dev: false, httpServer: createServer(), dir: projectRoot });
await pages.prepare();
const handle = pages.getRequestHandler();
const server = createServer((request, response) => void handle(request, response));
server.listen(0, "127.0.0.1", () => {
  console.log(`Next alone on 127.0.0.1:${(server.address() as AddressInfo).port}.`);
});
