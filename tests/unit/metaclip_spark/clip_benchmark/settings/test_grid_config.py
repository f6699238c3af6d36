"""What a benchmark is asked for."""

from pathlib import Path

import pytest

from metaclip_spark.clip_benchmark.settings.data_config import DrawingsConfig
from metaclip_spark.clip_benchmark.settings.grid import ARMS, Cell
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.errors import ConfigError


def test_five_seeds_are_fixed_whatever_the_grid():
    for grid in ("arms", "fractional", "product"):
        config = GridConfig(output="benchmark", grid=grid)
        assert {cell.seed for cell in config.cells()} == set(range(5))
        assert config.shared_settings()["seeds"] == 5


def test_the_views_are_those_that_the_pictures_allow():
    expected = {"shapes": "distorting", "shape-pairs": "distorting", "drawings": "paper", "folder": "paper"}
    assert {data: GridConfig(output="benchmark", data=data).views for data in expected} == expected


def test_the_arm_online_trains_on_what_each_epoch_keeps(tmp_path):
    grid = GridConfig(output="benchmark")
    for arm in ARMS:
        config = grid.training(Cell(arm=arm, seed=3), tmp_path, tmp_path)
        assert config.online_curation == (arm == "online")
        # The first epoch's set is that of the arm `balanced`, which the sampling seed drew.
        assert config.draw_seed == 3


def test_the_size_s_own_text_depth_is_not_trained_twice():
    grid = GridConfig(output="benchmark", grid="product", text_depths=(0, 1, 2), seeds=1)
    assert [cell.text_depth for cell in grid.cells()] == [0, 1]


def test_the_side_of_the_images_is_an_axis_in_which_the_size_s_own_is_none():
    towers = ("vit", "resnet")
    grid = GridConfig(output="benchmark", grid="product", image_towers=towers, image_pixels=(64, 96), seeds=1)
    cells = {(cell.image_tower, cell.pixels): cell for cell in grid.cells()}
    assert set(cells) == {("vit", 64), ("vit", 96), ("resnet", 0), ("resnet", 96)}
    trained = {key: grid.training(cell, Path("shards"), Path("run")).pixels for key, cell in cells.items()}
    assert trained == {("vit", 64): 64, ("vit", 96): 96, ("resnet", 0): 64, ("resnet", 96): 96}
    assert cells["resnet", 96].name == "clip-resnet-96px-all-v2-text-clean-tiny-seed0"


def test_rows_of_two_devices_never_meet():
    settings = [
        GridConfig(output="benchmark", **given).shared_settings()
        for given in ({}, {"device": "cuda", "view_maker": "loader"}, {"device": "cuda"})
    ]
    assert [(each["device"], each["view_maker"]) for each in settings] == [
        ("cpu", "loader"),
        ("cuda", "loader"),
        ("cuda", "device"),
    ]


def test_what_is_given_changes_the_settings():
    left_out = GridConfig(output="benchmark").shared_settings()
    for option in (
        {"model_size": "unit"},
        {"batch_size": 8},
        {"learning_rate": 0.01},
        {"weight_decay": 0.0},
        {"arm_share": 0.5},
        {"seeds": 2},
    ):
        assert GridConfig(output="benchmark", **option).shared_settings() == {**left_out, **option}


AT_ONCE = "--cells-at-once 2 and --processes 2: give one of them, cells of several processes are trained one by one"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"cells_at_once": 2, "processes": 2}, AT_ONCE),
        ({"batch_size": 0}, "--batch-size is 0: it must be an integer of at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0: it must be a finite number above 0"),
        ({"weight_decay": -1.0}, "--weight-decay is -1.0: it must be a finite number of at least 0"),
        ({"arm_share": 1.0}, "--arm-share is 1.0: it must be a number between 0 and 1"),
        ({"text_depths": (-1,)}, "--text-depths is -1: it must be an integer of at least 0"),
        ({"arms": ("best",)}, "--arms is 'best': it must be one of random, matched, balanced, online, all"),
        ({"seeds": 0}, "--seeds is 0: it must be an integer of at least 1"),
    ],
)
def test_an_option_out_of_range_is_named_as_it_was_typed(option, message):
    with pytest.raises(ConfigError) as raised:
        GridConfig(output="benchmark", **option)
    assert str(raised.value) == message


def test_an_empty_list_in_a_file_is_one_left_out(tmp_path):
    (tmp_path / "grid.yaml").write_text("output: benchmark\nvariants: []\ntext_depths: []\n")
    (grid,) = parse_configs(["--config", str(tmp_path / "grid.yaml")], "test", GridConfig)
    assert (grid.variants, grid.text_depths) == (("clip",), (0,))


def test_the_drawings_need_no_folder():
    assert DrawingsConfig().openclipart is DrawingsConfig().tuxpaint is None
