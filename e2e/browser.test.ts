import assert from "node:assert/strict";
import { delimiter } from "node:path";
import { describe, it } from "node:test";

import { findChromium, findOrInstallChromium } from "./browser.ts";
import type { Machine } from "./browser.ts";

type Scene = {
  environment?: Record<string, string>;
  platform?: NodeJS.Platform;
  isRoot?: boolean;
  /** Programs that are there. */
  programs?: string[];
  /** Programs that are there and do not start. */
  broken?: string[];
  /** What each command, by its first two words, puts on the machine; a command not named fails. */
  installs?: Record<string, string[]>;
};

const ownPath = "/cache/chromium/chrome";

function stage(scene: Scene): Machine & { commands: string[] } {
  const programs = new Set([...(scene.programs ?? []), ...(scene.broken ?? [])]);
  const commands: string[] = [];
  return {
    environment: { PATH: ["/usr/local/bin", "/usr/bin"].join(delimiter), ...scene.environment },
    platform: scene.platform ?? "linux",
    isRoot: scene.isRoot ?? false,
    playwrightPath: () => ownPath,
    isProgram: (path) => Promise.resolve(programs.has(path)),
    starts: (path) => Promise.resolve(!scene.broken?.includes(path)),
    install: (command) => {
      const name = command.slice(0, 2).join(" ");
      commands.push(name);
      const installed = scene.installs?.[name];
      installed?.forEach((path) => programs.add(path));
      return Promise.resolve(installed !== undefined);
    },
    say: () => undefined,
    commands,
  };
}

const mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
const windows = "C:\\Program Files/Google/Chrome/Application/chrome.exe";

const found: Record<string, [Scene, string]> = {
  "the one that CHROMIUM_PATH names": [
    { environment: { CHROMIUM_PATH: "/opt/c" }, programs: ["/opt/c", "/usr/bin/chromium"] },
    "/opt/c",
  ],
  "a Chromium on PATH": [{ programs: ["/usr/bin/chromium", ownPath] }, "/usr/bin/chromium"],
  "a Chrome on PATH": [{ programs: ["/usr/bin/google-chrome"] }, "/usr/bin/google-chrome"],
  "the next one after a stub that does not start": [
    { broken: ["/usr/bin/chromium-browser"], programs: ["/usr/bin/google-chrome"] },
    "/usr/bin/google-chrome",
  ],
  "Chrome of macOS": [{ platform: "darwin", programs: [mac] }, mac],
  "Chrome of Windows, which cannot be asked for its version": [
    {
      platform: "win32",
      environment: { PROGRAMFILES: "C:\\Program Files" },
      broken: [windows],
    },
    windows,
  ],
  "Playwright's own": [{ programs: [ownPath] }, ownPath],
};

describe("findOrInstallChromium", () => {
  for (const [name, [scene, path]] of Object.entries(found)) {
    it(`finds ${name}`, async () => {
      const machine = stage(scene);
      assert.equal(await findOrInstallChromium(machine), path);
      assert.deepEqual(machine.commands, []);
    });
  }

  it("has Playwright install one", async () => {
    const machine = stage({ installs: { "playwright install": [ownPath] } });
    assert.equal(await findOrInstallChromium(machine), ownPath);
  });

  it("installs the distribution's as root where Playwright's cannot be had", async () => {
    const installs = { "apt-get update": [], "apt-get install": ["/usr/bin/chromium"] };
    const machine = stage({ isRoot: true, programs: ["/usr/bin/apt-get"], installs });
    assert.equal(await findOrInstallChromium(machine), "/usr/bin/chromium");
    assert.deepEqual(machine.commands, ["playwright install", "apt-get update", "apt-get install"]);
  });

  it("goes on to the distribution's where Playwright's is there and lacks a library", async () => {
    const installs = {
      "playwright install": [ownPath],
      "apt-get update": [],
      "apt-get install": ["/usr/bin/chromium"],
    };
    const programs = ["/usr/bin/apt-get"];
    const machine = stage({ isRoot: true, programs, broken: [ownPath], installs });
    assert.equal(await findOrInstallChromium(machine), "/usr/bin/chromium");
  });

  it("does not ask the distribution where it may not or cannot", async () => {
    for (const scene of [{ programs: ["/usr/bin/apt-get"] }, { isRoot: true }]) {
      const machine = stage(scene);
      await assert.rejects(findOrInstallChromium(machine), /install Google Chrome or Chromium/);
      assert.deepEqual(machine.commands, ["playwright install"]);
    }
  });

  it("refuses a CHROMIUM_PATH that does not start", async () => {
    const machine = stage({
      environment: { CHROMIUM_PATH: "/nowhere" },
      programs: ["/usr/bin/chromium"],
    });
    await assert.rejects(findChromium(machine), /CHROMIUM_PATH is \/nowhere/);
  });
});
