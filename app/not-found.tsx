import { PlainPage } from "#components/plain-page.tsx";

export const metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <PlainPage title="There is nothing here">
      <p>
        The address may be wrong, or what was here is gone. <a href="/">Back to your chats</a>
      </p>
    </PlainPage>
  );
}
