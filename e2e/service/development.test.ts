import assert from "node:assert/strict";
import { test } from "node:test";

import { login, openRefused, openSocket } from "../rig/client.ts";
import { startService } from "../rig/service-process.ts";

test("development mode has hot reload beside live sockets", async () => {
  await using service = await startService({ env: { NODE_ENV: "development" } });
  const { origin } = service;
  const token = await login(origin);
  using before = await openSocket(origin, "/ws/new", { token });

  assert.equal((await fetch(`${origin}/login`)).status, 200);
  using hotReload = await openSocket(origin, "/_next/hmr?id=test", { origin });
  await hotReload.next();
  using after = await openSocket(origin, "/ws/new", { token });
  for (const socket of [before, after]) {
    socket.send("still here");
    assert.equal((await socket.next((frame) => frame.done === true)).finish_reason, "stop");
  }
  assert.equal((await openRefused(origin, "/elsewhere", { token })).status, 404);
});
