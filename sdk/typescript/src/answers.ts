/** A complete answer of an installation. */
export class Answer {
  constructor(
    readonly status: number,
    readonly reason: string,
    readonly headers: Headers,
    readonly text: string,
  ) {}

  get isSuccess(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** Seconds of `Retry-After`. Aval sends seconds; a proxy before it may send a date. */
  get retryAfter(): number | undefined {
    const value = this.headers.get("Retry-After")?.trim() ?? "";
    if (/^[0-9]+$/.test(value)) return Number(value);
    const at = Date.parse(value);
    return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
  }

  /** The decoded body; undefined where it is no JSON. */
  jsonOrUndefined(): unknown {
    try {
      return JSON.parse(this.text);
    } catch {
      return undefined;
    }
  }
}
