"""A stranger with the contract's document and a stock library in another language can work with a camera."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.tools.link_process import CameraSide
from tests.tools.mosquitto import WAIT_S, running_broker
from tests.tools.npm_package import install

DOCUMENT = Path(__file__).resolve().parents[2] / "provisioning" / "backend" / "asyncapi.yaml"
PARSER = "@asyncapi/parser@3.6.6"
CLIENT, READERS = "mqtt@5.16.0", ("js-yaml@4.1.0", "ajv@8.17.1")

VALIDATE = """
const { Parser } = require("@asyncapi/parser");
const text = require("node:fs").readFileSync(process.argv[2], "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
    const wrong = diagnostics.filter((one) => one.severity <= 1);  // errors and warnings
    console.log(JSON.stringify({ parsed: document !== undefined, wrong }));
});
"""

# Everything it knows of the camera comes from the document: addresses, payload schemas, how a command is sent.
TALK = """
const fs = require("node:fs");
const mqtt = require("mqtt");
const Ajv = require("ajv").default;
const [yaml, url, ca, cert, key, camera] = process.argv.slice(2);

const contract = require("js-yaml").load(fs.readFileSync(yaml, "utf8"));
const ajv = new Ajv({ strict: false, validateFormats: false }).addSchema(contract, "contract");
const address = (name, values) =>
    contract.channels[name].address.replace(/{(\\w+)}/g, (_, parameter) => values[parameter] ?? "+");
const check = (name, payload) => {
    const validate = ajv.getSchema("contract" + contract.components.messages[name].payload.$ref);
    if (!validate(payload)) throw new Error(name + ": " + ajv.errorsText(validate.errors));
    return payload;
};

(async () => {
    const client = await mqtt.connectAsync(url, {
        protocolVersion: 5, clientId: "backend.lamppost", minVersion: "TLSv1.3",
        ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key),
    });
    const ask = () => {
        const now = Date.now();
        const command = check("command", {
            v: 1, camera_id: camera, name: "ping", id: "written-in-another-language",
            issued_at: new Date(now).toISOString(), expires_at: new Date(now + 60000).toISOString(), args: {},
        });
        const { qos, retain, messageExpiryInterval } = contract.operations.sendCommand.bindings.mqtt;
        return client.publishAsync(address("command", { camera_id: camera, name: "ping" }), JSON.stringify(command), {
            qos, retain, properties: { correlationData: Buffer.from("c-1"), messageExpiryInterval },
        });
    };
    const heard = {};
    client.on("message", (topic, payload, packet) => {
        for (const name of ["birth", "status", "reply"]) {
            const pattern = new RegExp("^" + address(name, {}).replaceAll("+", "[^/]+") + "$");
            if (!pattern.test(topic)) continue;
            const correlation = packet.properties?.correlationData?.toString();
            heard[name] = { ...check(name, JSON.parse(payload)), correlation };
            if (name === "birth" && heard.birth.online) ask();
        }
        if (heard.status && heard.reply) {
            console.log(JSON.stringify(heard));
            process.exit(0);
        }
    });
    for (const name of ["birth", "status", "reply"]) await client.subscribeAsync(address(name, {}), { qos: 1 });
    console.error("listening");
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.slow
def test_the_document_is_valid_asyncapi(tmp_path: Path) -> None:
    install(PARSER, tmp_path)
    (tmp_path / "validate.cjs").write_text(VALIDATE, encoding="utf-8")

    done = subprocess.run(
        ["node", tmp_path / "validate.cjs", DOCUMENT], capture_output=True, timeout=2 * WAIT_S, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == {"parsed": True, "wrong": []}


@pytest.mark.slow
def test_a_client_in_javascript_reads_status_and_sends_a_command(tmp_path: Path) -> None:
    install(CLIENT, tmp_path, *READERS)
    (tmp_path / "talk.cjs").write_text(TALK, encoding="utf-8")
    with running_broker(tmp_path) as broker:
        camera = CameraSide(broker, tmp_path / "camera")
        place = f"mqtts://localhost:{broker.port}"
        credential = (broker.authority.root_file, broker.folder.certificate, broker.folder.key)
        command = ["node", tmp_path / "talk.cjs", DOCUMENT, place, *credential, camera.camera_id]
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert client.stderr is not None
            assert client.stderr.readline() == b"listening\n"
            camera.start()
            said, complaint = client.communicate(timeout=2 * WAIT_S)
        finally:
            client.kill()
            client.communicate()
            camera.kill()

    assert client.returncode == 0, complaint.decode()
    heard = json.loads(said)
    assert heard["birth"]["online"] is True
    assert heard["status"]["camera_id"] == "cam-1"
    assert heard["reply"]["outcome"] == "done"
    assert heard["reply"]["command_id"] == "written-in-another-language"
    assert heard["reply"]["correlation"] == "c-1"
