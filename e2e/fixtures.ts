import { test as base, expect } from "@playwright/test";
import type { BrowserContext, Page } from "@playwright/test";

import { startScriptedProvider } from "./rig/scripted-provider.ts";
import type { ScriptedProvider } from "./rig/scripted-provider.ts";
import { startService } from "./rig/service-process.ts";
import type { ServiceProcess } from "./rig/service-process.ts";

export { expect };

type WorkerFixtures = {
  /** The upstream that the service asks; emptied before each test. */
  provider: ScriptedProvider;
  /** The production build, with `provider` behind its model `scripted`. */
  service: ServiceProcess;
};

type TestFixtures = {
  /** Errors of the page that the test expects: `allowedErrors.push(/status of 401/)`. */
  allowedErrors: RegExp[];
  /** A page on which local mode's own user has signed in, on `/`. */
  signedInPage: Page;
  /** Another browser profile: nothing of `page` is known there. Closed after the test. */
  openContext: () => Promise<BrowserContext>;
  pageErrors: PageErrors;
  emptyProvider: void;
};

type PageErrors = { watch: (context: BrowserContext) => void };

/** Signs in through the form and waits for the page behind it. */
export async function signIn(
  page: Page,
  { username = "testuser", password = "password" } = {},
): Promise<void> {
  await page.goto("/login");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
}

/** Playwright's `test` with the service. Any uncaught error or console.error of a page fails the test. */
export const test = base.extend<TestFixtures, WorkerFixtures>({
  provider: [
    // Playwright reads a fixture's needs from this pattern and refuses a plain parameter.
    // oxlint-disable-next-line no-empty-pattern
    async ({}, use) => {
      await using provider = await startScriptedProvider();
      await use(provider);
    },
    { scope: "worker" },
  ],
  service: [
    async ({ provider }, use) => {
      await using service = await startService({ env: upstreamEnvironment(provider) });
      await use(service);
    },
    { scope: "worker", timeout: 90_000 },
  ],
  baseURL: async ({ service }, use) => use(service.origin),
  emptyProvider: [
    async ({ provider }, use) => {
      await provider.reset();
      await use();
    },
    { auto: true },
  ],
  // oxlint-disable-next-line no-empty-pattern
  allowedErrors: async ({}, use) => use([]),
  pageErrors: async ({ allowedErrors }, use) => {
    const errors: string[] = [];
    await use({
      watch(context) {
        context.on("weberror", (webError) => errors.push(String(webError.error())));
        context.on("console", (message) => {
          if (message.type() === "error") errors.push(message.text());
        });
      },
    });
    const unexpected = errors.filter(
      (error) => !allowedErrors.some((allowed) => allowed.test(error)),
    );
    expect(unexpected, "errors of the page").toEqual([]);
  },
  context: async ({ context, pageErrors }, use) => {
    pageErrors.watch(context);
    await use(context);
  },
  openContext: async ({ browser, baseURL, pageErrors }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext({ baseURL });
      contexts.push(context);
      pageErrors.watch(context);
      return context;
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
  signedInPage: async ({ page }, use) => {
    await signIn(page);
    await use(page);
  },
});

function upstreamEnvironment(provider: ScriptedProvider): Record<string, string> {
  return {
    LLM_PROVIDER: "openai-compatible",
    LLM_MODEL: "scripted",
    LLM_BASE_URL: provider.baseUrl,
    LLM_ALLOWED_HOSTS: provider.host,
    OPENAI_COMPATIBLE_API_KEY: "test",
    ALLOW_SIGNUP: "true",
  };
}
