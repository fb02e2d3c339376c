/** Client of an Aval installation: its three contracts and its API for partners. */

export { Aval, type AvalOptions } from "./client.js";
export {
  ApiError,
  AvalError,
  BadRequest,
  BrokenAnswer,
  Conflict,
  CooldownActive,
  CursorGone,
  Forbidden,
  IdempotencyConflict,
  MissingCredential,
  NoAnswer,
  NotFound,
  RateLimited,
  ServerError,
  Unauthorized,
  WebhookVerificationError,
  WrongCode,
} from "./errors.js";
export { Events, type EventsOptions } from "./events.js";
export { RETRIES, type Retries, waitMs } from "./retries.js";
export { Rows } from "./rows.js";
export type * from "./shapes/index.js";
export type { CallOptions, Clock, WriteOptions } from "./transport.js";
export { verifyWebhook, type WebhookHeaders } from "./verification.js";
