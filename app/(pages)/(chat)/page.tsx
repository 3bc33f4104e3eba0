import { requirePrincipal } from "#app/current-principal.ts";

export default async function NewChatPage() {
  await requirePrincipal();
  return null;
}
