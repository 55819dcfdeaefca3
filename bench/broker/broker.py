"""A real Kafka broker on loopback, as a peer to measure beside: jars from Maven Central, one node, KRaft."""
import base64
import os
import shutil
import socket
import subprocess
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class Unavailable(RuntimeError):
    """Java, Maven or Maven's repository is not there."""


def jars(build):
    """The folder of the broker's jars, fetched once into the build folder."""
    folder = os.path.join(build, "bench-broker")
    if os.path.isdir(folder):
        return folder
    if not shutil.which("java") or not shutil.which("mvn"):
        raise Unavailable("java and mvn are not there (default-jre-headless, maven)")
    partial = folder + ".new"
    shutil.rmtree(partial, ignore_errors=True)
    done = subprocess.run(["mvn", "-B", "-q", "-f", os.path.join(HERE, "pom.xml"), "dependency:copy-dependencies",
                           "-DincludeScope=runtime", "-DoutputDirectory=" + partial], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable("Maven could not fetch Kafka: " + (done.stdout + done.stderr).strip()[-300:])
    os.rename(partial, folder)
    return folder


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Broker:
    """settings: lines of server.properties, as a dictionary."""

    def __init__(self, build, folder, settings):
        self.jars, self.port = jars(build), free_port()
        os.makedirs(folder)
        properties = os.path.join(folder, "server.properties")
        with open(properties, "w") as file:
            file.write(NODE.format(port=self.port, controller=free_port(), data=os.path.join(folder, "data")))
            file.writelines("%s=%s\n" % item for item in settings.items())
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties), check=True,
                       capture_output=True)
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(self.java("kafka.Kafka", properties), stdout=self.log, stderr=subprocess.STDOUT)
        self.pid = self.process.pid

    def java(self, main, *arguments):
        return ["java", "-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-cp", self.jars + "/*", main,
                *arguments]

    def wait(self, answers, seconds=60):
        """Until answers() is true: the port opens before the broker serves."""
        until = time.monotonic() + seconds
        while not answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the broker did not start")
            time.sleep(0.2)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
