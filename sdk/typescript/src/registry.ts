/** Contract 3: external clients of Guatemala. */

import type { ExternalClient, RegistryAnswer } from "./shapes/index.js";
import { newKey, type Transport, type WriteOptions } from "./transport.js";

/** `POST /external/client/registry`, with the JWT. */
export class Registry {
  constructor(
    private readonly transport: Transport,
    private readonly jwt: string,
  ) {}

  /** Register a client, or replace the data of the one with this `client_id`. */
  register(client: ExternalClient, options: WriteOptions = {}): Promise<RegistryAnswer> {
    return this.transport.json({
      method: "POST",
      path: "/external/client/registry",
      credential: this.jwt,
      body: client,
      idempotencyKey: options.idempotencyKey ?? newKey(),
      signal: options.signal,
    });
  }
}
