/** Errors of the client: what an installation refused, what it did not answer, what no receiver should trust. */

import type { Answer } from "./answers.js";
import type { Cooldown } from "./shapes/index.js";

/** Base of all errors of this package. */
export class AvalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The client was made without the kind of credential that this call needs. */
export class MissingCredential extends AvalError {}

/** No complete answer came: no connection, a timeout, or a connection that broke. The call may have been done. */
export class NoAnswer extends AvalError {}

/** An answer is not what the API promises: no JSON, or a list that ends early. */
export class BrokenAnswer extends AvalError {}

/** A webhook is not signed with this secret, or it is older or newer than five minutes. */
export class WebhookVerificationError extends AvalError {}

/** What an error's body says, whichever contract it is of. */
export interface Details {
  body: unknown;
  code: string;
  title: string;
  message: string;
  requestId: string | undefined;
  fields: Record<string, string[]>;
}

/** An answer with an error status, in the shape of its contract. */
export class ApiError extends AvalError {
  readonly status: number;
  /** For programs. Contract 1 has no codes: there it is the text of `error`; `""` without any. */
  readonly code: string;
  /** For people, in Spanish; `message` has the status and the code, too. */
  readonly detail: string;
  /** Cite it when you ask for support. */
  readonly requestId: string | undefined;
  /** Texts for each wrong field or parameter. */
  readonly fields: Record<string, string[]>;
  /** Seconds to wait before the same call is worth repeating, where the answer says so. */
  readonly retryAfter: number | undefined;
  /** The decoded JSON; undefined where it is none. */
  readonly body: unknown;

  constructor(answer: Answer, details: Details) {
    super(`${answer.status} ${details.code}: ${details.message} (Request-Id ${details.requestId})`);
    this.status = answer.status;
    this.code = details.code;
    this.detail = details.message;
    this.requestId = details.requestId;
    this.fields = details.fields;
    this.retryAfter = answer.retryAfter;
    this.body = details.body;
  }

  /** Whether the same call may succeed later without a change. */
  get isTemporary(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

/** 400: the request is wrong. */
export class BadRequest extends ApiError {}

/** `ERR_INVALID_TOKEN`: another code was sent. */
export class WrongCode extends BadRequest {
  get attemptsRemaining(): number {
    return Number(mapping(mapping(this.body)["data"])["attempts_remaining"]);
  }
}

/** 401: the credential is missing, wrong, over or revoked. */
export class Unauthorized extends ApiError {}

/** 403: a locked client, or staff without the right. */
export class Forbidden extends ApiError {}

/** 404: no such path, or nothing of this partner under the id. */
export class NotFound extends ApiError {}

/** 409: it does not fit the state of things. */
export class Conflict extends ApiError {}

/** 409: the first call with this key still runs. 422: the key was used for another call. */
export class IdempotencyConflict extends ApiError {
  override get isTemporary(): boolean {
    return this.status === 409;
  }
}

/** 410: events after this cursor are gone, or the database was restored. `oldest` is where to go on. */
export class CursorGone extends ApiError {
  get oldest(): string {
    return String(mapping(this.body)["oldest"]);
  }
}

/** 429: a limit of requests or of messages. */
export class RateLimited extends ApiError {}

/** `ERR_COOLDOWN_ACTIVE`: the client or the destination must wait before another code. Never repeated by itself. */
export class CooldownActive extends RateLimited {
  get cooldown(): Cooldown {
    return mapping(this.body)["data"] as Cooldown;
  }

  override get isTemporary(): boolean {
    return false;
  }
}

/** 5xx: a fault of the installation or of something before it. */
export class ServerError extends ApiError {}

type ErrorClass = new (answer: Answer, details: Details) => ApiError;

const BY_CODE: Record<string, ErrorClass> = {
  ERR_INVALID_TOKEN: WrongCode,
  ERR_COOLDOWN_ACTIVE: CooldownActive,
  cursor_gone: CursorGone,
};
const BY_STATUS: Record<number, ErrorClass> = {
  400: BadRequest,
  401: Unauthorized,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  429: RateLimited,
};

/** The error for an answer with an error status. */
export function errorOf(answer: Answer): ApiError {
  const details = detailsOf(answer);
  return new (classOf(answer.status, details))(answer, details);
}

function classOf(status: number, details: Details): ErrorClass {
  const words = `${details.code} ${details.title}`.toLowerCase();
  if ((status === 409 || status === 422) && words.includes("idempot")) return IdempotencyConflict;
  return BY_CODE[details.code] ?? (status >= 500 ? ServerError : (BY_STATUS[status] ?? ApiError));
}

function detailsOf(answer: Answer): Details {
  const decoded = answer.jsonOrUndefined();
  const body = mapping(decoded);
  const [results, header, content] = [mapping(body["resultados"]), mapping(body["header"]), mapping(body["content"])];
  const number = body["id_solicitud"] ?? header["event_id"] ?? body["request_id"];
  const message = results["error"] ?? header["message"] ?? body["detail"] ?? body["message"];
  return {
    body: decoded,
    code: text(results["error"] ?? header["code"] ?? body["code"]),
    title: text(header["title"] ?? body["title"] ?? body["error"]),
    message: text(message) || answer.reason,
    requestId: answer.headers.get("Request-Id") ?? (number === undefined ? undefined : String(number)),
    fields: mapping(body["details"] ?? body["errors"] ?? content["errors"]) as Record<string, string[]>,
  };
}

function mapping(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}
