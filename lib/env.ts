import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { StartupError } from "./errors.ts";
import { providerIds } from "./provider-ids.ts";

const minimumSecretBytes = 32;
const loopbackHosts = new Set(["127.0.0.1", "localhost", "::1"]);
/** What documentation, templates and keyboards offer as a key; the long one is FastAPI's tutorial's. */
const knownSecrets =
  /(change|replace)[-_ ]?(me|it|this|with)|secret|passw|default|insecure|example|your[-_ ]|^test|0123456789|abcdefghij|^09d25e094faa6ca2556c/i;

const text = z.string().optional();
const flag = z.enum(["true", "false", "1", "0"]).transform((value) => /true|1/.test(value));
const origin = z
  .string()
  .refine(
    (entry) => /^https?:/.test(entry) && URL.parse(entry)?.origin === entry,
    "must be an origin such as https://chat.example.com: lower case, no path, no default port",
  );
const hostAndPort = z
  .string()
  .refine(
    (entry) =>
      /^(\[[\da-f:.]+\]|[^\s:/?#@*\\[\]]+)(:\d+)?$/i.test(entry) && URL.canParse(`http://${entry}`),
    "must be host:port such as 127.0.0.1:11434 or [::1]:8080",
  );

function list<Entry extends z.ZodType<string, string>>(entry: Entry) {
  return z
    .string()
    .transform((value) =>
      value
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== ""),
    )
    .pipe(z.array(entry))
    .default([]);
}

function wholeNumber(fallback: number, minimum: number, maximum: number) {
  const range = `must lie between ${minimum} and ${maximum}`;
  return z
    .string()
    .regex(/^\d+$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(minimum, range).max(maximum, range))
    .default(fallback);
}

/** One row per variable; the README's table is compared with it. Units are in the names. */
export const envSchema = z.object({
  HOST: z.string().default("127.0.0.1").describe("Address to listen on."),
  PORT: wholeNumber(8000, 0, 65_535).describe("Port to listen on; 0 takes a free one."),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("The URL people use, when it is not HOST and PORT: decides cookies and own origin."),
  SECRET_KEY: text.describe(
    "Signs tokens and seals stored keys, 32 bytes or more. Required unless bound to loopback.",
  ),
  ACCESS_TOKEN_EXPIRE_MINUTES: wholeNumber(30, 1, 43_200).describe("Lifetime of a token."),
  ALLOW_SIGNUP: flag.default(true).describe("Whether people may register themselves."),
  ALLOWED_ORIGINS: list(origin).describe(
    "Other origins whose pages may use the service with a cookie, comma-separated.",
  ),
  TRUST_PROXY: flag
    .default(false)
    .describe("Whether X-Forwarded-* headers come from a proxy of yours."),
  DATA_DIR: z.string().default("data").describe("Folder of the database and of the local secret."),
  LLM_PROVIDER: z
    .enum(providerIds)
    .optional()
    .describe("Default provider; left out: the one with a key, else local, else mock."),
  LLM_MODEL: text.describe("Default model of the default provider."),
  LLM_BASE_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("Base URL of the server's OpenAI-compatible provider."),
  LLM_ALLOWED_HOSTS: list(hostAndPort).describe(
    "Private host:port pairs that users may give as base_url, comma-separated.",
  ),
  OPENAI_API_KEY: text.describe("Key of the provider openai."),
  OPENAI_COMPATIBLE_API_KEY: text.describe("Key of LLM_BASE_URL, where it wants one."),
  LOCAL_MODEL: text.describe("Another embedded model: a path to a GGUF file or an hf: reference."),
  MODEL_DIR: z
    .string()
    .optional()
    .describe("Folder of downloaded models; left out: the user's cache folder."),
  MAX_HISTORY_TOKENS: wholeNumber(16_000, 256, 10_000_000).describe(
    "How much of a conversation the model is shown.",
  ),
  MAX_BODY_BYTES: wholeNumber(1_048_576, 1024, 1_073_741_824).describe("Largest HTTP body."),
  MAX_MESSAGE_BYTES: wholeNumber(65_536, 256, 67_108_864).describe("Largest message."),
  MAX_ANSWER_BYTES: wholeNumber(4_194_304, 1024, 1_073_741_824).describe(
    "Largest answer; the provider is cut off beyond it.",
  ),
  MAX_BUFFERED_BYTES: wholeNumber(1_048_576, 16_384, 1_073_741_824).describe(
    "Unsent bytes of one socket before it is closed as too slow.",
  ),
  HEARTBEAT_INTERVAL_MS: wholeNumber(25_000, 100, 600_000).describe("Time between pings."),
  FIRST_TOKEN_TIMEOUT_MS: wholeNumber(120_000, 100, 3_600_000).describe(
    "Longest wait for a provider's first token.",
  ),
  CHUNK_TIMEOUT_MS: wholeNumber(60_000, 100, 3_600_000).describe(
    "Longest silence of a provider between two tokens.",
  ),
  TURN_TIMEOUT_MS: wholeNumber(600_000, 1000, 86_400_000).describe("Longest turn."),
  RESUME_GRACE_MS: wholeNumber(30_000, 0, 3_600_000).describe(
    "How long a turn goes on after its last reader's socket is gone.",
  ),
  SHUTDOWN_TIMEOUT_MS: wholeNumber(10_000, 100, 600_000).describe(
    "How long running turns may take to end after SIGTERM.",
  ),
});

/** The parsed settings with what follows from them. */
export type Env = Readonly<z.infer<typeof envSchema>> &
  Readonly<{
    /** Bound to loopback without a SECRET_KEY: a kept secret, a demonstration account, no proxies. */
    localMode: boolean;
    dataDir: string;
    modelDir: string;
  }>;

/**
 * Parses the settings; empty values count as not set.
 *
 * @throws {EnvError} naming each variable that is wrong and how to mend it, never its value.
 */
export function parseEnv(source: Readonly<Record<string, string | undefined>>): Env {
  const given = Object.entries(source).filter(([, value]) => value !== undefined && value !== "");
  const parsed = envSchema.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw new EnvError(parsed.error.issues.map(describeIssue));
  const env = parsed.data;
  const problems = secretProblems(env);
  if (problems.length > 0) throw new EnvError(problems);
  return {
    ...env,
    localMode: env.SECRET_KEY === undefined,
    dataDir: resolve(env.DATA_DIR),
    modelDir: resolve(env.MODEL_DIR ?? join(cacheDir(source), "llm-service", "models")),
  };
}

/** Reads `.env` (which never overrides the environment) and the environment. Called once, at start. */
export function loadEnv(): Env {
  try {
    process.loadEnvFile(".env");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new EnvError([".env cannot be read: check its permissions."]);
    }
  }
  return parseEnv(process.env);
}

