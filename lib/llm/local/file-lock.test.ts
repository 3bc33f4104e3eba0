import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";

import { withFileLock } from "./file-lock.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

test("lets one task run at a time", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "lock");
  const events: string[] = [];
  const release = Promise.withResolvers<void>();
  const waits = Promise.withResolvers<void>();
  const first = withFileLock(path, {}, async () => {
    events.push("first starts");
    await release.promise;
    events.push("first ends");
  });
  const second = withFileLock(path, { onWait: waits.resolve }, async () => {
    events.push("second starts");
  });
  await waits.promise;
  release.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(events, ["first starts", "first ends", "second starts"]);
});

test("is free again after the task failed", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "lock");
  await assert.rejects(
    withFileLock(path, {}, () => Promise.reject(new Error("failed"))),
    /failed/,
  );
  assert.equal(await withFileLock(path, {}, async () => "ran"), "ran");
});

test("stops waiting when the signal aborts", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "lock");
  const controller = new AbortController();
  const release = Promise.withResolvers<void>();
  const first = withFileLock(path, {}, () => release.promise);
  const onWait = (): void => controller.abort(new Error("given up"));
  await assert.rejects(
    withFileLock(path, { signal: controller.signal, onWait }, async () => undefined),
    /given up/,
  );
  release.resolve();
  await first;
});

test("is free again after the process that held it was killed", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "lock");
  const script = `
    import { withFileLock } from ${JSON.stringify(import.meta.resolve("./file-lock.ts"))};
    await withFileLock(${JSON.stringify(path)}, {}, () => {
      console.log("held");
      return new Promise(() => setInterval(() => undefined, 1000));
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  await once(child.stdout, "data");
  const taken = withFileLock(path, { onWait: () => child.kill("SIGKILL") }, async () => "taken");
  assert.equal(await taken, "taken");
});
