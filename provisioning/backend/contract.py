"""The MQTT contract as a document: AsyncAPI 3, made from the topics and the payload models.

    python -m provisioning.backend.contract yaml > provisioning/backend/asyncapi.yaml
    python -m provisioning.backend.contract html > dist/contract.html

One source: the models in `agent.core.messages` and the table in `agent.core.topics`.
What a generator cannot know (who answers what, in which order) is said here, once, in
descriptions. The YAML is the simplest there is: block style, strings quoted as in JSON.
"""

import base64
import hashlib
import html
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.link_commands import RULES, Authority
from agent.core.messages.commands import SCHEMAS, Command, CommandName, Nothing, Outcome, Refusal, Reply
from agent.core.messages.log import Ack, CosignedCheckpoint, LogBatch, SignedCheckpoint
from agent.core.messages.policy import BundleReceipt, Reported
from agent.core.messages.presence import (
    Birth,
    BoardStatus,
    LinkStatus,
    NetworkStatus,
    QueueStatus,
    Status,
)
from agent.core.messages.wire import Message, Part
from agent.core.policy.clock import ClockQuality
from agent.core.status import CameraState, CameraStatus, DecisionStatus, FrameCounts, RecorderStatus, RecordingState
from agent.core.topics import BACKEND_SUBSCRIPTION, DELIVERY, ROOT, WILL_DELAY_S, Leaf
from agent.errors import UsageError

VERSION = "1.0.0"
_CAMERA = "market-street-1"
_AT = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
_ID = "0f1e2d3c4b5a69788796a5b4"
_HEX = hashlib.sha256(b"an example").hexdigest()
# As they look; nobody signed them.
_ORIGIN = f"lamppost/{_CAMERA}/5f0c9a1be24d7780"
_NOTE = (
    f"{_ORIGIN}\n1083\n{base64.b64encode(hashlib.sha256(b'a root').digest()).decode()}\n\n"
    f"\N{EM DASH} {_ORIGIN} {base64.b64encode(bytes(68)).decode()}\n"
)
_COSIGNATURE = f"\N{EM DASH} witness.example.org/w1 {base64.b64encode(bytes(76)).decode()}\n"
_SCHEMAS = "#/components/schemas/"
# What needs no quotes in any YAML, and is not a number; what YAML 1.1 takes for something else than text.
_PLAIN = re.compile(r"[$A-Za-z_][A-Za-z0-9_$/-]*")
_OTHER_THAN_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})

_PAYLOADS: dict[Leaf, type[Message]] = {
    Leaf.BIRTH: Birth,
    Leaf.STATUS: Status,
    Leaf.REPORTED: Reported,
    Leaf.LOG: LogBatch,
    Leaf.CHECKPOINT: SignedCheckpoint,
    Leaf.REPLY: Reply,
    Leaf.ACK: Ack,
    Leaf.COSIGNED: CosignedCheckpoint,
    Leaf.COMMAND: Command,
}
_BUNDLES = frozenset({Leaf.DESIRED, Leaf.REVOKE})

_WHAT_FOR: dict[Leaf, str] = {
    Leaf.BIRTH: (
        "Whether the camera is connected. Its will is the same message with `online: false`, published by the "
        f"broker {WILL_DELAY_S} s after the connection is lost. Drop a will or a retained birth whose `sequence` is "
        "lower than one you have seen."
    ),
    Leaf.STATUS: "What the camera does and why: once a minute and on change.",
    Leaf.REPORTED: "What became of the bundles on `down/desired` and `down/revoke`.",
    Leaf.LOG: (
        "Leaves of the camera's log, in order, at least once. Store those that follow on from what you have, make them "
        "durable, then send `down/ack`; the camera keeps a leaf until you do. Answer each batch, also one you had."
    ),
    Leaf.CHECKPOINT: (
        "What the log says it is, signed by the log. Compare its root with that of the leaves you have (RFC 6962); "
        "one that differs, or that is shorter than you have seen, is an alarm. A backend that is no witness ignores it."
    ),
    Leaf.REPLY: "What became of a command; `command_id` and the correlation data are the command's.",
    Leaf.DESIRED: (
        f"The city's policy release as one bundle of at most {MAX_BUNDLE_BYTES} bytes (canonical CBOR; the format is "
        "in agent/core/policy/FORMAT.md). Publish what `lamppost … publish` wrote, byte for byte; the camera "
        "verifies the signatures inside."
    ),
    Leaf.REVOKE: (
        "The same kind of bundle, for a camera that a revocation in it names; published before `down/desired`. "
        "An empty retained message takes it back from the broker, not from the camera."
    ),
    Leaf.ACK: "How much of the log you have. Cumulative; lower than before changes nothing.",
    Leaf.COSIGNED: "The checkpoint that came on `up/checkpoint`, with your cosignature. The camera keeps the newest.",
    Leaf.COMMAND: "What the camera is asked to do. Never retained; sent once; expires.",
}


