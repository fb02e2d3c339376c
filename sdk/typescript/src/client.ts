/** Client of one installation of Aval. */

import { MissingCredential } from "./errors.js";
import { Events, type EventsOptions } from "./events.js";
import { InformaPeru } from "./informaperu.js";
import { NoPasaNada } from "./nopasanada.js";
import { Partners } from "./partners.js";
import { Registry } from "./registry.js";
import { RETRIES, type Retries } from "./retries.js";
import { Staff } from "./staff.js";
import { CLOCK, type Clock, Transport } from "./transport.js";
import { Twin } from "./twin.js";
import { WebhookEndpoints } from "./webhooks.js";

export interface AvalOptions {
  /** Opaque token: contracts 1 and 2, partners. */
  token?: string | undefined;
  /** JWT: contracts 2 and 3, partners. */
  jwt?: string | undefined;
  /** Longest time of one attempt, in milliseconds. */
  timeoutMs?: number;
  /** Longest pause within a list of contract 1, in milliseconds. */
  exportPauseMs?: number;
  retries?: Partial<Retries>;
  /** A `fetch` of your own, with your proxies or certificates. */
  fetch?: typeof fetch;
  clock?: Clock;
}

/** The three contracts and the API for partners, each behind a property. */
export class Aval {
  private readonly transport: Transport;

  constructor(
    url: string,
    private readonly options: AvalOptions = {},
  ) {
    this.transport = new Transport({
      url,
      retries: { ...RETRIES, ...options.retries },
      timeoutMs: options.timeoutMs ?? 30_000,
      clock: options.clock ?? CLOCK,
      fetch: options.fetch ?? fetch,
    });
  }

  /** Contract 1. */
  get nopasanada(): NoPasaNada {
    return new NoPasaNada(this.transport, given(this.options.token, "token"), this.options.exportPauseMs ?? 300_000);
  }

  /** Contract 2. */
  get informaperu(): InformaPeru {
    return new InformaPeru(this.transport, this.options.token ?? this.options.jwt);
  }

  /** Contract 3. */
  get registry(): Registry {
    return new Registry(this.transport, given(this.options.jwt, "jwt"));
  }

  /** API for partners: what the partner is and what became of its codes and messages. */
  get partners(): Partners {
    return new Partners(this.transport, this.either);
  }

  /** API for partners: endpoints of webhooks. */
  get webhooks(): WebhookEndpoints {
    return new WebhookEndpoints(this.transport, this.either);
  }

  /** API for partners: the test twin. */
  get twin(): Twin {
    return new Twin(this.transport, this.either);
  }

  /** Queries of contract 2 for staff, with the token of `informaperu.login`. */
  staff(token: string): Staff {
    return new Staff(this.transport, token);
  }

  /** Events after a cursor, or all that are kept; the iterator waits for news unless `follow` is false. */
  events(options: EventsOptions = {}): Events {
    const { types, limit, signal } = options;
    const partners = this.partners;
    return new Events((after) => partners.feedPage({ after, types, limit, signal }), this.transport.clock, options);
  }

  private get either(): string {
    return given(this.options.token ?? this.options.jwt, "token or jwt");
  }
}

function given(credential: string | undefined, name: string): string {
  if (credential === undefined) throw new MissingCredential(`new Aval(url, { ${name} }) is needed for this call`);
  return credential;
}
