import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import {
  EnvError,
  envSchema,
  isDevelopment,
  isLoopbackHost,
  parseEnv,
  prepareEnvironmentForNext,
} from "./env.ts";
import { StartupError } from "./errors.ts";

const goodSecret = "q7Vb0mJ4yYx1tKcE9uWl2sRzPn6HfGdA8iXoTkBv";

/** The lines of the refusal, which must name the variable and must not repeat the value. */
function problemsOf(source: Readonly<Record<string, string>>): string[] {
  try {
    parseEnv(source);
  } catch (error) {
    assert.ok(error instanceof EnvError && error instanceof StartupError);
    const [title, ...lines] = error.message.split("\n");
    assert.equal(title, "The configuration is not valid.");
    return lines.map((line) => line.trim());
  }
  return assert.fail(`accepted ${JSON.stringify(source)}`);
}

describe("parseEnv", () => {
  test("has a default for everything, so that nothing has to be set", () => {
    const { modelDir, dataDir, ...env } = parseEnv({});
    assert.deepEqual(env, {
      HOST: "127.0.0.1",
      PORT: 8000,
      ACCESS_TOKEN_EXPIRE_MINUTES: 30,
      ALLOW_SIGNUP: true,
      ALLOWED_ORIGINS: [],
      TRUST_PROXY: false,
      DATA_DIR: "data",
      LLM_ALLOWED_HOSTS: [],
      MAX_HISTORY_TOKENS: 16_000,
      MAX_BODY_BYTES: 1_048_576,
      MAX_MESSAGE_BYTES: 65_536,
      MAX_ANSWER_BYTES: 4_194_304,
      MAX_BUFFERED_BYTES: 1_048_576,
      HEARTBEAT_INTERVAL_MS: 25_000,
      FIRST_TOKEN_TIMEOUT_MS: 120_000,
      CHUNK_TIMEOUT_MS: 60_000,
      TURN_TIMEOUT_MS: 600_000,
      RESUME_GRACE_MS: 30_000,
      SHUTDOWN_TIMEOUT_MS: 10_000,
      localMode: true,
    });
    assert.equal(dataDir, resolve("data"));
    assert.equal(modelDir, join(homedir(), ".cache", "llm-service", "models"));
  });

  test("takes an empty value for none", () => {
    const empty = Object.fromEntries(Object.keys(envSchema.shape).map((name) => [name, ""]));
    assert.deepEqual(parseEnv(empty), parseEnv({}));
    assert.deepEqual(parseEnv({ PORT: undefined }), parseEnv({}));
  });

  test("ignores variables that are none of ours", () => {
    assert.deepEqual(parseEnv({ PATH: "/bin", NODE_ENV: "production" }), parseEnv({}));
  });

  test("describes every variable", () => {
    for (const [name, schema] of Object.entries(envSchema.shape)) {
      assert.match(schema.description ?? "", /^[A-Z].*\.$/, name);
    }
  });

  test("resolves the folders", () => {
    const env = parseEnv({ DATA_DIR: "some/data", MODEL_DIR: "some/models" });
    assert.equal(env.dataDir, resolve("some/data"));
    assert.equal(env.modelDir, resolve("some/models"));
    const cached = parseEnv({ XDG_CACHE_HOME: "/var/cache" });
    assert.equal(cached.modelDir, "/var/cache/llm-service/models");
  });
});

