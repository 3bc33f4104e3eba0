import { readFile } from "node:fs/promises";
import { login, openSocket, type TestSocket } from "#e2e/rig/client.ts";
import { startScriptedProvider, type ScriptedProvider } from "#e2e/rig/scripted-provider.ts";
import { startService, type ServiceProcess } from "#e2e/rig/service-process.ts";

/**
 * `npm run bench`: what the service adds to a model's own time, as a ratio to a floor in the same run.
 * Figures are for comparing runs on one machine, not machines.
 */
const turns = 40;
const streams = 20;
const tokensPerStream = 400;
const tokenDelayMs = 20;
const idleSockets = 500;
const ticksPerSecond = 100;

type Target = Readonly<{ name: string; service: ServiceProcess; open: () => Promise<TestSocket> }>;

await using provider = await startScriptedProvider();
const env = {
  LLM_PROVIDER: "openai-compatible",
  LLM_BASE_URL: provider.baseUrl,
  LLM_MODEL: "scripted",
};

const coldStarts: number[] = [];
for (let run = 0; run < 3; run++) {
  const since = performance.now();
  await using started = await startService({ env: { LLM_PROVIDER: "mock" } });
  await fetch(`${started.origin}/health`);
  coldStarts.push(performance.now() - since);
}
print("cold start to the first 200 of /health", `${median(coldStarts).toFixed(0)} ms`);

await using service = await startService({ env });
await using floor = await startService({ env, entry: "bench/floor-server.ts" });
print("memory at start", `${mebibytes(await service.rssBytes())} MiB`);

const token = await login(service.origin);
const targets: readonly Target[] = [
  { name: "floor", service: floor, open: () => openSocket(floor.origin, "/") },
  { name: "service", service, open: () => openSocket(service.origin, "/ws/new", { token }) },
];

const firstTokens: number[] = [];
for (const target of targets) firstTokens.push(median(await timeFirstTokens(target, provider)));
const [floorMs, serviceMs] = firstTokens as [number, number];
print("first token, floor", `${floorMs.toFixed(2)} ms (median of ${turns})`);
print(
  "first token, service",
  `${serviceMs.toFixed(2)} ms, so ${(serviceMs - floorMs).toFixed(2)} ms added`,
);

const costs: number[] = [];
for (const target of targets) costs.push(await cpuPerToken(target, provider));
const [floorCost, serviceCost] = costs as [number, number];
print("CPU per token, floor", `${floorCost.toFixed(0)} µs`);
print(
  "CPU per token, service",
  `${serviceCost.toFixed(0)} µs, ratio ${(serviceCost / floorCost).toFixed(2)}`,
);

const before = await service.rssBytes();
const sockets = await Promise.all(
  Array.from({ length: idleSockets }, () => openSocket(service.origin, "/ws/new", { token })),
);
await Promise.all(sockets.map((socket) => socket.next()));
const perSocket = ((await service.rssBytes()) - before) / idleSockets / 1024;
print(`memory per idle socket (${idleSockets})`, `${perSocket.toFixed(1)} KiB`);
await Promise.all(sockets.map((socket) => socket.close()));

/** From sending a message to its first chunk, one turn after another, with a provider that answers at once. */
async function timeFirstTokens(target: Target, upstream: ScriptedProvider): Promise<number[]> {
  upstream.scriptModel("scripted", [{ text: "Hello" }]);
  const socket = await target.open();
  const times: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const since = performance.now();
    socket.send("Say hello.");
    await socket.next((frame) => "chunk" in frame);
    times.push(performance.now() - since);
    await socket.next((frame) => "done" in frame);
  }
  await socket.close();
  return times.slice(5);
}

/** CPU time that the process spends on one token of many streams at a human pace. */
async function cpuPerToken(target: Target, upstream: ScriptedProvider): Promise<number> {
  const word = { text: " word" };
  upstream.scriptModel("scripted", [
    { repeat: tokensPerStream, steps: [word, { delayMs: tokenDelayMs }] },
  ]);
  const open = await Promise.all(Array.from({ length: streams }, target.open));
  const since = await cpuTicks(target.service.pid);
  await Promise.all(
    open.map(async (socket) => {
      socket.send("Say many words.");
      await socket.next((frame) => "done" in frame, 120_000);
    }),
  );
  const ticks = (await cpuTicks(target.service.pid)) - since;
  for (const socket of open) await socket.close();
  return ((ticks / ticksPerSecond) * 1e6) / (streams * tokensPerStream);
}

/** User and system time of a process (proc_pid_stat(5), fields 14 and 15). */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

function print(what: string, figure: string): void {
  console.log(`${what.padEnd(44)} ${figure}`);
}
