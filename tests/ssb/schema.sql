-- The Star Schema Benchmark's fact table and four dimensions, as O'Neil, O'Neil and Chen describe them.
CREATE TABLE customer (c_custkey integer, c_name varchar(25), c_address varchar(25), c_city char(10), c_nation char(15),
    c_region char(12), c_phone char(15), c_mktsegment char(10), PRIMARY KEY (c_custkey));
CREATE TABLE supplier (s_suppkey integer, s_name char(25), s_address varchar(25), s_city char(10), s_nation char(15),
    s_region char(12), s_phone char(15), PRIMARY KEY (s_suppkey));
CREATE TABLE part (p_partkey integer, p_name varchar(22), p_mfgr char(6), p_category char(7), p_brand1 char(9),
    p_color varchar(11), p_type varchar(25), p_size integer, p_container char(10), PRIMARY KEY (p_partkey));
CREATE TABLE date (d_datekey integer, d_date varchar(18), d_dayofweek char(9), d_month char(9), d_year integer,
    d_yearmonthnum integer, d_yearmonth char(7), d_weeknuminyear integer, PRIMARY KEY (d_datekey));
CREATE TABLE lineorder (lo_orderkey bigint, lo_linenumber integer, lo_custkey integer, lo_partkey integer, lo_suppkey integer,
    lo_orderdate integer, lo_orderpriority char(15), lo_shippriority char(1), lo_quantity integer, lo_extendedprice integer,
    lo_ordtotalprice integer, lo_discount integer, lo_revenue integer, lo_supplycost integer, lo_tax integer,
    lo_commitdate integer, lo_shipmode char(10), PRIMARY KEY (lo_orderkey, lo_linenumber));
