import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// `npm test`. Imports nothing of the project before it knows that this Node can read it.
const neededMajor = 24;
const [major = 0] = process.versions.node.split(".").map(Number);
const words = process.argv.slice(2);

if (major >= neededMajor) {
  const { main } = await import("./test-run/main.ts");
  process.exitCode = await main(words).catch(fail);
} else {
  const ownNode = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));
  if (existsSync(ownNode)) {
    const self = fileURLToPath(import.meta.url);
    process.exitCode = spawnSync(ownNode, [self, ...words], { stdio: "inherit" }).status ?? 1;
  } else {
    fail(new Error(`Node ${neededMajor} is needed and not installed here: run \`npm ci\` first.`));
    process.exitCode = 1;
  }
}

function fail(error: unknown): number {
  console.error(error instanceof Error ? error.message : error);
  return 1;
}
