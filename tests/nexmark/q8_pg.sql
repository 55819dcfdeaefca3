SELECT DISTINCT p.id, p.name, date_bin('10 seconds', p.datetime, '2000-01-01') AS window_start
FROM person AS p
JOIN auction AS a ON a.seller = p.id
WHERE date_bin('10 seconds', p.datetime, '2000-01-01') = date_bin('10 seconds', a.datetime, '2000-01-01')
