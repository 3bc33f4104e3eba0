import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { closingLine, parseNodeCounts, parsePlaywrightCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";
import { runCommand } from "./run-command.ts";
import { runStep } from "./run-step.ts";
import { selectSteps } from "./select-steps.ts";
import { steps } from "./steps.ts";
import type { Step } from "./steps.ts";

const run = promisify(execFile);
const counts = (passed: number, failed: number, skipped = 0): Counts => ({
  passed,
  failed,
  skipped,
});

async function temporaryDirectory(t: TestContext): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), "test-run-"));
  t.after(() => rm(place, { recursive: true }));
  return place;
}

const select = (...words: string[]) => {
  const selection = selectSteps(words, steps);
  return [selection.steps.map((step) => step.name), selection.rest];
};

/** A step that runs a script with Node; the script finds the counts file in its first argument. */
const scripted = (source: string, timeoutMs = 20_000): Step => ({
  name: "scripted",
  needs: [],
  timeoutMs,
  files: ["own"],
  command: (files, countsFile) => [process.execPath, "-e", source, countsFile, ...files],
  parseCounts: parseNodeCounts,
});
const writes = (written: Counts, code = 0) =>
  `fs.writeFileSync(process.argv[1], ${JSON.stringify(JSON.stringify(written))}); process.exitCode = ${code}`;

async function result(t: TestContext, step: Step, rest: readonly string[] = []) {
  t.mock.method(console, "log", () => undefined);
  const reportDir = await temporaryDirectory(t);
  const { counts: counted, problem } = await runStep(step, { rest, reportDir, env: {} });
  return [counted, problem];
}

describe("closingLine", () => {
  it("names skipped tests only where there are some", () => {
    assert.equal(closingLine(counts(3, 0)), "3 passed, 0 failed");
    assert.equal(closingLine(counts(3, 1, 2)), "3 passed, 1 failed, 2 skipped");
  });
});

describe("parsePlaywrightCounts", () => {
  it("counts a test that needed a retry as failed", () => {
    const stats = { expected: 5, unexpected: 1, flaky: 1, skipped: 2 };
    assert.deepEqual(parsePlaywrightCounts(JSON.stringify({ stats })), counts(5, 2, 2));
  });
});

describe("the count reporter", () => {
  const countReporter = fileURLToPath(new URL("./count-reporter.ts", import.meta.url));

  /** Runs node:test over files made of these sources and returns the counts. */
  async function countTests(t: TestContext, sources: readonly string[]): Promise<Counts> {
    const place = await temporaryDirectory(t);
    const files = sources.map(
      (source, index) => [join(place, `${index}.test.mjs`), source] as const,
    );
    for (const [file, source] of files) {
      await writeFile(file, `import { test, describe } from "node:test";\n${source}`);
    }
    const reporter = ["--test-reporter", countReporter, "--test-reporter-destination", "stdout"];
    const { NODE_TEST_CONTEXT: _own, ...env } = process.env;
    const paths = files.map(([file]) => file);
    const { stdout } = await run(process.execPath, ["--test", ...reporter, ...paths], {
      env,
    }).catch((error: { stdout: string }) => error);
    return parseNodeCounts(stdout);
  }

  const fails = `() => { throw new Error("x"); }`;
  const cases: Record<string, [sources: string[], expected: Counts]> = {
    "tests and subtests, not suites": [
      [`describe("d", () => { test("a"); test("b", ${fails}); });`],
      counts(1, 1),
    ],
    "several files": [[`test("a");`, `test("b");`], counts(2, 0)],
    "skipped and todo tests as skipped": [
      [`test.skip("a"); test.todo("b"); test("c");`],
      counts(1, 0, 2),
    ],
    "cancelled tests as failed": [
      [`test("a", { timeout: 5 }, () => new Promise((end) => setTimeout(end, 5000).unref()));`],
      counts(0, 1),
    ],
    "a file that does not load as failed": [
      [`import "./nowhere.mjs";`, `test("a");`],
      counts(1, 1),
    ],
    "a file that holds no test as failed": [["", `test("a");`], counts(1, 1)],
  };

  for (const [name, [sources, expected]] of Object.entries(cases)) {
    it(`counts ${name}`, async (t) => {
      assert.deepEqual(await countTests(t, sources), expected);
    });
  }
});

