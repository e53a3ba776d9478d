"""`lamppost-agent`: what runs on the camera.

    lamppost-agent run --config FILE             record until told to stop
    lamppost-agent record --for 30s --config …   record for a while, then stop
    lamppost-agent selftest --config FILE        can this camera do its work? a table, and an exit status
    lamppost-agent reference --config FILE       remember the view that the zones were drawn over
    lamppost-agent aim --config FILE             show a technician what it sees, masked, over stdin and stdout
    lamppost-agent status --config FILE          what it does and why
    lamppost-agent enrol --config FILE           become a camera that the city knows; see agent/core/enrolment/FORMAT.md
    lamppost-agent network --config FILE         as root: hand the network of the claim over to NetworkManager
    lamppost-agent retire --half HALF …          forget who this camera is; footage and log stay
    lamppost-agent diagnose --config FILE        what whoever mends it must know; no secret, no picture
    lamppost-agent link --config FILE            keep the camera in touch with the city's broker
    lamppost-agent feed --socket PATH            fetch a network camera's packets, outside the wall
    lamppost-agent scene --out FOLDER …          draw the simulated street, for demos and tests

There is no command and no option that lets it record without a policy that the
city's officials signed. argparse, not typer: see agent/decisions/0003.
"""

import argparse
import json
import logging
import re
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from agent.adapters.process_exit import leave
from agent.errors import EnrolmentPendingError, LamppostError, UsageError

if TYPE_CHECKING:
    from agent.config import Config

# Everything else is imported where it is used: `status` must not load a video library on a board with 1 GB.


def main() -> None:
    """Run one command and exit with its status."""
    arguments = _parser().parse_args()
    try:
        status = arguments.command(arguments)
    except LamppostError as error:
        sys.stderr.write(f"lamppost-agent: error: {error}\n")
        if error.hint:
            sys.stderr.write(f"lamppost-agent: hint: {error.hint}\n")
        status = error.exit_status
    leave(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lamppost-agent", description="The part of Lamppost that runs on the camera.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "--config", type=Path, default=Path("/etc/lamppost/lamppost.toml"), help="default: %(default)s"
    )

    run = commands.add_parser("run", parents=[configured], help="record, as far as signed policy allows, until stopped")
    run.set_defaults(command=_run, stop_after=None, patiently=True)

    record = commands.add_parser("record", parents=[configured], help="the same, for a while")
    record.add_argument("--for", dest="stop_after", type=_duration, metavar="TIME", help="such as 30s or 5min")
    record.set_defaults(command=_run, patiently=False)

    selftest = commands.add_parser("selftest", parents=[configured], help="can this camera do its work?")
    selftest.add_argument("--json", action="store_true", help="for programs")
    selftest.set_defaults(command=_selftest)

    reference = commands.add_parser(
        "reference", parents=[configured], help="remember the view that the zones were drawn over; none may stand in it"
    )
    reference.add_argument("--renew", action="store_true", help="approve the view anew after the camera was moved")
    reference.set_defaults(command=_reference)

    aim = commands.add_parser(
        "aim", parents=[configured], help="show a technician what it sees, masked; `lamppost commission` starts it"
    )
    aim.set_defaults(command=_aim)

    status = commands.add_parser("status", parents=[configured], help="what it does and why")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)

    enrol = commands.add_parser("enrol", parents=[configured], help="become a camera that the city knows")
    carried = enrol.add_mutually_exclusive_group()
    carried.add_argument("--take-order", action="store_true", help="take the order on stdin, and end")
    carried.add_argument("--stage", action="store_true", help="say how far it is, and end")
    carried.add_argument("--once", action="store_true", help="do what can be done now, say how far it is, and end")
    carried.add_argument("--carry-out", action="store_true", help="write the request for somebody to carry to stdout")
    carried.add_argument("--carry-in", action="store_true", help="install the answer on stdin, and end")
    enrol.set_defaults(command=_enrol)

    network = commands.add_parser(
        "network", parents=[configured], help="hand the wireless network of the claim to NetworkManager; as root"
    )
    network.add_argument("--into", type=Path, metavar="FOLDER", help="another than NetworkManager's in /run")
    network.set_defaults(command=_network)

    retire = commands.add_parser("retire", parents=[configured], help="forget who this camera is; footage stays")
    retire.add_argument("--half", choices=["recorder", "link"], required=True, help="each as its own user, stopped")
    retire.set_defaults(command=_retire)

    diagnose = commands.add_parser("diagnose", parents=[configured], help="what whoever mends it must know, as JSON")
    diagnose.set_defaults(command=_diagnose)

    link = commands.add_parser("link", parents=[configured], help="keep the camera in touch with the city's broker")
    link.set_defaults(command=_link)

    feed = commands.add_parser("feed", help="fetch the compressed packets of a network camera, outside the wall")
    feed.add_argument("--socket", type=Path, required=True, help="where the recorder connects")
    feed.set_defaults(command=_feed)

    scene = commands.add_parser("scene", help="draw the simulated street as PNG files")
    scene.add_argument("--out", type=Path, required=True, help="folder to write to")
    scene.add_argument("--at", type=float, action="append", required=True, metavar="SECOND", help="may be repeated")
    scene.add_argument("--scenario", default="busy")
    scene.add_argument("--width", type=int, default=1280)
    scene.add_argument("--height", type=int, default=720)
    scene.set_defaults(command=_scene)
    return parser


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 30s, 5min or 1h")
    units = {None: "seconds", "s": "seconds", "min": "minutes", "h": "hours"}
    return timedelta(**{units[match[2]]: float(match[1])})


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def _run(arguments: argparse.Namespace) -> int:
    from agent.adapters.diagnostics import say_to  # noqa: PLC0415 - see the top
    from agent.config import load  # noqa: PLC0415 - see the top
    from agent.recorder import app  # noqa: PLC0415

    say_to()
    stop, config = _stop_on_signals(), _named(arguments.config)
    if config is None:
        from agent.recorder.unenrolled import wait_for_name  # noqa: PLC0415 - needed once in a camera's life

        wait_for_name(load(arguments.config), stop=stop)
        config = _named(arguments.config)
    if config is None:
        return 0
    app.run(
        config,
        stop=stop,
        stop_after=arguments.stop_after,
        patiently=arguments.patiently,
    )
    return 0


