"""An idempotent producer (librdkafka, by kcat) goes on over kill -9 of the server: what it sends again, because the answer was
lost with the server, is known from before the restart, so every message is there once and in order."""
import os
import subprocess
import time

from _server import Server, wait_for

SCRATCH = os.environ["SCRATCH"]
MESSAGES, KILLS, BURST = 12000, 4, 100

server = Server(SCRATCH + "/idempotent").start()
server.flags = ("--kafka", server.kafka)  # where the producer looks for it again
server.sql("CREATE TOPIC once")
producer = subprocess.Popen(
    ["kcat", "-E", "-P", "-b", server.kafka, "-t", "once", "-X", "enable.idempotence=true", "-X", "linger.ms=1",
     "-X", "batch.num.messages=20", "-X", "message.timeout.ms=120000", "-X", "reconnect.backoff.ms=50",
     "-X", "reconnect.backoff.max.ms=200"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def appended():
    return server.sql("SELECT coalesce(sum(records), 0)::bigint FROM kappa.topics WHERE name = 'once'")[0][0]


sent = 0
for kill in range(KILLS + 1):
    until = MESSAGES * (kill + 1) // (KILLS + 1)
    before = appended()
    while sent < until:
        producer.stdin.write("".join(f"message {i}\n" for i in range(sent, sent + BURST)))
        producer.stdin.flush()
        sent += BURST
        time.sleep(0.002)
    if kill < KILLS:
        wait_for("some of it to be appended", lambda: appended() > before)
        server.kill()
        server.start()
_, said = producer.communicate(timeout=150)
assert producer.returncode == 0, said
got = [value for _, value in server.records("once")]
assert got == [f"message {i}" for i in range(MESSAGES)], (len(got), next(
    (i, got[i]) for i in range(len(got)) if got[i] != f"message {i}"))
server.stop()
print(f"{MESSAGES} messages over {KILLS} kills: each there once, in order")