describe("selectSteps", () => {
  it("chooses every step, or those named in their own order", () => {
    assert.deepEqual(select(), [["types", "lint", "format", "unit", "service", "browser"], []]);
    assert.deepEqual(select("unit", "types"), [["types", "unit"], []]);
  });

  it("hands files and options to the one step that is named", () => {
    assert.deepEqual(select("service", "e2e/x.test.ts"), [["service"], ["e2e/x.test.ts"]]);
    assert.deepEqual(select("browser", "-g", "unit"), [["browser"], ["-g", "unit"]]);
  });

  it("refuses words that belong to no step", () => {
    assert.throws(() => select("e2e/x.test.ts"), /Name one step before e2e\/x\.test\.ts/);
    assert.throws(() => select("unit", "service", "-x"), /Name one step before -x/);
  });
});

describe("runStep", () => {
  const cases: Record<string, [Step, Counts, string | undefined]> = {
    "what passed and failed": [scripted(writes(counts(2, 1), 1)), counts(2, 1), undefined],
    "a failure where no test ran": [
      scripted(writes(counts(0, 0, 4))),
      counts(0, 1, 4),
      "ran no test",
    ],
    "a failure where it ended badly though no test failed": [
      scripted(writes(counts(2, 0), 3)),
      counts(2, 1),
      "ended with 3 though no test failed",
    ],
    "a failure where it reported nothing": [
      scripted(""),
      counts(0, 1),
      "ended with 0 and reported no count",
    ],
    "a failure where it took too long": [
      scripted("setInterval(() => {}, 1000)", 200),
      counts(0, 1),
      "was killed after 0.0033333333333333335 minutes",
    ],
    "a failure where it cannot be started": [
      { ...scripted(""), command: () => ["no-such-program"] },
      counts(0, 1),
      "ended with undefined and reported no count",
    ],
    "a check that holds as one that passed": [
      { ...scripted(""), parseCounts: undefined },
      counts(1, 0),
      undefined,
    ],
    "a check that does not hold as one that failed": [
      { ...scripted("process.exitCode = 2"), parseCounts: undefined },
      counts(0, 1),
      undefined,
    ],
  };

  for (const [name, [step, expected, problem]] of Object.entries(cases)) {
    it(`counts ${name}`, async (t) => {
      assert.deepEqual(await result(t, step), [expected, problem]);
    });
  }

  it("runs the files that were named, or its own with the options that were", async (t) => {
    const place = await temporaryDirectory(t);
    const out = join(place, "arguments.json");
    const source = `fs.writeFileSync(${JSON.stringify(out)}, JSON.stringify(process.argv.slice(2)))`;
    const step = { ...scripted(source), parseCounts: undefined };
    await result(t, step, ["a.ts", "b.ts"]);
    assert.deepEqual(JSON.parse(await readFile(out, "utf8")), ["a.ts", "b.ts"]);
    await result(t, step);
    assert.deepEqual(JSON.parse(await readFile(out, "utf8")), ["own"]);
  });
});

describe("runCommand", () => {
  it("takes along what the command left running", async (t) => {
    const server = net.createServer();
    t.after(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    // The child's connection lives as long as the child does; the command ends when the child has it.
    const child = `require("node:net").connect(${port}, "127.0.0.1", () => console.log("up"))`;
    const source = `
      const stdio = ["ignore", "pipe", "ignore"];
      require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio })
        .stdout.once("data", () => process.exit(0));
    `;
    const connected = once(server, "connection");
    const { code } = await runCommand([process.execPath, "-e", source], { timeoutMs: 20_000 });
    assert.equal(code, 0);
    const [socket] = (await connected) as [net.Socket];
    socket.on("error", () => undefined);
    if (!socket.destroyed) await once(socket.resume(), "close");
  });
});
