import { expect, test } from "../fixtures.ts";
import { ChatPage } from "./chat-page.ts";

test("makes a conversation with the settings given", async ({ signedInPage, provider }) => {
  await signedInPage.goto("/settings");
  await signedInPage.getByLabel("Provider").selectOption("openai-compatible");
  await signedInPage.getByLabel("Model", { exact: true }).fill("scripted");
  await signedInPage.getByLabel("System prompt").fill("Answer in verse.");
  await signedInPage.getByLabel("Temperature").fill("0.8");
  await signedInPage.getByLabel("Top p").fill("0.95");
  await signedInPage.getByLabel("Most tokens").fill("2000");
  await signedInPage.getByRole("button", { name: "Start the conversation" }).click();
  const chat = new ChatPage(signedInPage);
  await chat.named();
  await chat.ask("Hello");
  await expect(chat.receipt).toBeVisible();
  const { body } = await provider.nextRequest();
  expect(body).toMatchObject({
    model: "scripted",
    temperature: 0.8,
    top_p: 0.95,
    max_tokens: 2000,
    messages: [
      { role: "system", content: "Answer in verse." },
      { role: "user", content: "Hello" },
    ],
  });
});

test("says at the field what is wrong while one types", async ({ signedInPage }) => {
  await signedInPage.goto("/settings");
  const temperature = signedInPage.getByLabel("Temperature");
  await temperature.pressSequentially("3");
  const error = signedInPage.getByText("Temperature must be at most 2.");
  await expect(error).toBeVisible();
  await expect(temperature).toHaveAttribute("aria-invalid", "true");
  await temperature.fill("warm");
  await expect(signedInPage.getByText("Temperature must be a number.")).toBeVisible();
  await temperature.fill("1.2");
  await expect(temperature).not.toHaveAttribute("aria-invalid");
  await signedInPage.getByRole("button", { name: "Start the conversation" }).click();
  await expect(signedInPage.getByText("Model must not be empty.")).toBeVisible();
  await expect(signedInPage.getByLabel("Model", { exact: true })).toBeFocused();
});

test("shows what the server refuses at its field and keeps what was typed", async ({
  signedInPage,
  allowedErrors,
}) => {
  allowedErrors.push(/status of 422/);
  await signedInPage.goto("/settings");
  await signedInPage.getByLabel("Provider").selectOption("openai-compatible");
  await signedInPage.getByLabel("Model", { exact: true }).fill("own-model");
  await signedInPage.getByLabel("Base URL").fill("http://192.168.0.1/v1");
  await signedInPage.getByLabel("API key").fill("a-key");
  await signedInPage.getByRole("button", { name: "Start the conversation" }).click();
  await expect(signedInPage.getByLabel("Base URL")).toHaveAttribute("aria-invalid", "true");
  await expect(signedInPage.getByLabel("Base URL")).toHaveValue("http://192.168.0.1/v1");
  await expect(signedInPage.getByLabel("API key")).toHaveValue("a-key");
});

test("shows what still has to be set, and the conversation it made", async ({ signedInPage }) => {
  await signedInPage.goto("/settings");
  await signedInPage.getByLabel("Provider").selectOption("openai");
  await signedInPage.getByLabel("Model", { exact: true }).fill("gpt-4");
  await signedInPage.getByRole("button", { name: "Start the conversation" }).click();
  await expect(signedInPage.getByText("The settings are saved.")).toBeVisible();
  await expect(signedInPage.getByRole("status").filter({ hasText: /key/i })).toBeVisible();
  await signedInPage.getByRole("link", { name: "Go to the conversation" }).click();
  await new ChatPage(signedInPage).named();
});

test("changes the settings of a conversation and never shows its key", async ({
  signedInPage,
  provider,
}) => {
  await signedInPage.goto("/settings");
  await signedInPage.getByLabel("Provider").selectOption("openai");
  await signedInPage.getByLabel("Model", { exact: true }).fill("gpt-4");
  await signedInPage.getByLabel("API key").fill("sk-secret-key");
  await signedInPage.getByRole("button", { name: "Start the conversation" }).click();
  const chat = new ChatPage(signedInPage);
  const path = await chat.named();
  await signedInPage.getByRole("link", { name: "Model settings" }).click();
  await expect(signedInPage.getByLabel("Model", { exact: true })).toHaveValue("gpt-4");
  await expect(signedInPage.getByText("A key is set.")).toBeVisible();
  await expect(signedInPage.getByLabel("API key")).toHaveValue("");
  expect(await signedInPage.content()).not.toContain("sk-secret-key");
  await signedInPage.getByLabel("Provider").selectOption("openai-compatible");
  await signedInPage.getByLabel("Model", { exact: true }).fill("scripted");
  await signedInPage.getByRole("button", { name: "Save the settings" }).click();
  await expect(signedInPage).toHaveURL(path);
  await chat.ask("Who are you?");
  await expect(chat.receipt).toContainText("scripted");
  expect(provider.requests).toHaveLength(1);
});
