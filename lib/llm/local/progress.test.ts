import assert from "node:assert/strict";
import { test } from "node:test";

import { createProgressReporter } from "./progress.ts";

const totalBytes = 100_000_000;

function report(isTTY: boolean): string {
  let written = "";
  const write = (text: string): void => {
    written += text;
  };
  const { onProgress } = createProgressReporter({ write, isTTY });
  for (let receivedBytes = 0; receivedBytes <= totalBytes; receivedBytes += 1_000_000) {
    onProgress({ modelId: "Tiny", source: "a test", receivedBytes, totalBytes });
  }
  return written;
}

test("prints five lines where there is no terminal", () => {
  assert.deepEqual(report(false).split("\n"), [
    "Tiny: 0% (0.0 of 100.0 MB) from a test",
    "Tiny: 25% (25.0 of 100.0 MB) from a test",
    "Tiny: 50% (50.0 of 100.0 MB) from a test",
    "Tiny: 75% (75.0 of 100.0 MB) from a test",
    "Tiny: 100% (100.0 of 100.0 MB) from a test",
    "",
  ]);
});

test("draws one line anew on a terminal and ends it when the file is there", () => {
  const written = report(true);
  assert.equal(written.split("\n").length, 2);
  const lastDrawing = `\r\u001b[2KTiny ${"█".repeat(30)} 100% (100.0 of 100.0 MB)\n`;
  assert.ok(written.endsWith(lastDrawing), written);
});
