/** Prints the method and path of one call of each kind, for a comparison with the OpenAPI document. */

import { Aval, type ExternalClient, type Person } from "aval-client";

const answer = JSON.stringify({ events: [], next: "c", up_to_date: true });
const aval = new Aval("http://127.0.0.1:1", {
  token: "t",
  jwt: "j",
  fetch: async (input, init) => {
    console.log(init?.method, new URL(String(input)).pathname);
    return new Response(answer);
  },
});
const staff = aval.staff("s");

await aval.nopasanada.alta("u", []);
await aval.nopasanada.baja("u", []);
await aval.nopasanada.clientesAutorizados("u");
await aval.nopasanada.mensajesEnviados("u");
await aval.informaperu.register({} as Person);
await aval.informaperu.requestToken("1", { via: "C" });
await aval.informaperu.verify("1", "A1B2");
await aval.informaperu.cancel("1");
await aval.informaperu.expire("1");
await aval.informaperu.cooldown("1", "C");
await aval.informaperu.login({ username: "u", password: "p" });
await aval.informaperu.status();
await staff.clients();
await staff.client("1");
await staff.messages();
await aval.registry.register({} as ExternalClient);
await aval.partners.me();
await aval.partners.usage();
await aval.partners.message("1");
await aval.partners.verification("1");
await aval.events({ follow: false }).next();
await aval.webhooks.create({ url: "https://x" });
await aval.webhooks.list();
await aval.webhooks.get("1");
await aval.webhooks.update("1", {});
await aval.webhooks.delete("1");
await aval.webhooks.test("1");
await aval.webhooks.rotate("1");
await aval.webhooks.replay("1", { deliveries: [] });
await aval.webhooks.deliveries("1");
await aval.webhooks.delivery("1", "2");
await aval.twin.keys();
await aval.twin.advanceClock("PT4H");
await aval.twin.reset();
await aval.twin.messages();
