import { requirePrincipal } from "#app/current-principal.ts";
import { SettingsForm } from "#components/settings-form.tsx";
import { PlainPage } from "#components/plain-page.tsx";

export const metadata = { title: "Model settings" };

export default async function SettingsPage({
  searchParams,
}: Readonly<{ searchParams: Promise<{ session?: string | string[] }> }>) {
  await requirePrincipal();
  const { session } = await searchParams;
  const sessionId = [session].flat()[0] ?? null;
  return (
    <PlainPage title="Model settings" isWide backTo={sessionId ? `/c/${sessionId}` : "/"}>
      <SettingsForm key={sessionId} sessionId={sessionId} />
    </PlainPage>
  );
}