/** Whether the process was started for development. */
export function isDevelopment(): boolean {
  return process.env.NODE_ENV === "development";
}

/**
 * Sets what Next and next-auth read from the environment themselves: no telemetry leaves the machine,
 * and next-auth takes its host from the request, which our own doors have checked.
 */
export function prepareEnvironmentForNext(): void {
  Object.assign(process.env, { NEXT_TELEMETRY_DISABLED: "1", AUTH_TRUST_HOST: "true" });
  // Set by `node --watch`: Next's workers would report their imports to Next, which takes it for an answer.
  delete process.env.WATCH_REPORT_DEPENDENCIES;
}

/** A start-up refusal: its message has one line per variable and is meant to be read by a person. */
export class EnvError extends StartupError {
  override readonly name = "EnvError";

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid.\n${problems.map((line) => `  ${line}`).join("\n")}`);
  }
}

/** Whether an address to bind to is reachable from this machine only. */
export function isLoopbackHost(host: string): boolean {
  return loopbackHosts.has(host.toLowerCase().replace(/^\[|\]$/g, ""));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return `${issue.path.join(".")}: ${issue.message}`;
}

function secretProblems(env: z.infer<typeof envSchema>): string[] {
  const secret = env.SECRET_KEY;
  if (secret === undefined) {
    if (isLoopbackHost(env.HOST)) return [];
    return [
      `SECRET_KEY: required because HOST is not a loopback address. Make one with: openssl rand -base64 48`,
    ];
  }
  const bytes = Buffer.byteLength(secret);
  if (bytes < minimumSecretBytes) {
    return [`SECRET_KEY: has ${bytes} bytes, needs ${minimumSecretBytes} or more.`];
  }
  // On loopback a key guards against nobody beyond this machine, so a test's may look like one.
  if (isLoopbackHost(env.HOST)) return [];
  if (knownSecrets.test(secret) || new Set(secret).size < 8) {
    return ["SECRET_KEY: is a well-known or trivial value. Make one with: openssl rand -base64 48"];
  }
  return [];
}

function cacheDir(source: Readonly<Record<string, string | undefined>>): string {
  return source.XDG_CACHE_HOME || join(homedir(), ".cache");
}
