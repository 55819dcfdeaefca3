// knex: making tables anew, RETURNING, upserts, nested transactions that fail, isolation levels, batches.
"use strict";
const assert = require("assert");
const knex = require("knex")({
  client: "pg",
  connection: { host: process.env.PGHOST, port: +process.env.PGPORT, user: process.env.PGUSER, database: process.env.PGDATABASE },
});

async function made() {
  await knex.schema.dropTableIfExists("item");
  await knex.schema.createTable("item", (t) => {
    t.integer("id").primary();
    t.string("name");
    t.decimal("price", 8, 2);
    t.json("extra");
    t.boolean("ok").defaultTo(true);
  });
  assert.ok(await knex.schema.hasTable("item"));
  assert.ok(!(await knex.schema.hasTable("nobody")));
  assert.ok(await knex.schema.hasColumn("item", "price"));
  const info = await knex("item").columnInfo();
  assert.deepStrictEqual(info.name, { type: "character varying", maxLength: 255, nullable: true, defaultValue: null });
  assert.strictEqual(info.ok.defaultValue, "true");
  assert.deepStrictEqual(await knex("item").select(), []);
}

async function writes() {
  const rows = await knex("item").insert([{ id: 1, name: "a", price: 1.5, extra: { k: 1 } }, { id: 2, name: "b" }]).returning("*");
  assert.deepStrictEqual(rows, [
    { id: 1, name: "a", price: "1.50", extra: { k: 1 }, ok: true },
    { id: 2, name: "b", price: null, extra: null, ok: true },
  ]);
  assert.deepStrictEqual(await knex("item").insert({ id: 1, name: "z" }).onConflict("id").merge().returning("name"), [{ name: "z" }]);
  await knex("item").insert({ id: 1, name: "y" }).onConflict("id").ignore();
  assert.strictEqual(await knex("item").where({ id: 2 }).update({ name: "q" }), 1);
  assert.strictEqual(await knex("item").where("id", ">", 1).del(), 1);
  assert.deepStrictEqual((await knex.raw("SELECT count(*) FROM item WHERE name = ?", ["z"])).rows, [{ count: "1" }]);
}

async function transactions() {
  await knex.transaction(async (outer) => {
    await outer("item").insert({ id: 10 });
    await assert.rejects(outer.transaction((inner) => inner("item").insert({ id: 10 })), { code: "23505" });
    await outer.transaction(async (inner) => {
      await inner("item").insert({ id: 11 });
      await assert.rejects(inner.transaction(async (deepest) => {
        await deepest("item").insert({ id: 12 });
        throw new Error("back");
      }), /back/);
    });
    await Promise.all([13, 14].map((id) => outer.transaction((inner) => inner("item").insert({ id }))));
    await outer("item").where({ id: 10 }).forUpdate().select();
  });
  assert.deepStrictEqual(await knex("item").where("id", ">=", 10).orderBy("id").pluck("id"), [10, 11, 13, 14]);
  for (const isolationLevel of ["read committed", "repeatable read", "serializable"])
    await knex.transaction((t) => t("item").insert({ id: 100 + isolationLevel.length }), { isolationLevel });
  await assert.rejects(knex.transaction((t) => t("item").insert({ id: 1000 }), { readOnly: true }), { code: "25006" });
  await knex.batchInsert("item", Array.from({ length: 1000 }, (_, i) => ({ id: 2000 + i, name: "n" + i })), 100);
  assert.deepStrictEqual(await knex("item").count("*"), [{ count: "1008" }]);
}

(async () => {
  for (let round = 0; round < 2; round++) { // what was there before is gone with the table
    await made();
    await writes();
    await transactions();
  }
  await knex.destroy();
  console.log("knex: ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
