// PostgreSQL's JDBC driver: types, RETURNING by getGeneratedKeys, batches, a cursor by setFetchSize, savepoints, metadata, result sets that can be changed.
import java.math.BigDecimal;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGResultSetMetaData;

public class Jdbc {
    static Connection connection;

    static void expect(Object got, Object wanted) {
        if (!String.valueOf(got).equals(String.valueOf(wanted)))
            throw new AssertionError("expected " + wanted + ", got " + got);
    }

    static List<String> rows(ResultSet set, int... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (set.next()) {
            StringBuilder row = new StringBuilder();
            for (int column : columns)
                row.append(row.length() > 0 ? "|" : "").append(set.getString(column));
            rows.add(row.toString());
        }
        set.close();
        return rows;
    }

    static String one(String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet set = statement.executeQuery(sql)) {
            set.next();
            return set.getString(1);
        }
    }

    /** What another session wrote is seen when the engine has come to it. */
    static void await(String sql, String wanted) throws SQLException {
        for (long end = System.nanoTime() + 30_000_000_000L; !wanted.equals(one(sql)) && System.nanoTime() < end;)
            Thread.yield();
        expect(one(sql), wanted);
    }

    static Connection connect(String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "kappa");
        for (int i = 0; i < settings.length; i += 2)
            properties.setProperty(settings[i], settings[i + 1]);
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/kappa",
            properties);
    }

    static void types() throws SQLException {
        Statement statement = connection.createStatement();
        statement.execute("CREATE TABLE types (k int PRIMARY KEY, b boolean, l bigint, d double precision, n numeric(20,5), t text,"
            + " y bytea, da date, ts timestamp, tz timestamptz, u uuid, ia int[])");
        PreparedStatement insert = connection.prepareStatement("INSERT INTO types VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        for (int k = 1; k <= 12; k++) { // from the fifth time on it is prepared by name, and values are binary
            insert.setInt(1, k);
            insert.setBoolean(2, true);
            insert.setLong(3, Long.MIN_VALUE);
            insert.setDouble(4, 0.1);
            insert.setBigDecimal(5, new BigDecimal("12345.67890"));
            insert.setString(6, "grüße 'x' \\ \n");
            insert.setBytes(7, new byte[] {0, (byte) 255});
            insert.setObject(8, java.time.LocalDate.of(2024, 2, 29));
            insert.setObject(9, java.time.LocalDateTime.of(2024, 2, 29, 23, 59, 59, 999999000));
            insert.setObject(10, java.time.OffsetDateTime.of(2024, 2, 29, 12, 0, 0, 0, java.time.ZoneOffset.UTC));
            insert.setObject(11, java.util.UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
            insert.setArray(12, connection.createArrayOf("int4", new Object[] {1, null, 3}));
            expect(insert.executeUpdate(), 1);
        }
        PreparedStatement select = connection.prepareStatement("SELECT * FROM types WHERE k = ?");
        for (int k = 1; k <= 12; k++) {
            select.setInt(1, k);
            ResultSet set = select.executeQuery();
            set.next();
            expect(set.getBoolean(2), true);
            expect(set.getLong(3), Long.MIN_VALUE);
            expect(set.getDouble(4), 0.1);
            expect(set.getBigDecimal(5), "12345.67890");
            expect(set.getString(6), "grüße 'x' \\ \n");
            expect(set.getBytes(7)[1], -1);
            expect(set.getObject(8, java.time.LocalDate.class), "2024-02-29");
            expect(set.getObject(9, java.time.LocalDateTime.class), "2024-02-29T23:59:59.999999");
            expect(set.getObject(10, java.time.OffsetDateTime.class).toInstant(), "2024-02-29T12:00:00Z");
            expect(set.getObject(11), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
            expect(((Integer[]) set.getArray(12).getArray())[2], 3);
            set.close();
        }
    }

    static void keysAndBatches() throws SQLException {
        connection.createStatement().execute("CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2) DEFAULT 1.50)");
        PreparedStatement insert =
            connection.prepareStatement("INSERT INTO items (id, name) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS);
        insert.setInt(1, 1);
        insert.setString(2, "one");
        expect(insert.executeUpdate(), 1);
        expect(rows(insert.getGeneratedKeys(), 1, 2, 3), "[1|one|1.50]");
        PreparedStatement named = connection.prepareStatement("INSERT INTO items (id, name) VALUES (?, ?)", new String[] {"id", "price"});
        named.setInt(1, 2);
        named.setString(2, "two");
        named.executeUpdate();
        expect(rows(named.getGeneratedKeys(), 1, 2), "[2|1.50]");

        connection.setAutoCommit(false);
        PreparedStatement batch = connection.prepareStatement("INSERT INTO items (id, name) VALUES (?, ?)");
        for (int id = 1000; id < 3000; id++) {
            batch.setInt(1, id);
            batch.setString(2, "n" + id);
            batch.addBatch();
        }
        int sum = 0;
        for (int count : batch.executeBatch())
            sum += count;
        expect(sum, 2000);
        connection.commit();
        PreparedStatement returning =
            connection.prepareStatement("INSERT INTO items (id, name) VALUES (?, 'r')", new String[] {"id"});
        for (int id = 10; id < 13; id++) {
            returning.setInt(1, id);
            returning.addBatch();
        }
        returning.executeBatch();
        expect(rows(returning.getGeneratedKeys(), 1), "[10, 11, 12]");
        connection.rollback();
        batch.setInt(1, 20);
        batch.setString(2, "new");
        batch.addBatch();
        batch.setInt(1, 1000);
        batch.setString(2, "twice");
        batch.addBatch();
        try {
            batch.executeBatch();
            throw new AssertionError("no error");
        } catch (BatchUpdateException error) {
            expect(error.getSQLState(), "23505");
        }
        connection.rollback();
        expect(one("SELECT count(*) FROM items WHERE id < 1000"), 2);
        connection.setAutoCommit(true);
    }

    static void cursor() throws SQLException {
        connection.setAutoCommit(false);
        Statement statement = connection.createStatement();
        statement.setFetchSize(100);
        ResultSet set = statement.executeQuery("SELECT id, name FROM items WHERE id >= 1000 ORDER BY id");
        int count = 0;
        while (set.next())
            expect(set.getInt(1), 1000 + count++);
        expect(count, 2000);
        set.close();
        statement.setMaxRows(7);
        count = 0;
        for (set = statement.executeQuery("SELECT id FROM items"); set.next(); count++)
            ;
        expect(count, 7);
        connection.commit();
        Statement scroll = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
        set = scroll.executeQuery("SELECT id FROM items ORDER BY id");
        set.last();
        expect(set.getInt(1), 2999);
        set.absolute(2);
        expect(set.getInt(1), 2);
        connection.setAutoCommit(true);
    }

    static void savepoints() throws SQLException {
        connection.setAutoCommit(false);
        Statement statement = connection.createStatement();
        statement.executeUpdate("UPDATE items SET name = 'kept' WHERE id = 1");
        Savepoint savepoint = connection.setSavepoint("here");
        statement.executeUpdate("DELETE FROM items");
        connection.rollback(savepoint);
        Savepoint unnamed = connection.setSavepoint();
        connection.releaseSavepoint(unnamed);
        connection.commit();
        connection.setAutoCommit(true);
        expect(one("SELECT name FROM items WHERE id = 1"), "kept");
        try (Connection saving = connect("autosave", "always")) {
            saving.setAutoCommit(false);
            Statement each = saving.createStatement();
            each.executeUpdate("INSERT INTO items (id, name) VALUES (30, 'a')");
            try {
                each.executeUpdate("INSERT INTO items (id, name) VALUES (30, 'b')");
                throw new AssertionError("no error");
            } catch (SQLException error) {
                expect(error.getSQLState(), "23505");
            }
            each.executeUpdate("INSERT INTO items (id, name) VALUES (31, 'c')");
            saving.commit();
        }
        await("SELECT string_agg(name, ',' ORDER BY id) FROM items WHERE id IN (30, 31)", "a,c");
    }

    static void metadata() throws SQLException {
        Statement statement = connection.createStatement();
        statement.execute("CREATE MATERIALIZED VIEW by_name AS SELECT name, count(*) AS n FROM items GROUP BY name");
        statement.execute("CREATE VIEW cheap AS SELECT id FROM items WHERE price < 10");
        DatabaseMetaData data = connection.getMetaData();
        expect(data.getDatabaseProductName(), "PostgreSQL");
        expect(rows(data.getTables(null, "public", "%", new String[] {"TABLE"}), 2, 3, 4), "[public|items|TABLE, public|types|TABLE]");
        expect(rows(data.getTables(null, "public", "%", new String[] {"VIEW", "MATERIALIZED VIEW"}), 3, 4),
            "[by_name|MATERIALIZED VIEW, cheap|VIEW]");
        expect(rows(data.getColumns(null, "public", "items", "%"), 4, 5, 6, 7, 9, 11, 13),
            "[id|4|int4|10|0|0|null, name|12|text|2147483647|0|1|null, price|2|numeric|10|2|1|1.50]");
        expect(rows(data.getPrimaryKeys(null, "public", "items"), 3, 4, 5, 6), "[items|id|1|items_pkey]");
        expect(rows(data.getImportedKeys(null, "public", "items"), 3), "[]");
        expect(rows(data.getExportedKeys(null, "public", "items"), 3), "[]");
        expect(rows(data.getCrossReference(null, "public", "items", null, "public", "types"), 3), "[]");
        expect(rows(data.getIndexInfo(null, "public", "items", true, false), 6, 9), "[items_pkey|id]");
        expect(rows(data.getSchemas(), 1).contains("public"), true);
        expect(rows(data.getCatalogs(), 1), "[kappa]");
        expect(rows(data.getTableTypes(), 1).contains("MATERIALIZED VIEW"), true);
        expect(rows(data.getBestRowIdentifier(null, "public", "items", DatabaseMetaData.bestRowSession, false), 2), "[id]");
        rows(data.getTypeInfo(), 1);
        rows(data.getProcedures(null, "public", "%"), 3);
        rows(data.getFunctions(null, "public", "%"), 3);
        rows(data.getFunctionColumns(null, "public", "%", "%"), 3);
        rows(data.getProcedureColumns(null, "public", "%", "%"), 3);
        rows(data.getTablePrivileges(null, "public", "items"), 3);
        rows(data.getColumnPrivileges(null, "public", "items", "%"), 3);
        rows(data.getUDTs(null, "public", "%", null), 3);
        rows(data.getVersionColumns(null, "public", "items"), 2);
        rows(data.getClientInfoProperties(), 1);
        data.getNumericFunctions();
        expect(data.getMaxColumnNameLength(), 63);
        ResultSetMetaData columns = statement.executeQuery("SELECT id, name AS other, price * 2 AS double FROM items").getMetaData();
        expect(columns.getColumnCount(), 3);
        expect(columns.getColumnName(2), "other");
        expect(columns.getColumnTypeName(3), "numeric");
        ParameterMetaData params = connection.prepareStatement("SELECT * FROM items WHERE id = ? AND name = ?").getParameterMetaData();
        expect(params.getParameterTypeName(1) + params.getParameterTypeName(2), "int4text");
        expect(connection.isValid(5), true);
        connection.setReadOnly(true);
        connection.setReadOnly(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    }

    /** Result sets that can be changed: the driver finds the table's key, and the columns by what RowDescription says of them. */
    static void updatable() throws SQLException {
        Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
        statement.execute("CREATE TABLE stock (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2) DEFAULT 1.50)");
        statement.execute("INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)");
        ResultSet set = statement.executeQuery("SELECT id, name, price FROM stock ORDER BY id");
        expect(set.getConcurrency(), ResultSet.CONCUR_UPDATABLE);
        set.next();
        set.updateString("name", "changed");
        set.updateBigDecimal(3, new BigDecimal("9.99"));
        set.updateRow();
        expect(set.getString(2), "changed");
        set.next();
        set.deleteRow();
        set.moveToInsertRow();
        set.updateInt(1, 4);
        set.updateString(2, "new");
        set.insertRow();
        set.moveToCurrentRow();
        set.first();
        set.refreshRow();
        expect(set.getBigDecimal(3), new BigDecimal("9.99"));
        set.close();
        await("SELECT string_agg(id || name || price, ',' ORDER BY id) FROM stock", "1changed9.99,3c3.00,4new1.50");
        ResultSetMetaData columns = statement.executeQuery("SELECT id, name AS label, price + 1 AS more FROM stock").getMetaData();
        PGResultSetMetaData bases = columns.unwrap(PGResultSetMetaData.class);
        expect(columns.getTableName(2), "stock");
        expect(bases.getBaseTableName(2) + "." + bases.getBaseColumnName(2) + " as " + columns.getColumnLabel(2), "stock.name as label");
        expect(bases.getBaseSchemaName(1), "public");
        expect(columns.getTableName(3) + bases.getBaseColumnName(3), "");
        expect(columns.isNullable(1) + " " + columns.isNullable(3), ResultSetMetaData.columnNoNulls + " "
            + ResultSetMetaData.columnNullableUnknown);
        expect(columns.isAutoIncrement(1), false);
    }

    public static void main(String[] args) throws SQLException {
        connection = connect();
        types();
        keysAndBatches();
        cursor();
        savepoints();
        metadata();
        updatable();
        connection.close();
    }
}
