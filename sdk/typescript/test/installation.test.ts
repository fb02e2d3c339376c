/** Each contract from one end to the other, against the installation at AVAL_URL, with AVAL_TOKEN and AVAL_JWT. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  type ApiError,
  Aval,
  BadRequest,
  CooldownActive,
  CursorGone,
  type ExternalClient,
  Forbidden,
  type NewClient,
  NotFound,
  type Person,
  verifyWebhook,
  WebhookVerificationError,
  WrongCode,
} from "aval-client";

import { failure, type Received, says, type ScriptedServer, scriptedServer } from "./scripted-server.js";

const { AVAL_URL: url = "", AVAL_TOKEN: token, AVAL_JWT: jwt } = process.env;
const aval = new Aval(url, { token, jwt });
let last = Date.now() % 10_000_000;

/** Eight digits that nobody has used. */
function number(): string {
  last += 1;
  return `8${String(last).padStart(7, "0")}`;
}

function person(): Person {
  const documento = number();
  const place = { departamento: "LIMA", provincia: "LIMA", distrito: "MIRAFLORES" };
  const names = { nombres: "Juan", apellido_paterno: "Perez", apellido_materno: "Gomez" };
  const correo = `juan${documento}@example.com`;
  return { tipo_documento: "DNI", documento, digito_verificador: "9", ...names, correo, ...place };
}

function externalClient(): ExternalClient {
  const names = { first_name: "Juan", last_name: "Pérez" };
  const product = { product_key: "ABC123", product_id: "98765", origin: "website" };
  return { cui: "2380033370713", ...names, phone: "555-1234", ...product, client_id: `CL${number()}` };
}

/** The code in the newest message to a phone, from the sandbox. */
async function codeSentTo(phone: string): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const response = await fetch(`${url}/sandbox/messages?format=json&to=${phone}`);
    const [newest] = (await response.json()) as { text: string }[];
    const code = /clave es ([0-9A-Z]{4})/.exec(newest?.text ?? "")?.[1];
    if (code !== undefined) return code;
    await sleep(100);
  }
  return assert.fail("no code arrived");
}

test("clients come and go", async () => {
  const clientes: NewClient[] = [1, 2].map(() => ({
    codigo_externo: "C",
    perfil: "VIP3",
    correo: `n${number()}@dominio.com`,
  }));
  const [first] = clientes as [NewClient, NewClient];
  const idempotencyKey = `alta-${number()}`;
  const made = await aval.nopasanada.alta("MAQ-001", clientes, { idempotencyKey });
  assert.deepEqual([made.resultados.cuenta_exitos, made.resultados.fallos], [2, []]);
  assert.deepEqual(await aval.nopasanada.alta("MAQ-001", clientes, { idempotencyKey }), made);
  const again = await aval.nopasanada.alta("MAQ-001", [first]);
  assert.deepEqual(again.resultados.fallos, [{ errores: ["Correo ya registrado."], indice: 0 }]);
  const listed = await aval.nopasanada.clientesAutorizados("MAQ-001", { clientes });
  assert.deepEqual(
    (await listed.all()).map((row) => row.correo),
    clientes.map((each) => each.correo),
  );
  assert.equal(listed.envelope?.resultados.cuenta, 2);
  assert.equal((await aval.nopasanada.baja("MAQ-001", [first])).resultados.cuenta_exitos, 1);
  for await (const row of await aval.nopasanada.clientesAutorizados("MAQ-001")) assert.notEqual(row.correo, first.correo);
});

test("a long list is read row by row, and may be left", async () => {
  const clientes = Array.from({ length: 3000 }, (_, index) => ({
    codigo_externo: "C",
    perfil: index % 2 ? "ÑANDÚ" : "VIP",
    correo: `l${number()}@dominio.com`,
  }));
  assert.equal((await aval.nopasanada.alta("MAQ-001", clientes)).resultados.cuenta_exitos, 3000);
  let seen = 0;
  for await (const row of await aval.nopasanada.clientesAutorizados("MAQ-001")) {
    assert.ok(row.correo);
    seen += 1;
    if (seen === 10) break;
  }
  assert.equal((await (await aval.nopasanada.clientesAutorizados("MAQ-001", { clientes })).all()).length, 3000);
});

test("what was sent is listed, and a wrong day is named", async () => {
  assert.deepEqual(await (await aval.nopasanada.mensajesEnviados("MAQ-001", { fecha_desde: "2026-01-01" })).all(), []);
  const error = await failure(() => aval.nopasanada.mensajesEnviados("MAQ-001", { fecha_desde: "2026-02-30" }));
  assert.ok(error instanceof BadRequest && error.code === "Fecha Invalida." && error.requestId);
});

