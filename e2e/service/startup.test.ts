import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { openSocket } from "../rig/client.ts";
import { startService, type ServiceOptions } from "../rig/service-process.ts";
import { demonstrationToken, startChecked } from "./http-support.ts";

const secret = "f3vQz8Lr2mXw9KdPq7TnYb4HjUc6RsEaGi1OoVkM";

/** Starts a service that must not start; returns what it said. */
async function refusal(options: ServiceOptions): Promise<string> {
  const error: unknown = await startService(options).then(
    async (service) => {
      await service[Symbol.asyncDispose]();
      return new Error("It started");
    },
    (thrown: unknown) => thrown,
  );
  const { message } = error as Error;
  assert.match(message, /ended with \{"code":[1-9]/);
  const output = message.slice(message.indexOf("--- its output ---"));
  assert.doesNotMatch(output, /\n\s+at |node:internal|Error:/, "it shows a stack");
  return output;
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "llm-service-startup-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What every variable is held to stands in env.test.ts; these are one of each kind. */
describe("a start with a setting that is wrong", () => {
  const settings: [string, string, Readonly<Record<string, string | undefined>>?][] = [
    ["PORT", "eighty"],
    ["ACCESS_TOKEN_EXPIRE_MINUTES", "0"],
    ["ALLOW_SIGNUP", "perhaps"],
    ["ALLOWED_ORIGINS", "*"],
    ["PUBLIC_URL", "chat.example.com"],
    ["LLM_PROVIDER", "acme-models"],
    ["LLM_BASE_URL", "not-a-url"],
    ["LLM_ALLOWED_HOSTS", "http://127.0.0.1:1"],
    ["MAX_BODY_BYTES", "1e6"],
    ["SECRET_KEY", "only-31-bytes-long-0123456-abcd"],
    [
      "SECRET_KEY",
      "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
      { HOST: "0.0.0.0" },
    ],
    ["SECRET_KEY", "", { HOST: "0.0.0.0" }],
    ["SECRET_KEY", "too short", { HOST: "0.0.0.0" }],
  ];
  for (const [name, value, others] of settings) {
    const label = `${name}=${value.slice(0, 20)}${others ? ` ${JSON.stringify(others)}` : ""}`;
    it(`names it and not its value: ${label}`, async () => {
      const output = await refusal({ env: { [name]: value, ...others } });
      assert.match(output, new RegExp(`^\\s*${name}(\\.\\d+)?: \\w`, "m"));
      if (value.length > 3) assert.ok(!output.includes(value), output);
    });
  }

  it("ends within 5 seconds", async () => {
    const tookMs: number[] = [];
    // A busy machine may be late once, and a start that hangs is late each time.
    while (tookMs.length < 3 && (tookMs.at(-1) ?? 5000) >= 5000) {
      const since = performance.now();
      await refusal({ env: { SECRET_KEY: "", HOST: "0.0.0.0" } });
      tookMs.push(performance.now() - since);
    }
    assert.ok((tookMs.at(-1) ?? 5000) < 5000, `it took ${tookMs.join(", ")} ms`);
  });

  it("names all of them at once", async () => {
    const output = await refusal({
      env: { PORT: "eighty", LLM_PROVIDER: "acme", MAX_BODY_BYTES: "1" },
    });
    for (const name of ["PORT", "LLM_PROVIDER", "MAX_BODY_BYTES"])
      assert.match(output, new RegExp(`  ${name}: `));
  });

  it("says which address is in use", async (t) => {
    const other = createServer().listen(0, "127.0.0.1");
    t.after(() => other.close());
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const output = await refusal({ env: { PORT: String(port) } });
    assert.match(
      output,
      new RegExp(`HOST, PORT: cannot listen on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\)`),
    );
  });

  it("says which address it does not have", async () => {
    const output = await refusal({ env: { HOST: "192.0.2.1", SECRET_KEY: secret } });
    assert.match(output, /HOST, PORT: cannot listen on 192\.0\.2\.1/);
  });
});

describe("a start on a data folder that is damaged", () => {
  const damages: [string, (folder: string) => Promise<unknown>, RegExp, boolean?][] = [
    [
      "a database that is none",
      (folder) => writeFile(join(folder, "llm-service.db"), "No database. ".repeat(1000)),
      /database .*llm-service\.db cannot be opened .*backup.*DATA_DIR/,
    ],
    [
      "a database that is a folder",
      (folder) => mkdir(join(folder, "llm-service.db")),
      /llm-service\.db.*DATA_DIR/s,
    ],
    [
      "a secret that was cut",
      (folder) => writeFile(join(folder, "secret-key"), "short"),
      /secret .*secret-key cannot be used .*too short.*Delete it.*DATA_DIR/,
      true,
    ],
    [
      "a secret that is a folder",
      (folder) => mkdir(join(folder, "secret-key")),
      /secret .*secret-key cannot be used .*DATA_DIR/,
      true,
    ],
  ];
  for (const [what, damage, expected, isLocalOnly] of damages) {
    for (const env of isLocalOnly ? [{}] : [{}, { SECRET_KEY: secret }]) {
      it(`names ${what}${"SECRET_KEY" in env ? ", with a secret of its own" : ""}`, async (t) => {
        const dataDir = await temporaryFolder(t);
        await damage(dataDir);
        assert.match(await refusal({ dataDir, env }), expected);
      });
    }
  }

  it("leaves a damaged database as it was", async (t) => {
    const dataDir = await temporaryFolder(t);
    const path = join(dataDir, "llm-service.db");
    await writeFile(path, "No database. ".repeat(1000));
    await refusal({ dataDir });
    assert.equal(await readFile(path, "utf8"), "No database. ".repeat(1000));
  });

  for (const env of [{}, { SECRET_KEY: secret }]) {
    it(`names a folder that is a file${"SECRET_KEY" in env ? ", with a secret of its own" : ""}`, async (t) => {
      const dataDir = join(await temporaryFolder(t), "file");
      await writeFile(dataDir, "");
      assert.match(await refusal({ dataDir, env }), /DATA_DIR/);
    });
  }
});

describe("a start", () => {
  it("makes its files for the owner alone, whatever the folder's mode", async (t) => {
    const dataDir = await temporaryFolder(t);
    await chmod(dataDir, 0o755);
    await using checked = await startChecked({ dataDir });
    assert.ok(await demonstrationToken(checked));
    for (const name of ["secret-key", "llm-service.db"]) {
      assert.equal((await stat(join(dataDir, name))).mode & 0o777, 0o600, name);
    }
  });

  it("keeps tokens and sessions over a restart, and takes no token of another secret", async () => {
    await using checked = await startChecked();
    const token = await demonstrationToken(checked);
    const id = await checked.newSession(token, {
      model_name: "m",
      provider: "openai",
      api_key: "sk-1",
    });
    await checked.service.restart({ samePort: true });
    assert.equal((await checked.call(`/sessions/${id}`, { token })).body.config.api_key_set, true);
    await checked.service.restart({ samePort: true, env: { SECRET_KEY: secret } });
    assert.equal((await checked.call(`/sessions/${id}`, { token })).status, 401);
    const fresh = await demonstrationToken(checked);
    const chat = await checked.call("/chat", {
      token: fresh,
      json: { session_id: id, message: "?" },
    });
    assert.deepEqual([chat.status, chat.body.code], [409, "provider_not_configured"]);
    assert.match(chat.body.detail, /cannot be read any more.*\/set-llm/);
    const fork = await checked.call(`/sessions/${id}/fork`, { token: fresh, method: "POST" });
    assert.equal(fork.status, 409);
    await checked.assertUnharmed();
  });

  it("takes nothing new once it is told to end, and ends with 0", async () => {
    await using checked = await startChecked({ env: { SHUTDOWN_TIMEOUT_MS: "1000" } });
    const token = await demonstrationToken(checked);
    const id = await checked.newSession(token, { model_name: "stall?after=1", provider: "mock" });
    const other = await checked.newSession(token);
    const options = { token, protocol: "llm-service.v1" };
    using socket = await openSocket(checked.service.origin, `/ws/${id}`, options);
    const running = checked.call("/chat", { token, json: { session_id: id, message: "Hello" } });
    await socket.next((frame) => frame.type === "text-delta");
    checked.service.signal("SIGTERM");
    await checked.service.waitForOutput(/shutting-down/);
    const refused = [
      await checked.call("/ready"),
      await checked.call("/chat", { token, json: { session_id: other, message: "Hello" } }),
      await checked.call("/chat", { token, json: { message: "Hello" } }),
    ];
    for (const { status, body } of refused) {
      assert.deepEqual([status, body.code], [503, "shutting_down"]);
    }
    assert.equal((await checked.call("/sessions", { token })).body.data.length, 2);
    assert.equal((await running).body.code, "shutting_down");
    assert.deepEqual(await checked.service.exit, { code: 0, signal: null });
  });
});
