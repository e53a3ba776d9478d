"""A topic is exactly one of ours, of one camera, or nobody's."""

import pytest

from agent.core.topics import (
    COMMAND_EXPIRY_S,
    DELIVERY,
    Leaf,
    Topic,
    camera_subscriptions,
    parse_topic,
    topic,
)


@pytest.mark.parametrize("leaf", Leaf)
def test_every_topic_reads_back_as_it_was_written(leaf: Leaf) -> None:
    name = "footage.list" if leaf in {Leaf.COMMAND, Leaf.REPLY} else ""

    text = topic("main-and-4th", leaf, name)

    assert parse_topic(text) == Topic(camera_id="main-and-4th", leaf=leaf, name=name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lamppost/v1/cam",
        "lamppost/v1/cam/pole-7",
        "lamppost/v1/cam/pole-7/up",
        "lamppost/v1/cam/pole-7/up/status/more",
        "lamppost/v1/cam/pole-7/up/statuses",
        "lamppost/v1/cam/pole-7/down/cmd",
        "lamppost/v1/cam/pole-7/down/cmd/",
        "lamppost/v1/cam/pole-7/down/cmd/a/b",
        "lamppost/v1/cam/pole-7/down/cmd/Ping",
        "lamppost/v1/cam//up/status",
        "lamppost/v1/cam/+/up/status",
        "lamppost/v1/cam/POLE/up/status",
        "lamppost/v2/cam/pole-7/up/status",
        "/lamppost/v1/cam/pole-7/up/status",
    ],
)
def test_what_is_not_exactly_one_of_ours_is_nobodys(text: str) -> None:
    assert parse_topic(text) is None


@pytest.mark.parametrize("camera_id", ["", "+", "#", "a/b", "A", "-a", "a" * 64])
def test_a_camera_whose_id_could_reach_other_topics_has_none(camera_id: str) -> None:
    with pytest.raises(ValueError, match="not a camera id"):
        topic(camera_id, Leaf.STATUS)


@pytest.mark.parametrize(("leaf", "name"), [(Leaf.STATUS, "ping"), (Leaf.COMMAND, ""), (Leaf.COMMAND, "../x")])
def test_only_commands_and_replies_have_names(leaf: Leaf, name: str) -> None:
    with pytest.raises(ValueError, match="not a topic"):
        topic("pole-7", leaf, name)


def test_a_camera_listens_to_its_own_subtree_and_to_the_revocation_first() -> None:
    subscriptions = camera_subscriptions("pole-7")

    assert subscriptions[0] == "lamppost/v1/cam/pole-7/down/revoke"
    assert all(each.startswith("lamppost/v1/cam/pole-7/down/") for each in subscriptions)
    assert subscriptions[-1] == "lamppost/v1/cam/pole-7/down/cmd/+"


def test_commands_and_replies_are_never_retained_and_expire() -> None:
    assert not DELIVERY[Leaf.COMMAND].retained
    assert not DELIVERY[Leaf.REPLY].retained
    assert DELIVERY[Leaf.COMMAND].expiry_s == COMMAND_EXPIRY_S == 120
    assert {leaf for leaf, kind in DELIVERY.items() if kind.retained} == {
        Leaf.BIRTH,
        Leaf.REPORTED,
        Leaf.DESIRED,
        Leaf.REVOKE,
    }
    assert set(DELIVERY) == set(Leaf)