def document() -> dict[str, Any]:
    """Return the contract as an AsyncAPI 3.0 document."""
    definitions: dict[str, Any] = {}
    for model in _models():
        _define(model, definitions)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lamppost cameras over MQTT",
            "version": VERSION,
            "description": inspect.cleandoc(_INTRODUCTION),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "city": {
                "host": "broker.example:8883",
                "protocol": "mqtts",
                "protocolVersion": "5.0",
                "description": "The city's broker. TLS 1.3; every client shows a certificate of the fleet's authority.",
                "security": [{"$ref": "#/components/securitySchemes/certificate"}],
                "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
            }
        },
        "channels": {_name(leaf): _channel(leaf) for leaf in Leaf},
        "operations": {_operation_id(leaf): _operation(leaf) for leaf in Leaf},
        "components": {
            "messages": {_name(leaf): _message(leaf) for leaf in Leaf},
            "schemas": dict(sorted(definitions.items())),
            "securitySchemes": {
                "certificate": {
                    "type": "X509",
                    "description": (
                        "A client certificate of the fleet's authority. Its common name is the user name and the "
                        "client id: a camera's id, or backend.lamppost for the backend."
                    ),
                }
            },
        },
        "x-lamppost-commands": {name.value: _command(name) for name in CommandName},
    }


def to_yaml() -> str:
    """Return the document as the text of the committed file."""
    head = "# Made by `make contract` from the payload models; change those, not this.\n"
    return head + "\n".join(_yaml(document())) + "\n"


