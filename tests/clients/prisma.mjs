// Prisma's introspection (`prisma db pull`) makes a model of the table, whose client asks it, joins
// it and refers to it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";

const connectionString = process.env.DATABASE_URL;
const schema = process.env.SCHEMA;
const database = new pg.Client({ connectionString });
await database.connect();
await database.query(`CREATE TABLE todos (
  id bigint PRIMARY KEY, title text NOT NULL, user_id text NOT NULL REFERENCES ${schema}.users_sync (id)
)`);

// Below node_modules, so that what it generates finds its packages, and installs none.
const folder = mkdtempSync(join(import.meta.dirname, "node_modules", ".prisma-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const file = join(folder, "schema.prisma");
writeFileSync(
  file,
  `generator client {
  provider   = "prisma-client-js"
  engineType = "client"
  output     = "client"
}
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
  schemas  = ["${schema}", "public"]
}
`,
);
const prisma = (...words) =>
  execFileSync(
    process.execPath,
    ["node_modules/prisma/build/index.js", ...words, "--config", "prisma.config.mjs"],
    { env: { ...process.env, PRISMA_SCHEMA: file, CHECKPOINT_DISABLE: "1" }, stdio: ["ignore", "inherit", "inherit"] },
  );

prisma("db", "pull");
const pulled = readFileSync(file, "utf8");
const [, model] = pulled.match(/^model users_sync \{\n(.*?)^\}/ms);
const fields = model.split("\n").map((line) => line.trim().replace(/ +/g, " "));
assert.deepEqual(fields.slice(0, 8), [
  "raw_json Json",
  "id String @id",
  "name String?",
  "email String?",
  "created_at DateTime? @db.Timestamptz(6)",
  "updated_at DateTime? @db.Timestamptz(6)",
  "deleted_at DateTime? @db.Timestamptz(6)",
  "todos todos[]",
]);

prisma("generate");
const { PrismaClient } = createRequire(import.meta.url)(join(folder, "client"));
const db = new PrismaClient({ adapter: new PrismaPg({ connectionString }) });
await db.todos.create({ data: { id: 1, title: "write it down", user_id: process.env.USER_ID } });
const found = await db.todos.findMany({ where: { users_sync: { deleted_at: null } }, include: { users_sync: true } });
assert.equal(found.length, 1);
const { name, email, raw_json: raw, created_at: at } = found[0].users_sync;
assert.deepEqual([name, email, typeof raw], ["Ada Lovelace", "ada@example.com", "object"]);
assert.ok(at instanceof Date);
const nobody = db.todos.create({ data: { id: 2, title: "?", user_id: "nobody" } });
await assert.rejects(nobody, { code: "P2003" });
await db.$disconnect();
await database.query("DROP TABLE todos");
await database.end();
console.log("prisma: sees, joins, refers");
