import { expect, test } from "../fixtures.ts";
import { ChatPage } from "./chat-page.ts";

const phone = { width: 390, height: 844 };
const word = "Donaudampfschifffahrtsgesellschaftskapitän".repeat(4);

test.describe("on a phone", () => {
  test.use({ viewport: phone });

  for (const path of ["/login", "/register", "/nowhere/at/all"]) {
    test(`fits ${path} into the width`, async ({ page, allowedErrors }) => {
      allowedErrors.push(/404/);
      await page.goto(path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width);
    });
  }

  test("fits chat and settings into the width, also with a word that does not", async ({
    signedInPage,
    provider,
  }) => {
    provider.scriptNext([{ text: word }]);
    const chat = new ChatPage(signedInPage);
    const width = () => signedInPage.evaluate(() => document.documentElement.scrollWidth);
    expect(await width()).toBe(phone.width);
    await chat.ask(word);
    await expect(chat.receipt).toBeVisible();
    expect(await width()).toBe(phone.width);
    const messages = signedInPage.getByRole("region", { name: "Messages" });
    expect(await messages.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await signedInPage.getByRole("link", { name: "Model settings" }).click();
    await expect(signedInPage.getByLabel("Temperature")).toBeVisible();
    expect(await width()).toBe(phone.width);
  });

  test("keeps the conversations in a drawer", async ({ signedInPage }) => {
    const chat = new ChatPage(signedInPage);
    await chat.ask("In the drawer");
    await expect(chat.receipt).toBeVisible();
    await expect(chat.conversations).toBeHidden();
    await signedInPage.getByRole("button", { name: "Conversations" }).click();
    await expect(chat.conversations.getByRole("link", { name: "In the drawer" })).toBeVisible();
    await signedInPage.keyboard.press("Escape");
    await expect(chat.conversations).toBeHidden();
    await signedInPage.getByRole("button", { name: "Conversations" }).click();
    await chat.newChat.click();
    await expect(chat.conversations).toBeHidden();
    await expect(chat.questions).toHaveCount(0);
  });

  test("lets people zoom", async ({ page }) => {
    await page.goto("/login");
    const viewport = page.locator('meta[name="viewport"]');
    await expect(viewport).not.toHaveAttribute("content", /user-scalable|maximum-scale/);
  });
});

test("is light or dark as the system is", async ({ page }) => {
  await page.goto("/login");
  const lightness = () =>
    page.evaluate(() => {
      const [red = 0] =
        getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g) ?? [];
      return Number(red);
    });
  await page.emulateMedia({ colorScheme: "light" });
  expect(await lightness()).toBeGreaterThan(200);
  await page.emulateMedia({ colorScheme: "dark" });
  expect(await lightness()).toBeLessThan(50);
});

test("moves nothing for people who asked for that", async ({ signedInPage, provider }) => {
  provider.scriptNext([{ text: "Still" }, { stall: true }]);
  await signedInPage.emulateMedia({ reducedMotion: "reduce" });
  const chat = new ChatPage(signedInPage);
  await chat.ask("Calm, please");
  await expect(chat.answers).toHaveText(/Still/);
  expect(await signedInPage.evaluate(() => document.getAnimations().length)).toBe(0);
});

test("asks no other origin for anything", async ({ signedInPage, service }) => {
  const origins = new Set<string>();
  signedInPage.on("request", (request) => origins.add(new URL(request.url()).origin));
  await signedInPage.reload();
  const chat = new ChatPage(signedInPage);
  await chat.ask("Who do you talk to?");
  await expect(chat.receipt).toBeVisible();
  expect([...origins]).toEqual([service.origin]);
});

test("announces phases and not every word", async ({ signedInPage, provider }) => {
  provider.scriptNext([
    { waitFor: "write" },
    { text: "one " },
    { waitFor: "end" },
    { text: "two" },
  ]);
  const chat = new ChatPage(signedInPage);
  const status = signedInPage.getByRole("status");
  await chat.ask("Speak");
  await expect(status).toHaveText("Waiting for the answer.");
  provider.open("write");
  await expect(status).toHaveText("The answer is being written.");
  provider.open("end");
  await expect(status).toHaveText("The answer is complete.");
});
