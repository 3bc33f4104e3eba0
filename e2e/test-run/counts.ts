/** How many tests of a run did what. A run with neither passed nor failed ran no test. */
export type Counts = Readonly<{ passed: number; failed: number; skipped: number }>;

export const noCounts: Counts = { passed: 0, failed: 0, skipped: 0 };

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/** The closing line of `npm test`. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  const line = `${passed} passed, ${failed} failed`;
  return skipped > 0 ? `${line}, ${skipped} skipped` : line;
}

/** Reads what count-reporter.ts wrote. */
export function parseNodeCounts(text: string): Counts {
  return JSON.parse(text) as Counts;
}

/** Reads the `stats` of Playwright's JSON reporter. A test that passed only on a retry has failed. */
export function parsePlaywrightCounts(text: string): Counts {
  const { stats } = JSON.parse(text) as {
    stats: { expected: number; unexpected: number; flaky: number; skipped: number };
  };
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky,
    skipped: stats.skipped,
  };
}
