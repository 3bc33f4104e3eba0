import { expect, test } from "../fixtures.ts";
import { ChatPage } from "./chat-page.ts";

test("streams an answer word by word and shows what it took", async ({
  signedInPage,
  provider,
}) => {
  provider.scriptNext([
    { text: "Light" },
    { waitFor: "more" },
    { text: " scatters." },
    { usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 } },
  ]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Why is the sky blue?");
  await expect(chat.answers).toHaveText(/^Light$/);
  await expect(chat.stopButton).toBeVisible();
  const path = await chat.named();
  provider.open("more");
  await expect(chat.answers).toContainText("Light scatters.");
  await expect(chat.receipt).toContainText("scripted");
  await expect(chat.receipt).toContainText("11 in, 3 out");
  await expect(chat.receipt).toContainText("to first token");
  await expect(chat.receipt).toContainText("overhead");
  await expect(
    chat.conversations.getByRole("link", { name: "Why is the sky blue?" }),
  ).toHaveAttribute("href", path);
  await expect(chat.sendButton).toBeVisible();
  await expect(chat.composer).toBeFocused();
});

test("says which model answers", async ({ signedInPage }) => {
  await expect(signedInPage.getByText("scripted answers.")).toBeVisible();
});

test("keeps the history for the next question", async ({ signedInPage, provider }) => {
  const chat = new ChatPage(signedInPage);
  await chat.ask("one");
  await expect(chat.receipt).toBeVisible();
  await chat.ask("two\nlines");
  await expect(chat.receipt).toHaveCount(2);
  expect(provider.requests.at(-1)?.body.messages?.map(({ content }) => content)).toEqual([
    "one",
    "This is a scripted answer.",
    "two\nlines",
  ]);
});

