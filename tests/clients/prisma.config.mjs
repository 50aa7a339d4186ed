// Prisma's command line without its native engines, which come from a server of their own: the
// schema engine that npm has is WebAssembly, and asks the catalogue through the driver.
import { PrismaPg } from "@prisma/adapter-pg";
import { ColumnTypeEnum } from "@prisma/driver-adapter-utils";
import pg from "pg";
import { defineConfig } from "prisma/config";

// The adapter refuses the catalogue's own types "char" and name (prisma/orm#27403), so they pass
// as others: no column of the catalogue is a time.
const { TEXT, TIME } = pg.types.builtins;
const TEXTS = 1009;
const PASSES_AS = { 18: TIME, 19: TEXT, 1002: TEXTS, 1003: TEXTS };

class Pool extends pg.Pool {
  async query(...asked) {
    const answer = await super.query(...asked);
    for (const field of answer.fields) field.dataTypeID = PASSES_AS[field.dataTypeID] ?? field.dataTypeID;
    return answer;
  }
}

class Catalogue extends PrismaPg {
  async connect() {
    const adapter = await super.connect();
    const ask = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const answer = await ask(query);
      const { Time, Character } = ColumnTypeEnum;
      return { ...answer, columnTypes: answer.columnTypes.map((type) => (type === Time ? Character : type)) };
    };
    return adapter;
  }
}

export default defineConfig({
  // Named here and not as an option, or it takes an engine for needed and downloads it.
  schema: process.env.PRISMA_SCHEMA,
  engine: "js",
  experimental: { adapter: true },
  adapter: async () =>
    new Catalogue(new Pool({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true })),
});
