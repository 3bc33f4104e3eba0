import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { collect } from "#e2e/rig/chat-rig.ts";
import { SessionChannel, type BeginTurn, type Followed } from "./session-channel.ts";
import { isTerminal, turnAbort, type TurnEvent } from "./turn-event.ts";

const never = new AbortController().signal;

function event(seq: number, type: "turn-start" | "text-delta" | "turn-end"): TurnEvent {
  const numbered = { seq, turnId: "T" };
  if (type === "text-delta") return { ...numbered, type, text: String(seq) };
  if (type === "turn-end") {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    const timings = { ttft_ms: null, total_ms: 0, tokens_per_second: null, overhead_ms: 0 };
    return { ...numbered, type, finishReason: "stop", usage, cost: null, timings };
  }
  const userMessage = { id: "U", parentId: null, text: "Hi" };
  const rest = {
    userMessage,
    messageId: "T",
    provider: "mock",
    model: "m",
    createdAt: "",
  } as const;
  return { ...numbered, type, ...rest };
}

/** A turn driven by hand: `say` resolves when the channel has taken the event. */
function handTurn() {
  const queue: TurnEvent[] = [];
  let wake = Promise.withResolvers<void>();
  let seq = 0;
  let signal: AbortSignal | undefined;
  let ended = false;
  const begin: BeginTurn = (firstSeq, given) => {
    seq = firstSeq;
    signal = given;
    return (async function* () {
      while (!ended || queue.length > 0) {
        const next = queue.shift();
        if (next) yield next;
        else await wake.promise;
      }
    })();
  };
  const say = (type: Parameters<typeof event>[1]) => {
    queue.push(event(seq++, type));
    if (type === "turn-end") ended = true;
    wake.resolve();
    wake = Promise.withResolvers();
  };
  return { begin, say, signal: () => signal };
}

/** A turn of so many deltas, between which the event loop's microtasks run. */
function wholeTurn(deltas: number): BeginTurn {
  return async function* (firstSeq) {
    yield event(firstSeq, "turn-start");
    for (let seq = firstSeq + 1; seq <= firstSeq + deltas; seq += 1) {
      await Promise.resolve();
      yield event(seq, "text-delta");
    }
    yield event(firstSeq + deltas + 1, "turn-end");
  };
}

async function runTurns(channel: SessionChannel, ...deltas: number[]): Promise<void> {
  for (const count of deltas) {
    await channel.start(wholeTurn(count));
    await channel.ended();
  }
}

