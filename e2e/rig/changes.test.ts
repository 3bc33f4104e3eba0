import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Changes } from "./changes.ts";

function failingProbe(): never {
  throw new Error("from the probe");
}

describe("Changes", () => {
  it("resolves at once when the answer is there", async () => {
    assert.equal(await new Changes().until(() => 1, { what: "one" }), 1);
  });

  it("asks every waiter again at each change", async () => {
    const changes = new Changes();
    let value = 0;
    const waits = [1, 2].map((wanted) =>
      changes.until(() => (value >= wanted ? value : undefined), { what: String(wanted) }),
    );
    value = 1;
    changes.notify();
    value = 2;
    changes.notify();
    assert.deepEqual(await Promise.all(waits), [1, 2]);
  });

  it("names what did not come when the deadline passes", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const wait = new Changes().until(() => undefined, { what: "a frame", deadlineMs: 50 });
    t.mock.timers.tick(50);
    await assert.rejects(wait, /Waited 50 ms for a frame/);
  });

  it("rejects with what the probe throws and with the signal's reason", async () => {
    const changes = new Changes();
    await assert.rejects(changes.until(failingProbe, { what: "x" }), /from the probe/);
    const controller = new AbortController();
    const wait = changes.until(() => undefined, { what: "x", signal: controller.signal });
    controller.abort(new Error("from the signal"));
    await assert.rejects(wait, /from the signal/);
    const late = changes.until(() => 1, { what: "x", signal: controller.signal });
    await assert.rejects(late, /from the signal/);
  });
});
