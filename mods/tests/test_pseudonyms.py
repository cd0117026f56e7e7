"""Logs that can be handed on: prefixes kept, names gone, features the same."""

from __future__ import annotations

import gzip
import ipaddress
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mods.dataset.direction import Hosts
from mods.dataset.make_dataset import make_dataset
from mods.dataset.pseudonyms import Pseudonyms, pseudonymise_logs, read_key
from mods.dataset.zeek import find_logs
from mods.errors import ConfigError, DataError
from mods.tests import zeek_writer as writer
from mods.tests.sensor_maker import tree

pytest.importorskip("yacryptopan")

DAY = 1_559_347_200_000_000
NETS = ["10.0.0.0/8", "2001:db8:0:1::/64"]
HOSTS = ["10.1.1.1", "10.1.2.3", "2001:db8:0:1::5", "8.8.8.8", "192.0.2.1", "2001:db8::1"]
LOCAL = Hosts.of([ipaddress.ip_network(net) for net in NETS])
KEY = bytes(range(32))


def sensor(folder):
    made = [
        {
            "ts": DAY + n * 61_000_000,
            "id.orig_h": HOSTS[n % 6],
            "id.orig_p": 1000 + n,
            "id.resp_h": HOSTS[(n * n + 1) % 6],
            "id.resp_p": 53,
            "duration": -n if n % 5 == 0 else n * 7,
            "orig_bytes": n if n % 3 else None,
            "query": f"alice-{n}.example",
            "user_agent": "alice's phone",
            "AA": [True, False, None][n % 3],
            "proto": "udp",
        }
        for n in range(300)
    ]
    for name in ("conn", "dns", "sip"):
        writer.write(folder / f"2019-06-01/{name}.log", writer.tsv(name, made))
    writer.write(folder / "stream.json", writer.json_lines("ssh", made, path=True))
    return folder


def common_bits(one, other):
    one, other = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@settings(max_examples=25)
@given(kind=st.sampled_from([4, 6]), data=st.data())
def test_common_prefixes_stay_as_long_as_they_are(kind, data):
    pseudonyms = Pseudonyms(KEY)
    first = data.draw(st.ip_addresses(v=kind))
    near = [int(first) ^ (1 << data.draw(st.integers(0, first.max_prefixlen - 1))) for _ in "abc"]
    addresses = [str(a) for a in (first, *map(type(first), near))]
    for one, other in combinations(addresses, 2):
        assert common_bits(one, other) == common_bits(pseudonyms.of(one), pseudonyms.of(other))


def test_features_of_the_copies_equal_those_of_the_logs(tmp_path):
    logs = sensor(tmp_path / "logs")
    written, dropped = pseudonymise_logs(find_logs([logs]).logs, tmp_path / "out", KEY, LOCAL)
    assert dropped == 0
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in written) == [
        "2019-06-01/conn.log.gz",
        "2019-06-01/dns.log.gz",
        "2019-06-01/sip.log.gz",
        "ssh.stream.json.gz",
    ]
    options: dict[str, Any] = {"protocols": ["conn", "ssh"], "progress": False}
    make_dataset([logs], tmp_path / "one", local_nets=NETS, **options)
    make_dataset([tmp_path / "out"], tmp_path / "two", own_fields=True, **options)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_nothing_names_anybody(tmp_path):
    logs = sensor(tmp_path / "logs")
    written, _ = pseudonymise_logs(find_logs([logs]).logs, tmp_path / "out", KEY, LOCAL)
    for path in written:
        text = gzip.decompress(path.read_bytes()).decode()
        assert "alice" not in text
        for host in HOSTS:
            assert f"\t{host}\t" not in text


def test_a_record_whose_end_is_no_address_is_left_out(tmp_path):
    made = [{"ts": DAY, "id.orig_h": "printer.example", "id.resp_h": "10.0.0.1"}]
    path = writer.write(tmp_path / "logs/ssh.log", writer.tsv("ssh", made))
    _, dropped = pseudonymise_logs(find_logs([path]).logs, tmp_path / "out", KEY, LOCAL)
    assert dropped == 1


def test_copies_do_not_lie_among_the_logs(tmp_path):
    logs = sensor(tmp_path / "logs")
    with pytest.raises(DataError, match=r"the copies would lie in '.*', among the logs"):
        pseudonymise_logs(find_logs([logs]).logs, logs / "out", KEY, LOCAL)


class TestKey:
    def test_it_is_made_once_for_its_owner_only(self, tmp_path):
        path = tmp_path / "keys/key"
        key = read_key(path)
        assert len(key) == 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert read_key(path) == key

    @pytest.mark.parametrize("text", ["", "no key", "00" * 31])
    def test_a_file_that_is_none_is_told(self, tmp_path, text):
        (tmp_path / "key").write_text(text)
        with pytest.raises(ConfigError, match=r"key file '.*key'.*; expected 64 hexadecimal"):
            read_key(tmp_path / "key")