/** Follows until `lastSeq` has come; gives the numbers it got and the gaps. */
async function read(
  channel: SessionChannel,
  after: number,
  lastSeq: number,
  slow?: () => Promise<void>,
) {
  const stop = new AbortController();
  const seqs: number[] = [];
  const gaps: Followed[] = [];
  for await (const followed of channel.follow({ after, signal: stop.signal })) {
    if (followed.kind === "gap") gaps.push(followed);
    else seqs.push(...followed.events.map(({ seq }) => seq));
    if ((seqs.at(-1) ?? 0) >= lastSeq) stop.abort();
    await slow?.();
  }
  return { seqs, gaps };
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a session's turns", () => {
  test("run one at a time", async () => {
    const channel = new SessionChannel(0);
    const turn = handTurn();
    const started = channel.start(turn.begin);
    await assert.rejects(channel.start(wholeTurn(1)), { code: "turn_in_progress" });
    turn.say("turn-start");
    assert.equal((await started).seq, 1);
    await assert.rejects(channel.start(wholeTurn(1)), { code: "turn_in_progress" });
    turn.say("turn-end");
    await channel.ended();
    assert.equal((await channel.start(wholeTurn(1))).seq, 3);
    await channel.ended();
    assert.equal(channel.lastSeq, 5);
  });

  const refusals: Record<string, BeginTurn> = {
    "throws before its first event": () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("refused")) }),
    }),
    "throws at once": () => {
      throw new Error("refused");
    },
  };
  for (const [name, begin] of Object.entries(refusals)) {
    test(`leave the session free when begin ${name}`, async () => {
      const channel = new SessionChannel(7);
      await assert.rejects(channel.start(begin), /refused/);
      assert.ok(!channel.isRunning);
      await channel.ended();
      assert.equal((await channel.start(wholeTurn(0))).seq, 8);
    });
  }

  test("can be followed by the next as soon as the last event is seen", async () => {
    const channel = new SessionChannel(0);
    await channel.start(wholeTurn(3));
    const stop = new AbortController();
    for await (const followed of channel.follow({ after: 0, signal: stop.signal })) {
      if (followed.kind !== "events" || !followed.events.some(isTerminal)) continue;
      assert.equal((await channel.start(wholeTurn(0))).seq, 6);
      stop.abort();
    }
  });

  test("are aborted with the cause, also before their first event, and only while they run", async () => {
    const channel = new SessionChannel(0);
    assert.equal(channel.abort("stopped"), false);
    const turn = handTurn();
    const started = channel.start(turn.begin);
    assert.equal(channel.abort("stopped"), true);
    assert.deepEqual(turn.signal()?.reason, turnAbort("stopped"));
    turn.say("turn-start");
    turn.say("turn-end");
    await started;
    await channel.ended();
    assert.equal(channel.abort("stopped"), false);
  });

  test("tell only of a turn that has begun as running", async () => {
    const channel = new SessionChannel(0);
    await runTurns(channel, 2);
    const turn = handTurn();
    const started = channel.start(turn.begin);
    assert.deepEqual([channel.runningStart, channel.entrySeq], [undefined, 4]);
    turn.say("turn-start");
    await started;
    assert.deepEqual([channel.runningStart?.seq, channel.entrySeq], [5, 4]);
    turn.say("turn-end");
    await channel.ended();
    assert.deepEqual(
      [channel.runningStart, channel.entrySeq, channel.turnStart?.seq],
      [undefined, 6, 5],
    );
  });

  test("end for all readers when the session is deleted", () => {
    const channel = new SessionChannel(0);
    channel.delete();
    assert.ok(channel.deleted.aborted);
  });
});

describe("a reader", () => {
  const gapRows: Record<string, [after: number, gap: [number, number] | undefined, first: number]> =
    {
      "that has everything": [9, undefined, 10],
      "that has half of the last turn": [7, undefined, 8],
      "that has all but the last turn": [5, undefined, 6],
      "that is older than the kept turn": [4, [4, 6], 6],
      "that has nothing": [0, [0, 6], 6],
      "that comes from the future": [99, [99, 6], 6],
    };
  for (const [name, [after, gap, first]] of Object.entries(gapRows)) {
    test(`${name} gets ${gap ? "word of a gap and " : ""}all from ${first}`, async () => {
      const channel = new SessionChannel(0);
      await runTurns(channel, 3, 2);
      const reading = read(channel, after, 12);
      await runTurns(channel, 1);
      const { seqs, gaps } = await reading;
      assert.deepEqual(seqs, range(first, 12));
      assert.deepEqual(gaps, gap ? [{ kind: "gap", after: gap[0], nextSeq: gap[1] }] : []);
    });
  }

  for (const [after, gaps] of [
    [9, []],
    [3, [{ kind: "gap", after: 3, nextSeq: 10 }]],
    [99, [{ kind: "gap", after: 99, nextSeq: 10 }]],
  ] as const) {
    test(`of a channel made anew at 9 gets the next turns whole after ${after}`, async () => {
      const channel = new SessionChannel(9);
      const reading = read(channel, after, 14);
      await runTurns(channel, 0, 1);
      assert.deepEqual(await reading, { seqs: range(10, 14), gaps });
    });
  }

  test("that is slow after a gap misses no turn that begins and ends meanwhile", async () => {
    const channel = new SessionChannel(9);
    const followed = channel.follow({ after: 3, signal: never });
    assert.equal((await followed.next()).value?.kind, "gap");
    await runTurns(channel, 1, 1);
    const next = await followed.next();
    assert.ok(next.value?.kind === "events");
    assert.equal(next.value.events[0]?.seq, 10);
  });

  test("gets nothing more when its signal aborts", async () => {
    const channel = new SessionChannel(0);
    assert.deepEqual(await collect(channel.follow({ after: 0, signal: AbortSignal.abort() })), []);
    const stop = new AbortController();
    const reading = collect(channel.follow({ after: 0, signal: stop.signal }));
    stop.abort();
    assert.deepEqual(await reading, []);
  });

  const seed = Math.floor(Math.random() * 2 ** 31);
  test(`gets every event once and in order, however it joins (seed ${seed})`, async () => {
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return Math.floor((state / 0x80000000) * below);
    };
    const pause = async (steps: number) => {
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
    };
    for (let round = 0; round < 60; round += 1) {
      const channel = new SessionChannel(0);
      const turns = range(0, 3).map(() => random(12));
      const lastSeq = turns.reduce((sum, deltas) => sum + deltas + 2, 0);
      const running = runTurns(channel, ...turns);
      const readers = range(0, 5).map(async () => {
        await pause(random(120));
        const after = channel.entrySeq;
        if (after === lastSeq) return;
        const { seqs, gaps } = await read(channel, after, lastSeq, () => pause(random(30)));
        assert.deepEqual([seqs, gaps], [range(after + 1, lastSeq), []]);
      });
      await Promise.all([running, ...readers]);
    }
  });
});

