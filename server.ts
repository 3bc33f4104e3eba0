import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import next from "next";
import { apiRoutes } from "#app/api-routes.ts";
import { createHttpDoor } from "#lib/api/http-door.ts";
import { createServices } from "#lib/create-services.ts";
import { isDevelopment, loadEnv, prepareEnvironmentForNext } from "#lib/env.ts";
import { StartupError } from "#lib/errors.ts";
import { remember } from "#lib/global.ts";
import { countTokens } from "#lib/llm/tokens.ts";
import { createWebSocketDoor } from "#lib/ws/upgrade.ts";
import { shutDownOnSignal } from "#lib/shut-down.ts";

try {
  await start();
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  console.error(error.message);
  process.exit(1);
}

async function start(): Promise<void> {
  const env = loadEnv();
  const development = isDevelopment();
  prepareEnvironmentForNext();
  const services = await createServices(env);
  remember("services", () => services);

  // Next hangs its upgrade listener on the server it is given; on this one nobody ever calls.
  const nextServer = createServer();
  const pages = next({ dev: development, httpServer: nextServer, dir: import.meta.dirname });
  await pages.prepare();

  const webSockets = createWebSocketDoor(services);
  const renderPage = pages.getRequestHandler();
  const server = createServer(createHttpDoor({ services, routes: apiRoutes, renderPage }));
  server.on("upgrade", (request, socket, head) => {
    const isNextOwn = development && request.url?.startsWith("/_next/");
    if (isNextOwn) nextServer.emit("upgrade", request, socket, head);
    else webSockets.upgrade(request, socket, head);
  });

  server.once("error", (error: NodeJS.ErrnoException) => {
    console.error(`HOST, PORT: cannot listen on ${env.HOST}:${env.PORT} (${error.code}).`);
    process.exit(1);
  });
  server.listen(env.PORT, env.HOST, () => {
    const { port } = server.address() as AddressInfo;
    const { provider, modelName } = services.catalog.defaultConfig;
    const model = `${provider}/${modelName}${provider === "mock" ? " (replies are simulated)" : ""}`;
    const host = env.HOST.includes(":") ? `[${env.HOST}]` : env.HOST;
    // The first turn need not wait for the tokenizer's vocabulary.
    void countTokens("");
    console.log(`LLM Service ${services.version} on http://${host}:${port}, answered by ${model}`);
  });
  shutDownOnSignal({ server, services, webSockets, pages });
}
