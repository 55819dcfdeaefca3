#!/bin/bash
# Every format: what a record carries beside its value (key, headers, partition, offset, times) as columns, INCLUDEd and hidden, in a
# view and asked for; and a record without key and headers.
. "${0%/*}/_kcat.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
include="INCLUDE key AS k INCLUDE header 'trace' AS trace INCLUDE headers AS heads INCLUDE partition AS part INCLUDE offset AS at_offset
    INCLUDE timestamp AS sent INCLUDE append_time AS logged INCLUDE position AS pos"
avro='{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"city","type":"string"}]}'
proto='syntax = "proto3"; message R { int64 id = 1; string city = 2; }'

declare_source() { # format, columns, options
    sql -c "CREATE SOURCE f_$1 ($2) $include WITH (topic = 'f_$1', format = '$1'$3)" \
        -c "CREATE MATERIALIZED VIEW v_$1 AS SELECT *, _key, _offset, _partition, _headers, _timestamp = sent AS same_sent,
                _log_time = logged AS same_logged, _position = pos AS same_position FROM f_$1"
}
declare_source json "id bigint, city text" ""
declare_source csv "id bigint, city text" ""
declare_source text "id bigint, city text" ", pattern = '(?P<id>[0-9]+) (?P<city>.*)'"
declare_source raw "body bytea" ""
declare_source avro "id bigint, city text" ", schema = '$avro'"
declare_source protobuf "id bigint, city text" ", schema = '$proto'"

printf '{"id":5,"city":"Bonn"}' >"$folder/json"
printf '5,Bonn' >"$folder/csv"
printf '5 Bonn' >"$folder/text"
printf '\x05\xffBonn' >"$folder/raw"
printf '\x0a\x08Bonn' >"$folder/avro"
printf '\x08\x05\x12\x04Bonn' >"$folder/protobuf"

for format in json csv text raw avro protobuf; do
    kc -P -t "f_$format" -k "key of $format" -H trace=abc -H other=x "$folder/$format"
    kc -P -t "f_$format" "$folder/$format"
    for _ in $(seq 100); do
        [ "$(sql -c "SELECT count(*) FROM v_$format")" = 2 ] && break
        sleep 0.1
    done
    value='5|Bonn'
    [ $format = raw ] && value='\x05ff426f6e6e'
    columns="id, city"
    [ $format = raw ] && columns=body
    headers='[{"key":"trace","value":"abc"},{"key":"other","value":"x"}]'
    expected="$value|key of $format|abc|$headers|0|0|t|t|key of $format|0|0|t|t|t|t
$value|||[]|0|1|t|t||1|0|f|t|t|t"
    shown="$columns, k, trace, heads, part, at_offset, sent IS NOT NULL,
        logged >= sent - INTERVAL '1 minute', _key, _offset, _partition, _headers LIKE '%trace%' IS TRUE"
    same "$format, the view" "$expected" "$(sql -c "SELECT $shown, same_sent, same_logged, same_position FROM v_$format ORDER BY at_offset")"
    same "$format, asked" "$expected" "$(sql -c "SELECT $shown, _timestamp = sent, _log_time = logged, _position = pos FROM f_$format
        ORDER BY at_offset")"
    same "$format, one of them" "1" "$(sql -c "SELECT count(*) FROM f_$format WHERE k = 'key of $format' AND at_offset < 1")"
done

# A table of change events: of the key and offset of the record that a row comes from.
sql -c "CREATE TABLE f_cdc (id bigint PRIMARY KEY, city text) WITH (topic = 'f_cdc', format = 'debezium')"
printf '{"before":null,"after":{"id":5,"city":"Bonn"},"op":"c"}' >"$folder/cdc"
kc -P -t f_cdc -k '{"id":5}' "$folder/cdc"
for _ in $(seq 100); do
    [ "$(sql -c "SELECT count(*) FROM f_cdc")" = 1 ] && break
    sleep 0.1
done
same "debezium" '5|Bonn|0' "$(sql -c 'SELECT id, city, _offset FROM f_cdc')"
same "dead letters" '0' "$(sql -c "SELECT count(*) FROM kappa.dead_letters")"
