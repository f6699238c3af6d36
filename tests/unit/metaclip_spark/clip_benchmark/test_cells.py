"""The grid's cells, and what a kill leaves behind."""

import itertools

import pyarrow.parquet as pq
import pytest

from metaclip_spark.clip_benchmark.at_once import Workers
from metaclip_spark.clip_benchmark.cells import (
    check_one_setting,
    read_results,
    read_rows,
    run_cells,
    take_finished,
    unfinished,
    write_rows,
)
from metaclip_spark.clip_benchmark.settings.grid import ARMS, Cell, data_arms, expand, fractional
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError

ALONE = Workers(1)
TOKENS = ("clip", "filip", "defilip")


class KilledError(Exception):
    pass


def test_the_whole_product_can_be_asked_for():
    values = {
        "variant": VARIANTS,
        "image_tower": IMAGE_TOWERS,
        "arm": ARMS,
        "caption_kind": ("v1", "v2"),
        "text_depth": (1, 2, 4),
        "preset": PRESETS,
        "seed": range(3),
    }
    cells = expand(values)
    assert len(cells) == len(set(cells)) == 5 * 2 * 5 * 2 * 3 * 2 * 3
    assert len({cell.name for cell in cells}) == len(cells)
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)


def test_the_fractional_grid_is_that_of_the_specification():
    cells = fractional(range(5))
    of_one_seed = [cell for cell in cells if cell.seed == 0]
    on_v2 = {(c.variant, c.image_tower, c.pixels) for c in of_one_seed if c.caption_kind == "v2"}
    assert {(variant, tower) for variant, tower, _ in on_v2} == set(itertools.product(VARIANTS, IMAGE_TOWERS))
    # Nine tokens on the ResNet in place of four, and CLIP beside them at either side.
    on_resnet = {(variant, pixels) for variant, tower, pixels in on_v2 if tower == "resnet"}
    assert on_resnet == {*itertools.product(("clip", "slip", "declip"), [0]), *itertools.product(TOKENS, [96])}
    assert {pixels for _, tower, pixels in on_v2 if tower == "vit"} == {0}
    v1 = {c.variant for c in of_one_seed if (c.caption_kind, c.arm) == ("v1", "all")}
    assert v1 == {"clip", "declip", "defilip"}
    depths = {(c.variant, c.text_depth) for c in of_one_seed if c.text_depth}
    assert depths == {("clip", 1), ("clip", 4), ("declip", 1), ("declip", 4)}
    assert [(c.variant, c.image_tower) for c in of_one_seed if c.preset == "published"] == [("filip", "vit")]
    arms = {c.arm for c in of_one_seed if (c.variant, c.image_tower, c.caption_kind) == ("clip", "vit", "v1")}
    assert arms == set(ARMS)
    # 11 of variants and towers, 3 on raw captions, 4 depths, 1 preset, 4 further arms.
    assert len(of_one_seed) == 23
    assert {cell.seed for cell in data_arms(range(5))} == set(range(5))
    assert len(cells) == 5 * 23
    assert {cell.pixels for cell in fractional(range(1), "full")} == {0}


@pytest.mark.parametrize("values", [{"variant": "blip"}, {"arm": "best"}, {"seed": -1}, {"preset": "repo"}])
def test_an_unknown_value_is_refused(values):
    with pytest.raises(ConfigError):
        Cell(**values)


def test_a_killed_grid_goes_on_with_what_is_missing(tmp_path):
    cells = expand({"variant": VARIANTS, "seed": (0,)})
    ran = []

    def run(cell):
        ran.append(cell.variant)
        if len(ran) == 3:
            raise KilledError
        return {"top1": 0.5, "losses": {"itc": [4.0, 3.5]}, "classes": [1, 2]}

    with pytest.raises(KilledError):
        run_cells(cells, tmp_path, {"steps": 3}, run, ALONE)
    done = ran[:2]
    (tmp_path / "cells" / ".half.parquet.partial").write_bytes(b"half a row")
    rows = run_cells(cells, tmp_path, {"steps": 3}, run, ALONE)
    assert sorted(ran) == sorted([*VARIANTS, ran[2]])
    assert [row["variant"] for row in rows] == [cell.variant for cell in cells]
    assert rows[0]["losses"] == {"itc": [4.0, 3.5]}
    assert rows[0]["classes"] == [1, 2]
    assert done == [cell.variant for cell in cells][:2]
    assert pq.read_table(tmp_path / "results.parquet").num_rows == 5
    assert [row["cell"] for row in read_rows(tmp_path, {"steps": 3})] == sorted(cell.name for cell in cells)


def test_what_a_cell_leaves_is_cleaned_up_once_its_row_is_stored(tmp_path):
    def kill(_cell):
        raise KilledError

    cells, settings = [Cell(), Cell(seed=1)], {"steps": 3}
    with pytest.raises(KilledError):
        run_cells(cells, tmp_path, settings, lambda _cell: {"top1": 0.5}, ALONE, kill)
    assert [row["seed"] for row in read_rows(tmp_path, settings)] == [0]
    cleaned = []
    run_cells(cells, tmp_path, settings, lambda _cell: {"top1": 0.5}, ALONE, cleaned.append)
    assert cleaned == [Cell(seed=1)]


