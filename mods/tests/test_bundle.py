"""The bundle: what is written comes back, and nothing hostile or damaged gets in."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mods.errors import ModelError, NotFoundError
from mods.models.bundle import FORMAT, VERSION, read_bundle, write_bundle

HEAD = {"format": FORMAT, "version": VERSION, "config": {}}


@pytest.fixture
def bundle_path(tmp_path):
    path = tmp_path / "models" / "mine.zip"
    write_bundle(
        path,
        {"columns": ["conn_in"], "horizon": 12},
        network=None,
        arrays={"level": np.arange(6.0).reshape(2, 3), "rows": np.array(7)},
        metrics={"smape": [3.5, float("nan")]},
    )
    return path


def zip_of(members: dict[str, bytes], **changes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def whole(**more: bytes) -> dict[str, bytes]:
    return {"config.json": json.dumps(HEAD).encode(), "metrics.json": b"{}"} | more


def test_what_is_written_comes_back(bundle_path):
    bundle = read_bundle(bundle_path)
    assert bundle.config == {"columns": ["conn_in"], "horizon": 12}
    assert bundle.metrics == {"smape": [3.5, None]}
    assert set(bundle.arrays) == {"level", "rows"}
    np.testing.assert_array_equal(bundle.arrays["level"], [[0, 1, 2], [3, 4, 5]])
    assert bundle.arrays["rows"].shape == ()
    assert [p.name for p in bundle_path.parent.iterdir()] == ["mine.zip"]


def test_equal_models_are_equal_bytes_whatever_the_order(tmp_path):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    a, b = np.ones((3, 2)), np.zeros(4, dtype=">f4")
    write_bundle(one, {"x": 1, "y": 2}, network=None, arrays={"a": a, "b": b})
    write_bundle(
        two,
        {"y": 2, "x": 1},
        network=None,
        arrays={"b": b.astype("<f4"), "a": np.asfortranarray(a)},
    )
    assert one.read_bytes() == two.read_bytes()


def test_a_list_of_models_reads_no_arrays(bundle_path):
    bundle = read_bundle(bundle_path, with_network=False)
    assert bundle.config["horizon"] == 12
    assert bundle.arrays == {}


@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_every_array_of_numbers_survives(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("bundle") / "a.zip"
    write_bundle(path, {}, network=None, arrays={"a": array})
    back = read_bundle(path).arrays["a"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(st.data())
def test_a_truncated_bundle_is_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bundle") / "a.zip"
    write_bundle(path, {}, network=None, arrays={"a": np.random.default_rng(0).normal(size=50)})
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ModelError):
        read_bundle(path)


@given(st.data())
def test_a_bundle_with_a_changed_byte_is_an_error_or_reads_the_same(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bundle") / "a.zip"
    values = np.random.default_rng(0).normal(size=50)
    write_bundle(path, {"columns": ["a"]}, network=None, arrays={"a": values})
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        bundle = read_bundle(path)
    except ModelError:
        return
    assert bundle.config == {"columns": ["a"]}
    np.testing.assert_array_equal(bundle.arrays["a"], values)


def newer() -> bytes:
    head = HEAD | {"version": VERSION + 1, "written_by": "mods 9.0"}
    return zip_of({"config.json": json.dumps(head).encode(), "metrics.json": b"{}"})


def with_shape(shape: tuple[int, ...]) -> bytes:
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8


def flagged_encrypted() -> bytes:
    content = bytearray(zip_of(whole()))
    central = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[central + 8] |= 1
    return bytes(content)


OFFENCES = {
    "empty": (b"", "is no zip archive (it is empty)"),
    "text": (b"hello there", "is no zip archive (it begins with b'hello th')"),
    "hdf5": (b"\x89HDF\r\n", "is no zip archive (it is an HDF5 file)"),
    "pickle": (b"\x80\x04K\x01.", "is no zip archive (it is a pickle)"),
    "cut": (zip_of(whole())[:-30], "is truncated or damaged"),
    "newer": (newer(), "has version 2, written by 'mods 9.0'; expected version 1 or older"),
    "version": (
        zip_of(whole() | {"config.json": json.dumps(HEAD | {"version": "1"}).encode()}),
        "damaged: its version is '1'",
    ),
    "foreign": (
        zip_of({"config.json": b"{}", "metrics.json": b"{}"}),
        "does not say format 'mods bundle'",
    ),
    "no config": (zip_of({"metrics.json": b"{}"}), "has no member 'config.json'"),
    "not json": (zip_of(whole() | {"config.json": b"{"}), "damaged in its member 'config.json'"),
    "deep json": (
        zip_of(whole() | {"config.json": b"[" * 100_000 + b"]" * 100_000}),
        "damaged in its member 'config.json'",
    ),
    "a list": (zip_of(whole() | {"config.json": b"[]"}), "without an object in its member"),
    "config no object": (
        zip_of(whole() | {"config.json": json.dumps(HEAD | {"config": 3}).encode()}),
        "without a configuration",
    ),
    "original": (
        zip_of({"config.json": b"{}", "model.h5": b"", "scaler.pkl": b""}),
        "has the original's layout (model.h5, scaler.pkl)",
    ),
    "absolute": (zip_of(whole(**{"/etc/passwd": b""})), "absolute or foreign path '/etc/passwd'"),
    "climbing": (
        zip_of(whole(**{"arrays/../../x.npy": b""})),
        "holds the path 'arrays/../../x.npy', which leads out of it",
    ),
    "drive": (zip_of(whole(**{"C:\\x": b""})), "absolute or foreign path"),
    "stranger": (
        zip_of(whole(**{"run.py": b""})),
        "member 'run.py', which no bundle has",
    ),
    "bomb": (
        zip_of(whole(**{"arrays/a.npy": bytes(50 << 20)})),
        "times when decompressed (a zip bomb)",
    ),
    "crowd": (
        zip_of(whole(**{f"arrays/a{n}.npy": b"" for n in range(300)})),
        "holds 302 members; expected at most 256",
    ),
    "link": (
        zip_of(whole(), external_attr=0o120777 << 16),
        "holds the symbolic link 'config.json'",
    ),
    "encrypted": (flagged_encrypted(), "holds the encrypted member 'config.json'"),
    "pickled array": (
        zip_of(whole(**{"arrays/a.npy": npy(np.array([{}, None], dtype=object))})),
        "holds objects (dtype object) in 'arrays/a.npy'",
    ),
    "large claim": (
        zip_of(whole(**{"arrays/a.npy": with_shape((10**9, 10**6))})),
        "claims 8000000000000000 bytes in 'arrays/a.npy', which holds 8",
    ),
    "array garbage": (
        zip_of(whole(**{"arrays/a.npy": b"nothing"})),
        "damaged in its member 'arrays/a.npy'",
    ),
}


@pytest.mark.parametrize("offence", OFFENCES)
def test_a_hostile_or_damaged_bundle_is_refused_by_its_offence(tmp_path, offence):
    content, message = OFFENCES[offence]
    path = tmp_path / "bad.zip"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_bundle(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_name_twice_is_refused(tmp_path):
    path = tmp_path / "bad.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", json.dumps(HEAD))
        archive.writestr("config.json", "{}")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match=r"holds the member 'config\.json' twice"):
        read_bundle(path)


def test_a_missing_bundle_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="there is no bundle"):
        read_bundle(tmp_path / "none.zip")


def test_what_json_cannot_say_is_not_written(tmp_path):
    path = tmp_path / "a.zip"
    with pytest.raises(ModelError, match="of type set"):
        write_bundle(path, {"columns": {"a"}}, network=None)
    with pytest.raises(ModelError, match="array 'a' of dtype object"):
        write_bundle(path, {}, network=None, arrays={"a": np.array([None])})
    with pytest.raises(ModelError, match="which no bundle has"):
        write_bundle(path, {}, network=None, arrays={"a/b": np.ones(1)})
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_without_a_network_says_so(bundle_path):
    with pytest.raises(ModelError, match="holds no network"):
        _ = read_bundle(bundle_path).network


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 3))
    values = keras.layers.Bidirectional(keras.layers.LSTM(4))(inputs)
    values = keras.layers.Dense(6, activation="relu", kernel_regularizer="l2")(values)
    values = keras.layers.Reshape((2, 3))(values) + 1.0
    model = keras.Model(inputs, values)
    model.compile(optimizer="adamw", loss="mae")
    return model


@pytest.mark.network
def test_a_network_forecasts_the_same_after_a_round_trip(tmp_path, network):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    write_bundle(one, {}, network=network)
    bundle = read_bundle(one)
    windows = np.random.default_rng(0).normal(size=(5, 12, 3)).astype("float32")
    np.testing.assert_array_equal(
        bundle.network.predict(windows, verbose=0), network.predict(windows, verbose=0)
    )
    write_bundle(two, {}, network=network)
    assert one.read_bytes() == two.read_bytes()


def changed_network(network, path, change) -> bytes:
    """Return the bundle with `change` applied to the members of its network."""
    write_bundle(path, {}, network=network)
    with zipfile.ZipFile(io.BytesIO(read_bundle(path).network_bytes or b"")) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    return zip_of(whole(**{"network.keras": zip_of(members)}))


def edit(text: str, replacement: str):
    def change(members):
        config = members["config.json"].decode()
        assert text in config
        members["config.json"] = config.replace(text, replacement).encode()

    return change


def add_link(members):
    import h5py

    with h5py.File(buffer := io.BytesIO(members["model.weights.h5"]), "r+") as file:
        file["passwords"] = h5py.ExternalLink("/etc/passwd", "/")
    members["model.weights.h5"] = buffer.getvalue()


def claim_much(members):
    import h5py

    with h5py.File(buffer := io.BytesIO(members["model.weights.h5"]), "r+") as file:
        file.create_dataset("much", shape=(1 << 40,), dtype="f4", chunks=(1024,))
    members["model.weights.h5"] = buffer.getvalue()


NETWORK_OFFENCES = {
    "code": (edit('"class_name": "Reshape"', '"class_name": "Lambda"'), "keras.layers.Lambda"),
    "download": (
        edit('"module": "keras.regularizers"', '"module": "keras.utils"'),
        "asks for keras.utils.L2",
    ),
    "system": (edit('"module": "keras.layers"', '"module": "os"'), "asks for os.InputLayer"),
    "registered": (
        edit('"registered_name": null', '"registered_name": "evil>InputLayer"'),
        "asks for",
    ),
    "huge": (edit('"units": 6', '"units": 6000000'), "asks for units 6000000; expected at most"),
    "assets": (lambda m: m.update({"assets/x": b""}), "holds the member 'assets/x'"),
    "no weights": (lambda m: m.pop("model.weights.h5"), "has no member 'model.weights.h5'"),
    "broken weights": (
        lambda m: m.update({"model.weights.h5": m["model.weights.h5"][:500]}),
        "is damaged in its weights",
    ),
    "no config": (lambda m: m.update({"config.json": b"[1]"}), "without a network"),
    "link": (add_link, "links its weights 'passwords' to elsewhere"),
    "claim": (claim_much, "claims more than"),
    "other shape": (edit('"units": 6', '"units": 5'), "cannot be loaded by Keras"),
}


@pytest.mark.network
@pytest.mark.parametrize("offence", NETWORK_OFFENCES)
def test_a_hostile_network_is_refused_by_its_offence(tmp_path, network, offence):
    change, message = NETWORK_OFFENCES[offence]
    path = tmp_path / "bad.zip"
    path.write_bytes(changed_network(network, tmp_path / "good.zip", change))
    with pytest.raises(ModelError) as caught:
        _ = read_bundle(path).network
    assert message in str(caught.value)


@pytest.mark.network
def test_a_network_of_foreign_layers_is_not_written(tmp_path):
    import keras

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda values: values)(inputs))
    with pytest.raises(ModelError, match="Lambda"):
        write_bundle(tmp_path / "a.zip", {}, network=model)
    assert list(tmp_path.iterdir()) == []
