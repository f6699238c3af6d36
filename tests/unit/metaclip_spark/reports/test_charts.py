"""Charts of a plan: the mark of a threshold, and numbers on the axes."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from metaclip_spark.reports.charts import size_chart
from metaclip_spark.reports.figures.plan import PlanRow

SIZES = {1: 619.1, 5: 2061.1, 22: 3315.1, 101: 4043.4, 604: 4710.4, 1683: 4785.0}


@pytest.mark.parametrize(
    ("threshold", "label"),
    [(1, "t = 1: 619 pairs"), (5, "t = 5: 2,061 pairs"), (1683, "t = 1,683: 4,785 pairs")],
)
def test_a_threshold_is_marked_at_its_size_beside_its_line(threshold, label):
    rows = [PlanRow(t, size, standard_error=1.0, tail_share=0.5, head_entries_cut=1) for t, size in SIZES.items()]
    figure = size_chart(rows, threshold)
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (told,) = axes.texts
    assert told.get_text() == label
    place, frame = told.get_window_extent(renderer), axes.get_window_extent(renderer)
    assert frame.x0 < place.x0
    assert place.x1 < frame.x1
    across, _ = axes.transData.transform((threshold, SIZES[threshold]))
    assert not place.x0 <= across <= place.x1
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"] == [
        [[threshold, SIZES[threshold]]]
    ]
    assert len([tick for tick in axes.get_yticklabels(which="both") if tick.get_text()]) > 2
