import { requirePrincipal } from "#app/current-principal.ts";

export default async function ConversationPage() {
  await requirePrincipal();
  return null;
}