def _named(path: Path) -> "Config | None":
    """Return the recorder's configuration with the camera's name in it; None if nobody has told it yet."""
    from agent.adapters.identity import identify, take_name  # noqa: PLC0415 - see the top
    from agent.config import load  # noqa: PLC0415

    config = load(path)
    take_name(config)
    return identify(config, config.state.folder)


def _named_already(path: Path) -> "Config":
    config = _named(path)
    if config is None:
        raise EnrolmentPendingError("this camera is not enrolled yet", hint="lamppost-agent enrol")
    return config


def _selftest(arguments: argparse.Namespace) -> int:
    from agent.recorder.selftest import examine, table  # noqa: PLC0415 - see the top

    findings = examine(_named_already(arguments.config))
    if arguments.json:
        sys.stdout.write(json.dumps([finding.as_json() for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.write(table(findings))
    return 0 if all(finding.passed for finding in findings) else 1


def _reference(arguments: argparse.Namespace) -> int:
    from agent.adapters.diagnostics import say_to  # noqa: PLC0415 - see the top
    from agent.recorder.commissioning import make_reference  # noqa: PLC0415 - see the top

    say_to()
    made = make_reference(_named_already(arguments.config), renew=arguments.renew)
    sys.stdout.write(f"{made.digest}\n")
    return 0


def _aim(arguments: argparse.Namespace) -> int:
    from agent.adapters.aiming_relay import relay  # noqa: PLC0415 - see the top
    from agent.config import commissioning_folder, load  # noqa: PLC0415

    relay(commissioning_folder(load(arguments.config)), sys.stdin.fileno(), sys.stdout.fileno())
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from agent.adapters.clock import SystemClock  # noqa: PLC0415 - see the top
    from agent.adapters.status_file import StatusFile  # noqa: PLC0415
    from agent.config import load  # noqa: PLC0415
    from agent.core.status import is_stale, summary_lines  # noqa: PLC0415

    now = SystemClock().now()
    status = StatusFile(load(arguments.config).state.runtime / "status.json").read()
    sys.stdout.write(status.to_json() + "\n" if arguments.json else "\n".join(summary_lines(status, now=now)) + "\n")
    return 1 if is_stale(status, now=now) else 0


def _link(arguments: argparse.Namespace) -> int:
    from agent.adapters.identity import identify  # noqa: PLC0415 - see the top
    from agent.config import load  # noqa: PLC0415
    from agent.link import app  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    written = load(arguments.config)
    config = identify(written, written.link.folder)
    if config is None:
        raise EnrolmentPendingError("this camera is not enrolled yet", hint="lamppost-agent enrol")
    app.run(config, stop=_stop_on_signals())
    return 0


def _enrol(arguments: argparse.Namespace) -> int:
    from agent.adapters.board import Board  # noqa: PLC0415 - see the top
    from agent.adapters.clock import SystemClock  # noqa: PLC0415
    from agent.adapters.led import NoLamp, SysfsLamp  # noqa: PLC0415
    from agent.config import load  # noqa: PLC0415
    from agent.core.enrolment.exchange import Answer, Order  # noqa: PLC0415
    from agent.core.enrolment.signs import ENROLLED_SEEN, Stage  # noqa: PLC0415
    from agent.link.enrol import Enrolment, LampPlayer, enrol  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    config, clock = load(arguments.config), SystemClock()
    if config.enrolment.offices is None:
        raise UsageError("this camera enrols by nobody's claim", hint="enrolment.offices names whose claims count")
    enrolment = Enrolment(config, board=Board(config.storage.footage).serial(), clock=clock)
    if arguments.take_order:
        enrolment.take(Order.from_bytes(sys.stdin.buffer.read(Order.MAX_BYTES + 1)))
        return 0
    if arguments.carry_out:
        sys.stdout.buffer.write(enrolment.to_carry())
        return 0
    if arguments.carry_in:
        enrolment.carried_back(Answer.from_bytes(sys.stdin.buffer.read(Answer.MAX_BYTES + 1)))
        return 0
    if arguments.once or arguments.stage:
        standing = enrolment.step() if arguments.once else enrolment.standing()
        sys.stdout.write(standing.to_json() + "\n")
        return 0 if standing.stage is Stage.ENROLLED else EnrolmentPendingError.exit_status
    lamp = NoLamp() if config.enrolment.lamp is None else SysfsLamp(config.enrolment.lamp)
    stop = _stop_on_signals()
    with LampPlayer(lamp, clock) as player:
        if not enrol(enrolment, player, stop):
            return EnrolmentPendingError.exit_status
        if config.enrolment.lamp is not None:
            stop.wait(ENROLLED_SEEN.total_seconds())
    return 0


def _network(arguments: argparse.Namespace) -> int:
    from agent.adapters.network_manager import CONNECTIONS, take_network  # noqa: PLC0415 - see the top
    from agent.config import load  # noqa: PLC0415

    left = load(arguments.config).enrolment.networks
    if left is not None:
        take_network(left, arguments.into or CONNECTIONS)
    return 0


def _retire(arguments: argparse.Namespace) -> int:
    if arguments.half == "link":
        from agent.adapters.retirement import forget_link  # noqa: PLC0415 - see the top
        from agent.config import load  # noqa: PLC0415

        removed = forget_link(load(arguments.config))
    else:
        from agent.recorder.retirement import retire  # noqa: PLC0415 - see the top

        named = _named(arguments.config)
        removed = [] if named is None else retire(named)
    sys.stdout.write(json.dumps(removed) + "\n")
    return 0


def _diagnose(arguments: argparse.Namespace) -> int:
    from agent.adapters.diagnosis import diagnose  # noqa: PLC0415 - see the top
    from agent.config import load  # noqa: PLC0415

    json.dump(diagnose(load(arguments.config)), sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")
    return 0


def _feed(arguments: argparse.Namespace) -> int:
    from agent.adapters.clock import SystemClock  # noqa: PLC0415 - see the top
    from agent.adapters.rtsp_feed import run_feed  # noqa: PLC0415
    from agent.config import credential  # noqa: PLC0415

    url = credential("feed-url")
    if url is None:
        raise UsageError(
            "no address to fetch from",
            hint="hand it over as the systemd credential feed-url: it may hold a password, so it is no argument",
        )
    run_feed(
        url, arguments.socket, SystemClock(), _stop_on_signals(), lambda line: sys.stderr.write(line + "\n") and None
    )
    return 0


def _scene(arguments: argparse.Namespace) -> int:
    from agent.adapters.street.stills import draw_stills  # noqa: PLC0415 - see the top
    from agent.core.video import FrameSize  # noqa: PLC0415

    for path in draw_stills(
        arguments.out,
        seconds=arguments.at,
        scenario=arguments.scenario,
        size=FrameSize(arguments.width, arguments.height),
    ):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    main()
