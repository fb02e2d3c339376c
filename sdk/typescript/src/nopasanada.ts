/** Contract 1: authorised clients in and out, and what was sent to them. */

import { Rows } from "./rows.js";
import type { Address, AuthorisedClient, NewClient, RowsAnswer, SentMessage } from "./shapes/index.js";
import { type CallOptions, newKey, type Transport, type WriteOptions } from "./transport.js";

const PATH = "/api/v1";

export interface ListOptions extends CallOptions {
  /** Only these addresses. */
  clientes?: Address[];
}

export interface SentOptions extends ListOptions {
  /** Days of Lima, `YYYY-MM-DD`, both included. */
  fecha_desde?: string;
  fecha_hasta?: string;
}

/**
 * `POST /api/v1`, with the opaque token.
 *
 * Rows that are refused are results, not errors: look at `cuenta_fallos`. At most 10,000 rows a call.
 */
export class NoPasaNada {
  constructor(
    private readonly transport: Transport,
    private readonly token: string,
    private readonly pauseMs: number,
  ) {}

  /** Authorise clients. */
  alta(usuario: string, clientes: NewClient[], options: WriteOptions = {}): Promise<RowsAnswer> {
    return this.change("alta", usuario, clientes, options);
  }

  /** Remove clients. Nothing more is sent to them. */
  baja(usuario: string, clientes: Address[], options: WriteOptions = {}): Promise<RowsAnswer> {
    return this.change("baja", usuario, clientes, options);
  }

  /** The live list, row by row. */
  clientesAutorizados(usuario: string, options: ListOptions = {}): Promise<Rows<AuthorisedClient>> {
    return this.list("clientes_autorizados", usuario, options);
  }

  /** Bulletins and alerts that a provider answered, row by row. */
  mensajesEnviados(usuario: string, options: SentOptions = {}): Promise<Rows<SentMessage>> {
    return this.list("mensajes_enviados", usuario, options);
  }

  private change(solicitud: string, usuario: string, clientes: object[], options: WriteOptions): Promise<RowsAnswer> {
    return this.transport.json({
      method: "POST",
      path: PATH,
      credential: this.token,
      body: { solicitud, usuario, clientes },
      idempotencyKey: options.idempotencyKey ?? newKey(),
      isResult: hasRowResults,
      signal: options.signal,
    });
  }

  private async list<Row>(solicitud: string, usuario: string, options: SentOptions): Promise<Rows<Row>> {
    const { signal, ...filters } = options;
    const body = { solicitud, usuario, ...filters };
    const call = { method: "POST", path: PATH, credential: this.token, body, isSafe: true, signal } as const;
    return new Rows(await this.transport.open(call, this.pauseMs));
  }
}

/** Whether a 400 is that of rows of which none went well, in the shape of 200. */
function hasRowResults(body: unknown): boolean {
  const results = (body as Partial<RowsAnswer> | undefined)?.resultados;
  return typeof results === "object" && "cuenta_fallos" in results;
}
