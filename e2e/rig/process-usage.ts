import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const isLinux = process.platform === "linux";

/** Resident memory of a process in bytes; macOS and other systems are asked through `ps`. */
export async function readRssBytes(pid: number): Promise<number> {
  if (isLinux) {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }
  const { stdout } = await run("ps", ["-o", "rss=", "-p", String(pid)]);
  return Number(stdout.trim()) * 1024;
}

/** The number of descriptors (files, sockets, pipes) that a process has open. */
export async function countOpenFileDescriptors(pid: number): Promise<number> {
  if (isLinux) return (await readdir(`/proc/${pid}/fd`)).length;
  const { stdout } = await run("lsof", ["-n", "-P", "-p", String(pid)]);
  return stdout.trim().split("\n").length - 1;
}
