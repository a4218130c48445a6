"""A dataset folder as the libraries read it that trainers are built on."""

import json
import shutil
from pathlib import Path

import datasets
import duckdb
import polars
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard

from conftest import instil

FORMATS = {
    "messages": ["messages"],
    "prompt-completion": ["prompt", "completion"],
    "bonito": ["input", "output"],
    "alpaca": ["instruction", "input", "output"],
}
SHARD_ROWS = 7

datasets.disable_progress_bars()


class Made:
    """A dataset folder that the program made of examples/."""

    def __init__(self, folder, name, *flags):
        self.name = name
        self.folder = folder / "made"
        self.cache = folder / "cache"
        instil("generate", "examples/", "-o", self.folder, "--format", name, *flags)
        self.report = json.loads((self.folder / "run" / "report.json").read_text())
        self.rows = self.report["stages"][-1]["out"]

    def load(self, config="default", **options):
        return datasets.load_dataset(
            str(self.folder), config, split="train", cache_dir=str(self.cache), **options
        )

    def shards(self, config="data"):
        return sorted((self.folder / config).glob("*.parquet"))


@pytest.fixture(scope="module", params=FORMATS)
def made(request, tmp_path_factory):
    return Made(tmp_path_factory.mktemp(request.param), request.param, "--shard-rows", SHARD_ROWS)


@pytest.fixture(scope="module")
def empty(made, tmp_path_factory):
    return Made(tmp_path_factory.mktemp(f"empty-{made.name}"), made.name, "--limit", 0)


def test_datasets_loads_it(made, found):
    data, streamed = made.load(), made.load(streaming=True)
    assert data.num_rows == made.rows > SHARD_ROWS
    assert data.column_names == ["id", *FORMATS[made.name]]
    assert streamed.features == data.features
    assert list(streamed) == data.to_list()
    found(f"datasets: {made.name}, {data.num_rows} rows in {len(made.shards())} shards, plain = streaming")


def test_its_provenance_is_a_config_in_step(made):
    data, provenance, streamed = made.load(), made.load("provenance"), made.load("provenance", streaming=True)
    assert provenance["id"] == data["id"]
    assert len(set(data["id"])) == data.num_rows
    assert streamed.features == provenance.features
    assert list(streamed) == provenance.to_list()
    assert [shard.name for shard in made.shards()] == [shard.name for shard in made.shards("provenance")]


@pytest.mark.parametrize("config", ["default", "provenance"])
def test_the_card_says_what_the_files_hold(made, config):
    builder = datasets.load_dataset_builder(str(made.folder), config, cache_dir=str(made.cache))
    data = made.load(config)
    assert builder.info.features == data.features
    assert builder.info.splits["train"].num_examples == data.num_rows
    files = made.shards("data" if config == "default" else config)
    assert builder.info.download_size == sum(file.stat().st_size for file in files)
    # Not checked by anybody, but it should be no fancy: within a hundredth and an offset for each column and shard.
    told = builder.info.splits["train"].num_bytes
    assert abs(told - data.data.nbytes) <= data.data.nbytes / 100 + 64 * len(files) * len(data.features)

    card = DatasetCard.load(made.folder / "README.md")
    assert {"synthetic", "instil"} <= set(card.data.tags)
    assert [entry["config_name"] for entry in card.data.to_dict()["configs"]] == ["default", "provenance"]
    assert card.text.lstrip().startswith("#")


def test_every_shard_has_the_same_schema_an_empty_one_too(made, empty, tmp_path):
    for config in ["data", "provenance"]:
        shards = made.shards(config) + empty.shards(config)
        schemas = [pyarrow.parquet.read_schema(shard) for shard in shards]
        assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
        features = [datasets.Features.from_arrow_schema(schema) for schema in schemas]
        assert all(feature == features[0] for feature in features)

    # An empty shard among full ones changes nothing.
    folder = tmp_path / "mixed" / "data"
    folder.mkdir(parents=True)
    for index, shard in enumerate(empty.shards() + made.shards() + empty.shards()):
        shutil.copy(shard, folder / f"train-{index:05}-of-{len(made.shards()) + 2:05}.parquet")
    for streaming in [False, True]:
        mixed = datasets.load_dataset(
            str(folder.parent), split="train", cache_dir=str(tmp_path / "cache"), streaming=streaming
        )
        assert mixed.features == made.load().features
        assert list(mixed) == made.load().to_list()


def test_a_dataset_without_rows_has_its_columns(empty, tmp_path, found):
    assert empty.rows == 0
    streamed = empty.load(streaming=True)
    assert list(streamed.features) == ["id", *FORMATS[empty.name]]
    assert list(streamed) == []
    # Without streaming the library refuses every dataset without rows, its own too.
    own = tmp_path / "own" / "data" / "train-00000-of-00001.parquet"
    own.parent.mkdir(parents=True)
    datasets.Dataset.from_dict({"a": []}, features=datasets.Features({"a": datasets.Value("string")})).to_parquet(own)
    with pytest.raises(ValueError, match="corresponds to no data") as of_own:
        datasets.load_dataset(str(own.parents[1]), split="train", cache_dir=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="corresponds to no data") as of_ours:
        empty.load()
    assert str(of_own.value) == str(of_ours.value)
    found(f"datasets: {empty.name} without rows: streams, and is refused as the library's own is")


def test_everybody_counts_the_same_rows(made, found):
    for config in ["data", "provenance"]:
        files = str(made.folder / config / "*.parquet")
        counts = {
            "pyarrow": pyarrow.parquet.read_table(made.folder / config).num_rows,
            "polars": polars.scan_parquet(files).select(polars.len()).collect().item(),
            "duckdb": duckdb.sql(f"select count(*) from '{files}'").fetchall()[0][0],
        }
        assert counts == dict.fromkeys(counts, made.rows), config
    expected = made.load().to_list()
    assert pyarrow.parquet.read_table(made.folder / "data").to_pylist() == expected
    assert polars.read_parquet(str(made.folder / "data" / "*.parquet")).to_dicts() == expected
    found(f"pyarrow, polars, duckdb: {made.name}, {made.rows} rows as report.json says, rows equal")


def test_the_rejects_are_all_there(made):
    rejects = polars.read_parquet(made.folder / "run" / "rejects.parquet")
    counted = {}
    for stage in made.report["stages"]:
        for reason, count in stage["rejects"].items():
            counted[reason] = counted.get(reason, 0) + count
    assert dict(rejects.group_by("reason").len().rows()) == {reason: n for reason, n in counted.items() if n}


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "json", "csv", "parquet"])
def test_one_file_holds_the_rows_of_the_folder(ending, tmp_path, found):
    folder, file = tmp_path / "folder", tmp_path / f"rows.{ending}"
    for output in [folder, file]:
        instil("generate", "examples/", "-o", output, "--format", "alpaca")
    expected = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    expected = expected.remove_columns("id")
    kind = {"csv": "csv", "parquet": "parquet"}.get(ending, "json")
    read = datasets.load_dataset(
        kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"), **keep_empty(kind)
    )
    assert read.column_names == FORMATS["alpaca"]
    assert read.to_list() == expected.to_list()
    found(f"datasets: .{ending}, {read.num_rows} rows as in the folder")


def keep_empty(kind):
    """pandas, which reads CSV for `datasets`, otherwise takes empty cells and words like `None` for nothing."""
    return {"keep_default_na": False} if kind == "csv" else {}
