/**
 * Returns the value under `name`, creating it at the first call in this process.
 *
 * Next bundles its pages into a module graph of their own, so a module can be loaded twice. What
 * both graphs must share hangs here, in every NODE_ENV; server.ts creates it before it listens, so
 * the value always comes from the unbundled graph. Never use `instanceof` on what this returns.
 */
export function remember<T>(name: string, create: () => T): T {
  const slots = globalThis as unknown as Record<symbol, T | undefined>;
  const key = Symbol.for(`llm-service.${name}`);
  return (slots[key] ??= create());
}
