import { redirect } from "next/navigation";
import { currentPrincipal, isLocalMode } from "#app/current-principal.ts";
import { LoginForm } from "#components/login-form.tsx";
import { PlainPage } from "#components/plain-page.tsx";
import { safeCallback } from "#components/safe-callback.ts";

export const metadata = { title: "Sign in" };

type Search = Readonly<{ callbackUrl?: string | string[]; error?: string | string[] }>;

export default async function LoginPage({
  searchParams,
}: Readonly<{ searchParams: Promise<Search> }>) {
  const { callbackUrl, error } = await searchParams;
  const destination = safeCallback([callbackUrl].flat()[0]);
  if (await currentPrincipal()) redirect(destination);
  return (
    <PlainPage title="Sign in">
      <LoginForm
        destination={destination}
        initialError={[error].flat()[0]}
        showsDemonstrationAccount={isLocalMode()}
      />
    </PlainPage>
  );
}
