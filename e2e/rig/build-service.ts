import { spawn } from "node:child_process";
import { once } from "node:events";

import { projectRoot } from "./project-root.ts";

/** Runs the project's own build, which does nothing where the last one still holds. */
export async function buildService(): Promise<void> {
  const child = spawn(process.execPath, ["lib/build.ts"], {
    cwd: projectRoot,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`node lib/build.ts ended with ${String(code)}`);
}
