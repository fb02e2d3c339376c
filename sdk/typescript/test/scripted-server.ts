/** HTTP server for tests: it stores what it is asked and gives scripted answers, the last one again and again. */

import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { Aval, type AvalOptions, type Clock } from "aval-client";

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export type Script = (response: ServerResponse) => void;

export interface ScriptedServer extends AsyncDisposable {
  url: string;
  received: Received[];
  scripts: Script[];
}

/** An answer. An object is sent as JSON. */
export function says(status: number, body: unknown = "", headers: Record<string, string> = {}): Script {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return (response) => void response.writeHead(status, headers).end(text);
}

/** Close the connection before any answer. */
export const hangUp: Script = (response) => void response.socket?.destroy();

/** Close the connection in the middle of a body. */
export const hangUpHalfway: Script = (response) => {
  response.writeHead(200, { "Content-Length": "1000" });
  response.write('{"name": ', () => response.socket?.destroy());
};

export async function scriptedServer(...scripts: Script[]): Promise<ScriptedServer> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    received.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body });
    const script = found.scripts.length > 1 ? found.scripts.shift() : found.scripts[0];
    script?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const found: ScriptedServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    scripts,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return found;
}

/** A clock that moves only by sleeping. */
export class FakeClock implements Clock {
  slept: number[] = [];
  private time = 0;

  now(): number {
    return this.time;
  }

  async sleep(milliseconds: number): Promise<void> {
    this.slept.push(milliseconds);
    this.time += milliseconds;
  }
}

export interface Parts {
  api: ScriptedServer;
  aval: Aval;
  clock: FakeClock;
}

/** A client of a scripted server, with a clock that needs no waiting. */
export async function withScripts(
  scripts: Script[],
  act: (parts: Parts) => Promise<void>,
  more: AvalOptions = {},
): Promise<void> {
  await using api = await scriptedServer(...scripts);
  const clock = new FakeClock();
  await act({ api, clock, aval: new Aval(api.url, { token: "T", jwt: "j.w.t", clock, ...more }) });
}

/** The idempotency key of each call. */
export function keys(api: ScriptedServer): unknown[] {
  return api.received.map((each) => each.headers["idempotency-key"]);
}

/** What an act throws. */
export async function failure(act: () => Promise<unknown>): Promise<unknown> {
  try {
    await act();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}