def test_rows_of_other_settings_never_meet(tmp_path):
    cells, before = expand({"seed": (0,)}), {"steps": 3, "seeds": 1}
    run_cells(cells, tmp_path, before, lambda _cell: {"top1": 0.5}, ALONE)
    other = tmp_path / "other"
    run_cells([Cell(seed=1)], other, {"steps": 4, "seeds": 1}, lambda _cell: {"top1": 0.9}, ALONE)
    # Neither further cells nor further seeds of other settings come into the folder.
    for settings, told in (
        ({"steps": 4, "seeds": 1}, "steps was 3 and is now 4"),
        ({"steps": 3, "seeds": 2}, "seeds was 1 and is now 2"),
    ):
        with pytest.raises(OutputExistsError, match=told):
            run_cells([Cell(seed=1)], tmp_path, settings, lambda _cell: {"top1": 0.9}, ALONE)
    assert [row["top1"] for row in read_results(tmp_path)] == [0.5]
    # Nor do rows that somebody copied, whether or not the settings' file is there.
    copied = tmp_path / "cells" / f"{Cell(seed=1).name}.parquet"
    copied.write_bytes((other / "cells" / copied.name).read_bytes())
    for _ in range(2):
        with pytest.raises(OutputExistsError, match=f"{copied.name} was made with other settings"):
            run_cells([*cells, Cell(seed=2)], tmp_path, before, lambda _cell: pytest.fail("a cell was trained"), ALONE)
        (tmp_path / "settings.json").unlink(missing_ok=True)
    with pytest.raises(InputError, match="mixes rows of 2 settings"):
        check_one_setting([*read_results(tmp_path), *read_results(other)], "the report")


def test_damaged_results_are_told(tmp_path):
    cells, settings = expand({"seed": (0,)}), {"steps": 3}
    run_cells(cells, tmp_path, settings, lambda _cell: {"top1": 0.5}, ALONE)
    (tmp_path / "cells" / f"{cells[0].name}.parquet").write_bytes(b"not a row")
    with pytest.raises(InputError, match="delete it"):
        run_cells(cells, tmp_path, settings, lambda _cell: {"top1": 0.9}, ALONE)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        run_cells(cells, tmp_path, settings, lambda _cell: {"top1": 0.9}, ALONE)
    (tmp_path / "results.parquet").write_bytes(b"not rows")
    with pytest.raises(InputError, match="holds no finished benchmark"):
        read_results(tmp_path)


def test_cells_finished_elsewhere_are_taken_where_the_settings_match(tmp_path, caplog):
    source, folder, settings = tmp_path / "source", tmp_path / "folder", {"steps": 3, "seeds": 3}
    cells = expand({"variant": VARIANTS, "seed": (0,)})
    figures = {"losses": {"itc": [4.0, None]}, "classes": [1, 2], "top5": None}
    run_cells(
        [*cells[:3], Cell(seed=2)], source, settings, lambda cell: {"top1": len(cell.variant) / 10, **figures}, ALONE
    )
    run_cells(cells[:1], folder, settings, lambda _cell: {"top1": 0.9}, ALONE)
    # Neither over a row that is there, nor of a cell that is not asked for.
    assert take_finished(source, folder, settings, cells) == 2
    assert unfinished(cells, folder) == cells[3:]
    taken = {row["cell"]: row for row in read_rows(folder, settings)}
    assert sorted(taken) == sorted(cell.name for cell in cells[:3])
    assert taken[cells[0].name]["top1"] == 0.9
    for cell in cells[1:3]:
        assert taken[cell.name] == next(row for row in read_results(source) if row["cell"] == cell.name)
        name = f"cells/{cell.name}.parquet"
        assert (folder / name).read_bytes() == (source / name).read_bytes()
    ran = []
    run_cells(cells, folder, settings, lambda cell: ran.append(cell) or {"top1": 0.1}, ALONE)
    assert ran == cells[3:]
    other = tmp_path / "other"
    assert take_finished(source, other, {**settings, "steps": 4}, cells) == 0
    assert "was made with other settings (steps was 3 and is now 4)" in caplog.text
    assert not other.exists()


def test_finished_cells_that_are_not_of_their_settings_are_refused(tmp_path):
    settings, source = {"steps": 3}, tmp_path / "source"
    with pytest.raises(InputError, match=r"--finished-cells .*source holds no readable settings\.json"):
        take_finished(source, tmp_path, settings, [Cell()])
    run_cells([Cell()], source, settings, lambda _cell: {"top1": 0.5}, ALONE)
    write_rows([{**row, "settings_digest": "other"} for row in read_results(source)], source / "results.parquet")
    with pytest.raises(InputError, match=r"its rows are not of its settings\.json"):
        take_finished(source, tmp_path, settings, [Cell()])
    (source / "results.parquet").unlink()
    with pytest.raises(InputError, match="holds no finished benchmark"):
        take_finished(source, tmp_path, settings, [Cell()])
    (source / "settings.json").write_text("[]")
    with pytest.raises(InputError, match="holds no settings"):
        take_finished(source, tmp_path, settings, [Cell()])
    assert not (tmp_path / "cells").exists()