describe("whole numbers", () => {
  const bounds: readonly (readonly [name: string, smallest: number, largest: number])[] = [
    ["PORT", 0, 65_535],
    ["ACCESS_TOKEN_EXPIRE_MINUTES", 1, 43_200],
    ["MAX_HISTORY_TOKENS", 256, 10_000_000],
    ["MAX_BODY_BYTES", 1024, 1_073_741_824],
    ["MAX_MESSAGE_BYTES", 256, 67_108_864],
    ["MAX_BUFFERED_BYTES", 16_384, 1_073_741_824],
    ["HEARTBEAT_INTERVAL_MS", 100, 600_000],
    ["FIRST_TOKEN_TIMEOUT_MS", 100, 3_600_000],
    ["CHUNK_TIMEOUT_MS", 100, 3_600_000],
    ["TURN_TIMEOUT_MS", 1000, 86_400_000],
    ["RESUME_GRACE_MS", 0, 3_600_000],
    ["SHUTDOWN_TIMEOUT_MS", 100, 600_000],
  ];
  for (const [name, smallest, largest] of bounds) {
    test(`takes ${name} from ${smallest} to ${largest} and nothing beyond`, () => {
      for (const value of [smallest, largest]) {
        assert.equal(parseEnv({ [name]: String(value) })[name as "PORT"], value);
      }
      for (const value of [smallest - 1, largest + 1]) {
        const [problem, ...others] = problemsOf({ [name]: String(value) });
        assert.ok(problem?.startsWith(`${name}: `), problem);
        assert.deepEqual(others, []);
      }
    });
  }

  for (const value of ["eighty", "80.5", "0x50", "8e3", "-1", "+80", " ", " 80", "1_000", "٨٠"]) {
    test(`refuses ${JSON.stringify(value)}`, () => {
      assert.deepEqual(problemsOf({ PORT: value }), ["PORT: must be a whole number"]);
    });
  }
});

describe("flags", () => {
  const cases = { true: true, "1": true, false: false, "0": false };
  for (const [value, expected] of Object.entries(cases)) {
    test(`reads ${value} as ${expected}`, () => {
      const env = parseEnv({ ALLOW_SIGNUP: value, TRUST_PROXY: value });
      assert.deepEqual([env.ALLOW_SIGNUP, env.TRUST_PROXY], [expected, expected]);
    });
  }

  for (const value of ["yes", "TRUE", "on", "01", "10"]) {
    test(`refuses ${value}`, () => {
      assert.match(problemsOf({ TRUST_PROXY: value }).join(), /^TRUST_PROXY: /);
    });
  }
});

describe("lists", () => {
  test("are separated by commas, without blanks and empty entries", () => {
    const env = parseEnv({
      ALLOWED_ORIGINS: " https://a.example ,, http://localhost:3000,",
      LLM_ALLOWED_HOSTS: "127.0.0.1:11434, [::1]:8080,ollama,gpu.lan:443",
    });
    assert.deepEqual(env.ALLOWED_ORIGINS, ["https://a.example", "http://localhost:3000"]);
    const hosts = ["127.0.0.1:11434", "[::1]:8080", "ollama", "gpu.lan:443"];
    assert.deepEqual(env.LLM_ALLOWED_HOSTS, hosts);
    assert.deepEqual(parseEnv({ ALLOWED_ORIGINS: " , " }).ALLOWED_ORIGINS, []);
  });

  /** None of these would ever match what a browser sends. */
  const badOrigins = [
    "https://a.example/",
    "https://a.example/chat",
    "https://A.example",
    "https://a.example:443",
    "https://user@a.example",
    "a.example",
    "*",
    "null",
    "ftp://a.example",
  ];
  for (const origin of badOrigins) {
    test(`refuses ${origin} as an origin`, () => {
      const problems = problemsOf({ ALLOWED_ORIGINS: `https://b.example,${origin}` });
      assert.match(problems.join(), /^ALLOWED_ORIGINS\.1: must be an origin such as /);
    });
  }

  const badHosts = [
    "http://127.0.0.1:11434",
    "127.0.0.1:11434/v1",
    "::1",
    "[::1",
    "127.0.0.1:",
    "127.0.0.1:port",
    "127.0.0.1:65536",
    "user@127.0.0.1",
    "*",
    "*:8080",
    "a b",
  ];
  for (const host of badHosts) {
    test(`refuses ${host} as a host`, () => {
      const problems = problemsOf({ LLM_ALLOWED_HOSTS: `ollama:11434,${host}` });
      assert.match(problems.join(), /^LLM_ALLOWED_HOSTS\.1: must be host:port/);
    });
  }
});