test("stops in mid-answer, and the provider sees it", async ({ signedInPage, provider }) => {
  provider.scriptNext([{ text: "Going" }, { text: " on" }, { stall: true }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Tell me everything");
  await expect(chat.answers).toContainText("Going on");
  const request = await provider.nextRequest();
  await chat.stopButton.click();
  expect((await request.closed).aborted).toBe(true);
  await expect(chat.answers.getByText("Stopped.")).toBeVisible();
  await expect(chat.sendButton).toBeVisible();
  await signedInPage.reload();
  await expect(chat.answers).toContainText("Going on");
  await expect(chat.answers.getByText("Stopped.")).toBeVisible();
});

test("stops with Escape before the first token", async ({ signedInPage, provider }) => {
  provider.scriptNext([{ stall: true }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Are you there?");
  const request = await provider.nextRequest();
  await expect(signedInPage.getByText("Waiting for scripted…")).toBeVisible();
  await signedInPage.keyboard.press("Escape");
  expect((await request.closed).aborted).toBe(true);
  await expect(chat.answers.getByText("Stopped.")).toBeVisible();
});

test("continues an answer after a refresh in the middle of it", async ({
  signedInPage,
  provider,
}) => {
  provider.scriptNext([{ text: "First half" }, { waitFor: "rest" }, { text: ", second half." }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Go on");
  await expect(chat.answers).toHaveText(/First half/);
  await chat.named();
  await signedInPage.reload();
  await expect(chat.answers).toHaveText(/^First half$/);
  await expect(chat.stopButton).toBeVisible();
  provider.open("rest");
  await expect(chat.answers).toContainText("First half, second half.");
  await expect(chat.receipt).toBeVisible();
  await expect(chat.questions).toHaveCount(1);
  expect(provider.requests).toHaveLength(1);
});

test("goes on with an answer after its page was closed and opened again", async ({
  signedInPage,
  context,
  provider,
}) => {
  provider.scriptNext([
    { text: "Before" },
    { waitFor: "closed" },
    { text: ", while nobody looked" },
    { waitFor: "opened" },
    { text: ", after." },
  ]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Go on");
  await expect(chat.answers).toHaveText(/Before/);
  const path = await chat.named();
  const request = await provider.nextRequest();
  await signedInPage.close();
  provider.open("closed");
  await request.sentChunks(2);
  const again = new ChatPage(await context.newPage());
  await again.page.goto(path);
  await expect(again.answers).toHaveText(/^Before, while nobody looked$/);
  provider.open("opened");
  await expect(again.answers).toContainText("Before, while nobody looked, after.");
  await expect(again.receipt).toBeVisible();
  expect(provider.requests).toHaveLength(1);
});

test("shows the same in two tabs, and either can stop", async ({
  signedInPage,
  context,
  provider,
}) => {
  provider.scriptNext([{ text: "Seen" }, { waitFor: "more" }, { text: " twice" }, { stall: true }]);
  const first = new ChatPage(signedInPage);
  await first.ask("Who sees this?");
  const path = await first.named();
  const second = new ChatPage(await context.newPage());
  await second.page.goto(path);
  await expect(second.answers).toHaveText(/^Seen$/);
  provider.open("more");
  for (const tab of [first, second]) await expect(tab.answers).toContainText("Seen twice");
  const request = await provider.nextRequest();
  await second.stopButton.click();
  expect((await request.closed).aborted).toBe(true);
  for (const tab of [first, second]) await expect(tab.answers.getByText("Stopped.")).toBeVisible();
  await first.ask("And this?");
  await expect(second.questions.last()).toContainText("And this?");
  await expect(second.receipt).toHaveCount(2);
});

test("heals a dropped socket without doubling or losing a word", async ({
  signedInPage,
  provider,
}) => {
  provider.scriptNext([
    { text: "one " },
    { waitFor: "cut" },
    { text: "two " },
    { waitFor: "back" },
    { text: "three" },
  ]);
  const chat = new ChatPage(signedInPage);
  const sockets = await chat.interceptSockets();
  await chat.ask("Count");
  await expect(chat.answers).toHaveText(/^one/);
  await sockets.cut();
  provider.open("cut");
  await expect(chat.answers).toHaveText(/^one two/);
  expect(sockets.opened()).toBe(2);
  provider.open("back");
  await expect(chat.receipt).toBeVisible();
  await expect(chat.answers).toContainText("one two three");
  await expect(chat.questions).toHaveCount(1);
});

test("keeps a message that cannot be sent and sends it once the server is back", async ({
  signedInPage,
  provider,
  allowedErrors,
}) => {
  allowedErrors.push(/ERR_CONNECTION_REFUSED|ERR_FAILED|WebSocket connection/);
  const chat = new ChatPage(signedInPage);
  await chat.ask("first");
  await expect(chat.receipt).toBeVisible();
  let isAway = true;
  await signedInPage.route(/\/sessions/, (route) => (isAway ? route.abort() : route.continue()));
  await signedInPage.routeWebSocket(/\/ws\//, (route) => {
    if (isAway) void route.close({ code: 1011 });
    else route.connectToServer();
  });
  const path = await chat.named();
  await signedInPage.goto(path);
  await expect(signedInPage.getByText("The connection is lost. Trying again")).toBeVisible();
  await chat.ask("second");
  await expect(chat.questions.last()).toContainText("second");
  await expect(chat.questions.last()).toContainText("sent when the connection is back");
  isAway = false;
  await signedInPage.getByRole("button", { name: "Try now" }).click();
  await expect(chat.receipt).toHaveCount(2);
  await expect(chat.questions).toHaveCount(2);
  expect(provider.requests).toHaveLength(2);
});

test("shows the truth after the server died in mid-answer, and answers anew", async ({
  signedInPage,
  provider,
  service,
  allowedErrors,
}) => {
  allowedErrors.push(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
  provider.scriptNext([{ text: "Never" }, { stall: true }], [{ text: "Now it is whole." }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Finish this");
  await expect(chat.answers).toHaveText(/^Never$/);
  await service.kill9();
  await expect(signedInPage.getByText("The connection is lost. Trying again")).toBeVisible();
  await service.restart({ samePort: true });
  await expect(chat.answers.getByText("The answer was cut short.")).toBeVisible();
  await chat.answers.getByRole("button", { name: "Retry" }).click();
  await expect(chat.answers).toContainText("Now it is whole.");
  await expect(chat.questions).toHaveCount(1);
});

test("shows why an answer failed, keeps its text and answers anew on Retry", async ({
  signedInPage,
  provider,
}) => {
  provider.scriptNext(
    [{ text: "Half an" }, { waitFor: "read" }, { reset: true }],
    [{ text: "A whole answer." }],
  );
  const chat = new ChatPage(signedInPage);
  await chat.ask("Try");
  await expect(chat.answers).toHaveText(/^Half an$/);
  provider.open("read");
  await expect(chat.answers).toContainText("The model provider failed");
  await expect(chat.answers).toContainText("Half an");
  await chat.answers.getByRole("button", { name: "Retry" }).click();
  await expect(chat.answers).toContainText("A whole answer.");
  await expect(chat.answers).not.toContainText("Half an");
  await expect(chat.questions).toHaveCount(1);
});

test("shows reasoning apart from the answer", async ({ signedInPage, provider }) => {
  provider.scriptNext([
    { reasoning: "They want a number." },
    { waitFor: "answer" },
    { text: "Forty-two." },
  ]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("Which number?");
  await expect(chat.answers.getByText("Thinking…")).toBeVisible();
  provider.open("answer");
  await expect(chat.receipt).toBeVisible();
  await expect(chat.answers.getByText("They want a number.")).toBeHidden();
  await chat.answers.getByText("Thoughts").click();
  await expect(chat.answers.getByText("They want a number.")).toBeVisible();
});

test("shows text as it is written, also where it looks like markup", async ({
  signedInPage,
  provider,
}) => {
  const text = "<img src=x onerror=alert(1)>\n\n  indented\n\n\n& <b>bold</b>";
  provider.scriptNext([{ text }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("<script>alert(2)</script>");
  await expect(chat.receipt).toBeVisible();
  expect(await chat.answers.textContent()).toContain(text);
  await expect(chat.questions).toHaveText("<script>alert(2)</script>");
  await expect(chat.answers.locator("img, b")).toHaveCount(0);
});

test("goes between conversations while one of them is being answered", async ({
  signedInPage,
  provider,
}) => {
  provider.scriptNext([{ text: "Slow" }, { waitFor: "slow" }, { text: " but whole." }]);
  const chat = new ChatPage(signedInPage);
  await chat.ask("A slow one");
  await expect(chat.answers).toHaveText(/^Slow$/);
  await chat.newChat.click();
  await expect(chat.answers).toHaveCount(0);
  await chat.ask("A quick one");
  await expect(chat.receipt).toBeVisible();
  provider.open("slow");
  await chat.conversations.getByRole("link", { name: "A slow one" }).click();
  await expect(chat.answers).toContainText("Slow but whole.");
  await signedInPage.goBack();
  await expect(chat.questions).toHaveText("A quick one");
  for (const { closed } of provider.requests) expect((await closed).aborted).toBe(false);
});

test("breaks lines with Shift+Enter and keeps the draft over a reload", async ({
  signedInPage,
  provider,
}) => {
  const chat = new ChatPage(signedInPage);
  await chat.composer.pressSequentially("first line");
  await chat.composer.press("Shift+Enter");
  await chat.composer.pressSequentially("second line");
  await signedInPage.reload();
  await expect(chat.composer).toHaveValue("first line\nsecond line");
  await chat.sendButton.click();
  await expect(chat.receipt).toBeVisible();
  await expect(chat.composer).toHaveValue("");
  await signedInPage.reload();
  await expect(chat.receipt).toBeVisible();
  await expect(chat.composer).toHaveValue("");
  expect(provider.requests).toHaveLength(1);
});

test("follows the end while the reader is there and stays put otherwise", async ({
  signedInPage,
  provider,
}) => {
  const paragraphs = { repeat: 60, steps: [{ text: "A line of the answer.\n\n" }] };
  provider.scriptNext([paragraphs, { waitFor: "more" }, paragraphs, { text: "The end." }]);
  const chat = new ChatPage(signedInPage);
  const messages = signedInPage.getByRole("region", { name: "Messages" });
  const distanceToEnd = () =>
    messages.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
  await chat.ask("Write a lot");
  await expect(chat.answers).toContainText("A line of the answer.");
  await expect.poll(distanceToEnd).toBeLessThan(30);
  await messages.hover();
  await signedInPage.mouse.wheel(0, -400);
  await expect(signedInPage.getByRole("button", { name: "Go to the end" })).toBeVisible();
  const top = await messages.evaluate((element) => element.scrollTop);
  provider.open("more");
  await expect(chat.receipt).toBeAttached();
  expect(await messages.evaluate((element) => element.scrollTop)).toBe(top);
  await signedInPage.getByRole("button", { name: "Go to the end" }).click();
  await expect.poll(distanceToEnd).toBeLessThan(30);
});

test("says so when a conversation does not exist", async ({ signedInPage, allowedErrors }) => {
  allowedErrors.push(/404/);
  await signedInPage.goto("/c/01KC0ZJ3V8T9Q2M4N6P8R0S2T4");
  await expect(signedInPage.getByText("This conversation does not exist")).toBeVisible();
  await signedInPage.getByRole("link", { name: "Start a new one" }).click();
  await expect(new ChatPage(signedInPage).composer).toBeVisible();
});
