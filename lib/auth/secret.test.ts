import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { parseEnv } from "../env.ts";
import { StartupError } from "../errors.ts";
import { signingSecret } from "./secret.ts";

/** Settings of local mode whose data folder does not exist yet. */
function localEnv(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "secret-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const env = parseEnv({ DATA_DIR: join(folder, "data") });
  return { env, path: join(env.dataDir, "secret-key"), folder };
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("signingSecret", () => {
  test("is SECRET_KEY where there is one, and then makes no file", (t) => {
    const { env } = localEnv(t);
    const SECRET_KEY = "q7Vb0mJ4yYx1tKcE9uWl2sRzPn6HfGdA8iXoTkBv";
    assert.equal(signingSecret({ ...env, SECRET_KEY, localMode: false }), SECRET_KEY);
    assert.throws(() => readdirSync(env.dataDir), { code: "ENOENT" });
  });

  test("is made once, kept where nobody else can read it, and strong", (t) => {
    const { env, path } = localEnv(t);
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const secret = signingSecret(env);
    assert.equal(Buffer.from(secret, "base64url").length, 48);
    assert.equal(signingSecret(env), secret);
    assert.equal(readFileSync(path, "utf8"), secret);
    assert.deepEqual([modeOf(env.dataDir), modeOf(path)], ["700", "600"]);
    assert.deepEqual(readdirSync(env.dataDir), ["secret-key"], "leaves nothing else behind");
  });

  test("differs from one service to the next", (t) => {
    assert.notEqual(signingSecret(localEnv(t).env), signingSecret(localEnv(t).env));
  });

  test("may be a file of the operator's own, with a newline at its end", (t) => {
    const { env, path } = localEnv(t);
    const secret = "an-operator-wrote-this-line-of-41-bytes-x";
    mkdirSync(env.dataDir);
    writeFileSync(path, `${secret}\n`);
    assert.equal(signingSecret(env), secret);
  });

  test("takes other people's permissions from the file that is kept", (t) => {
    const { env, path } = localEnv(t);
    const secret = signingSecret(env);
    chmodSync(path, 0o644);
    assert.equal(signingSecret(env), secret);
    assert.equal(modeOf(path), "600");
  });

  const unusable: Readonly<Record<string, (path: string) => void>> = {
    empty: (path) => writeFileSync(path, ""),
    "too short": (path) => writeFileSync(path, "hunter2-hunter2-hunter2-hunter2"),
    "only blanks": (path) => writeFileSync(path, " ".repeat(64)),
    "a folder": (path) => mkdirSync(path),
  };
  for (const [kind, make] of Object.entries(unusable)) {
    test(`says which file it is and what to do when it is ${kind}`, (t) => {
      const { env, path } = localEnv(t);
      mkdirSync(env.dataDir);
      make(path);
      assert.throws(
        () => signingSecret(env),
        (error) => {
          assert.ok(error instanceof StartupError, String(error));
          assert.ok(error.message.includes(path));
          assert.match(error.message, /Delete it .* DATA_DIR/);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    });
  }

  test("says so when the data folder cannot be made", (t) => {
    const { folder } = localEnv(t);
    writeFileSync(join(folder, "file"), "");
    const env = parseEnv({ DATA_DIR: join(folder, "file") });
    assert.throws(() => signingSecret(env), StartupError);
  });

  test("is one for processes that start together", async (t) => {
    const { env } = localEnv(t);
    const moduleOf = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
    const script = `
      const { signingSecret } = await import(${moduleOf("./secret.ts")});
      const { parseEnv } = await import(${moduleOf("../env.ts")});
      const env = parseEnv({ DATA_DIR: ${JSON.stringify(env.dataDir)} });
      process.stdout.write(signingSecret(env));
    `;
    const run = promisify(execFile);
    const starts = [1, 2, 3].map(() =>
      run(process.execPath, ["--input-type=module", "-e", script]),
    );
    const secrets = new Set((await Promise.all(starts)).map(({ stdout }) => stdout));
    assert.deepEqual(secrets, new Set([signingSecret(env)]));
  });
});