def _yaml(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the lines of a JSON value as YAML 1.2 in block style."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _under(f"{_scalar(key)}:", one)
    elif isinstance(value, list) and value:
        for one in value:
            first, *rest = _yaml(one)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _under(key: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, str) and "\n" in value:
        yield f"{key} |-"
        yield from (f"  {line}".rstrip() for line in value.splitlines())
    elif isinstance(value, dict | list) and value:
        yield key
        yield from (f"  {line}" for line in _yaml(value))
    else:
        yield f"{key} {_scalar(value)}"


def _scalar(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _OTHER_THAN_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


def examples() -> dict[type[Message], tuple[Message, ...]]:
    """Return a few messages of each kind, as they are on the wire."""
    birth = Birth(
        camera_id=_CAMERA,
        online=True,
        sequence=17,
        at=_AT,
        clock_quality=ClockQuality.SYNCHRONISED,
        software_version="0.1.0",
        booted_at=_AT - timedelta(hours=3),
    )
    recorder = RecorderStatus(
        camera_id=_CAMERA,
        state=RecordingState.RECORDING,
        decision=DecisionStatus(reason="grant g-2026-001 permits it", policy_digest=_HEX, intended_use="EX-T1-1"),
        camera=CameraStatus(state=CameraState.DELIVERING, mode="1280x720 at 25 Hz"),
        frames=FrameCounts(captured=270_000, stored=269_990, failed_closed=10, failed_closed_reason="warming up"),
        clock_quality=ClockQuality.SYNCHRONISED,
        software_version="0.1.0",
        booted_at=_AT - timedelta(hours=3),
        started_at=_AT - timedelta(hours=3),
        updated_at=_AT,
    )
    link = LinkStatus(
        software_version="0.1.0",
        started_at=_AT - timedelta(hours=3),
        memory_bytes=45_000_000,
        certificate_expires_at=_AT + timedelta(days=22),
        network=NetworkStatus(interface="eth0", connected_at=_AT - timedelta(hours=2), connections=2),
        queue=QueueStatus(oldest=0, next=1_083, acked=1_081),
    )
    board = BoardStatus(temperature_celsius=51.5, throttled=False, under_voltage=False, uptime_s=10_800)
    receipt = BundleReceipt(digest=_HEX, size_bytes=18_204, received_at=_AT - timedelta(minutes=5))
    reply = Reply(
        camera_id=_CAMERA,
        name=CommandName.PING.value,
        command_id=_ID,
        at=_AT,
        outcome=Outcome.DONE,
        result={"uptime_s": 10_800},
    )
    leaves = tuple(json.dumps({"n": n, "kind": "segment-stored"}).encode() for n in (1_081, 1_082))
    return {
        Birth: (birth, birth.model_copy(update={"online": False, "reason": "lost"})),
        Status: (
            Status(camera_id=_CAMERA, at=_AT, recorder=recorder, board=board, link=link),
            Status(camera_id=_CAMERA, at=_AT, recorder_problem="the recorder has written no status", link=link),
        ),
        Reported: (
            Reported(
                camera_id=_CAMERA,
                at=_AT,
                desired=receipt,
                verdict={"verdict": "accepted", "bundle": _HEX},
                policy_digest=_HEX,
            ),
        ),
        LogBatch: (
            LogBatch(camera_id=_CAMERA, log_id="a1b2c3", at=_AT, first=1_081, leaves=leaves, oldest=0, next=1_083),
        ),
        SignedCheckpoint: (SignedCheckpoint(camera_id=_CAMERA, log_id="a1b2c3", note=_NOTE),),
        CosignedCheckpoint: (CosignedCheckpoint(camera_id=_CAMERA, log_id="a1b2c3", note=_NOTE + _COSIGNATURE),),
        Ack: (Ack(camera_id=_CAMERA, log_id="a1b2c3", next=1_083),),
        Command: tuple(
            Command(
                camera_id=_CAMERA,
                name=name.value,
                id=_ID,
                issued_at=_AT,
                expires_at=_AT + timedelta(seconds=60),
                args=args,
            )
            for name, args in _EXAMPLE_ARGS.items()
        ),
        Reply: (
            reply,
            reply.model_copy(
                update={
                    "outcome": Outcome.REFUSED,
                    "refusal": Refusal.EXPIRED,
                    "reason": "expired 4 s ago",
                    "result": None,
                }
            ),
        ),
    }


_EXAMPLE_ARGS: dict[CommandName, dict[str, Any]] = {
    CommandName.PING: {},
    CommandName.FOOTAGE_LIST: {"start": "2026-11-28T11:00:00Z", "end": "2026-11-28T12:00:00Z"},
    CommandName.LOG_SEND: {"first": 0, "end": 100},
}

_INTRODUCTION = f"""
Everything a backend needs to work with Lamppost cameras.

**Connect** with MQTT 5 over TLS 1.3 and a certificate of the fleet's authority. Subscribe to `{BACKEND_SUBSCRIPTION}`
at QoS 1. Everything is QoS 1; what is retained and what expires stands with each channel.

**Payloads** are one JSON object each (but the two bundles, which are bytes). `v` is 1. A field that this document does
not name makes the camera refuse the message; do the same. Times are RFC 3339 with an offset, binary is base64 in
the URL-safe alphabet (RFC 4648 5) with padding.

**Trust.** The broker holds a camera to its own subtree by its certificate. Policy needs no trust in broker or backend:
it is signed by the city's officials, and the camera checks it. The camera's log is delivered at least once and
indexed; what you have acknowledged, the camera may forget.

**A command** goes to `down/cmd/{{name}}` with a fresh `id`, correlation data of your choice, a message expiry, and
`expires_at` at most 120 s after `issued_at`. Its reply comes on `up/rsp/{{name}}`. `x-lamppost-commands` says for
each command what `args` and `result` are, and which of them an operator's key must sign.
"""


def _models() -> Iterator[type[Part]]:
    yield from dict.fromkeys(_PAYLOADS.values())
    for arguments, result in SCHEMAS.values():
        yield from (arguments, result)


def _define(model: type[Part], definitions: dict[str, Any]) -> None:
    schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}", mode="validation")
    definitions.update({name: _tidy(one) for name, one in schema.pop("$defs", {}).items()})
    definitions[model.__name__] = _tidy(schema)


def _tidy(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a schema without what says nothing: titles that repeat the name."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = inspect.cleandoc(tidy["description"])
    return tidy


def _name(leaf: Leaf) -> str:
    return leaf.name.lower()


def _operation_id(leaf: Leaf) -> str:
    verb = "receive" if leaf.value.startswith("up/") else "send"
    return f"{verb}{leaf.name.title()}"


def _channel(leaf: Leaf) -> dict[str, Any]:
    named = leaf in {Leaf.COMMAND, Leaf.REPLY}
    parameters: dict[str, Any] = {"camera_id": {"description": "The camera's id: small letters, digits and hyphens."}}
    if named:
        parameters["name"] = {"description": "Which command.", "enum": [name.value for name in CommandName]}
    return {
        "address": f"{ROOT}/{{camera_id}}/{leaf.value}" + ("/{name}" if named else ""),
        "description": _WHAT_FOR[leaf],
        "parameters": parameters,
        "messages": {_name(leaf): {"$ref": f"#/components/messages/{_name(leaf)}"}},
    }


def _operation(leaf: Leaf) -> dict[str, Any]:
    channel = f"#/channels/{_name(leaf)}"
    delivery = DELIVERY[leaf]
    binding: dict[str, Any] = {"qos": 1, "retain": delivery.retained, "bindingVersion": "0.2.0"}
    if delivery.expiry_s is not None:
        binding["messageExpiryInterval"] = delivery.expiry_s
    operation: dict[str, Any] = {
        "action": "receive" if leaf.value.startswith("up/") else "send",
        "channel": {"$ref": channel},
        "summary": f"What the backend {'hears' if leaf.value.startswith('up/') else 'says'} on {leaf.value}.",
        "messages": [{"$ref": f"{channel}/messages/{_name(leaf)}"}],
        "bindings": {"mqtt": binding},
    }
    if leaf is Leaf.COMMAND:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{_name(Leaf.REPLY)}"}}
    return operation


def _message(leaf: Leaf) -> dict[str, Any]:
    if leaf in _BUNDLES:
        return {
            "name": _name(leaf),
            "contentType": "application/cbor",
            "summary": "One policy release, byte for byte.",
            "payload": {"type": "string", "format": "binary", "maxLength": MAX_BUNDLE_BYTES},
        }
    model = _PAYLOADS[leaf]
    message: dict[str, Any] = {
        "name": _name(leaf),
        "contentType": "application/json",
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"{_SCHEMAS}{model.__name__}"},
        "x-max-bytes": model.MAX_BYTES,
        "examples": [{"payload": one.model_dump(mode="json")} for one in examples()[model]],
    }
    if leaf in {Leaf.COMMAND, Leaf.REPLY}:
        message["correlationId"] = {"location": "$message.payload#/" + ("id" if leaf is Leaf.COMMAND else "command_id")}
    return message


def _command(name: CommandName) -> dict[str, Any]:
    arguments, result = SCHEMAS[name]
    signed = RULES[name].authority is Authority.OPERATOR
    return {
        "args": {"$ref": f"{_SCHEMAS}{arguments.__name__}"},
        "result": None if result is Nothing else {"$ref": f"{_SCHEMAS}{result.__name__}"},
        "authority": "an operator's Ed25519 key signs it" if signed else "who may write to the topic",
    }


def to_html() -> str:
    """Return the contract as one page that needs nothing else."""
    contract = document()
    channels = "\n".join(_html_channel(contract, leaf) for leaf in Leaf)
    commands = "\n".join(_html_command(name, one) for name, one in contract["x-lamppost-commands"].items())
    schemas = "\n".join(
        f'<h3 id="schema-{html.escape(name)}">{html.escape(name)}</h3>{_html_schema(schema)}'
        for name, schema in contract["components"]["schemas"].items()
    )
    introduction = "".join(
        f"<p>{_inline(paragraph)}</p>" for paragraph in contract["info"]["description"].split("\n\n")
    )
    return _PAGE.format(
        title=html.escape(contract["info"]["title"]),
        version=html.escape(contract["info"]["version"]),
        introduction=introduction,
        channels=channels,
        commands=commands,
        schemas=schemas,
        source=base64.b64encode(to_yaml().encode()).decode(),
    )


def _html_channel(contract: Mapping[str, Any], leaf: Leaf) -> str:
    channel = contract["channels"][_name(leaf)]
    message = contract["components"]["messages"][_name(leaf)]
    delivery = DELIVERY[leaf]
    facts = [
        "camera → backend" if leaf.value.startswith("up/") else "backend → camera",
        "QoS 1",
        "retained" if delivery.retained else "not retained",
        *([f"expires after {delivery.expiry_s} s"] if delivery.expiry_s else []),
        f"at most {message.get('x-max-bytes', MAX_BUNDLE_BYTES)} bytes",
    ]
    payload = message["payload"].get("$ref", "").removeprefix(_SCHEMAS)
    link = f'<a href="#schema-{payload}">{payload}</a>' if payload else "bytes (application/cbor)"
    written = [json.dumps(one["payload"], indent=2, ensure_ascii=False) for one in message.get("examples", [])]
    shown = "".join(f"<details><summary>example</summary><pre>{html.escape(one)}</pre></details>" for one in written)
    return (
        f"<section><h3><code>{html.escape(channel['address'])}</code></h3><p class=facts>{' · '.join(facts)}</p>"
        f"<p>{_inline(channel['description'])}</p><p>Payload: {link}</p>{shown}</section>"
    )


def _html_command(name: str, one: Mapping[str, Any]) -> str:
    cells = [f"<code>{html.escape(name)}</code>"]
    for part in ("args", "result"):
        target = "" if one[part] is None else one[part]["$ref"].removeprefix(_SCHEMAS)
        cells.append(f'<a href="#schema-{target}">{target}</a>' if target else "nothing")
    cells.append(html.escape(one["authority"]))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _html_schema(schema: Mapping[str, Any]) -> str:
    description = "".join(f"<p>{_inline(one)}</p>" for one in schema.get("description", "").split("\n\n") if one)
    properties = schema.get("properties")
    if not properties:
        return (
            f"{description}<pre>{html.escape(json.dumps(schema.get('enum', schema.get('type', '')), indent=2))}</pre>"
        )
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_html_type(one)}</td>"
        f"<td>{'required' if name in required else html.escape('default ' + json.dumps(one.get('default')))}</td></tr>"
        for name, one in properties.items()
    )
    return f"{description}<table><tr><th>field</th><th>type</th><th></th></tr>{rows}</table>"