describe("URLs and providers", () => {
  test("takes http and https URLs only", () => {
    for (const name of ["PUBLIC_URL", "LLM_BASE_URL"] as const) {
      assert.equal(parseEnv({ [name]: "https://a.example/v1" })[name], "https://a.example/v1");
      for (const value of ["a.example", "ftp://a.example", "javascript:alert(1)", "https://"]) {
        assert.match(problemsOf({ [name]: value }).join(), new RegExp(`^${name}: `));
      }
    }
  });

  test("takes the providers that exist", () => {
    assert.equal(parseEnv({ LLM_PROVIDER: "mock" }).LLM_PROVIDER, "mock");
    assert.match(problemsOf({ LLM_PROVIDER: "nobody" }).join(), /^LLM_PROVIDER: .*"mock"/);
  });
});

describe("SECRET_KEY", () => {
  const elsewhere = ["0.0.0.0", "::", "192.168.1.5", "chat.example.com", "127.0.0.1.example.com"];

  test("may be missing on loopback, which is local mode", () => {
    for (const HOST of ["127.0.0.1", "localhost", "::1", "[::1]"]) {
      assert.equal(parseEnv({ HOST }).localMode, true);
      assert.equal(parseEnv({ HOST, SECRET_KEY: goodSecret }).localMode, false);
    }
  });

  test("is required everywhere else", () => {
    for (const HOST of elsewhere) {
      assert.match(problemsOf({ HOST }).join(), /^SECRET_KEY: required .* openssl rand/);
      assert.equal(parseEnv({ HOST, SECRET_KEY: goodSecret }).localMode, false);
    }
  });

  test("needs 32 bytes, on loopback too", () => {
    for (const HOST of ["127.0.0.1", "0.0.0.0"]) {
      const short = goodSecret.slice(0, 31);
      assert.deepEqual(problemsOf({ HOST, SECRET_KEY: short }), [
        "SECRET_KEY: has 31 bytes, needs 32 or more.",
      ]);
      assert.ok(parseEnv({ HOST, SECRET_KEY: goodSecret.slice(0, 32) }));
    }
    assert.ok(parseEnv({ SECRET_KEY: "éàüößçñåøæœþ€λ🂡🂢" }), "bytes count, not characters");
  });

  const knownSecrets = [
    "change-me-change-me-change-me-change-me",
    "please-change-this-key-before-production-9c1",
    "changethis0123changethis4567changethis89",
    "replace-with-a-long-random-string-of-yours",
    "your-super-long-and-random-key-goes-here-1",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "SECRET-KEY-FOR-PRODUCTION-DEPLOYMENTS-42",
    "my_default_signing_key_for_the_service_7",
    "django-insecure-8kq#v1m@x3w!z7r5t9y2u4i6o0p",
    "example-key-that-somebody-copied-from-docs",
    "password1234password5678password9012",
    "test-key-test-key-test-key-test-key-1234",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz0192837465",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "a".repeat(64),
    "abcabcabcabcabcabcabcabcabcabcabcabc",
  ];
  for (const SECRET_KEY of knownSecrets) {
    test(`must not be ${SECRET_KEY}`, () => {
      const problems = problemsOf({ HOST: "0.0.0.0", SECRET_KEY });
      assert.match(problems.join(), /^SECRET_KEY: is a well-known or trivial value/);
      assert.ok(!problems.join().includes(SECRET_KEY));
      assert.ok(parseEnv({ HOST: "127.0.0.1", SECRET_KEY }));
    });
  }

  test("may be what the usual generators make", () => {
    for (const SECRET_KEY of [
      "4f1c9be20d7a83566e92b1c7f05d3a48c2e6b7904d1f8a53",
      "Zk3+v9Qd/1rYxW7mJtL0uBnHsFgC5aEiPo2TqRwXyVcKdMhN8jUe6bSzA4lOpI==",
      "8f14e45f-ceea-4e7a-9c2b-6d3a1b5c0e97",
    ]) {
      assert.equal(parseEnv({ HOST: "0.0.0.0", SECRET_KEY }).SECRET_KEY, SECRET_KEY);
    }
  });
});

