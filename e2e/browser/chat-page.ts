import type { Locator, Page } from "@playwright/test";

/** What a person does and sees on the chat page, by the names that the page gives to its parts. */
export class ChatPage {
  readonly page: Page;
  readonly composer: Locator;
  readonly sendButton: Locator;
  readonly stopButton: Locator;
  readonly answers: Locator;
  readonly questions: Locator;
  readonly receipt: Locator;
  readonly conversations: Locator;
  readonly newChat: Locator;

  constructor(page: Page) {
    this.page = page;
    this.composer = page.getByRole("textbox", { name: "Message" });
    this.sendButton = page.getByRole("button", { name: "Send the message" });
    this.stopButton = page.getByRole("button", { name: "Stop the answer" });
    this.answers = page.getByRole("article", { name: "Answer" });
    this.questions = page.getByRole("article", { name: "You" });
    this.receipt = page.getByRole("list", { name: "Receipt" });
    this.conversations = page.getByRole("navigation", { name: "Conversations" });
    // A conversation without a message is listed under the same name.
    this.newChat = this.conversations.getByRole("link", { name: "New chat" }).first();
  }

  /** Types a message and sends it with Enter. */
  async ask(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** Resolves once the address names the conversation, with that path. */
  async named(): Promise<string> {
    await this.page.waitForURL(/\/c\/[0-9A-Z]{26}$/);
    return new URL(this.page.url()).pathname;
  }

  /** Cuts every WebSocket of the page when called; call it before the page opens one. */
  async interceptSockets(): Promise<{ cut: () => Promise<void>; opened: () => number }> {
    const sockets: { close: () => Promise<void> }[] = [];
    await this.page.routeWebSocket(/\/ws\//, (route) => {
      const server = route.connectToServer();
      sockets.push({
        close: async () => {
          await server.close();
          await route.close({ code: 1012 });
        },
      });
    });
    return {
      cut: async () => {
        await Promise.all(sockets.map((socket) => socket.close()));
      },
      opened: () => sockets.length,
    };
  }
}
