"""The bench's report has every test with how it ended and what it said, and the pictures that it looked at."""

from pathlib import Path

from hil.report import page

JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" timestamp="2026-11-28T20:42:00">
<properties><property name="package" value="lamppost-agent.deb, SHA-256 12ab"/></properties>
<testcase classname="hil.test_people" name="test_nobody_is_seen" time="12.4">
<system-out>490 frames</system-out></testcase>
<testcase classname="hil.test_card" name="test_a_card" time="3">
<failure message="a &lt;b&gt; lost">trace</failure></testcase>
<testcase classname="hil.test_machine" name="test_a_kernel" time="0"><skipped message="no kernel"/></testcase>
</testsuite></testsuites>"""


def test_every_test_is_there_with_how_it_ended_and_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    (tmp_path / "pictures/test_nobody_is_seen").mkdir(parents=True)
    (tmp_path / "pictures/test_nobody_is_seen/1.png").write_bytes(b"\x89PNG")

    told = page(tmp_path / "junit.xml", tmp_path / "pictures")

    assert "2026-11-28T20:42:00: 1 passed, 1 failed, 1 skipped" in told
    assert "<li>package: lamppost-agent.deb, SHA-256 12ab</li>" in told
    assert "nobody is seen<pre>490 frames</pre><img" in told
    assert told.count("data:image/png;base64,iVBORw==") == 1
    assert "a &lt;b&gt; lost" in told
    assert "no kernel" in told
