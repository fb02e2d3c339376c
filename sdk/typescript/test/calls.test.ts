/** Calls against a scripted server: retries, deadline, errors and paths. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ApiError,
  Aval,
  BadRequest,
  BrokenAnswer,
  Conflict,
  CooldownActive,
  Forbidden,
  IdempotencyConflict,
  MissingCredential,
  NoAnswer,
  NotFound,
  RateLimited,
  RETRIES,
  ServerError,
  Unauthorized,
  waitMs,
  WrongCode,
} from "aval-client";

import { failure, hangUp, hangUpHalfway, keys, says, type Script, withScripts } from "./scripted-server.js";

const CLIENT = "5b0d6f0e-7a3c-4e0b-9a64-2f1f0b8f4c11";
const ME = { name: "Empresa", slug: "empresa" };
const ROWS = { id_solicitud: 1, timestamp: "t", resultados: { cuenta_exitos: 1, cuenta_fallos: 0 } };

// --- retries -------------------------------------------------------------------------------------------------

for (const status of [429, 500, 502, 503])
  test(`a query is repeated after the seconds of Retry-After: ${status}`, () =>
    withScripts(
      [says(status, {}, { "Retry-After": "7" }), says(status, {}, { "Retry-After": "3" }), says(200, ME)],
      async ({ aval, clock }) => {
        assert.equal((await aval.partners.me()).slug, "empresa");
        const [first = 0, second = 0] = clock.slept;
        assert.deepEqual([first >= 7000 && first < 7500, second >= 3000 && second < 3500], [true, true]);
      },
    ));

for (const script of [hangUp, hangUpHalfway])
  test(`a query is repeated after a broken connection: ${script === hangUp ? "before" : "within"} the answer`, () =>
    withScripts([script, says(200, ME)], async ({ aval, clock }) => {
      assert.equal((await aval.partners.me()).slug, "empresa");
      assert.equal(clock.slept.length, 1);
      assert.ok(clock.slept[0]! <= 500);
    }));

test("a write is repeated under one key, and each call has its own", () =>
  withScripts(
    [
      hangUp,
      says(503, {}, { "Retry-After": "1" }),
      says(409, { resultados: { error: "Idempotency-Key en uso." } }),
      says(200, ROWS),
    ],
    async ({ api, aval }) => {
      assert.equal((await aval.nopasanada.alta("MAQ-001", [])).id_solicitud, 1);
      await aval.nopasanada.baja("MAQ-001", [], { idempotencyKey: "mine" });
      await aval.nopasanada.baja("MAQ-001", []);
      const [first, ...others] = keys(api);
      assert.equal(String(first).length, 36);
      assert.deepEqual(others.slice(0, 4), [first, first, first, "mine"]);
      assert.notEqual(others[4], first);
    },
  ));

const ONCE: Record<string, (aval: Aval) => Promise<unknown>> = {
  verify: (aval) => aval.informaperu.verify(CLIENT, "A1B2"),
  login: (aval) => aval.informaperu.login({ username: "ana", password: "clave" }),
  status: (aval) => aval.informaperu.status(),
  "webhooks.delete": (aval) => aval.webhooks.delete("7"),
};
const FAULTS: Record<string, Script> = {
  "a broken connection": hangUp,
  "429": says(429, {}, { "Retry-After": "1" }),
  "503": says(503, {}, { "Retry-After": "1" }),
};
for (const [fault, script] of Object.entries(FAULTS)) {
  for (const [name, act] of Object.entries(ONCE))
    test(`what may have been done is not done again: ${name} after ${fault}`, () =>
      withScripts([script], async ({ api, aval, clock }) => {
        await failure(() => act(aval));
        assert.deepEqual([api.received.length, keys(api), clock.slept], [1, [undefined], []]);
      }));
  test(`a write without a credential has no key and is not repeated after ${fault}`, () =>
    withScripts(
      [script],
      async ({ api, aval }) => {
        await failure(() => aval.informaperu.cancel(CLIENT));
        assert.deepEqual(keys(api), [undefined]);
      },
      { token: undefined, jwt: undefined },
    ));
}

test("it stops after so many attempts", () =>
  withScripts(
    [says(500, {})],
    async ({ api, aval }) => {
      assert.ok((await failure(() => aval.partners.me())) instanceof ServerError);
      assert.equal(api.received.length, 3);
    },
    { retries: { attempts: 3 } },
  ));

test("a wait beyond the deadline is not begun", () =>
  withScripts([says(503, {}, { "Retry-After": "40" })], async ({ api, aval, clock }) => {
    const error = await failure(() => aval.partners.me());
    assert.ok(error instanceof ServerError && error.retryAfter === 40);
    assert.deepEqual([api.received.length, clock.slept.length], [2, 1]);
  }));

test("an attempt without an answer ends at its timeout", () =>
  withScripts(
    [() => undefined],
    async ({ api, aval }) => {
      assert.ok((await failure(() => aval.partners.me())) instanceof NoAnswer);
      assert.equal(api.received.length, 2);
    },
    { timeoutMs: 50, retries: { attempts: 2 } },
  ));

test("a signal ends a call and its repetitions", () =>
  withScripts([says(503, {})], async ({ api, aval }) => {
    const error = await failure(() => aval.partners.me({ signal: AbortSignal.abort(new Error("enough")) }));
    assert.equal((error as Error).message, "enough");
    assert.equal(api.received.length, 0);
  }));

test("backoff grows to its limit and is spread", () => {
  const waits = [1, 3, 9].map((attempt) => Array.from({ length: 200 }, () => waitMs(RETRIES, attempt, undefined)));
  const most = waits.map((each) => Math.max(...each));
  assert.ok(most[0]! > 400 && most[0]! <= 500 && most[1]! > 1500 && most[1]! <= 2000);
  assert.ok(most[2]! > 15_000 && most[2]! <= 20_000 && Math.min(...waits[2]!) < 5000);
});

test("no redirect is followed", () =>
  withScripts([says(302, "", { Location: "/elsewhere" })], async ({ api, aval }) => {
    const error = await failure(() => aval.partners.me());
    assert.ok(error instanceof ApiError && error.status === 302);
    assert.equal(api.received.length, 1);
  }));

// --- errors --------------------------------------------------------------------------------------------------

const COOLDOWN = { via: "S", can_request: false, remaining_seconds: 9, attempts_24h: 1, next_attempt: 2 };
const ERRORS: [number, unknown, typeof ApiError, string, string][] = [
  [400, { resultados: { error: "Usuario requerido." } }, BadRequest, "Usuario requerido.", "Usuario requerido."],
  [401, { header: { code: "401", message: "No." } }, Unauthorized, "401", "No."],
  [403, { code: "ERR_CLIENT_LOCKED", message: "No." }, Forbidden, "ERR_CLIENT_LOCKED", "No."],
  [404, { code: "not_found", detail: "Nada." }, NotFound, "not_found", "Nada."],
  [409, { code: "ERR_TOKEN_STILL_ACTIVE", message: "No." }, Conflict, "ERR_TOKEN_STILL_ACTIVE", "No."],
  [422, { code: "idempotency_key_reused", detail: "x" }, IdempotencyConflict, "idempotency_key_reused", "x"],
  [422, { header: { code: "422", title: "Conflicto de Idempotencia", message: "x" } }, IdempotencyConflict, "422", "x"],
  [429, { code: "rate_limited", detail: "No." }, RateLimited, "rate_limited", "No."],
  [502, "<html>", ServerError, "", "Bad Gateway"],
];
for (const [status, body, kind, code, detail] of ERRORS)
  test(`an error has the type of its status: ${status} ${code}`, () =>
    withScripts(
      [says(status, body, { "Retry-After": "9", "Request-Id": "abc" })],
      async ({ aval }) => {
        const error = (await failure(() => aval.informaperu.requestToken(CLIENT, { via: "C" }))) as ApiError;
        assert.equal(error.constructor, kind);
        assert.deepEqual([error.status, error.code, error.detail], [status, code, detail]);
        assert.deepEqual([error.name, error.requestId, error.retryAfter], [kind.name, "abc", 9]);
      },
      { retries: { attempts: 1 } },
    ));

test("a cooldown and a wrong code carry their data and are not repeated", () =>
  withScripts(
    [
      says(429, { code: "ERR_COOLDOWN_ACTIVE", data: COOLDOWN }, { "Retry-After": "9" }),
      says(400, { code: "ERR_INVALID_TOKEN", data: { attempts_remaining: 3 } }),
    ],
    async ({ api, aval }) => {
      const waiting = await failure(() => aval.informaperu.requestToken(CLIENT, { via: "C" }));
      assert.ok(waiting instanceof CooldownActive && waiting.cooldown.remaining_seconds === 9);
      const wrong = await failure(() => aval.informaperu.verify(CLIENT, "A1B2"));
      assert.ok(wrong instanceof WrongCode && wrong.attemptsRemaining === 3);
      assert.equal(api.received.length, 2);
    },
  ));

for (const body of [{ details: { f: ["t"] } }, { errors: { f: ["t"] } }, { content: { errors: { f: ["t"] } } }])
  test(`the faults of fields are named: ${Object.keys(body)}`, () =>
    withScripts([says(400, body)], async ({ aval }) => {
      const error = (await failure(() => aval.partners.me())) as ApiError;
      assert.deepEqual(error.fields, { f: ["t"] });
    }));

test("Retry-After may be a date", () =>
  withScripts([says(400, {}, { "Retry-After": new Date(Date.now() + 3_600_000).toUTCString() })], async ({ aval }) => {
    const { retryAfter = 0 } = (await failure(() => aval.partners.me())) as ApiError;
    assert.ok(retryAfter > 3500 && retryAfter <= 3600);
  }));

test("a success that is no JSON is broken", () =>
  withScripts([says(200, "<html>")], async ({ aval }) => {
    assert.ok((await failure(() => aval.partners.me())) instanceof BrokenAnswer);
    assert.ok((await failure(() => aval.partners.eventsPage())) instanceof BrokenAnswer);
  }));

test("the credential that a call needs is asked for", () => {
  assert.throws(() => new Aval("http://x", { token: "t" }).registry, MissingCredential);
  assert.throws(() => new Aval("http://x", { jwt: "j" }).nopasanada, MissingCredential);
  assert.throws(() => new Aval("http://x").events(), MissingCredential);
});

test("what people type stays one segment of the path", () =>
  withScripts([says(200, {})], async ({ api, aval }) => {
    await aval.informaperu.verify(CLIENT, "../x?");
    assert.equal(api.received[0]?.path, `/v1/api/client/${CLIENT}/verify/..%2Fx%3F`);
    for (const code of ["", ".", ".."]) await assert.rejects(() => aval.informaperu.verify(CLIENT, code), RangeError);
    assert.equal(api.received.length, 1);
  }));
