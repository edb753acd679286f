"""Which store a projects.yaml opens."""

import pytest

from pipelines.config.load import load_config
from pipelines.errors import ConfigError
from pipelines.store import open_store
from pipelines.warehouse.store.file_store import FileStore

SHORTEST = "servers: {campus: {url: https://redcap.example.edu/api/}}\nprojects: {heart: {token: {env: A}}}\n"


def configured(folder, entry):
    path = folder / "projects.yaml"
    path.write_text(f"{SHORTEST}{entry}\n")
    return load_config(path)


def test_without_the_key_the_store_is_files_and_nothing_is_created(tmp_path):
    with open_store(configured(tmp_path, "")) as store:
        assert isinstance(store, FileStore)
    assert [path.name for path in tmp_path.iterdir()] == ["projects.yaml"]


@pytest.mark.lake
def test_with_the_key_the_store_is_the_lake_and_nothing_is_connected_to_or_created(tmp_path, monkeypatch):
    from pipelines.warehouse.store.lake_store import LakeStore

    monkeypatch.setenv("CATALOG", "postgresql://nobody@127.0.0.1:9/nothing")
    with open_store(configured(tmp_path, "store: {catalog: {env: CATALOG}, data: shared}")) as store:
        assert isinstance(store, LakeStore)
        assert store.mirrors.place("heart") == f"{tmp_path}/shared/mirrors/heart"
    assert [path.name for path in tmp_path.iterdir()] == ["projects.yaml"]


@pytest.mark.lake
def test_without_the_variable_nothing_is_loaded_into_files_instead(tmp_path, monkeypatch):
    monkeypatch.delenv("CATALOG", raising=False)
    with pytest.raises(ConfigError, match="environment variable CATALOG, which is not set"):
        open_store(configured(tmp_path, "store: {catalog: {env: CATALOG}, data: shared}"))
