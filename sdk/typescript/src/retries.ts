/** Limits of the repetitions of one call. Only calls that change nothing, and writes under a key, are repeated. */
export interface Retries {
  /** Calls in all; 1 repeats nothing. */
  attempts: number;
  /** Milliseconds from the first attempt after which none begins, waits included. */
  deadlineMs: number;
  /** Bounds of the wait where the answer names none. */
  baseMs: number;
  longestMs: number;
}

export const RETRIES: Retries = { attempts: 5, deadlineMs: 60_000, baseMs: 500, longestMs: 20_000 };

/** Milliseconds before the next attempt: `Retry-After`, or exponential backoff with full jitter. */
export function waitMs(retries: Retries, attempt: number, retryAfter: number | undefined): number {
  if (retryAfter !== undefined) return retryAfter * 1000 + Math.random() * retries.baseMs;
  return Math.random() * Math.min(retries.longestMs, retries.baseMs * 2 ** (attempt - 1));
}
