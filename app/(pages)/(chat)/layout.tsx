import type { ReactNode } from "react";
import { currentPrincipal } from "#app/current-principal.ts";
import { ChatApplication } from "#components/chat-application.tsx";

/**
 * Holds the chat for every conversation's address, so that going from one to another keeps sockets,
 * sidebar and scroll. The pages below it only send people who are not signed in to do so.
 */
export default async function ChatLayout({ children }: Readonly<{ children: ReactNode }>) {
  const principal = await currentPrincipal();
  return (
    <>
      {children}
      {principal && <ChatApplication principal={principal} />}
    </>
  );
}
