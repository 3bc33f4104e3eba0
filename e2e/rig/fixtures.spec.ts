import type { Page } from "@playwright/test";

import { expect, test as base } from "../fixtures.ts";
import { startService } from "./service-process.ts";

// The stand-in needs no build; its pages are written here.
const test = base.extend<object, object>({
  service: [
    // oxlint-disable-next-line no-empty-pattern
    async ({}, use) => {
      await using service = await startService({ entry: "e2e/rig/stand-in-service.ts" });
      await use(service);
    },
    { scope: "worker" },
  ],
});

const loginPage = `<form action="/">
  <label>Username <input name="username"></label>
  <label>Password <input name="password" type="password"></label>
  <button>Sign in</button>
</form>`;

test.beforeEach(async ({ context }) => {
  await context.route("**/login", (route) =>
    route.fulfill({ contentType: "text/html", body: loginPage }),
  );
});

test("signedInPage is on / after the form was sent", async ({ signedInPage, service }) => {
  await expect(signedInPage).toHaveURL(`${service.origin}/?username=testuser&password=password`);
});

test("openContext opens a profile of its own on the service", async ({ page, openContext }) => {
  await page.goto("/");
  await page.evaluate(() => localStorage.setItem("key", "of page"));
  const other = await (await openContext()).newPage();
  await other.goto("/");
  expect(await other.evaluate(() => localStorage.getItem("key"))).toBeNull();
});

const errors = {
  "console.error": "console.error('broken page')",
  "an uncaught error": "setTimeout(() => { throw new Error('broken page') })",
  "a rejection nobody handles": "Promise.reject(new Error('broken page'))",
};

async function showBrokenPage(page: Page, source: string): Promise<void> {
  await page.setContent(`<script>${source}</script><p>shown</p>`);
  await expect(page.getByText("shown")).toBeVisible();
}

for (const [name, source] of Object.entries(errors)) {
  test(`${name} of a page fails the test`, async ({ page }) => {
    test.fail();
    await showBrokenPage(page, source);
  });

  test(`${name} that is expected does not fail the test`, async ({ page, allowedErrors }) => {
    allowedErrors.push(/broken page/);
    await showBrokenPage(page, source);
  });
}

test("an error of another profile's page fails the test", async ({ openContext }) => {
  test.fail();
  await showBrokenPage(await (await openContext()).newPage(), errors["console.error"]);
});

test("the provider is empty at the start of a test, first", ({ provider }) => {
  provider.scriptModel("left over", []);
});

test("the provider is empty at the start of a test, second", async ({ provider }) => {
  const models = (await (await fetch(`${provider.baseUrl}/models`)).json()) as { data: unknown[] };
  expect(models.data).toHaveLength(1);
});