test("a person registers and sends the code back", async () => {
  const { id } = (await aval.informaperu.register(person())).data;
  const phone = `9${number()}`;
  const request = { via: "S", telefono: phone, operador: "CLARO" } as const;
  const sent = (await aval.informaperu.requestToken(id, request)).data;
  assert.equal(sent.expires_in_seconds, 150);
  const waiting = await failure(() => aval.informaperu.requestToken(id, request));
  assert.ok(waiting instanceof CooldownActive && waiting.cooldown.via === "S" && (waiting.retryAfter ?? 0) > 100);
  assert.equal((await aval.informaperu.cooldown(id, "S")).data.can_request, false);
  const code = await codeSentTo(phone);
  const wrong = await failure(() => aval.informaperu.verify(id, code === "0000" ? "1111" : "0000"));
  assert.ok(wrong instanceof WrongCode && wrong.attemptsRemaining === 4);
  assert.equal((await aval.informaperu.verify(id, code)).data.status, "VALIDADO");
  const one = await aval.partners.verification(sent.token_id);
  assert.deepEqual([one.outcome, one.wrong_attempts, one.client_id], ["verified", 1, id]);
  assert.equal((await aval.partners.message(one.messages[0]?.id ?? "")).verification_id, sent.token_id);
});

test("a code is cancelled and none is left to expire", async () => {
  const { id } = (await aval.informaperu.register(person())).data;
  await aval.informaperu.requestToken(id, { via: "C" });
  assert.equal((await aval.informaperu.cancel(id)).data.status, "CANCELADO");
  const error = (await failure(() => aval.informaperu.expire(id))) as ApiError;
  assert.equal(error.code, "ERR_NO_PENDING_TOKEN");
  const wrong = (await failure(() => aval.informaperu.register({ ...person(), correo: "x" }))) as ApiError;
  assert.deepEqual(wrong.fields, { correo: ["No es un correo válido."] });
});

test("an open installation needs no credential", async () => {
  const nobody = new Aval(url);
  assert.equal((await nobody.informaperu.status()).status, "ok");
  assert.ok((await nobody.informaperu.register(person())).data.id);
});

test("staff look at what the contract holds", async () => {
  const { AVAL_STAFF: username = "", AVAL_STAFF_PASSWORD: password = "" } = process.env;
  const { id } = (await aval.informaperu.register(person())).data;
  await aval.informaperu.requestToken(id, { via: "C" });
  const staff = aval.staff((await aval.informaperu.login({ username, password })).token);
  assert.ok((await staff.clients({ limit: 200 })).data.some((each) => each.id === id));
  assert.deepEqual((await staff.client(id)).data.tokens?.map((each) => each.via), ["C"]);
  assert.equal((await staff.messages({ limit: 1 })).data.length, 1);
});

test("an external client keeps its id", async () => {
  const client = externalClient();
  const made = await aval.registry.register(client);
  assert.equal(made.header.type, "success");
  assert.deepEqual((await aval.registry.register({ ...client, phone: "555-9999" })).content, made.content);
  const error = (await failure(() => aval.registry.register({ ...client, cui: "1" }))) as ApiError;
  assert.deepEqual([Object.keys(error.fields), error.code], [["cui"], "400"]);
});

test("a partner sees itself and its usage", async () => {
  const me = await aval.partners.me();
  assert.deepEqual(me.keys.filter((each) => each.is_this_one).map((each) => each.kind), ["opaque"]);
  const usage = await aval.partners.usage({ from: "2026-01-01", to: "2026-01-02", by: "via" });
  assert.deepEqual([usage.rows, usage.by], [[], "via"]);
  const stranger = new Aval(url, { token: "x".repeat(32) });
  const error = (await failure(() => stranger.partners.me())) as ApiError;
  assert.deepEqual([error.code, error.requestId?.length], ["unauthorized", 32]);
});

test("events come once and the iterator waits for the next", async () => {
  const client = externalClient();
  const types = ["registry.client.created", "registry.client.updated"];
  const before = aval.events({ types, follow: false });
  for await (const event of before) assert.ok(types.includes(event.type));
  const events = aval.events({ types, limit: 1, after: before.cursor });
  await aval.registry.register(client);
  const first = (await events.next()).value;
  setTimeout(() => void aval.registry.register({ ...client, phone: "555-9999" }), 1000);
  const second = (await events.next()).value;
  assert.deepEqual([first?.type, second?.type, first?.subject], [...types, second?.subject]);
  const rest = aval.events({ types, after: events.cursor, follow: false });
  assert.equal((await rest.next()).done, true);
});

