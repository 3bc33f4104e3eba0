import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

import { chromium } from "playwright";

import { runCommand } from "./test-run/run-command.ts";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const macApplications = ["Google Chrome", "Chromium"].flatMap((name) =>
  ["/Applications", join(homedir(), "Applications")].map((folder) =>
    join(folder, `${name}.app`, "Contents", "MacOS", name),
  ),
);

const missing =
  "No Chromium or Chrome was found and none could be installed: install Google Chrome or Chromium, " +
  "or set CHROMIUM_PATH to the program, and run `npm test` again.";

/** What the search needs of the machine; tests put others in its place. */
export type Machine = Readonly<{
  environment: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  isRoot: boolean;
  /** Where Playwright keeps a Chromium of its own, whether it is there or not. */
  playwrightPath: () => string;
  isProgram: (path: string) => Promise<boolean>;
  /** Whether the program answers `--version`. */
  starts: (path: string) => Promise<boolean>;
  /** Runs a command within a time limit and shows what it prints; true when it exits 0. */
  install: (command: readonly string[], timeoutMs: number) => Promise<boolean>;
  say: (sentence: string) => void;
}>;

/** A way to get a browser: it is tried when the ones before it gave none. */
type Installer = Readonly<{
  sentence: string;
  applies: (machine: Machine) => boolean | Promise<boolean>;
  commands: readonly (readonly string[])[];
  timeoutMs: number;
}>;

const installers: readonly Installer[] = [
  {
    sentence: "Asking Playwright for a Chromium of its own",
    applies: () => true,
    commands: [["playwright", "install", "chromium"]],
    timeoutMs: 120_000,
  },
  {
    sentence: "Installing the distribution's Chromium",
    applies: ({ isRoot, isProgram }) => isRoot && isProgram("/usr/bin/apt-get"),
    commands: [
      ["apt-get", "update"],
      ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"],
    ],
    timeoutMs: 300_000,
  },
];

/**
 * The path of a Chromium or Chrome that starts: CHROMIUM_PATH, the system's, Playwright's, else one
 * that it installs. Throws one sentence that says what to do when there is none.
 */
export async function findOrInstallChromium(machine: Machine = thisMachine()): Promise<string> {
  const found = await findChromium(machine);
  if (found) return found;
  for (const { sentence, applies, commands, timeoutMs } of installers) {
    if (!(await applies(machine))) continue;
    machine.say(sentence);
    for (const command of commands) {
      if (!(await machine.install(command, timeoutMs))) break;
    }
    const installed = await findChromium(machine);
    if (installed) return installed;
  }
  throw new Error(missing);
}

/** Like {@link findOrInstallChromium}, but installs nothing and returns undefined where there is none. */
export async function findChromium(machine: Machine = thisMachine()): Promise<string | undefined> {
  const { environment } = machine;
  const named = environment.CHROMIUM_PATH;
  if (named) {
    if (await works(named, machine)) return named;
    throw new Error(`CHROMIUM_PATH is ${named}, which is not a Chromium or Chrome that starts.`);
  }
  for (const path of candidates(machine)) {
    if (await works(path, machine)) return path;
  }
  return undefined;
}

function candidates({ environment, platform, playwrightPath }: Machine): string[] {
  const folders = (environment.PATH ?? "").split(delimiter).filter(Boolean);
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  const windowsRoots = [environment.PROGRAMFILES, environment["PROGRAMFILES(X86)"]];
  const onWindows = [...windowsRoots, environment.LOCALAPPDATA]
    .filter((root) => root !== undefined)
    .map((root) => join(root, "Google", "Chrome", "Application", "chrome.exe"));
  const places = { darwin: macApplications, win32: onWindows } as Record<string, string[]>;
  return [...onPath, ...(places[platform] ?? []), playwrightPath()];
}

/** A file of that name may be a stub or lack its libraries, so it is asked for its version. */
async function works(path: string, machine: Machine): Promise<boolean> {
  if (!(await machine.isProgram(path))) return false;
  // Chrome for Windows answers --version with a window.
  return machine.platform === "win32" || machine.starts(path);
}

async function succeeds(...run: Parameters<typeof runCommand>): Promise<boolean> {
  return (await runCommand(...run)).code === 0;
}

function thisMachine(): Machine {
  return {
    environment: process.env,
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    playwrightPath: () => chromium.executablePath(),
    isProgram: (path) =>
      access(path, constants.X_OK).then(
        () => true,
        () => false,
      ),
    starts: (path) => succeeds([path, "--version"], { timeoutMs: 15_000, quiet: true }),
    install: (command, timeoutMs) =>
      succeeds(command, {
        timeoutMs,
        env: { DEBIAN_FRONTEND: "noninteractive", PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: "10000" },
      }),
    say: (sentence) => console.log(sentence),
  };
}
