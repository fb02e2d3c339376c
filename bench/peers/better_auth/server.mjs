// better-auth with its plugin `phone-number`, in as many processes as Aval's web server has: PORT, WEB_WORKERS, and the
// database by libpq's variables (PGHOST, ...). The sender keeps nothing: it puts the code into the header X-Code of the
// answer under way.
//
// What is switched off would refuse the load (rate limit, by address) or cost it (logger, telemetry).

import cluster from "node:cluster";
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { phoneNumber } from "better-auth/plugins";
import pg from "pg";

const port = Number(process.env.PORT);
const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: process.env.SECRET_KEY,
  database: new pg.Pool({ max: 10 }),
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [
    phoneNumber({
      sendOTP: ({ code }, ctx) => ctx.setHeader("X-Code", code),
      signUpOnVerification: { getTempEmail: (phone) => `${phone.slice(1)}@example.com` },
    }),
  ],
};

if (cluster.isPrimary) {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  for (let n = Number(process.env.WEB_WORKERS); n > 0; n--) cluster.fork();
  process.on("SIGTERM", () => process.exit());
} else {
  createServer(toNodeHandler(betterAuth(options))).listen(port, "127.0.0.1");
}
