import { expect, signIn, test } from "../fixtures.ts";
import { ChatPage } from "./chat-page.ts";

test("signs in and leads to where one wanted to go, with everything of the address", async ({
  page,
}) => {
  await page.goto("/settings?session=01KC0ZJ3V8T9Q2M4N6P8R0S2T4");
  await expect(page).toHaveURL(/\/login\?callbackUrl=/);
  expect(new URL(page.url()).searchParams.get("callbackUrl")).toBe(
    "/settings?session=01KC0ZJ3V8T9Q2M4N6P8R0S2T4",
  );
});

test("returns to the conversation after signing in", async ({ signedInPage, context }) => {
  const chat = new ChatPage(signedInPage);
  await chat.ask("Remember this");
  await expect(chat.receipt).toBeVisible();
  const path = await chat.named();
  await context.clearCookies();
  await signedInPage.goto(path);
  await signedInPage.getByLabel("Username").fill("testuser");
  await signedInPage.getByLabel("Password").fill("password");
  await signedInPage.getByRole("button", { name: "Sign in" }).click();
  await expect(signedInPage).toHaveURL(path);
  await expect(chat.questions).toContainText("Remember this");
});

test("never leads to another origin after signing in", async ({ page, service }) => {
  await page.goto("/login?callbackUrl=https%3A%2F%2Fevil.example%2F");
  await page.getByLabel("Username").fill("testuser");
  await page.getByLabel("Password").fill("password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(`${service.origin}/`);
});

test("refuses a wrong password in words and keeps what was typed", async ({
  page,
  allowedErrors,
}) => {
  allowedErrors.push(/status of 401/);
  await page.goto("/login");
  await page.getByLabel("Username").fill("testuser");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(
    page.getByRole("alert").getByText("The username or the password is wrong."),
  ).toBeVisible();
  await expect(page.getByLabel("Username")).toHaveValue("testuser");
  await expect(page.getByLabel("Password")).toHaveValue("not the password");
  await expect(page).toHaveURL(/\/login$/);
});

test("names the demonstration account in local mode", async ({ page }) => {
  await page.goto("/login");
  await expect(page.getByText("testuser")).toBeVisible();
});

test("registers, checking while one types, and signs in", async ({ page }) => {
  await page.goto("/login");
  await page.getByRole("link", { name: "Create an account" }).click();
  await page.getByLabel("Username").pressSequentially("a b!");
  await expect(page.getByText("Username may hold letters")).toBeVisible();
  await page.getByLabel("Username").fill("ada.lovelace");
  await expect(page.getByText("Username may hold letters")).toBeHidden();
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("Password must have at least 8 characters.")).toBeVisible();
  await expect(page.getByLabel("Password")).toBeFocused();
  await page.getByLabel("Password").fill("analytical engine");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole("navigation").getByText("ada.lovelace")).toBeVisible();
});

test("says at the field that a username is taken", async ({ page, allowedErrors }) => {
  allowedErrors.push(/status of 409/);
  await page.goto("/register");
  await page.getByLabel("Username").fill("testuser");
  await page.getByLabel("Password").fill("a good password");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This username is taken.")).toBeVisible();
  await expect(page.getByLabel("Username")).toHaveValue("testuser");
});

test("signs out, and the conversations are out of reach", async ({ signedInPage }) => {
  await signedInPage.getByRole("button", { name: "Sign out" }).click();
  await expect(signedInPage).toHaveURL(/\/login/);
  await signedInPage.goto("/");
  await expect(signedInPage).toHaveURL(/\/login/);
});

test("keeps the text over a sign-in that ended while typing", async ({
  signedInPage,
  context,
  provider,
  allowedErrors,
}) => {
  allowedErrors.push(/401|no valid credentials/);
  const chat = new ChatPage(signedInPage);
  const sockets = await chat.interceptSockets();
  await chat.ask("before");
  await expect(chat.receipt).toBeVisible();
  const path = await chat.named();
  await context.clearCookies();
  await chat.composer.fill("typed while the sign-in ended");
  await sockets.cut();
  const alert = signedInPage.getByRole("alert").filter({ hasText: "You are signed out" });
  await expect(alert).toBeVisible();
  await alert.getByRole("link", { name: "Sign in" }).click();
  await signedInPage.getByLabel("Username").fill("testuser");
  await signedInPage.getByLabel("Password").fill("password");
  await signedInPage.getByRole("button", { name: "Sign in" }).click();
  await expect(signedInPage).toHaveURL(path);
  await expect(chat.composer).toHaveValue("typed while the sign-in ended");
  await chat.sendButton.click();
  await expect(chat.receipt).toHaveCount(2);
  expect(provider.requests).toHaveLength(2);
});

test("shows one person's conversations to nobody else", async ({
  signedInPage,
  openContext,
  allowedErrors,
}) => {
  allowedErrors.push(/404/);
  const chat = new ChatPage(signedInPage);
  await chat.ask("A secret");
  const path = await chat.named();
  const other = await (await openContext()).newPage();
  await other.goto("/register");
  await other.getByLabel("Username").fill("eve.other");
  await other.getByLabel("Password").fill("another password");
  await other.getByRole("button", { name: "Create account" }).click();
  await expect(other).toHaveURL(/\/$/);
  await expect(other.getByText("Your conversations will be listed here.")).toBeVisible();
  await other.goto(path);
  await expect(other.getByText("This conversation does not exist")).toBeVisible();
});

test("signs in again in another profile", async ({ openContext }) => {
  const page = await (await openContext()).newPage();
  await signIn(page);
  await expect(new ChatPage(page).composer).toBeVisible();
});