def _html_type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_html_type(one) for one in schema["anyOf"])
    if "const" in schema:
        return f"<code>{html.escape(json.dumps(schema['const']))}</code>"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_html_type(schema.get('items', {}))}"
    limits = [
        f"{name} {schema[key]}"
        for key, name in (("format", ""), ("maxLength", "at most"), ("minimum", "from"), ("pattern", "like"))
        if key in schema
    ]
    return html.escape(" ".join([str(kind), *limits]))


def _inline(text: str) -> str:
    """Return text with `code` and **strong** as HTML."""
    parts = html.escape(text).split("`")
    coded = "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
    strong = coded.split("**")
    return "".join(f"<strong>{part}</strong>" if index % 2 else part for index, part in enumerate(strong))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
code, pre {{ font-family: ui-monospace, monospace; font-size: .9em; }}
pre {{ overflow-x: auto; padding: .75rem; border: 1px solid #8884; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; padding: .25rem .5rem; vertical-align: top; border-bottom: 1px solid #8884; }}
td, th {{ overflow-wrap: anywhere; }}
h3 {{ margin-top: 2.5rem; overflow-wrap: anywhere; }} .facts {{ opacity: .75; }}
</style></head><body>
<h1>{title}</h1>
<p class="facts">version {version} ·
<a download="asyncapi.yaml" href="data:application/yaml;base64,{source}">asyncapi.yaml</a></p>
{introduction}
<h2>Topics</h2>{channels}
<h2>Commands</h2><table><tr><th>name</th><th>args</th><th>result</th><th>authority</th></tr>{commands}</table>
<h2>Payloads</h2>{schemas}
</body></html>
"""


def main() -> None:
    """Write the document to stdout."""
    match sys.argv[1:]:
        case ["yaml"]:
            sys.stdout.write(to_yaml())
        case ["html"]:
            sys.stdout.write(to_html())
        case _:
            raise UsageError("python -m provisioning.backend.contract yaml|html")


if __name__ == "__main__":
    main()
