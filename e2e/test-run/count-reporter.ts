import { resolve } from "node:path";
import type { EventData } from "node:test";

import { addCounts, noCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";

type ReportedEvent =
  | { type: "test:pass"; data: EventData.TestPass }
  | { type: "test:summary"; data: EventData.TestSummary };

/**
 * A reporter of node:test that writes the run's {@link Counts} as one line of JSON. A file that holds
 * no test counts as a failure; node:test itself reports it as a test that passed.
 */
export default async function* countReporter(
  source: AsyncIterable<ReportedEvent>,
): AsyncGenerator<string> {
  let counts = noCounts;
  for await (const event of source) {
    if (event.type === "test:pass" && isEmptyFile(event.data)) {
      process.stderr.write(`${event.data.name} holds no test\n`);
      counts = addCounts(counts, { passed: -1, failed: 1, skipped: 0 });
    }
    if (event.type === "test:summary" && event.data.file === undefined) {
      counts = addCounts(counts, toCounts(event.data.counts));
    }
  }
  yield `${JSON.stringify(counts)}\n`;
}

function toCounts({ passed, skipped, todo, tests }: EventData.TestSummary["counts"]): Counts {
  return { passed, failed: tests - passed - skipped - todo, skipped: skipped + todo };
}

/** For a file without tests node:test reports one test, which has the file's path as its name. */
function isEmptyFile({ name, nesting, file = name }: EventData.TestPass): boolean {
  return nesting === 0 && /\.test\.\w+$/.test(name) && resolve(name) === resolve(file);
}
