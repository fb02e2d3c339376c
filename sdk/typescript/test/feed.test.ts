/** Against a scripted server: the feed's iterator, lists of contract 1, webhooks and their verification. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Aval, BrokenAnswer, CursorGone, NoAnswer, Unauthorized, verifyWebhook, WebhookVerificationError } from "aval-client";
import { Webhook } from "standardwebhooks";

import { failure, hangUp, hangUpHalfway, keys, says, scriptedServer, withScripts } from "./scripted-server.js";

// --- feed ----------------------------------------------------------------------------------------------------

function page(numbers: number[], next: string, upToDate = false) {
  return { events: numbers.map((number) => ({ id: `evt_${number}` })), next, up_to_date: upToDate };
}

test("events are read page after page with the cursor to store", () =>
  withScripts(
    [says(200, page([1, 2], "a")), says(200, page([], "b")), says(200, page([3], "c", true))],
    async ({ api, aval }) => {
      const events = aval.events({ after: "0", types: ["x.y", "x.z"], limit: 2, follow: false });
      const found: unknown[] = [];
      for await (const event of events) found.push([event.id, events.cursor]);
      assert.deepEqual(found, [["evt_1", "0"], ["evt_2", "a"], ["evt_3", "c"]]);
      assert.deepEqual(
        api.received.map((each) => each.path.split("?")[1]),
        ["0", "a", "b"].map((cursor) => `after=${cursor}&types=x.y%2Cx.z&limit=2`),
      );
    },
  ));

test("the iterator waits for news", () =>
  withScripts(
    [
      says(200, page([1], "a", true), { "Retry-After": "5" }),
      says(200, page([], "a", true), { "Retry-After": "8" }),
      says(200, page([2], "b", true)),
    ],
    async ({ aval, clock }) => {
      const events = aval.events();
      assert.deepEqual([(await events.next()).value?.id, (await events.next()).value?.id], ["evt_1", "evt_2"]);
      assert.deepEqual([clock.slept, events.cursor], [[5000, 8000], "b"]);
    },
  ));

test("a signal ends the iterator and keeps the place", () =>
  withScripts([says(200, page([1, 2], "a", true))], async ({ aval }) => {
    const controller = new AbortController();
    const events = aval.events({ after: "0", signal: controller.signal });
    for await (const event of events) {
      assert.equal(event.id, "evt_1");
      controller.abort();
    }
    assert.equal(events.cursor, "0");
  }));

test("a signal ends a wait for news", async () => {
  await using api = await scriptedServer(says(200, page([], "a", true), { "Retry-After": "600" }));
  const events = new Aval(api.url, { token: "T" }).events({ signal: AbortSignal.timeout(100) });
  for await (const event of events) assert.fail(`there is no event, and yet ${event.id}`);
  assert.equal(events.cursor, "a");
});

test("a cursor that is gone is an error or the oldest event", () => {
  const gone = says(410, { code: "cursor_gone", oldest: "o" });
  return withScripts([gone, gone, says(200, page([1], "a", true))], async ({ api, aval }) => {
    const error = await failure(() => aval.events({ after: "old" }).next());
    assert.ok(error instanceof CursorGone && error.oldest === "o");
    const events = aval.events({ after: "old", onGone: "oldest", follow: false });
    assert.equal((await events.next()).value?.id, "evt_1");
    assert.match(api.received.at(-1)?.path ?? "", /after=o&/);
  });
});

test("the iterator goes on after an error", () =>
  withScripts([says(200, page([1], "a")), says(401, {}), says(200, page([2], "b", true))], async ({ aval }) => {
    const events = aval.events({ follow: false });
    assert.equal((await events.next()).value?.id, "evt_1");
    assert.ok((await failure(() => events.next())) instanceof Unauthorized);
    assert.equal((await events.next()).value?.id, "evt_2");
  }));

// --- lists of contract 1 -------------------------------------------------------------------------------------

const HEAD = '{"id_solicitud": 5,"resultados":{"data":[';
const SENT = ['a],"cuenta":9}', '{"data":[', 'ñ\\"', ""].map((asunto) => JSON.stringify({ asunto, more: [{}] }));

function tail(count: number): string {
  return `],"cuenta":${count}}}`;
}

for (const size of [1, 2, 7, 10_000])
  for (const count of [0, 1, 4])
    test(`rows are read whatever the pieces: ${count} rows, pieces of ${size}`, async () => {
      const bytes = new TextEncoder().encode(HEAD + SENT.slice(0, count).join(",") + tail(count));
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.slice(n * size, (n + 1) * size));
      const body = new ReadableStream({
        pull(controller) {
          const piece = pieces.shift();
          if (piece === undefined) controller.close();
          else controller.enqueue(piece);
        },
      });
      const aval = new Aval("http://x", { token: "T", fetch: async () => new Response(body) });
      const rows = await aval.nopasanada.mensajesEnviados("MAQ-001");
      assert.deepEqual(await rows.all(), SENT.slice(0, count).map((row) => JSON.parse(row)));
      assert.deepEqual([rows.envelope?.id_solicitud, rows.envelope?.resultados.cuenta], [5, count]);
    });

const BROKEN = [HEAD.slice(0, 20), HEAD + SENT[0], HEAD + SENT[0]?.slice(0, 5), `${HEAD + SENT[0]}]`];
for (const text of [...BROKEN, HEAD + SENT[0] + tail(2), "[]", "", '{"data":[]}'])
  test(`a list that ends early or counts other rows is broken: ${text}`, () =>
    withScripts([says(200, text)], async ({ aval }) => {
      const rows = await aval.nopasanada.clientesAutorizados("MAQ-001");
      assert.ok((await failure(() => rows.all())) instanceof BrokenAnswer);
    }));

test("a list is asked for again until it begins", () =>
  withScripts(
    [says(503, {}, { "Retry-After": "1" }), hangUp, says(200, HEAD + tail(0)), hangUpHalfway],
    async ({ api, aval }) => {
      assert.deepEqual(await (await aval.nopasanada.clientesAutorizados("MAQ-001")).all(), []);
      assert.deepEqual(keys(api), [undefined, undefined, undefined]);
      const rows = await aval.nopasanada.clientesAutorizados("MAQ-001");
      assert.ok((await failure(() => rows.all())) instanceof NoAnswer);
      assert.equal(api.received.length, 4);
      api.scripts.splice(0, 1, says(401, { resultados: { error: "Token incorrecto." } }));
      assert.ok((await failure(() => aval.nopasanada.clientesAutorizados("MAQ-001"))) instanceof Unauthorized);
    },
  ));

test("a list that pauses for too long is given up", () =>
  withScripts(
    [(response) => void response.writeHead(200).write(HEAD)],
    async ({ aval }) => {
      const rows = await aval.nopasanada.clientesAutorizados("MAQ-001");
      assert.ok((await failure(() => rows.all())) instanceof NoAnswer);
    },
    { exportPauseMs: 50 },
  ));

// --- endpoints of webhooks and the twin ----------------------------------------------------------------------

const REQUESTS: [string, string, unknown, (aval: Aval) => Promise<unknown>][] = [
  [
    "POST",
    "/webhooks",
    { types: ["a.b"], url: "https://x" },
    (aval) => aval.webhooks.create({ url: "https://x", types: ["a.b"] }),
  ],
  ["GET", "/webhooks", undefined, (aval) => aval.webhooks.list()],
  ["GET", "/webhooks/7", undefined, (aval) => aval.webhooks.get("7")],
  ["PATCH", "/webhooks/7", { status: "paused" }, (aval) => aval.webhooks.update("7", { status: "paused" })],
  ["DELETE", "/webhooks/7", undefined, (aval) => aval.webhooks.delete("7")],
  ["POST", "/webhooks/7/test", {}, (aval) => aval.webhooks.test("7")],
  ["POST", "/webhooks/7/rotate", {}, (aval) => aval.webhooks.rotate("7")],
  ["POST", "/webhooks/7/replay", { deliveries: ["1"] }, (aval) => aval.webhooks.replay("7", { deliveries: ["1"] })],
  [
    "GET",
    "/webhooks/7/deliveries?status=failed&after=c&limit=5",
    undefined,
    (aval) => aval.webhooks.deliveries("7", { status: "failed", after: "c", limit: 5 }),
  ],
  ["GET", "/webhooks/7/deliveries/8", undefined, (aval) => aval.webhooks.delivery("7", "8")],
  ["POST", "/test/keys", {}, (aval) => aval.twin.keys()],
  ["POST", "/test/clock", { advance: "PT4H" }, (aval) => aval.twin.advanceClock("PT4H")],
  ["POST", "/test/reset", {}, (aval) => aval.twin.reset()],
  ["GET", "/test/messages?to=9", undefined, (aval) => aval.twin.messages({ to: "9" })],
];
for (const [method, path, body, act] of REQUESTS)
  test(`the requests of webhooks and the twin: ${method} ${path}`, () =>
    withScripts([method === "DELETE" ? says(204) : says(200, {})], async ({ api, aval }) => {
      await act(aval);
      const [sent] = api.received;
      assert.deepEqual([sent?.method, sent?.path, sent?.headers.authorization], [method, `/partners/v1${path}`, "Bearer T"]);
      assert.deepEqual(sent?.body ? JSON.parse(sent.body) : undefined, body);
      assert.equal(keys(api)[0] !== undefined, method === "POST" || method === "PATCH");
    }));

// --- verification of webhooks --------------------------------------------------------------------------------

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";
const BODY = '{"id": "evt_1", "type": "verification.sent", "data": {"to": "9•• ••• 321"}}';

function signed(body: string, { secret = SECRET, secondsAgo = 0 } = {}): Record<string, string> {
  const at = new Date(Date.now() - secondsAgo * 1000);
  return {
    "Webhook-Id": "msg_1",
    "Webhook-Timestamp": String(Math.floor(at.getTime() / 1000)),
    "Webhook-Signature": new Webhook(secret).sign("msg_1", at, body),
  };
}

test("a signed webhook is its event", () => {
  assert.equal(verifyWebhook(BODY, signed(BODY), SECRET).id, "evt_1");
  assert.equal(verifyWebhook(Buffer.from(BODY), new Headers(signed(BODY)), SECRET).id, "evt_1");
});

test("either of two signatures is enough", () => {
  const headers = signed(BODY);
  headers["Webhook-Signature"] = `${signed(BODY, { secret: OTHER })["Webhook-Signature"]} ${headers["Webhook-Signature"]}`;
  assert.equal(verifyWebhook(BODY, headers, SECRET).id, "evt_1");
});

const FORGED: [string, string | Uint8Array, Record<string, string>][] = [
  ["another body", `${BODY} `, signed(BODY)],
  ["another secret", BODY, signed(BODY, { secret: OTHER })],
  ["too old", BODY, signed(BODY, { secondsAgo: 301 })],
  ["too new", BODY, signed(BODY, { secondsAgo: -900 })],
  ["another id", BODY, { ...signed(BODY), "Webhook-Id": "msg_2" }],
  ["half a signature", BODY, { ...signed(BODY), "Webhook-Signature": "v1" }],
  ["no moment", BODY, { ...signed(BODY), "Webhook-Timestamp": "nan" }],
  ["no text", new Uint8Array([255]), signed(BODY)],
  ["no JSON", "no json", signed("no json")],
  ["no body", "", signed("")],
  ["no headers", BODY, {}],
];
for (const [name, body, headers] of FORGED)
  test(`what is forged or old is refused: ${name}`, () => {
    assert.throws(() => verifyWebhook(body, headers, SECRET), WebhookVerificationError);
  });