describe("a turn's readers", () => {
  async function begin() {
    const channel = new SessionChannel(0);
    const turn = handTurn();
    const started = channel.start(turn.begin);
    turn.say("turn-start");
    await started;
    return { channel, turn, cause: () => (turn.signal()?.reason as { cause?: string })?.cause };
  }

  test("keep it for the grace of the last that left", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { channel, cause } = await begin();
    const [first, second] = [channel.join(), channel.join()];
    first(1000);
    t.mock.timers.tick(5000);
    assert.equal(cause(), undefined);
    second(1000);
    t.mock.timers.tick(990);
    assert.equal(cause(), undefined);
    t.mock.timers.tick(10);
    assert.equal(cause(), "interrupted");
  });

  test("keep it when one comes back in time", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { channel, cause } = await begin();
    channel.join()(1000);
    t.mock.timers.tick(500);
    const leave = channel.join();
    t.mock.timers.tick(60_000);
    assert.equal(cause(), undefined);
    leave(0);
    t.mock.timers.tick(1);
    assert.equal(cause(), undefined, "the first one's grace still holds");
  });

  test("end it at once when the last had no grace", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { channel, cause } = await begin();
    channel.join()(0);
    t.mock.timers.tick(1);
    assert.equal(cause(), "interrupted");
  });

  test("have no say in the next turn", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { channel, turn } = await begin();
    const leave = channel.join();
    turn.say("turn-end");
    await channel.ended();
    leave(1000);
    channel.join();
    const next = handTurn();
    void channel.start(next.begin);
    t.mock.timers.tick(60_000);
    assert.ok(!next.signal()?.aborted);
  });

  test("cannot all be gone before it begins without ending it", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const channel = new SessionChannel(0);
    channel.join()(0);
    const next = handTurn();
    void channel.start(next.begin);
    t.mock.timers.tick(1);
    assert.ok(next.signal()?.aborted);
  });

  test("decide with the turn whether the session is idle", async () => {
    const { channel, turn } = await begin();
    assert.ok(!channel.isIdle);
    const leave = channel.join();
    turn.say("turn-end");
    await channel.ended();
    assert.ok(!channel.isIdle);
    leave(0);
    assert.ok(channel.isIdle);
  });
});