describe("EnvError", () => {
  test("names all variables that are wrong at once, and none of their values", () => {
    const value = "hunter2-hunter2";
    const names = ["PORT", "TRUST_PROXY", "PUBLIC_URL", "LLM_PROVIDER", "LLM_BASE_URL"];
    const lists = ["ALLOWED_ORIGINS", "LLM_ALLOWED_HOSTS"];
    const source = Object.fromEntries(names.map((name) => [name, value]));
    const problems = problemsOf({
      ...source,
      ...Object.fromEntries(lists.map((name) => [name, `${value}/`])),
    });
    const named = new Set(problems.map((problem) => problem.split(/[.:]/, 1)[0]));
    assert.deepEqual(named, new Set([...names, ...lists]));
    assert.equal(problems.length, named.size);
    assert.ok(!problems.join("\n").includes("hunter2"));
  });
});

describe("isLoopbackHost", () => {
  test("knows this machine's own names", () => {
    for (const host of ["127.0.0.1", "localhost", "::1", "[::1]", "LocalHost"]) {
      assert.equal(isLoopbackHost(host), true, host);
    }
    for (const host of [
      "",
      "0.0.0.0",
      "::",
      "localhost.example",
      "127.0.0.1.example",
      "10.0.0.1",
    ]) {
      assert.equal(isLoopbackHost(host), false, host);
    }
  });
});

describe("loadEnv", () => {
  const modulePath = JSON.stringify(new URL("./env.ts", import.meta.url).href);
  const script = `
    const { loadEnv } = await import(${modulePath});
    try { console.log(JSON.stringify(loadEnv())); }
    catch (error) { console.log(JSON.stringify({ name: error.name, message: error.message })); }
  `;

  /** Calls loadEnv in a process of its own, since it reads the working folder and the environment. */
  async function load(t: TestContext, variables: Record<string, string>, dotEnv?: string) {
    const folder = await mkdtemp(join(tmpdir(), "env-"));
    t.after(() => rm(folder, { recursive: true }));
    if (dotEnv === "a folder") await mkdir(join(folder, ".env"));
    else if (dotEnv !== undefined) await writeFile(join(folder, ".env"), dotEnv);
    const parameters = ["--input-type=module", "-e", script];
    const env = { ...variables, NODE_ENV: "production" } as const;
    const options = { cwd: folder, env };
    const { stdout } = await promisify(execFile)(process.execPath, parameters, options);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  test("works without a .env", async (t) => {
    assert.equal((await load(t, { PORT: "1234" })).PORT, 1234);
  });

  test("takes .env where the environment says nothing", async (t) => {
    const env = await load(t, { PORT: "1234" }, "PORT=4321\nALLOW_SIGNUP=false\nHOST=\n");
    assert.deepEqual([env.PORT, env.ALLOW_SIGNUP, env.HOST], [1234, false, "127.0.0.1"]);
  });

  test("says when .env cannot be read", async (t) => {
    const failure = await load(t, {}, "a folder");
    assert.equal(failure.name, "EnvError");
    assert.match(String(failure.message), /\.env cannot be read/);
  });
});

describe("the process", () => {
  /** Sets a variable for one test. */
  function withVariable(t: TestContext, name: string, value: string): void {
    const before = process.env[name];
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
    process.env[name] = value;
  }

  test("is for development only when NODE_ENV says so", (t) => {
    withVariable(t, "NODE_ENV", "development");
    assert.equal(isDevelopment(), true);
    for (const value of ["production", "test", ""]) {
      withVariable(t, "NODE_ENV", value);
      assert.equal(isDevelopment(), false);
    }
  });

  test("keeps Next's telemetry in and lets next-auth trust the request's host", (t) => {
    withVariable(t, "AUTH_TRUST_HOST", "");
    withVariable(t, "NEXT_TELEMETRY_DISABLED", "");
    prepareEnvironmentForNext();
    assert.equal(process.env.AUTH_TRUST_HOST, "true");
    assert.equal(process.env.NEXT_TELEMETRY_DISABLED, "1");
  });
});
