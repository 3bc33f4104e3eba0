import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { Readable } from "node:stream";

import { buildService } from "./build-service.ts";
import { Changes } from "./changes.ts";
import { guardedNodeOptions } from "./guarded-node-options.ts";
import { countOpenFileDescriptors, readRssBytes } from "./process-usage.ts";
import { projectRoot } from "./project-root.ts";

export type ServiceOptions = Readonly<{
  /** Laid over the rig's own variables; `undefined` takes one away. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Kept when the service is disposed of; without it a temporary directory that is removed. */
  dataDir?: string;
  /** Runs `node lib/build.ts` first. `npm test` has done so already. */
  build?: boolean;
  /** What to run with Node, from the repository's root. */
  entry?: string;
  /** How long the service may take to say where it listens. */
  startTimeoutMs?: number;
}>;

export type ServiceExit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>;

export type RestartOptions = Readonly<{
  /** Listen on the port it had; otherwise on a free one. */
  samePort?: boolean;
  /** Laid over the variables it had. */
  env?: ServiceOptions["env"];
}>;

/**
 * Starts the production build as a child process with an environment of its own (nothing is inherited
 * but PATH and HOME), the loopback guard preloaded, on a free port of 127.0.0.1, and waits until it
 * listens. A start that fails throws an Error with the whole output and leaves nothing behind.
 */
export async function startService(options: ServiceOptions = {}): Promise<ServiceProcess> {
  const ownDataDir = options.dataDir === undefined;
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "llm-service-")));
  const service = new ServiceProcess(options, { dataDir, ownDataDir });
  try {
    if (options.build) await buildService();
    await service.start({});
    return service;
  } catch (error) {
    await service[Symbol.asyncDispose]();
    throw error;
  }
}

type Child = ChildProcessByStdio<null, Readable, Readable>;
type DataPlace = Readonly<{ dataDir: string; ownDataDir: boolean }>;

/** A running service; `await using` kills it and removes its temporary directory also on failure. */
export class ServiceProcess implements AsyncDisposable {
  readonly dataDir: string;
  /** Everything it wrote to stdout and stderr since the first start. */
  output = "";
  /** `http://127.0.0.1:<port>` */
  origin = "";
  /** How the process that was started last ended. */
  exit: Promise<ServiceExit> = Promise.reject(new Error("The service was never started"));
  readonly #options: ServiceOptions;
  readonly #ownDataDir: boolean;
  readonly #changes = new Changes();
  #env: Record<string, string | undefined>;
  #child: Child | undefined;
  #ended: ServiceExit | undefined;

  constructor(options: ServiceOptions, { dataDir, ownDataDir }: DataPlace) {
    this.exit.catch(() => undefined);
    this.#options = options;
    this.dataDir = dataDir;
    this.#ownDataDir = ownDataDir;
    this.#env = { ...baseEnvironment(dataDir), ...options.env };
  }

  /** `ws://127.0.0.1:<port>` */
  get wsOrigin(): string {
    return this.origin.replace("http", "ws");
  }

  get pid(): number {
    if (!this.#child?.pid) throw new Error("The service is not running");
    return this.#child.pid;
  }

  get port(): number {
    return Number(new URL(this.origin).port);
  }

  /** Sends a signal and does not wait for what it does. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** SIGKILL, as a crash or the out-of-memory killer would; resolves when the process is gone. */
  async kill9(): Promise<void> {
    if (!this.#child || this.#ended) return;
    this.#child.kill("SIGKILL");
    await this.exit;
  }

  /** Ends the process (SIGTERM, unless it is gone already) and starts it again on the same data. */
  async restart({ samePort = false, env }: RestartOptions = {}): Promise<void> {
    this.signal("SIGTERM");
    const what = "the service to end after SIGTERM";
    await this.#changes.until(() => this.#ended, { what, deadlineMs: 30_000 });
    this.#env = { ...this.#env, ...env };
    await this.start(samePort ? { PORT: String(this.port) } : {});
  }

  /** Resolves with the match when the output has one, also one from before the call. */
  waitForOutput(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray> {
    const find = () => pattern.exec(this.output) ?? undefined;
    return this.#changes.until(find, { what: `output like ${String(pattern)}`, deadlineMs });
  }

  rssBytes(): Promise<number> {
    return readRssBytes(this.pid);
  }

  openFileDescriptors(): Promise<number> {
    return countOpenFileDescriptors(this.pid);
  }

  /** Starts the process and waits until it listens; {@link startService} and restart call it. */
  async start(env: Readonly<Record<string, string>>): Promise<void> {
    const outputBefore = this.output.length;
    this.#ended = undefined;
    this.#spawn({ ...this.#env, ...env });
    const { startTimeoutMs = 60_000 } = this.#options;
    const listening = () => {
      const printed = /http:\/\/127\.0\.0\.1:\d+/.exec(this.output.slice(outputBefore));
      if (printed) return printed[0];
      if (this.#ended) throw this.#startError(`ended with ${JSON.stringify(this.#ended)}`);
      return undefined;
    };
    this.origin = await this.#changes
      .until(listening, { what: "the service to listen", deadlineMs: startTimeoutMs })
      .catch((error: Error) => {
        throw this.#ended ? error : this.#startError(error.message);
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9();
    if (this.#ownDataDir) await rm(this.dataDir, { recursive: true, force: true });
  }

  #startError(reason: string): Error {
    return new Error(`The service did not start: ${reason}\n--- its output ---\n${this.output}`);
  }

  #spawn(env: Record<string, string | undefined>): void {
    const { entry = "server.ts" } = this.#options;
    const child = spawn(process.execPath, [entry], {
      cwd: projectRoot,
      env: env as NodeJS.ProcessEnv,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#collect(child.stdout);
    this.#collect(child.stderr);
    this.exit = watchExit(child);
    void this.exit.then((exit) => {
      this.#ended = exit;
      this.#changes.notify();
    });
  }

  #collect(stream: Readable): void {
    stream.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
      this.#changes.notify();
    });
  }
}

/** Resolves when the process is gone and its output is complete; a test process that ends takes it along. */
async function watchExit(child: Child): Promise<ServiceExit> {
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill);
  return new Promise((resolve) => {
    const end = (exit: ServiceExit) => {
      process.off("exit", kill);
      resolve(exit);
    };
    // Something the service started may outlive it and hold the pipes open, so they are cut after a while.
    child.once("exit", () => {
      const cut = setTimeout(
        () => [child.stdout, child.stderr].map((pipe) => pipe.destroy()),
        1000,
      );
      child.once("close", () => clearTimeout(cut));
    });
    child.once("close", (code, signal) => end({ code, signal }));
    child.once("error", () => end({ code: null, signal: null }));
  });
}

function baseEnvironment(dataDir: string): Record<string, string | undefined> {
  return {
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: process.env.HOME,
    NODE_ENV: "production",
    NODE_OPTIONS: guardedNodeOptions(),
    HOST: "127.0.0.1",
    PORT: "0",
    DATA_DIR: dataDir,
    LLM_PROVIDER: "mock",
  };
}
