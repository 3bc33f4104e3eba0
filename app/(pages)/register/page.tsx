import { redirect } from "next/navigation";
import { currentPrincipal } from "#app/current-principal.ts";
import { PlainPage } from "#components/plain-page.tsx";
import { RegisterForm } from "#components/register-form.tsx";
import { safeCallback } from "#components/safe-callback.ts";

export const metadata = { title: "Create an account" };

export default async function RegisterPage({
  searchParams,
}: Readonly<{ searchParams: Promise<{ callbackUrl?: string | string[] }> }>) {
  const { callbackUrl } = await searchParams;
  const destination = safeCallback([callbackUrl].flat()[0]);
  if (await currentPrincipal()) redirect(destination);
  return (
    <PlainPage title="Create an account">
      <RegisterForm destination={destination} />
    </PlainPage>
  );
}
