/** Contract 2: a person registers, asks for a code and sends it back. */

import type {
  CooldownAnswer,
  Login,
  Person,
  Registered,
  Session,
  StatusChanged,
  SystemStatus,
  TokenRequest,
  TokenSent,
  Via,
} from "./shapes/index.js";
import { type CallOptions, newKey, segment, type Transport, type WriteOptions } from "./transport.js";

const PATH = "/v1/api";

/**
 * `/v1/api`, with either credential, or without one where the installation is open.
 *
 * Without a credential an installation ignores `Idempotency-Key`, so writes are not repeated then.
 */
export class InformaPeru {
  constructor(
    private readonly transport: Transport,
    private readonly credential: string | undefined,
  ) {}

  /** Register a person. The same document again keeps its id until it is validated. */
  register(person: Person, options: WriteOptions = {}): Promise<Registered> {
    return this.post("/client", person, options);
  }

  /** Send a code; by `C` to the registered address. Throws CooldownActive while a wait runs. */
  requestToken(clientId: string, request: TokenRequest, options: WriteOptions = {}): Promise<TokenSent> {
    return this.post(`/client/${segment(clientId)}/token`, request, options);
  }

  /** Check the code that the person typed. Never repeated: each wrong code counts. Throws WrongCode. */
  async verify(clientId: string, code: string, options: CallOptions = {}): Promise<StatusChanged> {
    const path = `${PATH}/client/${segment(clientId)}/verify/${segment(code)}`;
    return this.transport.json({ method: "GET", path, credential: this.credential, signal: options.signal });
  }

  /** End the live token. */
  cancel(clientId: string, options: WriteOptions = {}): Promise<StatusChanged> {
    return this.post(`/client/${segment(clientId)}/cancel`, {}, options);
  }

  /** Close a token whose time is up. */
  expire(clientId: string, options: WriteOptions = {}): Promise<StatusChanged> {
    return this.post(`/client/${segment(clientId)}/expire`, {}, options);
  }

  /** How long the client must wait for another code. */
  cooldown(clientId: string, via: Via, options: CallOptions = {}): Promise<CooldownAnswer> {
    const path = `${PATH}/client/${segment(clientId)}/cooldown/${segment(via)}`;
    const call = { method: "GET", path, credential: this.credential, isSafe: true, signal: options.signal } as const;
    return this.transport.json(call);
  }

  /** Log in a member of staff; `Aval.staff` takes the token. Never repeated: failures lock the account. */
  login(login: Login, options: CallOptions = {}): Promise<Session> {
    return this.transport.json({ method: "POST", path: `${PATH}/auth/login`, body: login, signal: options.signal });
  }

  /** Whether everything works. Throws ServerError at once where it does not: a health check must not wait. */
  status(options: CallOptions = {}): Promise<SystemStatus> {
    return this.transport.json({ method: "GET", path: `${PATH}/status`, signal: options.signal });
  }

  private post<Result>(path: string, body: unknown, options: WriteOptions): Promise<Result> {
    return this.transport.json({
      method: "POST",
      path: PATH + path,
      credential: this.credential,
      body,
      idempotencyKey: this.credential === undefined ? undefined : (options.idempotencyKey ?? newKey()),
      signal: options.signal,
    });
  }
}