test("a code is tried with test keys", async () => {
  const idempotencyKey = `keys-${number()}`;
  const keys = await aval.twin.keys({ idempotencyKey });
  assert.deepEqual(await aval.twin.keys({ idempotencyKey }), keys);
  const trial = new Aval(url, keys);
  const me = await trial.partners.me();
  assert.deepEqual([me.test, (await aval.partners.me()).test], [true, false]);
  assert.deepEqual(me.limits.messages_per_day_S, { limit: null, remaining: null });
  const { id } = (await trial.informaperu.register(person())).data;
  const telefono = `9${number().slice(-5)}000`;
  const sent = (await trial.informaperu.requestToken(id, { via: "S", telefono, operador: "CLARO" })).data;
  const message = await soon(async () => (await trial.twin.messages({ to: telefono })).messages[0]);
  assert.ok(message.to === telefono && message.text.includes("A1B2"));
  assert.equal((await trial.informaperu.verify(id, "A1B2")).data.status, "VALIDADO");
  assert.equal((await trial.partners.verification(sent.token_id)).reason, null);
  for await (const event of trial.events({ follow: false })) assert.equal(event.test, true);
  const refused = await failure(() => trial.twin.keys());
  assert.ok(refused instanceof Forbidden && refused.code === "live_key_required");
  assert.ok((await failure(() => aval.twin.reset())) instanceof Forbidden);
});

test("time passes for what is tried", async () => {
  const trial = new Aval(url, { token: (await aval.twin.keys()).token });
  await trial.twin.reset();
  const { id } = (await trial.informaperu.register(person())).data;
  const telefono = `9${number().slice(-5)}011`;
  const code = (await trial.informaperu.requestToken(id, { via: "S", telefono, operador: "CLARO" })).data.token_id;
  const { value } = await trial.events({ types: ["verification.undelivered"] }).next();
  assert.deepEqual([value?.subject, value?.data.reason], [code, "not_deliverable"]);
  assert.equal((await trial.partners.message(value?.data.message_id ?? "")).reason, "not_deliverable");
  assert.equal((await trial.partners.verification(code)).reason, null);
  assert.equal((await trial.informaperu.cooldown(id, "S")).data.can_request, false);
  assert.deepEqual(await trial.twin.advanceClock("PT4H"), { advanced_seconds: 14_400 });
  assert.equal((await trial.informaperu.cooldown(id, "S")).data.can_request, true);
  assert.equal((await trial.partners.verification(code)).reason, "not_deliverable");
  const wrong = (await failure(() => trial.twin.advanceClock("4 horas"))) as ApiError;
  assert.deepEqual(Object.keys(wrong.fields), ["advance"]);
  assert.ok((await trial.twin.reset()).removed > 0);
  assert.deepEqual(await trial.twin.messages(), { messages: [] });
  assert.ok((await failure(() => trial.informaperu.cooldown(id, "S"))) instanceof NotFound);
});

/** What is there within ten seconds. */
async function soon<Found>(look: () => Promise<Found | undefined>): Promise<Found> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(100);
  }
  return assert.fail("it did not come");
}

test("a strange cursor is gone", async () => {
  const after = "MDAwMDAwMDAwMDAwMDAwMC4xLjE=";
  await aval.registry.register(externalClient());
  assert.ok((await failure(() => aval.events({ after }).next())) instanceof CursorGone);
  const events = aval.events({ after, onGone: "oldest", types: ["registry.client.created"] });
  assert.equal((await events.next()).value?.type, "registry.client.created");
});

test("a webhook arrives and is verified", async () => {
  await using receiver = await scriptedServer(says(204));
  const made = await aval.webhooks.create({ url: `${receiver.url}/aval`, types: ["registry.client.created"] });
  assert.ok((await aval.webhooks.list()).webhooks.some((each) => each.id === made.id));
  await aval.registry.register(externalClient());
  const first = await receivedBy(receiver, 1);
  const event = verifyWebhook(first.body, first.headers, made.secret);
  assert.deepEqual([event.type, event.timestamp], ["registry.client.created", event.at]);
  const { secret } = await aval.webhooks.rotate(made.id);
  assert.equal((await aval.webhooks.test(made.id)).event_id, null);
  const second = await receivedBy(receiver, 2);
  for (const each of [secret, made.secret]) assert.ok(verifyWebhook(second.body, second.headers, each).id);
  assert.throws(() => verifyWebhook(first.body, first.headers, secret), WebhookVerificationError);
  const delivery = (await aval.webhooks.deliveries(made.id)).deliveries.find((each) => each.event_id === event.id);
  assert.equal((await aval.webhooks.delivery(made.id, delivery?.id ?? "")).type, event.type);
  assert.equal((await aval.webhooks.update(made.id, { status: "paused" })).status, "paused");
  await aval.webhooks.delete(made.id);
  assert.ok((await failure(() => aval.webhooks.get(made.id))) instanceof NotFound);
});

async function receivedBy(receiver: ScriptedServer, count: number): Promise<Received> {
  for (let attempt = 0; attempt < 200 && receiver.received.length < count; attempt += 1) await sleep(100);
  return receiver.received[count - 1] ?? assert.fail("no webhook arrived");
}
