/*
 * For law_test.c only: statements that write, as a table. A line here is all that a new one needs to be in the law.
 *
 * %T: the table, %O: a table, perhaps another one, %R: a row, %C: a column, %E: a value for it, %P: a predicate, %I: an
 * id, %N: a number; %X, %Y: an integer, a text of the row; %Z: a subscript. Its argument, if it has one, is %C's type.
 */
#ifndef KP_TESTS_LAW_STATEMENTS_H
#define KP_TESTS_LAW_STATEMENTS_H

#include "tests/law/forms.h"

enum { INSERT_FORMS = 2 }; /* the first ones, which fill tables; a source takes the very first only */

static struct form_table statements = {
    .name = "statements",
    .text =
        "b .   S   INSERT INTO %T VALUES (%R)\nb .   S   INSERT INTO %T VALUES (%R), (%R)\nb .   S   INSERT INTO %T "
        "VALUES (%R) ON CONFLICT DO NOTHING\nb .   S   INSERT INTO %T VALUES (%R) ON CONFLICT (id) DO UPDATE SET k = "
        "EXCLUDED.k WHERE %T.k IS DISTINCT FROM 3\nb .   S   INSERT INTO %T (id, k) SELECT id + %I, k FROM %O WHERE id "
        "% 4 = 1 ON CONFLICT (id) DO UPDATE SET k = coalesce(EXCLUDED.k, %T.k, 0)\nb .   S   INSERT INTO %T (id, k) "
        "SELECT %I + row_number() OVER (ORDER BY o.id), o.k FROM %O AS o WHERE o.k < %N\nb .   S   DELETE FROM %T "
        "WHERE %P AND id % 3 = 1\nb .   S   DELETE FROM %T WHERE id = %I\nb .   S   DELETE FROM %T WHERE id = %I OR k "
        "= %N\nb .   S   DELETE FROM %T USING %O AS o WHERE o.id = %T.id AND o.k = %N\nb .   S   DELETE FROM %T WHERE "
        "EXISTS (SELECT 1 FROM %O AS o WHERE o.k = %T.id AND o.k > %N)\nb .   S   DELETE FROM %T WHERE id NOT IN "
        "(SELECT id FROM %O) AND id % 7 = 2\nb .   S   UPDATE %T SET %C = %E WHERE %P\nb .   S   UPDATE %T SET %C = %E "
        "WHERE id = %I\nb .   S   UPDATE %T SET id = %I WHERE id = %I\nb .   S   UPDATE %T SET k = k + 1 WHERE %P\nb . "
        "  S   UPDATE %T SET k = o.k FROM %O AS o WHERE o.id = %T.id AND o.k > %N\nb .   S   UPDATE %T SET k = (SELECT "
        "max(o.k) FROM %O AS o WHERE o.id < %T.id) WHERE id = %I\nb .   S   UPDATE %T SET (k, %C) = (SELECT o.k, %T.%C "
        "FROM %O AS o WHERE o.id = %T.id) WHERE id = %I\nb .   .   MERGE INTO %T AS t USING (SELECT id + 1 AS id, k "
        "FROM %O WHERE id % 3 = 1) AS o ON t.id = o.id WHEN MATCHED AND o.k < 0 THEN DELETE WHEN MATCHED THEN UPDATE "
        "SET k = o.k WHEN NOT MATCHED AND o.k > 5 THEN INSERT (id, k) VALUES (o.id, o.k)\nb .   .   MERGE INTO %T AS t "
        "USING (SELECT k, max(id) AS id FROM %O GROUP BY k) AS o ON t.id = o.k WHEN MATCHED AND t.k IS NULL THEN "
        "UPDATE SET k = 0 WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED AND o.k % 9 = 4 THEN INSERT (id, k) VALUES "
        "(o.id + 7000, o.k)\nb .   .   WITH gone AS (DELETE FROM %T WHERE id = %I RETURNING id, k) INSERT INTO %O (id, "
        "k) SELECT id + 5000, max(k) FROM gone GROUP BY id ON CONFLICT DO NOTHING\nb .   .   WITH made AS (INSERT INTO "
        "%T (id, k) "
        "SELECT %I + 9000, max(k) FROM %O RETURNING id) DELETE FROM %O WHERE id IN (SELECT id - 9000 FROM made)\nb .   "
        ".   TRUNCATE %T\nb .   .   "
        "MERGE INTO %T AS t USING (VALUES (%I, %N), (%I + 3, %N)) AS o (id, k) ON t.id = o.id WHEN MATCHED AND o.k < "
        "t.k "
        "THEN UPDATE SET k = o.k + t.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, id) VALUES (o.k, "
        "o.id)\nb .   S   INSERT INTO %T (id, k) SELECT o.id, count(*) FROM %O AS o JOIN %T AS u ON u.k = o.k GROUP BY "
        "o.id ON CONFLICT (id) DO UPDATE SET k = EXCLUDED.k + %T.k, %C = %T.%C WHERE EXCLUDED.k > 1\nb .   S   UPDATE "
        "%T SET k = r.n FROM (SELECT id, rank() OVER (ORDER BY k, id) AS n FROM %O) AS r WHERE r.id = %T.id AND r.n < "
        "4\n"
        /* parts of columns */
        "b a   S   UPDATE %T SET %C[%Z] = %X WHERE %P ;; UPDATE %T SET %C[%Z] = %N, k = %Z WHERE id = %I\n"
        "b a   S   UPDATE %T SET %C[1:2] = ARRAY[%X, %N] WHERE id = %I ;; UPDATE %T SET %C[:1] = ARRAY[%X] WHERE %P "
        "AND "
        "cardinality(%C) > 0\n"
        "b a   S   UPDATE %T SET %C[%Z] = o.k, %C[%Z + 1] = o.id FROM %O AS o WHERE o.id = %T.id\n"
        "b x   S   UPDATE %T SET %C[%Z] = %Y WHERE %P ;; UPDATE %T SET %C[%Z] = NULL WHERE id = %I\n"
        "b k   S   UPDATE %T SET %C[%Z] = 'ok' WHERE %P\n"
        "b p   S   UPDATE %T SET %C[%Z].b = %Y WHERE id % 2 = 1 ;; UPDATE %T SET %C[%Z] = ROW(%X, 'b') WHERE id = %I\n"
        "b w   S   UPDATE %T SET %C.a = %X WHERE %P ;; UPDATE %T SET %C.b = %Y, %C.a = k WHERE id % 3 = 0\n"
        "b w   S   UPDATE %T SET %C.b = NULL WHERE (%C).a = %N ;; UPDATE %T SET (%C.a, k) = (%N, %X) WHERE id = %I\n"
        "b j   S   UPDATE %T SET %C['a'] = to_jsonb(%X) WHERE jsonb_typeof(%C) = 'object' ;; UPDATE %T SET %C['b'][%Z] "
        "= "
        "'{}' WHERE jsonb_typeof(%C) = 'object' AND id % 2 = 0\n"
        "b j   S   UPDATE %T SET %C[%Z] = to_jsonb(%Y) WHERE jsonb_typeof(%C) = 'array' ;; UPDATE %T SET %C['a']['a'] "
        "= "
        "NULL WHERE id = %I\n"
        "b a   S   INSERT INTO %T (id, %C[1], %C[3]) VALUES (%I + 20000, %N, %N) ON CONFLICT DO NOTHING\n"
        "b w   S   INSERT INTO %T (id, %C.b) VALUES (%I + 20000, 'x') ON CONFLICT (id) DO UPDATE SET %C.a = "
        "EXCLUDED.id\n"
        "b a   .   MERGE INTO %T AS t USING %O AS o ON t.id = o.id WHEN MATCHED AND o.k > %N THEN UPDATE SET %C[%Z] = "
        "o.k\n",
};

#endif
