import { AppError } from "../errors.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { Health, Readiness } from "./schemas.ts";

/** GET /health */
export function health({ services }: Call<typeof routes.health>): Promise<Health> {
  const { catalog, startedAtMs, version } = services;
  const { provider, modelName } = catalog.defaultConfig;
  return Promise.resolve({
    status: "healthy",
    version,
    uptime_seconds: (Date.now() - startedAtMs) / 1000,
    default_provider: provider,
    default_model: modelName,
    simulated: provider === "mock",
    local_model: catalog.local.status(),
  });
}

/** GET /ready */
export function ready({ services }: Call<typeof routes.ready>): Promise<Readiness> {
  if (services.lifecycle.draining) throw new AppError("shutting_down");
  if (!services.database.isAlive()) throw new AppError("storage_unavailable");
  return Promise.resolve({ status: "ready" });
}
