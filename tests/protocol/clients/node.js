// node-postgres: parameters, types, named statements, a pool, a cursor, COPY streams, errors, savepoints.
"use strict";
const assert = require("assert");
const { pipeline } = require("stream/promises");
const { Readable } = require("stream");
const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");
const { from, to } = require("pg-copy-streams");

async function main() {
    const client = new Client();
    await client.connect();
    await client.query("CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2), at timestamptz, tags text[], extra jsonb, ok boolean)");
    const at = new Date("2024-02-29T12:00:00.123Z");
    const inserted = await client.query("INSERT INTO items VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
        [1, "grüße '\\\n", "12.50", at, ["a", 'b "c"', null], { n: [1, null] }, true]);
    assert.deepStrictEqual(inserted.rows, [{ id: 1, name: "grüße '\\\n", price: "12.50", at, tags: ["a", 'b "c"', null], extra: { n: [1, null] }, ok: true }]);
    assert.strictEqual(inserted.rowCount, 1);
    assert.strictEqual(inserted.command, "INSERT");
    for (let id = 2; id < 12; id++)
        await client.query({ name: "add", text: "INSERT INTO items (id, name) VALUES ($1, $2)", values: [id, null] });
    const array = await client.query({ text: "SELECT id, name FROM items WHERE id = ANY($1) ORDER BY id", values: [[1, 3]], rowMode: "array" });
    assert.deepStrictEqual(array.rows, [[1, "grüße '\\\n"], [3, null]]);
    assert.deepStrictEqual(array.fields.map((field) => [field.name, field.dataTypeID]), [["id", 23], ["name", 25]]);
    const several = await client.query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c");
    assert.deepStrictEqual(several.map((result) => result.rows), [[{ a: 1 }], [{ b: 2, c: 3 }]]);

    await assert.rejects(client.query("INSERT INTO items (id) VALUES (1)"), (error) =>
        error.code === "23505" && error.detail === "Key (id)=(1) already exists.");
    await assert.rejects(client.query("SELECT nothing FROM items"), (error) => error.code === "42703" && error.position === "8");
    await assert.rejects(client.query("SELECT $1::int", ["x"]), (error) => error.code === "22P02");

    await client.query("BEGIN");
    await client.query("SAVEPOINT a");
    await assert.rejects(client.query("SELECT 1/0"), (error) => error.code === "22012");
    await client.query("ROLLBACK TO SAVEPOINT a");
    await client.query("UPDATE items SET name = 'kept' WHERE id = $1", [2]);
    await client.query("COMMIT");
    assert.strictEqual((await client.query("SELECT name FROM items WHERE id = 2")).rows[0].name, "kept");

    const cursor = client.query(new Cursor("SELECT id FROM items ORDER BY id"));
    assert.strictEqual((await cursor.read(4)).length, 4);
    assert.deepStrictEqual(await cursor.read(2), [{ id: 5 }, { id: 6 }]);
    await cursor.close();

    const input = client.query(from("COPY items (id, name) FROM STDIN"));
    await pipeline(Readable.from(Array.from({ length: 1000 }, (_, n) => `${1000 + n}\tn${n}\n`)), input);
    const output = client.query(to("COPY (SELECT id FROM items WHERE id >= 1000 ORDER BY id) TO STDOUT"));
    let text = "";
    for await (const chunk of output)
        text += chunk;
    assert.strictEqual(text.split("\n").length, 1001);

    const notices = [];
    client.on("notice", (notice) => notices.push(notice.code));
    await client.query("DROP TABLE IF EXISTS nobody");
    assert.deepStrictEqual(notices, ["00000"]);
    await client.end();

    const pool = new Pool({ max: 8 });
    await Promise.all(Array.from({ length: 64 }, (_, n) => pool.query("INSERT INTO items (id, name) VALUES ($1, 'p')", [5000 + n])));
    for (const end = Date.now() + 30000;;) { // what another session wrote is seen when the engine has come to it
        const { n } = (await pool.query("SELECT count(*)::int AS n FROM items WHERE name = 'p'")).rows[0];
        if (n === 64)
            break;
        assert(Date.now() < end, `${n} of 64 rows`);
    }
    await pool.end();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
