import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { prepareEnvironmentForNext } from "./env.ts";

/**
 * Builds the pages when there is no build or something it is made from is newer. Run by `npm start`
 * and by the tests; exits with Next's own code when the build fails.
 */
const root = join(import.meta.dirname, "..");
const sources = [
  "{app,components,lib}/**/*.{ts,tsx,css,svg}",
  "{package.json,package-lock.json,next.config.mjs,tsconfig.json}",
];

const builtAtMs = modifiedAtMs(".next/BUILD_ID");
const isFresh = globSync(sources, { cwd: root })
  .filter((path) => !path.endsWith(".test.ts"))
  .every((path) => modifiedAtMs(path) <= builtAtMs);

if (!isFresh) {
  prepareEnvironmentForNext();
  const next = createRequire(import.meta.url).resolve("next/dist/bin/next");
  const { status } = spawnSync(process.execPath, [next, "build"], { cwd: root, stdio: "inherit" });
  process.exit(status ?? 1);
}

function modifiedAtMs(path: string): number {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
